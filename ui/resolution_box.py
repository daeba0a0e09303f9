"""The size of the pixels that a web layer is asked for: at first as on the map, or a number that was typed."""

from __future__ import annotations

from typing import Optional

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsMapLayer,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsUnitTypes,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtWidgets import QDoubleSpinBox, QSizePolicy, QWidget

from ..bridge.web_grid import is_web_layer, nearest_resolution
from ..bridge.words import tr

# Degrees need them.
DECIMALS = 12
DIGITS = 6
COARSEST = 1e7


class ResolutionBox(QDoubleSpinBox):
    """Shows the map's resolution until a number is typed; 0 or nothing goes back to that."""

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._layer: Optional[QgsRasterLayer] = None
        self._of_map: Optional[float] = None
        self.setDecimals(DECIMALS)
        self.setRange(0.0, COARSEST)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._canvas.extentsChanged.connect(self._follow_map)
        self._canvas.destinationCrsChanged.connect(self._follow_map)

    @property
    def resolution(self) -> Optional[float]:
        """In units of the layer's CRS; None if the layer is no web layer or the map does not say."""
        if self._layer is None:
            return None
        return self.value() or self._of_map

    def show_for(self, layer: Optional[QgsMapLayer]) -> bool:
        """Go with ``layer``, and return whether it needs a resolution."""
        is_web = isinstance(layer, QgsRasterLayer) and layer.isValid() and is_web_layer(layer)
        self._layer = layer if is_web else None
        self.setValue(0.0)
        if self._layer is not None:
            self.setSuffix(f" {QgsUnitTypes.toAbbreviatedString(self._layer.crs().mapUnits())}")
        self._follow_map()
        return is_web

    def release(self) -> None:
        """Let go of the map canvas."""
        self._canvas.extentsChanged.disconnect(self._follow_map)
        self._canvas.destinationCrsChanged.disconnect(self._follow_map)

    def textFromValue(self, value: float) -> str:  # noqa: N802, the name is Qt's
        """Return a number without the zeros that its decimals would end in."""
        return str(self.locale().toString(value, "g", DIGITS))

    def _follow_map(self) -> None:
        self._of_map = None if self._layer is None else _resolution_of_map(self._canvas, self._layer)
        number = "?" if self._of_map is None else self.textFromValue(self._of_map)
        self.setSpecialValueText(tr("{} (map)").format(number + self.suffix()))


def _resolution_of_map(canvas: QgsMapCanvas, layer: QgsRasterLayer) -> Optional[float]:
    """Return the map's resolution in units of the layer's CRS, or that of the server which is nearest to it."""
    settings = canvas.mapSettings()
    if not settings.hasValidSettings():
        return None
    transform = QgsCoordinateTransform(settings.destinationCrs(), layer.crs(), QgsProject.instance().transformContext())
    middle = settings.visibleExtent().center()
    try:
        one = transform.transform(middle)
        other = transform.transform(QgsPointXY(middle.x() + settings.mapUnitsPerPixel(), middle.y()))
    except QgsCsException:
        return None
    distance = one.distance(other)
    return nearest_resolution(layer, distance) if 0 < distance < COARSEST else None
