"""What the map would be without any result, on one side of a handle."""

from __future__ import annotations

from typing import Any, Optional

from qgis.core import QgsMapRendererParallelJob
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QPointF, QRectF, Qt, QTimer
from qgis.PyQt.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPen

from ..bridge.result_layer import source_id_of
from ..bridge.words import tr

# Above the map and a preview, below rubber bands.
Z_VALUE = -4.0
GRIP_RADIUS_PX = 11.0
# A map that is dragged or zoomed is drawn once it rests.
DRAW_DELAY_MS = 60
LABEL_MARGIN_PX = 8.0


class SwipeItem(QgsMapCanvasItem):
    """Draws the map without one layer, and without all other results of Headland, to the left of a handle.

    Attributes:
        share: where the handle is: 0 at the left edge of the map, 1 at the right one.
        is_source_everywhere: whether the handle counts as if it were at the right edge.
        has_picture: whether the map without them has been drawn for what the map shows now.
    """

    def __init__(self, canvas: QgsMapCanvas, hidden_layer_id: str) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._hidden_layer_id = hidden_layer_id
        self._image: Optional[QImage] = None
        self._job: Optional[QgsMapRendererParallelJob] = None
        self.share = 0.5
        self.is_source_everywhere = False
        self.setZValue(Z_VALUE)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DRAW_DELAY_MS)
        self._timer.timeout.connect(self._draw_map)
        canvas.extentsChanged.connect(self._forget)
        canvas.rotationChanged.connect(self._forget)
        canvas.destinationCrsChanged.connect(self._forget)
        canvas.layersChanged.connect(self._timer.start)
        self._timer.start()

    @property
    def has_picture(self) -> bool:
        """Whether both sides can be seen."""
        return self._image is not None

    @property
    def handle_x(self) -> float:
        """Where the handle is, in pixels from the left edge of the map."""
        return self.share * self._canvas.width()

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
        self._stop_drawing()
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
        """Draw the map without the layer, and the handle."""
        whole = self.boundingRect()
        if self._image is not None:
            painter.save()
            width = whole.width() if self.is_source_everywhere else self.handle_x
            painter.setClipRect(QRectF(0, 0, width, whole.height()))
            painter.drawImage(whole, self._image)
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
        self._paint_label(painter, tr("Source"), right=x - LABEL_MARGIN_PX)
        self._paint_label(painter, tr("Enhanced"), left=x + LABEL_MARGIN_PX)

    def _paint_label(
        self, painter: QPainter, text: str, left: Optional[float] = None, right: Optional[float] = None
    ) -> None:
        metrics = QFontMetricsF(painter.font())
        box = metrics.boundingRect(text).adjusted(-5, -3, 5, 3)
        box.moveTop(LABEL_MARGIN_PX)
        if left is not None:
            box.moveLeft(left)
        elif right is not None:
            box.moveRight(right)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        painter.drawRoundedRect(box, 3, 3)
        painter.setPen(QColor("white"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _forget(self) -> None:
        self._image = None
        self.update()
        self._timer.start()

    def _draw_map(self) -> None:
        """Draw the map without the layer, in other threads."""
        self._stop_drawing()
        settings = self._canvas.mapSettings()
        # Another result of the same ground is no source either.
        is_hidden = [layer.id() == self._hidden_layer_id or bool(source_id_of(layer)) for layer in settings.layers()]
        settings.setLayers([layer for layer, hidden in zip(settings.layers(), is_hidden) if not hidden])
        job = QgsMapRendererParallelJob(settings)
        # Whoever drops a job that is at work waits for it, and in its own signal nobody may delete it: the canvas keeps
        # it, finished or cancelled, until it is over.
        job.setParent(self._canvas)
        job.finished.connect(self._on_drawn)
        job.finished.connect(job.deleteLater)
        self._job = job
        job.start()

    def _on_drawn(self) -> None:
        if self._job is None:
            return
        self._image = self._job.renderedImage()
        self._job = None
        self.update()

    def _stop_drawing(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.finished.disconnect(self._on_drawn)
            job.cancelWithoutBlocking()
