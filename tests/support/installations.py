"""What the tests of the engine's set-up share: where it goes, folders beside it, and processes at work on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headland.engine import environment

# Where the packages of the engine are that these tests run in.
SITE_PACKAGES = Path(np.__file__).parents[1]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the engine goes; nothing is there yet."""
    folder = tmp_path / "Motor für QGIS, 大地" / "engine"
    monkeypatch.setenv(environment.LOCATION_VARIABLE, str(folder))
    return folder


def running_in(folder: Path) -> list[int]:
    """Return the processes whose command names something in ``folder``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(int(entry.parent.name))
    return found


def beside(engine: Path) -> set[str]:
    return {each.name for each in engine.parent.iterdir()}
