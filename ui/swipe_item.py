"""What the map would be without any result on one side of a handle, and with the compared one alone on the other."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProject
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QPointF, QRectF, QTimer
from qgis.PyQt.QtGui import QColor, QPainter, QPen

from ..bridge.result_layer import ids_of_result, source_id_of
from ..bridge.words import tr
from .map_label import label_box, paint_label
from .map_picture import MapPicture

# Above the map and a preview, below rubber bands.
Z_VALUE = -4.0
GRIP_RADIUS_PX = 11.0
# A map that is dragged or zoomed is drawn once it rests.
DRAW_DELAY_MS = 60
LABEL_MARGIN_PX = 8.0


class SwipeItem(QgsMapCanvasItem):
    """Draws the map without one result of Headland, and without all others, to the left of a handle.

    To its right is the map as it is, but for those others: above the one that is compared they would hide it.

    Attributes:
        share: where the handle is: 0 at the left edge of the map, 1 at the right one.
        is_source_everywhere: whether the handle counts as if it were at the right edge.
        has_picture: whether both sides have been drawn for what the map shows now.
    """

    def __init__(self, canvas: QgsMapCanvas, layer_id: str) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._layer_id = layer_id
        self._has_others = False
        self._source_side, self._result_side = (MapPicture(canvas, self.update) for _side in range(2))
        self.share = 0.5
        self.is_source_everywhere = False
        self.setZValue(Z_VALUE)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DRAW_DELAY_MS)
        self._timer.timeout.connect(self._draw_maps)
        canvas.extentsChanged.connect(self._forget)
        canvas.rotationChanged.connect(self._forget)
        canvas.destinationCrsChanged.connect(self._forget)
        canvas.layersChanged.connect(self._timer.start)
        canvas.mapCanvasRefreshed.connect(self._on_map_drawn)
        self._timer.start()

    @property
    def has_picture(self) -> bool:
        """Whether both sides can be seen."""
        return self._source_side.image is not None and (self._result_side.image is not None or not self._has_others)

    @property
    def handle_x(self) -> float:
        """Where the handle is, in pixels from the left edge of the map."""
        return self.share * self._canvas.width()

    def compare(self, layer_id: str) -> None:
        """Go on with another result; the handle stays where it is."""
        self._layer_id = layer_id
        self._result_side.forget()
        self._timer.start()
        self.update()

    def move_to(self, x: float) -> None:
        """Bring the handle to ``x`` pixels from the left edge."""
        self.share = min(max(x / max(1, self._canvas.width()), 0.0), 1.0)
        self.update()

    def show_source_everywhere(self, *, is_shown: bool) -> None:
        """Show the map without the layer as a whole, or go back to the handle."""
        self.is_source_everywhere = is_shown
        self.update()

    def remove(self) -> None:
        """Let go of the map."""
        self._timer.stop()
        for signal in (self._canvas.extentsChanged, self._canvas.rotationChanged, self._canvas.destinationCrsChanged):
            signal.disconnect(self._forget)
        self._canvas.layersChanged.disconnect(self._timer.start)
        self._canvas.mapCanvasRefreshed.disconnect(self._on_map_drawn)
        for side in (self._source_side, self._result_side):
            side.stop()
        scene = self.scene()
        if scene is not None:
            scene.removeItem(self)

    def updatePosition(self) -> None:  # noqa: N802, QGIS's name
        """Cover the map, wherever that goes."""
        self.prepareGeometryChange()
        self.setPos(QPointF(0, 0))

    def boundingRect(self) -> QRectF:  # noqa: N802, Qt's name
        """Return the whole map."""
        return QRectF(0, 0, self._canvas.width(), self._canvas.height())

    def paint(self, painter: QPainter, *_options: Any) -> None:
        """Draw what has been drawn of both sides, and the handle."""
        whole = self.boundingRect()
        border = whole.width() if self.is_source_everywhere else self.handle_x
        sides = (
            (self._source_side, QRectF(0, 0, border, whole.height())),
            (self._result_side, QRectF(border, 0, whole.width() - border, whole.height())),
        )
        for side, place in sides:
            if side.image is not None:
                painter.save()
                painter.setClipRect(place)
                painter.drawImage(whole, side.image)
                painter.restore()
        if not self.is_source_everywhere:
            self._paint_handle(painter, whole)

    def _paint_handle(self, painter: QPainter, whole: QRectF) -> None:
        x, middle = self.handle_x, QPointF(self.handle_x, whole.height() / 2)
        for colour, width in ((QColor(0, 0, 0, 140), 4.0), (QColor("white"), 2.0)):
            painter.setPen(QPen(colour, width))
            painter.drawLine(QPointF(x, 0), QPointF(x, whole.height()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(QPen(QColor(0, 0, 0, 140), 1.5))
        painter.setBrush(QColor("white"))
        painter.drawEllipse(middle, GRIP_RADIUS_PX, GRIP_RADIUS_PX)
        painter.setPen(QPen(QColor(60, 60, 60), 2.0))
        for side in (-1, 1):
            tip = middle + QPointF(side * 7, 0)
            painter.drawLine(tip, tip + QPointF(-side * 4, -4))
            painter.drawLine(tip, tip + QPointF(-side * 4, 4))
        source, enhanced = tr("Source"), tr("Enhanced")
        box = label_box(painter, source)
        box.moveTopRight(QPointF(x - LABEL_MARGIN_PX, LABEL_MARGIN_PX))
        paint_label(painter, source, box)
        box = label_box(painter, enhanced)
        box.moveTopLeft(QPointF(x + LABEL_MARGIN_PX, LABEL_MARGIN_PX))
        paint_label(painter, enhanced, box)

    def _forget(self) -> None:
        for side in (self._source_side, self._result_side):
            side.forget()
        self.update()
        self._timer.start()

    def _on_map_drawn(self) -> None:
        # A change of the compared result's look, its strength say, is not told otherwise.
        if self._has_others:
            self._draw_result_side()

    def _draw_maps(self) -> None:
        """Draw the map without any result, and, where there is another one, without that."""
        layers = self._canvas.mapSettings().layers()
        results = [layer for layer in layers if layer.id() == self._layer_id or source_id_of(layer)]
        self._source_side.draw([layer for layer in layers if layer not in results])
        self._draw_result_side()

    def _draw_result_side(self) -> None:
        layers = self._canvas.mapSettings().layers()
        compared = QgsProject.instance().mapLayer(self._layer_id)
        own_ids = {self._layer_id} if compared is None else ids_of_result(compared)
        others = [layer for layer in layers if source_id_of(layer) and layer.id() not in own_ids]
        self._has_others = bool(others)
        if others:
            self._result_side.draw([layer for layer in layers if layer not in others])
        else:
            self._result_side.forget()
