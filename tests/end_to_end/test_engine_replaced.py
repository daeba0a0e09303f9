"""An engine is replaced while a run computes with it: the run ends well, with the libraries that it began with."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext

from headland.bridge.enhance import READ_UNTIL, enhance
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine import environment
from headland.engine.installing import folders
from headland.engine.job import Method
from headland.tests.support.fixtures import MakeLayer

LONGEST_S = 120.0


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine that can be replaced, with the packages of the one that the tests run with."""
    real = environment.location()
    engine = tmp_path / "Motor für QGIS" / "engine"
    engine.mkdir(parents=True)
    for part in real.iterdir():
        if part.name.startswith("lib"):
            (engine / part.name).symlink_to(part)
        elif part.is_dir():
            shutil.copytree(part, engine / part.name, symlinks=True)
        else:
            shutil.copy(part, engine)
    monkeypatch.setenv(environment.LOCATION_VARIABLE, str(engine))
    return engine


def engine_without_packages(engine: Path) -> Path:
    """Make what takes the place of ``engine``: whoever imports something late from there finds nothing."""
    new = folders.new_folder(engine)
    new.mkdir()
    shutil.copy(engine / environment.READY_FILE, new)
    return new


def test_a_run_ends_well_although_its_engine_is_replaced_meanwhile(
    engine: Path, make_layer: MakeLayer, folder: Path
) -> None:
    request = EnhanceRequest(make_layer(bands=3), method=Method.CHAIN, scale=2, output=folder / "schärfer.tif")
    plan = prepare(request, QgsCoordinateTransformContext())
    old, new = engine.stat().st_ino, engine_without_packages(engine)
    has_asked = threading.Event()

    def is_to_wait() -> bool:
        has_asked.set()
        return True

    replacing = threading.Thread(target=folders.put_in_place, args=(new, engine, is_to_wait), name="another QGIS")

    def tell(_phase: str, fraction: float) -> None:
        # The worker has begun, and Decrappify's libraries are still to come.
        if fraction > READ_UNTIL and not replacing.is_alive() and not has_asked.is_set():
            replacing.start()
            assert has_asked.wait(LONGEST_S), "the engine of a run was taken away"
            assert engine.stat().st_ino == old

    enhance(plan, tell, lambda: False)
    replacing.join(LONGEST_S)
    assert engine.stat().st_ino != old
    assert gdal.Open(str(plan.output)).RasterCount == 3
