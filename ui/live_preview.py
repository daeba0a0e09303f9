"""Shows on the map how the result grows, until the result itself is there; a quick look stays until it is dismissed."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRectangle, QgsReferencedRectangle
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QImage

from ..bridge.controller import EnhanceController
from ..bridge.plan import EnhancePlan
from ..bridge.words import tr
from .preview_item import CannotLieOnMap, PreviewItem

# The map needs a moment to draw the result; without the preview the source would shine up in between.
LINGER_MS = 1500


class LivePreview(QObject):
    """Keeps the controller's preview on the canvas while there is one.

    Signals:
        gone: the preview was taken off the map.
        refused: one sentence that says why there is no preview; "" at the start of a run that has one.
    """

    gone = pyqtSignal()
    refused = pyqtSignal(str)

    def __init__(self, controller: EnhanceController, canvas: QgsMapCanvas, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._canvas = canvas
        self._item: Optional[PreviewItem] = None
        self._source_id = ""
        self._is_shown = True
        self._linger = QTimer(self)
        self._linger.setSingleShot(True)
        self._linger.setInterval(LINGER_MS)
        self._linger.timeout.connect(self.remove)
        controller.started.connect(self._begin)
        controller.previewed.connect(self._show)
        controller.finished.connect(self._end)
        controller.failed.connect(self.remove)
        controller.cancelled.connect(self.remove)
        QgsProject.instance().cleared.connect(self.remove)
        QgsProject.instance().layersWillBeRemoved.connect(self._on_layers_removed)
        canvas.destinationCrsChanged.connect(self._follow_crs)
        canvas.mapCanvasRefreshed.connect(self._on_map_drawn)

    @property
    def has_picture(self) -> bool:
        """Whether there is something to be seen, were it not hidden."""
        return self._item is not None and self._item.image is not None

    def set_shown(self, is_shown: bool) -> None:
        """Show or hide the preview, now and later."""
        self._is_shown = is_shown
        if self._item is not None:
            self._item.setVisible(is_shown)

    def remove(self) -> None:
        """Take the preview off the map."""
        self._linger.stop()
        item, self._item = self._item, None
        if item is not None:
            item.remove()
            self.gone.emit()

    def release(self) -> None:
        """Let go of everything outside."""
        self.remove()
        QgsProject.instance().cleared.disconnect(self.remove)
        QgsProject.instance().layersWillBeRemoved.disconnect(self._on_layers_removed)
        self._canvas.destinationCrsChanged.disconnect(self._follow_crs)
        self._canvas.mapCanvasRefreshed.disconnect(self._on_map_drawn)

    def _begin(self, plan: EnhancePlan, refusal: str) -> None:
        self.remove()
        self._source_id = plan.source_layer_id
        if not refusal and plan.job.preview_bands:
            caption = tr("Quick look") if self._controller.is_looking else tr("Preview")
            try:
                self._item = PreviewItem(self._canvas, _extent_of(plan), caption)
            except CannotLieOnMap:
                refusal = tr("No preview: the extent cannot be drawn in the project’s CRS.")
            else:
                self._item.setVisible(self._is_shown)
        self.refused.emit(refusal)

    def _show(self, image: QImage) -> None:
        if self._item is not None:
            self._item.show_image(image)

    def _end(self) -> None:
        if self._item is not None:
            self._linger.start()

    def _on_map_drawn(self) -> None:
        if self._linger.isActive():
            self.remove()

    def _on_layers_removed(self, layer_ids: list[str]) -> None:
        if self._source_id in layer_ids:
            self.remove()

    def _follow_crs(self) -> None:
        if self._item is not None:
            self._item.follow_crs()


def _extent_of(plan: EnhancePlan) -> QgsReferencedRectangle:
    return QgsReferencedRectangle(
        QgsRectangle(*plan.output_grid.bounds), QgsCoordinateReferenceSystem.fromWkt(plan.grid.crs_wkt)
    )
