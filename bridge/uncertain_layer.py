"""Shows where the result is uncertain: a hatch above it, through which it can be seen, in a group with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsFillSymbol,
    QgsLinePatternFillSymbolLayer,
    QgsLineSymbol,
    QgsProject,
    QgsRasterLayer,
    QgsSimpleLineSymbolLayer,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

from .plan import EnhancePlan
from .provenance import describe_uncertain_areas
from .result_layer import mark_as_result, tie_uncertain_areas
from .uncertain_sink import LAYER_NAME

# In millimetres on the screen, at every scale of the map; a dark rim for what is as bright as the line.
_ANGLE_DEG, _DISTANCE = 45.0, 1.8
_RIM, _COLOUR = QColor(0, 0, 0, 70), QColor(255, 60, 190)
_STROKES = ((_RIM, 0.46), (_COLOUR, 0.28))
_OUTLINE_WIDTH = 0.2


def add_uncertain_areas(
    plan: EnhancePlan, file: Path, name: str, result: QgsRasterLayer, report: dict[str, Any]
) -> QgsVectorLayer:
    """Add ``file`` to the project, on top of what goes with its result, and return its layer. On the main thread."""
    project = QgsProject.instance()
    options = QgsVectorLayer.LayerOptions()
    # The CRS is known; QGIS must not ask for it.
    options.skipCrsValidation = True
    layer = QgsVectorLayer(uncertain_areas_uri(file), name, "ogr", options)
    layer.setCrs(result.crs())
    finish_uncertain_areas(layer, report)
    mark_as_result(layer, plan.source_layer_id)
    tie_uncertain_areas(layer, result)
    project.addMapLayer(layer, False)
    project.layerTreeRoot().findLayer(result.id()).parent().insertLayer(0, layer)
    return layer


def uncertain_areas_uri(file: Path) -> str:
    """Return how QGIS opens the layer of ``file``."""
    return f"{file}|layername={LAYER_NAME}"


def finish_uncertain_areas(layer: QgsVectorLayer, report: dict[str, Any]) -> None:
    """Give the layer its hatch and its metadata."""
    symbol = QgsFillSymbol()
    symbol.deleteSymbolLayer(0)
    for colour, width in _STROKES:
        hatch = QgsLinePatternFillSymbolLayer()
        hatch.setLineAngle(_ANGLE_DEG)
        hatch.setDistance(_DISTANCE)
        line = QgsLineSymbol.createSimple({})
        line.setColor(colour)
        line.setWidth(width)
        hatch.setSubSymbol(line)
        symbol.appendSymbolLayer(hatch)
    # From afar an area may be narrower than the hatch is wide.
    outline = QgsSimpleLineSymbolLayer(_COLOUR, _OUTLINE_WIDTH)
    outline.setPenJoinStyle(Qt.PenJoinStyle.MiterJoin)
    symbol.appendSymbolLayer(outline)
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    describe_uncertain_areas(layer, report)
