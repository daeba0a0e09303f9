"""The preview has the very colours that the layer has on the map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from qgis.core import (
    Qgis,
    QgsColorRampShader,
    QgsContrastEnhancement,
    QgsCoordinateTransformContext,
    QgsMultiBandColorRenderer,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandGrayRenderer,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage

from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.preview import NoPreview, PreviewPainter
from headland.bridge.request import EnhanceRequest
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.web_server import WebServer

MakePlan = Callable[..., EnhancePlan]

pytestmark = pytest.mark.usefixtures("fake_engine")


def plan_for(layer: QgsRasterLayer, **wishes: Any) -> EnhancePlan:
    return prepare(EnhanceRequest(layer, **wishes), QgsCoordinateTransformContext())


CRASHES_WITH_SATURATION = 34415


def stretch(low: float, high: float) -> QgsContrastEnhancement:
    contrast = QgsContrastEnhancement(Qgis.DataType.UInt16)
    contrast.setMinimumValue(low)
    contrast.setMaximumValue(high)
    contrast.setContrastEnhancementAlgorithm(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
    )
    return contrast


def pixels_of(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    bits = image.bits()
    bits.setsize(image.bytesPerLine() * image.height())
    return np.frombuffer(bits, np.uint8).reshape(image.height(), image.width(), 4).copy()


def as_on_the_map(layer: QgsRasterLayer) -> np.ndarray:
    """Draw the layer, one pixel of the picture for each of its own."""
    size = QSize(layer.width(), layer.height())
    return pixels_of(layer.previewAsImage(size, QColor(0, 0, 0, 0), QImage.Format.Format_ARGB32_Premultiplied))


def drawn(layer: QgsRasterLayer, folder: Path, **wishes: Any) -> np.ndarray:
    """Draw the layer's own pixels as a preview."""
    plan = plan_for(layer, **wishes)
    painter = PreviewPainter(plan, layer)
    provider = layer.dataProvider()
    blocks = [
        np.array(
            [
                [
                    provider.block(plan.bands[band].number, layer.extent(), layer.width(), layer.height()).value(
                        row, column
                    )
                    for column in range(layer.width())
                ]
                for row in range(layer.height())
            ],
            dtype=np.float32,
        )
        for band in painter.bands
    ]
    np.save(folder / "preview.npy", np.stack(blocks))
    return pixels_of(painter.paint(folder / "preview.npy"))


def natural_colour(layer: QgsRasterLayer) -> None:
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), 3, 1, 2)
    renderer.setRedContrastEnhancement(stretch(300, 12500))
    renderer.setGreenContrastEnhancement(stretch(100, 13000))
    renderer.setBlueContrastEnhancement(stretch(500, 11500))
    renderer.setOpacity(0.7)
    layer.setRenderer(renderer)
    layer.brightnessFilter().setBrightness(40)


def pale(layer: QgsRasterLayer) -> None:
    natural_colour(layer)
    layer.hueSaturationFilter().setSaturation(-30)


def grey(layer: QgsRasterLayer) -> None:
    renderer = QgsSingleBandGrayRenderer(layer.dataProvider(), 2)
    renderer.setContrastEnhancement(stretch(100, 13000))
    layer.setRenderer(renderer)


def false_colour(layer: QgsRasterLayer) -> None:
    ramp = QgsColorRampShader(0, 4000)
    ramp.setColorRampItemList(
        [QgsColorRampShader.ColorRampItem(0, QColor("navy")), QgsColorRampShader.ColorRampItem(4000, QColor("yellow"))]
    )
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(ramp)
    layer.setRenderer(QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 3, shader))


crashes = pytest.mark.skipif(
    Qgis.QGIS_VERSION_INT == CRASHES_WITH_SATURATION,
    reason="this QGIS crashes when it draws a layer whose saturation was changed",
)


@pytest.mark.parametrize("style", [natural_colour, pytest.param(pale, marks=crashes), grey, false_colour])
def test_it_looks_as_the_layer_does(
    make_layer: MakeLayer, tmp_path: Path, style: Callable[[QgsRasterLayer], None]
) -> None:
    layer = make_layer(bands=4)
    style(layer)
    expected = as_on_the_map(layer)
    assert len(np.unique(expected.reshape(-1, 4), axis=0)) > 20
    np.testing.assert_array_equal(drawn(layer, tmp_path), expected)
    # Bands that are enhanced in another order have other numbers in the result.
    np.testing.assert_array_equal(drawn(layer, tmp_path, bands=(4, 3, 2, 1)), expected)


def test_only_the_bands_that_the_map_shows_are_asked_for(make_layer: MakeLayer) -> None:
    layer = make_layer(bands=4)
    grey(layer)
    assert PreviewPainter(plan_for(layer, bands=(4, 2)), layer).bands == (1,)


def test_what_is_unknown_is_transparent(make_layer: MakeLayer, tmp_path: Path) -> None:
    layer = make_layer(bands=4)
    natural_colour(layer)
    numbers = np.full((3, 10, 13), 1000, dtype=np.float32)
    numbers[1, 2:5, 3:7] = np.nan
    np.save(tmp_path / "preview.npy", numbers)
    alpha = pixels_of(PreviewPainter(plan_for(layer), layer).paint(tmp_path / "preview.npy"))[..., 3]
    assert not alpha[2:5, 3:7].any()
    alpha[2:5, 3:7] = 255
    assert alpha.all()


def test_a_web_layer_is_shown_in_its_own_colours(web: WebServer, tmp_path: Path) -> None:
    layer = web.xyz_layer()
    plan = replace(plan_for(layer, extent=_part_of(layer)))
    painter = PreviewPainter(plan, layer)
    assert painter.bands == (0, 1, 2)
    np.save(tmp_path / "preview.npy", np.full((3, 8, 8), [[[10]], [[120]], [[240]]], dtype=np.float32))
    assert (pixels_of(painter.paint(tmp_path / "preview.npy")) == (10, 120, 240, 255)).all()


def _part_of(layer: QgsRasterLayer) -> Any:
    from qgis.core import QgsRectangle, QgsReferencedRectangle

    return QgsReferencedRectangle(QgsRectangle(0, 0, 2000, 2000), layer.crs())


def test_a_style_that_shows_a_band_that_is_not_enhanced_is_refused_in_words(make_layer: MakeLayer) -> None:
    layer = make_layer(bands=4)
    natural_colour(layer)
    with pytest.raises(NoPreview, match="shows a band that is not enhanced"):
        PreviewPainter(plan_for(layer, bands=(1, 2)), layer)


def test_nothing_stays_in_gdals_memory(make_layer: MakeLayer, tmp_path: Path) -> None:
    from osgeo import gdal

    before = gdal.ReadDirRecursive("/vsimem/")
    layer = make_layer(bands=4)
    natural_colour(layer)
    drawn(layer, tmp_path)
    assert gdal.ReadDirRecursive("/vsimem/") == before


def test_a_damaged_picture_is_an_error_that_can_be_caught(make_layer: MakeLayer, tmp_path: Path) -> None:
    layer = make_layer(bands=4)
    (tmp_path / "preview.npy").write_bytes(b"half a pict")
    with pytest.raises(ValueError):  # noqa: PT011, numpy has many sentences for it
        PreviewPainter(plan_for(layer), layer).paint(tmp_path / "preview.npy")
