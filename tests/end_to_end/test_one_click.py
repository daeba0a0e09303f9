"""From the click to the layer on the map, on a real Sentinel-2 scene, with the real worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from pytestqt.qtbot import QtBot
from qgis.core import (
    Qgis,
    QgsContrastEnhancement,
    QgsLayerTreeGroup,
    QgsMultiBandColorRenderer,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)
from qgis.PyQt.QtXml import QDomDocument

from headland.bridge.controller import EnhanceController
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Method
from headland.tests.support.fixtures import MakeLayer

EXTENT = QgsRectangle(444300, 4177500, 444940, 4178060)
TIMEOUT_MS = 280_000


@pytest.fixture
def controller(project: QgsProject) -> Iterator[EnhanceController]:
    controller = EnhanceController()
    yield controller
    controller.close()


@pytest.fixture
def source(scene: Path, project: QgsProject) -> QgsRasterLayer:
    """The scene in false colours, in a group."""
    layer = QgsRasterLayer(str(scene), "Fields 2024")
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), 4, 3, 2)
    contrast = QgsContrastEnhancement(Qgis.DataType.UInt16)
    contrast.setContrastEnhancementAlgorithm(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
    )
    contrast.setMinimumValue(500)
    contrast.setMaximumValue(4500)
    renderer.setRedContrastEnhancement(contrast)
    layer.setRenderer(renderer)
    project.addMapLayer(layer, False)
    project.layerTreeRoot().addGroup("Virginia").addLayer(layer)
    return layer


def state(layer: QgsRasterLayer) -> str:
    document = QDomDocument()
    layer.exportNamedStyle(document)
    return "\n".join((document.toString(), layer.source(), layer.name(), layer.crs().authid()))


def pixels_of(path: str) -> np.ndarray[Any, Any]:
    return gdal.Open(path).ReadAsArray()


@pytest.mark.parametrize(
    ("method", "scale"),
    [
        (Method.ANCHOR, 2),
        pytest.param(Method.DECRAPPIFY, 4, marks=pytest.mark.slow),
        pytest.param(Method.CHAIN, 4, marks=pytest.mark.slow),
    ],
)
def test_a_sharper_layer_lies_above_the_original_in_its_place_and_style(
    controller: EnhanceController,
    source: QgsRasterLayer,
    folder: Path,
    qtbot: QtBot,
    method: Method,
    scale: int,
) -> None:
    scene = Path(source.source())
    before, content = state(source), scene.read_bytes()
    request = EnhanceRequest(
        source,
        QgsReferencedRectangle(EXTENT, source.crs()),
        bands=(2, 3, 4),
        method=method,
        scale=scale,
        output=folder / "schärfer.tif",
    )
    failures: list[str] = []
    controller.failed.connect(lambda sentence, details: failures.append(f"{sentence}\n{details}"))
    controller.start(request)
    qtbot.waitUntil(lambda: not controller.is_running, timeout=TIMEOUT_MS)
    assert failures == []

    group = QgsProject.instance().layerTreeRoot().findGroup("Virginia")
    run = {Method.ANCHOR: "anchor", Method.DECRAPPIFY: "Decrappify", Method.CHAIN: "DIP + Decrappify"}[method]
    names = [child.name() for child in group.children()]
    assert names == [f"Fields 2024 ×{scale} {run}", "Fields 2024"]
    result = group.children()[0].layer()
    assert result.crs() == source.crs()
    assert result.extent() == EXTENT
    assert (result.width(), result.height()) == (64 * scale, 56 * scale)
    assert result.bandCount() == 3
    assert result.dataProvider().dataType(1) == Qgis.DataType.UInt16
    assert result.dataProvider().sourceNoDataValue(1) == 0
    renderer = result.renderer()
    assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (3, 2, 1)
    assert renderer.redContrastEnhancement().maximumValue() == 4500
    assert (state(source), scene.read_bytes()) == (before, content)

    low_res = pixels_of(str(scene))[1:4, 120:176, 125:189].astype(float)
    high_res = pixels_of(result.source()).astype(float)
    coarse = high_res.reshape(3, 56, scale, 64, scale).mean(axis=(2, 4))
    assert coarse.mean(axis=(1, 2)) == pytest.approx(low_res.mean(axis=(1, 2)), rel=0.01)
    # Sharper: borders are steeper than in the enlarged original.
    assert high_res.std() > low_res.std()


def test_traced_borders_lie_where_the_fields_really_end(
    make_layer: MakeLayer, project: QgsProject, folder: Path, controller: EnhanceController, qtbot: QtBot
) -> None:
    # Fields of 12 by 16 pixels of 10 m, in the order of rows; the grid runs upwards.
    geotransform = (443050.0, 10.0, 0.0, 4179260.0, 0.0, 10.0)
    source = make_layer(bands=3, width_px=64, height_px=48, geotransform=geotransform)
    project.addMapLayer(source)
    request = EnhanceRequest(source, method=Method.ANCHOR, traces_borders=True, output=folder / "sharp.tif")
    with qtbot.waitSignal(controller.finished, timeout=TIMEOUT_MS) as finished:
        controller.start(request)
    report = finished.args[0].summary
    (group,) = (node for node in project.layerTreeRoot().children() if isinstance(node, QgsLayerTreeGroup))
    borders, result = (node.layer() for node in group.children())
    assert result.id() == finished.args[1]
    assert borders.featureCount() == report["borders"]["lines"] > 10
    inside, off = result.extent(), []
    for feature in borders.getFeatures():
        for vertex in feature.geometry().densifyByDistance(2.0).asPolyline():
            assert inside.contains(vertex)
            off_x = abs((vertex.x() - geotransform[0] + 80.0) % 160.0 - 80.0)
            off_y = abs((vertex.y() - geotransform[3] + 60.0) % 120.0 - 60.0)
            off.append(min(off_x, off_y))
    # Half a pixel; where borders cross, and where two fields happen to be nearly alike, it may be more.
    assert np.median(off) < 1.5
    assert np.quantile(off, 0.9) < 5.0
    assert max(off) < 20.0
    ends = Counter(point for feature in borders.getFeatures() for point in _ends(feature.geometry().asPolyline()))
    assert sum(count >= 3 for count in ends.values()) >= 6


def _ends(line: list[QgsPointXY]) -> tuple[tuple[float, float], tuple[float, float]]:
    return (line[0].x(), line[0].y()), (line[-1].x(), line[-1].y())
