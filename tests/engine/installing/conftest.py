"""The fixtures of the tests of engine/installing/: where the engine goes, tiny wheels, a pip that was told nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headland.engine.installing import building
from headland.engine.installing.proof import Proof
from headland.tests.support.installations import SITE_PACKAGES, engine  # noqa: F401
from headland.tests.support.wheelhouse import Wheelhouse, make_wheelhouse


@pytest.fixture(autouse=True)
def plain_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip has been told on this computer has no say."""
    for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Wheelhouse:
    """Wheels of which an engine that works can be made."""
    return make_wheelhouse(tmp_path / "wheel house", SITE_PACKAGES)


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that end before the proof, or are about something else and short of time."""
    monkeypatch.setattr(building, "prove", lambda *_arguments: Proof("cpu, 1 threads"))
