"""Where the result is uncertain lies above it as a hatch: in the right place, whole or not at all, made in seconds."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext, QgsMapRendererParallelJob, QgsMapSettings, QgsVectorLayer
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

from headland.bridge import enhance as enhance_module
from headland.bridge.enhance import EnhanceCancelled, EnhanceFailed, enhance
from headland.bridge.estimating import disk_needs
from headland.bridge.geopackage import LayerDescription
from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.bridge.uncertain_layer import finish_uncertain_areas, uncertain_areas_uri
from headland.bridge.uncertain_sink import StagedUncertainAreas
from headland.engine.array_file import open_array
from headland.engine.events import Finished
from headland.engine.grid import Grid
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.rasters import ORIGIN

GRID = Grid((ORIGIN[0], 10.0, 0.0, ORIGIN[1], 0.0, -10.0), 60, 40, "")
REPORT: dict[str, Any] = {
    "created": "2024-05-01T10:00:00+00:00",
    "input": {"layer": "Fields", "source": "fields.tif"},
    "output": "sharper.tif",
    "method": "chain",
    "preset": "fast",
    "scale": 2,
    "sensor": "auto",
    "seed": 0,
    "device": "cpu",
    "engine": "torch, in a process of its own",
    "bands": [],
    "window": {"width_px": 60, "height_px": 40, "column_px": 0, "row_px": 0},
    "versions": {"headland": "1", "qgis": "3", "gdal": "3", "worker": {}},
}
Outline = Callable[..., QgsVectorLayer]
MakePlan = Callable[..., EnhancePlan]


@pytest.fixture
def outline(tmp_path: Path) -> Outline:
    """Writes the areas of bounds (band, row, column) at twice the size of GRID; a band is uncertain from 40 on."""

    numbers = itertools.count()

    def write(bounds: NDArray[Any], valid: Any = None, grid: Grid = GRID) -> QgsVectorLayer:
        shape = (len(bounds), grid.height_px, grid.width_px)
        np.save(tmp_path / "bounds.npy", bounds.astype(np.float32))
        np.save(tmp_path / "valid.npy", np.ones(shape, bool) if valid is None else valid)
        output = tmp_path / f"areas {next(numbers)}.gpkg"
        with (
            open_array(tmp_path / "bounds.npy") as bound_file,
            open_array(tmp_path / "valid.npy") as valid_file,
            StagedUncertainAreas(output) as areas,
        ):
            description = LayerDescription(grid, "Fields", "Where it is uncertain.")
            areas.write(description, bound_file, valid_file, [40.0] * len(bounds), lambda _fraction: None)
            areas.publish()
        assert not list(tmp_path.glob(".headland-*"))
        layer = QgsVectorLayer(uncertain_areas_uri(output), "areas", "ogr")
        assert layer.isValid()
        return layer

    return write


def bounds_of_shape(bands: int = 1) -> NDArray[np.float64]:
    return np.full((bands, 80, 120), 10.0)


def test_an_area_has_the_corners_of_the_pixels_that_are_uncertain(outline: Outline) -> None:
    bounds = bounds_of_shape()
    bounds[:, 20:40, 60:100] = 50.0
    (area,) = outline(bounds).getFeatures()
    box = area.geometry().boundingBox()
    assert (box.xMinimum(), box.xMaximum()) == (ORIGIN[0] + 300.0, ORIGIN[0] + 500.0)
    assert (box.yMinimum(), box.yMaximum()) == (ORIGIN[1] - 200.0, ORIGIN[1] - 100.0)
    assert area.geometry().area() == 200.0 * 100.0


def test_it_goes_by_the_mean_of_the_bands_that_are_valid(outline: Outline) -> None:
    bounds = bounds_of_shape(2)
    bounds[0, 20:40, 20:60], bounds[0, 50:70, 20:60] = 60.0, 60.0
    bounds[1, 20:40, 20:60] = 30.0
    valid = np.ones((2, 40, 60), bool)
    assert [area.geometry().boundingBox().yMaximum() for area in outline(bounds).getFeatures()] == [ORIGIN[1] - 100.0]
    valid[1, 25:35] = False
    assert outline(bounds, valid).featureCount() == 2
    assert outline(bounds, np.zeros((2, 40, 60), bool)).featureCount() == 0


def test_specks_and_pinholes_are_left_out(outline: Outline) -> None:
    bounds = bounds_of_shape()
    bounds[:, 20:60, 60:100] = 50.0
    bounds[:, 30:32, 70:72] = 0.0
    bounds[:, 4:8, 4:6] = 50.0
    (area,) = outline(bounds).getFeatures()
    assert area.geometry().area() == 200.0 * 200.0


def test_the_hatch_lets_the_picture_be_seen_at_every_scale_of_the_map(outline: Outline) -> None:
    layer = outline(np.full((1, 80, 120), 50.0))
    finish_uncertain_areas(layer, REPORT)
    assert "neighbouring fields" in layer.metadata().abstract()
    for zoom in (1.0, 0.25):
        settings = QgsMapSettings()
        settings.setLayers([layer])
        settings.setOutputSize(QSize(300, 200))
        settings.setBackgroundColor(QColor("white"))
        extent = layer.extent()
        extent.scale(zoom)
        settings.setExtent(extent)
        job = QgsMapRendererParallelJob(settings)
        job.start()
        job.waitForFinished()
        picture = job.renderedImage()
        inside = [picture.pixelColor(x, y) for x in range(60, 240) for y in range(40, 160)]
        covered = np.mean([colour.green() < 200 for colour in inside])
        assert 0.1 < covered < 0.45


@pytest.mark.slow
def test_a_large_extent_is_outlined_in_seconds(outline: Outline) -> None:
    grid = Grid(GRID.geotransform, 2048, 2048, "")
    coarse = np.random.default_rng(0).uniform(0.0, 60.0, (1, 256, 256))
    began = time.monotonic()
    layer = outline(coarse.repeat(16, axis=1).repeat(16, axis=2), grid=grid)
    assert layer.featureCount() > 1000
    assert time.monotonic() - began < 60.0


@pytest.fixture
def make_plan(make_layer: MakeLayer, folder: Path, fake_engine: FakeEngine) -> MakePlan:
    def make(**wishes: Any) -> EnhancePlan:
        wishes = {"scale": 2, "output": folder / "schärfer.tif", "maps_confidence": True, **wishes}
        return prepare(EnhanceRequest(make_layer(bands=2), **wishes), QgsCoordinateTransformContext())

    return make


def test_they_are_written_beside_the_map_of_errors_and_the_report_names_them(make_plan: MakePlan) -> None:
    plan = make_plan()
    assert plan.uncertain_areas == plan.output.with_name("schärfer_uncertain.gpkg")
    told: list[tuple[str, float]] = []
    enhance(plan, lambda phase, fraction: told.append((phase, fraction)), lambda: False)
    assert "Outlining what is uncertain" in [phase for phase, _ in told]
    assert [fraction for _, fraction in told] == sorted(fraction for _, fraction in told)
    dataset = gdal.OpenEx(str(plan.uncertain_areas), gdal.OF_VECTOR)
    layer = dataset.GetLayer(0)
    assert layer.GetSpatialRef().GetAuthorityCode(None) == "32618"
    # The fake worker's bounds are a fiftieth of the numbers, and uncertain from 40 on.
    assert layer.GetFeatureCount() > 0
    report = json.loads(plan.report.read_text(encoding="utf-8"))
    assert report["uncertain_areas_output"] == str(plan.uncertain_areas)
    assert make_plan(maps_confidence=False).uncertain_areas is None
    assert disk_needs(make_plan()).result_bytes > disk_needs(make_plan(maps_confidence=False)).result_bytes


@pytest.mark.parametrize("limits", [None, [], [40.0], [40.0, 0.0], [40.0, float("nan")], "40"])
def test_an_engine_that_does_not_say_from_where_on_is_refused(
    make_plan: MakePlan, folder: Path, monkeypatch: pytest.MonkeyPatch, limits: Any
) -> None:
    run_worker = enhance_module.run_worker

    def forgetful(*arguments: Any, **options: Any) -> Finished:
        return Finished({**run_worker(*arguments, **options).report, "uncertain_from": limits})

    monkeypatch.setattr(enhance_module, "run_worker", forgetful)
    plan = make_plan()
    before = sorted(folder.iterdir())
    with pytest.raises(EnhanceFailed, match="did not say from which error on"):
        enhance(plan, lambda *_: None, lambda: False)
    assert sorted(folder.iterdir()) == before


def test_a_run_that_is_cancelled_while_they_are_outlined_leaves_nothing(make_plan: MakePlan, folder: Path) -> None:
    told: list[str] = []
    plan = make_plan()
    before = sorted(folder.iterdir())
    with pytest.raises(EnhanceCancelled):
        enhance(plan, lambda phase, _: told.append(phase), lambda: "Outlining what is uncertain" in told)
    assert sorted(folder.iterdir()) == before
