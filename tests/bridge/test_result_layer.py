"""The result on the map: its source's style, directly above it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsContrastEnhancement,
    QgsCoordinateTransformContext,
    QgsLayerTreeLayer,
    QgsMultiBandColorRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QPainter
from qgis.PyQt.QtXml import QDomDocument

from headland.bridge.enhance import enhance
from headland.bridge.layer_names import LayerNames
from headland.bridge.prepare import EnhancePlan, prepare
from headland.bridge.request import EnhanceRequest
from headland.bridge.result_layer import add_result
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.rasters import CUSTOM_CRS, fields

Enhanced = Callable[..., QgsRasterLayer]


@pytest.fixture
def plan_of(fake_engine: FakeEngine) -> Callable[..., EnhancePlan]:
    """Enhances a layer with the fake engine and returns the plan that led there."""

    def plan_of(layer: QgsRasterLayer, **wishes: Any) -> EnhancePlan:
        plan = prepare(EnhanceRequest(layer, scale=2, **wishes), QgsCoordinateTransformContext())
        enhance(plan, lambda _phase, _fraction: None, lambda: False)
        return plan

    return plan_of


@pytest.fixture
def enhanced(plan_of: Callable[..., EnhancePlan], project: QgsProject) -> Enhanced:
    """Enhances a layer and adds the result to the project."""

    def enhanced(layer: QgsRasterLayer, **wishes: Any) -> QgsRasterLayer:
        plan = plan_of(layer, **wishes)
        return add_result(plan, plan.output, LayerNames.of(plan, {}).result, project)

    return enhanced


def stretch(layer: QgsRasterLayer, band: int, low: float, high: float) -> QgsContrastEnhancement:
    contrast = QgsContrastEnhancement(layer.dataProvider().dataType(band))
    contrast.setContrastEnhancementAlgorithm(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
    )
    contrast.setMinimumValue(low)
    contrast.setMaximumValue(high)
    return contrast


def show_colours(layer: QgsRasterLayer, red: int, green: int, blue: int) -> QgsRasterLayer:
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), red, green, blue)
    renderer.setRedContrastEnhancement(stretch(layer, red, 100, 5000))
    renderer.setGreenContrastEnhancement(stretch(layer, green, 200, 6000))
    renderer.setBlueContrastEnhancement(stretch(layer, blue, 300, 7000))
    layer.setRenderer(renderer)
    return layer


def style(layer: QgsRasterLayer) -> str:
    document = QDomDocument()
    layer.exportNamedStyle(document)
    return document.toString()


def names_from_the_top(group: Any) -> list[str]:
    return [child.name() for child in group.children()]


def test_it_lies_directly_above_its_source_in_the_same_group(
    make_layer: MakeLayer, enhanced: Enhanced, project: QgsProject
) -> None:
    group = project.layerTreeRoot().addGroup("2024").addGroup("May")
    for name in ("above", "Fields", "below"):
        layer = make_layer(name=name)
        project.addMapLayer(layer, False)
        group.addLayer(layer)
    result = enhanced(project.mapLayersByName("Fields")[0])
    assert names_from_the_top(group) == ["above", "Fields ×2 DIP + Decrappify", "Fields", "below"]
    assert names_from_the_top(project.layerTreeRoot()) == ["2024"]
    assert len(project.mapLayers()) == 4
    node = project.layerTreeRoot().findLayer(result.id())
    assert isinstance(node, QgsLayerTreeLayer)
    assert node.isVisible()


def test_a_later_result_of_the_same_source_lies_above_the_earlier_one(
    make_layer: MakeLayer, enhanced: Enhanced, project: QgsProject
) -> None:
    root = project.layerTreeRoot()
    for name in ("above", "Fields"):
        layer = make_layer(name=name)
        project.addMapLayer(layer, False)
        root.addLayer(layer)
    source = project.mapLayersByName("Fields")[0]
    first = enhanced(source)
    first.setName("first")
    enhanced(source)
    assert names_from_the_top(root) == ["above", "Fields ×2 DIP + Decrappify", "first", "Fields"]


def test_size_extent_crs_type_and_nodata_are_right(
    make_layer: MakeLayer, enhanced: Enhanced, project: QgsProject
) -> None:
    source = project.addMapLayer(make_layer(bands=2, dtype="int16", nodata=-9999, crs=CUSTOM_CRS))
    result = enhanced(source)
    assert (result.width(), result.height(), result.bandCount()) == (80, 64, 2)
    assert result.extent() == source.extent()
    assert result.crs() == source.crs()
    assert result.dataProvider().dataType(1) == source.dataProvider().dataType(1)
    assert result.dataProvider().sourceNoDataValue(2) == -9999


def test_a_colour_style_is_copied(make_layer: MakeLayer, enhanced: Enhanced, project: QgsProject) -> None:
    source = project.addMapLayer(show_colours(make_layer(bands=4), 3, 2, 1))
    source.setBlendMode(QPainter.CompositionMode.CompositionMode_Multiply)
    source.renderer().setOpacity(0.7)
    source.hueSaturationFilter().setSaturation(20)
    before = style(source)
    renderer = enhanced(source).renderer()
    assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (3, 2, 1)
    assert renderer.blueContrastEnhancement().maximumValue() == 7000
    assert renderer.opacity() == pytest.approx(0.7)
    result = project.mapLayersByName("Fields 2024 ×2 DIP + Decrappify")[0]
    assert result.blendMode() == QPainter.CompositionMode.CompositionMode_Multiply
    assert result.hueSaturationFilter().saturation() == 20
    assert style(source) == before, "the source layer is untouched"


def test_the_bands_of_a_style_follow_a_subset(make_layer: MakeLayer, enhanced: Enhanced, project: QgsProject) -> None:
    source = project.addMapLayer(show_colours(make_layer(bands=4), 4, 3, 2))
    renderer = enhanced(source, bands=(2, 3, 4)).renderer()
    assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (3, 2, 1)
    assert renderer.redContrastEnhancement().minimumValue() == 100


def test_a_grey_or_pseudocolour_style_follows_its_band(
    make_layer: MakeLayer, enhanced: Enhanced, project: QgsProject
) -> None:
    source = project.addMapLayer(make_layer(bands=4))
    source.setRenderer(QgsSingleBandGrayRenderer(source.dataProvider(), 4))
    assert enhanced(source, bands=(3, 4)).renderer().grayBand() == 2
    pseudocolour = QgsSingleBandPseudoColorRenderer(source.dataProvider(), 3)
    pseudocolour.setClassificationMin(10)
    source.setRenderer(pseudocolour)
    renderer = enhanced(source, bands=(3, 4)).renderer()
    assert (renderer.type(), renderer.band(), renderer.classificationMin()) == ("singlebandpseudocolor", 1, 10)


def test_a_style_of_bands_that_were_not_enhanced_gives_way_to_the_default(
    make_layer: MakeLayer, enhanced: Enhanced, project: QgsProject
) -> None:
    source = project.addMapLayer(show_colours(make_layer(bands=4), 4, 3, 2))
    renderer = enhanced(source, bands=(4,)).renderer()
    assert (renderer.type(), renderer.grayBand()) == ("singlebandgray", 1)


def test_where_the_source_was_transparent_the_result_is(
    make_layer: MakeLayer, enhanced: Enhanced, project: QgsProject
) -> None:
    values = fields(4, 32, 40, "uint8")
    values[3] = 255
    values[3, :8, :8] = 0
    colours = [gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand]
    source = project.addMapLayer(make_layer(values, colours=colours))
    assert source.renderer().alphaBand() == 4
    result = enhanced(source)
    block = result.renderer().block(1, result.extent(), 80, 64)
    opaque = np.array([[block.color(row, column) >> 24 for column in range(80)] for row in range(64)])
    assert (opaque[:16, :16] == 0).all()
    assert (opaque[16:, 16:] == 255).all()


def test_without_its_source_it_lies_on_top_in_the_default_style(
    make_layer: MakeLayer, plan_of: Callable[..., EnhancePlan], project: QgsProject
) -> None:
    project.addMapLayer(make_layer(name="other"))
    source = project.addMapLayer(show_colours(make_layer(name="gone", bands=4, crs=CUSTOM_CRS), 4, 3, 2))
    crs = source.crs()
    plan = plan_of(source)
    project.removeMapLayer(source.id())
    result = add_result(plan, plan.output, LayerNames.of(plan, {}).result, project)
    assert names_from_the_top(project.layerTreeRoot()) == ["gone ×2 DIP + Decrappify", "other"]
    renderer = result.renderer()
    assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (1, 2, 3)
    assert result.crs().toProj() == crs.toProj()


def test_a_source_outside_the_layer_tree_does_not_matter(
    make_layer: MakeLayer, enhanced: Enhanced, project: QgsProject
) -> None:
    source = make_layer()
    project.addMapLayer(source, False)
    enhanced(source)
    assert names_from_the_top(project.layerTreeRoot()) == ["Fields 2024 ×2 DIP + Decrappify"]


def test_the_layers_file_is_the_output(make_layer: MakeLayer, enhanced: Enhanced, folder: Path) -> None:
    result = enhanced(make_layer(), output=folder / "aus, gabe.tif")
    assert Path(result.source()) == folder / "aus, gabe.tif"
