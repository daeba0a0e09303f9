"""What all tests need, in either Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# "python -m pytest" puts the checkout on the path, where its folder processing/ would hide QGIS's module of that name.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that is not the user's, not there yet."""
    folder = tmp_path_factory.mktemp("cache") / "headland"
    monkeypatch.setenv("HEADLAND_CACHE", str(folder))
    return folder
