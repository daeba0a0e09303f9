"""Shows how far off the result may be: a veil, the denser the farther, above the result and in a group with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsColorRampLegendNodeSettings,
    QgsColorRampShader,
    QgsGradientColorRamp,
    QgsProject,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor

from .plan import EnhancePlan
from .provenance import describe_confidence
from .result_layer import mark_as_result, tie_confidence

# As multiples of the bound from which an area counts as uncertain: nothing is veiled below the first, and what is
# beyond the last could not be told from it.
_CLEAR, _DENSE = 0.5, 2.0
_VEIL, _MOST_OPAQUE = QColor(230, 0, 150), 170


def add_confidence(
    plan: EnhancePlan, file: Path, name: str, result: QgsRasterLayer, report: dict[str, Any]
) -> QgsRasterLayer:
    """Add ``file`` to the project, directly above the layer of its result, and return its layer. On the main thread.

    It is not shown: it hides the colours, and the hatch (uncertain_layer.py) says where to look.
    """
    project = QgsProject.instance()
    options = QgsRasterLayer.LayerOptions()
    # The CRS is known; QGIS must not ask for it.
    options.skipCrsValidation = True
    layer = QgsRasterLayer(str(file), name, "gdal", options)
    layer.setCrs(result.crs())
    finish_confidence(layer, shown_band(result), plan, report)
    mark_as_result(layer, plan.source_layer_id)
    tie_confidence(layer, result)
    project.addMapLayer(layer, False)
    node = project.layerTreeRoot().findLayer(result.id())
    group = node.parent()
    group.insertLayer(group.children().index(node), layer).setItemVisibilityChecked(False)
    return layer


def finish_confidence(layer: QgsRasterLayer, band: int, plan: EnhancePlan, report: dict[str, Any]) -> None:
    """Give the layer its veil, of the 1-based ``band``, and its metadata."""
    _veil(layer, band, plan, report)
    describe_confidence(layer, report)


def shown_band(result: QgsRasterLayer) -> int:
    """Return the first band that the result's style shows; there is one veil, and people look at that."""
    renderer = result.renderer()
    bands = [band for band in (renderer.usesBands() if renderer is not None else []) if band > 0]
    return bands[0] if bands else 1


def _veil(layer: QgsRasterLayer, band: int, plan: EnhancePlan, report: dict[str, Any]) -> None:
    """Show ``band`` as a veil, the denser the farther off it may be."""
    # QGIS shows values, and the report holds digital numbers.
    least = report["uncertain_from"][band - 1] * (plan.bands[band - 1].scale or 1.0)
    begin, end = _CLEAR * least, _DENSE * least
    clear, dense = QColor(_VEIL), QColor(_VEIL)
    clear.setAlpha(0)
    dense.setAlpha(_MOST_OPAQUE)
    shader_function = QgsColorRampShader(begin, end, QgsGradientColorRamp(clear, dense))
    shader_function.setColorRampType(QgsColorRampShader.Type.Interpolated)
    shader_function.setColorRampItemList(
        [
            QgsColorRampShader.ColorRampItem(begin, clear, f"{begin:.3g}"),
            QgsColorRampShader.ColorRampItem(end, dense, f"{end:.3g}"),
        ]
    )
    legend = QgsColorRampLegendNodeSettings()
    legend.setMinimumLabel(f"{begin:.3g}")
    legend.setMaximumLabel(f"{end:.3g}")
    shader_function.setLegendSettings(legend)
    shader = QgsRasterShader(begin, end)
    shader.setRasterShaderFunction(shader_function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), band, shader)
    # Without them the style does not survive being saved, or looked at in the layer's properties.
    renderer.setClassificationMin(begin)
    renderer.setClassificationMax(end)
    layer.setRenderer(renderer)
