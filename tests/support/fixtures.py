"""Fixtures that the tests inside QGIS share; a conftest.py imports those that it wants to offer."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from qgis.core import QgsProject, QgsRasterLayer

from headland.engine import environment

from .engines import FakeEngine, make_fake_engine
from .rasters import write_raster
from .web_server import WebServer, web_server

SCENE = Path(__file__).resolve().parents[1] / "data" / "s2_farmland_virginia.tif"

MakeRaster = Callable[..., Path]
MakeLayer = Callable[..., QgsRasterLayer]
UseEngine = Callable[[str], FakeEngine]

CLEANED_UP_S = 5.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as awkward as a person's may be."""
    folder = tmp_path / "Größe mit Leerzeichen, 大地"
    folder.mkdir()
    return folder


@pytest.fixture
def make_raster(folder: Path) -> MakeRaster:
    """Writes a GeoTIFF as :func:`write_raster` does, each under a name of its own."""
    numbers = itertools.count(1)

    def make(*arguments: Any, **properties: Any) -> Path:
        return write_raster(folder / f"räster {next(numbers)}.tif", *arguments, **properties)

    return make


@pytest.fixture
def make_layer(make_raster: MakeRaster) -> MakeLayer:
    """Makes a raster layer, in no project, over a file made by ``make_raster``."""

    def make(*arguments: Any, name: str = "Fields 2024", **properties: Any) -> QgsRasterLayer:
        return QgsRasterLayer(str(make_raster(*arguments, **properties)), name)

    return make


@pytest.fixture
def scene(folder: Path) -> Path:
    """A copy of the Sentinel-2 crop: QGIS may leave its statistics beside it."""
    return Path(shutil.copy(SCENE, folder / "s2 scène.tif"))


@pytest.fixture
def use_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UseEngine:
    """Makes Headland use a fake engine that behaves as asked; see ``fake_worker.BEHAVIOURS``."""

    def use(behaviour: str) -> FakeEngine:
        engine = make_fake_engine(tmp_path / f"fäke engine {behaviour}", behaviour)
        monkeypatch.setenv(environment.LOCATION_VARIABLE, str(engine.folder))
        return engine

    return use


@pytest.fixture
def fake_engine(use_engine: UseEngine) -> FakeEngine:
    """A fake engine that repeats every pixel."""
    return use_engine("repeat")


@pytest.fixture(autouse=True)
def job_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where job folders are made; none may be left after a test."""
    parent = tmp_path / "temporary files"
    parent.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(parent))
    yield parent
    # Where a task is cancelled in the moment of its start, QGIS says that it has ended while its run() still cleans up.
    began = time.monotonic()
    while (left := sorted(path.name for path in parent.iterdir())) and time.monotonic() - began < CLEANED_UP_S:
        time.sleep(0.05)
    assert not left, f"left behind: {left}"


@pytest.fixture
def project() -> Iterator[QgsProject]:
    """QGIS's project, empty before and after."""
    project = QgsProject.instance()
    project.clear()
    yield project
    project.clear()


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A map server on this machine."""
    with web_server() as server:
        yield server
