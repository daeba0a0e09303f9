"""Shows traced borders: a line layer above its result, in a group with it, to snap to and to trace along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsLineSymbol,
    QgsProject,
    QgsProperty,
    QgsRasterLayer,
    QgsSimpleLineSymbolLayer,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

from .border_sink import LAYER_NAME, STRENGTH_FIELD
from .compat import stroke_width_property
from .provenance import describe_borders

# Bright on soil and crops, with a dark rim for what is bright itself; in millimetres, as wide as the border is likely.
_COLOUR, _RIM = QColor(255, 214, 0), QColor(0, 0, 0, 130)
_WIDTH = f'0.15 + 0.45 * "{STRENGTH_FIELD}"'
_RIM_WIDTH = f'0.45 + 0.45 * "{STRENGTH_FIELD}"'


def add_borders(file: Path, name: str, result: QgsRasterLayer, report: dict[str, Any]) -> QgsVectorLayer:
    """Add ``file`` to the project, on top of what goes with its result, and return its layer. On the main thread."""
    project = QgsProject.instance()
    layer = open_borders(file, name, report)
    layer.setCrs(result.crs())
    project.addMapLayer(layer, False)
    project.layerTreeRoot().findLayer(result.id()).parent().insertLayer(0, layer)
    return layer


def open_borders(file: Path, name: str, report: dict[str, Any]) -> QgsVectorLayer:
    """Return a layer of ``file``, styled and described, in no project yet."""
    options = QgsVectorLayer.LayerOptions()
    # The CRS is known; QGIS must not ask for it.
    options.skipCrsValidation = True
    layer = QgsVectorLayer(f"{file}|layername={LAYER_NAME}", name, "ogr", options)
    style_borders(layer)
    describe_borders(layer, report)
    return layer


def style_borders(layer: QgsVectorLayer) -> None:
    """Give the layer thin lines that can be seen on imagery, the likelier the wider."""
    symbol = QgsLineSymbol()
    symbol.deleteSymbolLayer(0)
    for colour, width in ((_RIM, _RIM_WIDTH), (_COLOUR, _WIDTH)):
        line = QgsSimpleLineSymbolLayer(colour)
        line.setPenJoinStyle(Qt.PenJoinStyle.RoundJoin)
        line.setPenCapStyle(Qt.PenCapStyle.RoundCap)
        line.setDataDefinedProperty(stroke_width_property(), QgsProperty.fromExpression(width))
        symbol.appendSymbolLayer(line)
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
