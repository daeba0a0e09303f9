"""Traced borders arrive as a line layer: whole or not at all, in the right place, above their result, to snap to."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from osgeo import gdal
from pytestqt.qtbot import QtBot
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsLayerTreeGroup,
    QgsMapSettings,
    QgsPointLocator,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsSnappingConfig,
    QgsSnappingUtils,
    QgsTolerance,
    QgsTracer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize

from headland.bridge import outputs
from headland.bridge.controller import EnhanceController
from headland.bridge.enhance import EnhanceCancelled, EnhanceFailed, EnhanceResult, enhance
from headland.bridge.estimating import estimate_plan
from headland.bridge.prepare import EnhancePlan, prepare
from headland.bridge.quick_look import quick_look_request
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Method
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fake_worker import LINES, STRENGTHS
from headland.tests.support.fixtures import MakeLayer, UseEngine
from headland.tests.support.rasters import CUSTOM_CRS, ODD_CRS, ORIGIN

MakePlan = Callable[..., EnhancePlan]


@pytest.fixture
def make_plan(make_layer: MakeLayer, folder: Path, fake_engine: FakeEngine) -> MakePlan:
    """Makes a plan that traces borders, for a small raster or for the given layer."""

    def make(layer: Any = None, **wishes: Any) -> EnhancePlan:
        wishes = {"scale": 2, "output": folder / "schärfer.tif", "traces_borders": True, **wishes}
        layer = make_layer(bands=2) if layer is None else layer
        return prepare(EnhanceRequest(layer, method=Method.ANCHOR, **wishes), QgsCoordinateTransformContext())

    return make


def carry_out(plan: EnhancePlan) -> EnhanceResult:
    return enhance(plan, lambda _phase, _fraction: None, lambda: False)


def opened(plan: EnhancePlan) -> QgsVectorLayer:
    layer = QgsVectorLayer(f"{plan.borders}|layername=field_borders", "borders", "ogr")
    assert layer.isValid()
    return layer


def vertices(layer: QgsVectorLayer) -> list[list[tuple[float, float]]]:
    return [[(p.x(), p.y()) for p in feature.geometry().asPolyline()] for feature in layer.getFeatures()]


def files_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("räster"))


def test_without_the_wish_there_are_none(make_plan: MakePlan, folder: Path) -> None:
    result = carry_out(make_plan(traces_borders=False))
    assert result.borders is None
    assert files_in(folder) == ["schärfer.report.json", "schärfer.tif"]
    assert "borders" not in result.summary


def test_they_lie_beside_the_result_and_the_report_tells_of_them(make_plan: MakePlan, folder: Path) -> None:
    result = carry_out(make_plan())
    assert result.borders == folder / "schärfer_borders.gpkg"
    assert files_in(folder) == ["schärfer.report.json", "schärfer.tif", "schärfer_borders.gpkg"]
    report = json.loads((folder / "schärfer.report.json").read_text(encoding="utf-8"))
    assert report["borders"] == {"lines": 2, "file": str(result.borders)}
    layer = opened(result.plan)
    assert [field.name() for field in layer.fields()] == ["fid", "strength", "length_m"]
    first, second = layer.getFeatures()
    assert (first["strength"], second["strength"]) == STRENGTHS
    # Pixels of 5 m; the CRS's metres are a little longer than real ones.
    assert (first["length_m"], second["length_m"]) == (pytest.approx(90.0, rel=1e-3), pytest.approx(70.0, rel=1e-3))


@pytest.mark.parametrize(
    "geotransform",
    [
        (ORIGIN[0], 10.0, 0.0, ORIGIN[1], 0.0, -10.0),
        (ORIGIN[0], 10.0, 0.0, ORIGIN[1], 0.0, 10.0),
        (ORIGIN[0], 8.0, 0.0, ORIGIN[1], 0.0, -12.5),
    ],
    ids=["north-up", "south-up", "not square"],
)
def test_they_lie_on_the_pixels_that_they_were_traced_in(
    make_plan: MakePlan, make_layer: MakeLayer, geotransform: Sequence[float]
) -> None:
    layer = make_layer(geotransform=geotransform, width_px=40, height_px=40)
    x0, width, _, y0, _, height = geotransform
    part = QgsRectangle(x0 + 4 * width, y0 + 6 * height, x0 + 30 * width, y0 + 30 * height)
    plan = make_plan(layer, extent=QgsReferencedRectangle(part, layer.crs()))
    carry_out(plan)
    expected = [[(x0 + (4 + x / 2) * width, y0 + (6 + y / 2) * height) for x, y in line] for line in LINES]
    lines = vertices(opened(plan))
    assert len(lines) == len(expected)
    for line, wished in zip(lines, expected):
        assert np.array(line) == pytest.approx(np.array(wished))


@pytest.mark.parametrize("crs", ["EPSG:32618", "EPSG:4326", "EPSG:3035", CUSTOM_CRS, ODD_CRS, ""])
def test_they_have_the_layers_crs_whatever_that_is(
    make_layer: MakeLayer, folder: Path, project: QgsProject, fake_engine: FakeEngine, qtbot: QtBot, crs: str
) -> None:
    degrees = (-75.0, 1e-4, 0.0, 37.7, 0.0, -1e-4)
    is_angular = crs in ("EPSG:4326", ODD_CRS)
    source = make_layer(crs=crs, **({"geotransform": degrees} if is_angular else {}))
    result, borders = on_the_map(project, source, qtbot, output=folder / "schärfer.tif")
    assert borders.crs() == source.crs() == result.crs()
    assert borders.featureCount() == 2
    assert result.extent().buffered(1e-9).contains(borders.extent())
    corner = vertices(borders)[0][0]
    assert corner == pytest.approx((result.extent().xMinimum(), result.extent().yMaximum()))


def on_the_map(
    project: QgsProject, source: QgsRasterLayer, qtbot: QtBot, **wishes: Any
) -> tuple[QgsRasterLayer, QgsVectorLayer]:
    """Enhance and return the layers of the result and of its borders."""
    if project.mapLayer(source.id()) is None:
        project.addMapLayer(source)
    controller = EnhanceController()
    controller.failed.connect(lambda *failure: pytest.fail("\n".join(failure)))
    with qtbot.waitSignal(controller.finished, timeout=60_000) as finished:
        controller.start(EnhanceRequest(source, traces_borders=True, **wishes))
    controller.close()
    result = project.mapLayer(finished.args[1])
    (borders,) = (
        node.layer()
        for node in project.layerTreeRoot().findLayer(result.id()).parent().findLayers()
        if isinstance(node.layer(), QgsVectorLayer)
    )
    return result, borders


def names(group: QgsLayerTreeGroup) -> list[Any]:
    """What lies in a group from top to bottom, a list for each group inside."""
    return [
        [node.name(), names(node)] if isinstance(node, QgsLayerTreeGroup) else node.name() for node in group.children()
    ]


@pytest.mark.usefixtures("fake_engine")
def test_they_lie_above_their_result_in_a_group_with_it_above_the_source(
    make_layer: MakeLayer, project: QgsProject, qtbot: QtBot
) -> None:
    source = make_layer()
    on_the_map(project, source, qtbot)
    grouped = [
        "Fields 2024 ×4 DIP + Decrappify",
        ["Fields 2024 ×4 field borders (DIP + Decrappify)", "Fields 2024 ×4 DIP + Decrappify"],
    ]
    assert names(project.layerTreeRoot()) == [grouped, "Fields 2024"]
    # A later result, with or without, lies above.
    controller = EnhanceController()
    with qtbot.waitSignal(controller.finished, timeout=60_000):
        controller.start(EnhanceRequest(source, method=Method.ANCHOR))
    controller.close()
    assert names(project.layerTreeRoot()) == ["Fields 2024 ×4 anchor", grouped, "Fields 2024"]


@pytest.mark.usefixtures("fake_engine")
def test_the_layer_says_that_each_line_is_a_guess_and_shows_the_likelier_wider(
    make_layer: MakeLayer, project: QgsProject, folder: Path, qtbot: QtBot
) -> None:
    source = make_layer()
    result_id, borders_id = (layer.id() for layer in on_the_map(project, source, qtbot, output=folder / "schärfer.tif"))
    project.write(str(folder / "project.qgz"))
    project.read(str(folder / "project.qgz"))
    layer = project.mapLayer(borders_id)
    metadata = layer.metadata()
    assert "traced by machine, not surveyed" in metadata.abstract()
    assert metadata.parentIdentifier() == str(folder / "schärfer.tif")
    assert any("Field borders: 2 lines" in line for line in metadata.history())
    assert any("Method: chain" in line for line in project.mapLayer(result_id).metadata().history())
    symbol_layers = layer.renderer().symbol().symbolLayers()
    assert len(symbol_layers) == 2
    widths = [expression for line in symbol_layers for expression in _expressions(line)]
    assert len(widths) == 2
    assert all('"strength"' in width for width in widths)
    # The file says it too, where no project tells of it.
    dataset = gdal.OpenEx(str(folder / "schärfer_borders.gpkg"))
    assert "not surveyed" in dataset.GetLayer(0).GetMetadataItem("DESCRIPTION")


def _expressions(symbol_layer: Any) -> list[str]:
    properties = symbol_layer.dataDefinedProperties()
    return [properties.property(key).asExpression() for key in properties.propertyKeys() if properties.isActive(key)]


@pytest.mark.usefixtures("fake_engine")
def test_snapping_and_tracing_work_on_them(make_layer: MakeLayer, project: QgsProject, qtbot: QtBot) -> None:
    source = make_layer()
    _, borders = on_the_map(project, source, qtbot, scale=2)
    first, second = vertices(borders)
    assert first[-1] == second[0]
    locator = QgsPointLocator(borders)
    corner = QgsPointXY(*first[1])
    near = QgsPointXY(corner.x() + 2.0, corner.y() + 1.0)
    match = locator.nearestVertex(near, 5.0)
    assert match.isValid()
    assert match.point() == corner
    middle = QgsPointXY((first[0][0] + first[1][0]) / 2, first[0][1] - 1.5)
    assert locator.nearestEdge(middle, 5.0).isValid()
    utils = QgsSnappingUtils()
    config = QgsSnappingConfig(project)
    config.setEnabled(True)
    config.setMode(QgsSnappingConfig.SnappingMode.AllLayers)
    config.setTypeFlag(QgsSnappingConfig.SnappingTypes.VertexFlag)
    config.setTolerance(5.0)
    config.setUnits(QgsTolerance.UnitType.ProjectUnits)
    utils.setConfig(config)
    map_settings = QgsMapSettings()
    map_settings.setLayers([borders])
    map_settings.setDestinationCrs(borders.crs())
    map_settings.setExtent(source.extent())
    map_settings.setOutputSize(QSize(400, 320))
    utils.setMapSettings(map_settings)
    assert utils.snapToMap(near).point() == corner
    tracer = QgsTracer()
    tracer.setLayers([borders])
    tracer.setDestinationCrs(borders.crs(), project.transformContext())
    path, error = tracer.findShortestPath(QgsPointXY(*first[0]), QgsPointXY(*second[-1]))
    assert error == QgsTracer.PathError.ErrNone
    assert [(p.x(), p.y()) for p in path] == [*first, second[-1]]


def test_lines_that_somebody_may_have_edited_are_never_overwritten(make_plan: MakePlan, folder: Path) -> None:
    first = carry_out(make_plan())
    before = first.borders.read_bytes()
    second = carry_out(make_plan())
    assert second.output == first.output
    assert second.borders == folder / "schärfer_borders_2.gpkg"
    assert first.borders.read_bytes() == before
    # One that came while it worked is no less somebody's.
    plan = make_plan()
    plan.borders.write_bytes(b"mine")
    content = plan.output.read_bytes()
    with pytest.raises(EnhanceFailed, match="it came there meanwhile"):
        carry_out(plan)
    assert plan.borders.read_bytes() == b"mine"
    assert plan.output.read_bytes() == content
    assert len([name for name in files_in(folder) if not name.endswith(".xml")]) == 5


@pytest.mark.parametrize(
    ("behaviour", "part"),
    [
        ("no borders", "The engine returned no borders that can be read"),
        ("borders elsewhere", "The engine returned no borders that can be read"),
        ("killed", "memory ran out"),
        ("crash", "crashed"),
        ("wrong size", "another size"),
    ],
)
def test_a_run_that_fails_leaves_none(
    make_plan: MakePlan, folder: Path, use_engine: UseEngine, behaviour: str, part: str
) -> None:
    use_engine(behaviour)
    with pytest.raises(EnhanceFailed, match=part):
        carry_out(make_plan())
    assert files_in(folder) == []


@pytest.mark.parametrize("phase", ["Pretending, tile 2 of 2", "Writing the result", "Writing the borders"])
def test_a_run_that_is_cancelled_leaves_none(make_plan: MakePlan, folder: Path, phase: str) -> None:
    told: list[str] = []
    with pytest.raises(EnhanceCancelled):
        enhance(make_plan(), lambda said, _fraction: told.append(said), lambda: phase in told)
    assert files_in(folder) == []


def test_a_result_that_cannot_be_published_takes_them_along(
    make_plan: MakePlan, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_raster: object) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(outputs.StagedGeotiff, "publish", fail)
    with pytest.raises(EnhanceFailed, match="could not be read or written"):
        carry_out(make_plan())
    assert files_in(folder) == []


@pytest.mark.usefixtures("fake_engine")
def test_a_quick_look_makes_none(make_layer: MakeLayer) -> None:
    layer = make_layer()
    request = EnhanceRequest(layer, traces_borders=True)
    visible = QgsReferencedRectangle(layer.extent(), layer.crs())
    assert not quick_look_request(request, visible, QgsCoordinateTransformContext()).traces_borders


def test_they_cost_time_and_disk_and_the_estimate_says_so(make_plan: MakePlan) -> None:
    with_borders, without = (estimate_plan(make_plan(traces_borders=wished)) for wished in (True, False))
    assert with_borders.seconds > without.seconds
    assert with_borders.disk_bytes > without.disk_bytes
