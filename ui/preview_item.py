"""A picture on the map, in its place on earth, whatever the map's CRS, scale and rotation."""

from __future__ import annotations

from typing import Any, Optional

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsPointXY, QgsProject, QgsReferencedRectangle
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QImage, QPainter, QPalette, QPen, QPolygonF, QTransform

from .map_label import label_box, paint_label

# Above the map, below rubber bands, vertex markers and what other plugins put there.
Z_VALUE = -5.0
# A picture that is no layer has a frame, so that nobody takes it for one.
FRAME_PX = 2
CAPTION_MARGIN_PX = 4.0
# An extent whose edges bend farther than this part of its size in the map's CRS is no quadrangle there.
MOST_BENT = 0.02


class CannotLieOnMap(ValueError):
    """The extent cannot be drawn in the map's CRS; the text is one sentence for people."""


def corners_on_map(extent: QgsReferencedRectangle, canvas: QgsMapCanvas) -> tuple[QgsPointXY, ...]:
    """Return the upper left, upper right, lower right and lower left corner in the map's CRS.

    Raises:
        CannotLieOnMap: if the extent cannot be brought there, or is no quadrangle there.
    """
    crs = canvas.mapSettings().destinationCrs()
    transform = QgsCoordinateTransform(extent.crs(), crs, QgsProject.instance().transformContext())
    left, right, top, bottom = extent.xMinimum(), extent.xMaximum(), extent.yMaximum(), extent.yMinimum()
    corners = [QgsPointXY(x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]
    middles = [_between(one, other) for one, other in zip(corners, (*corners[1:], corners[0]))]
    try:
        moved, moved_middles = ([transform.transform(point) for point in points] for points in (corners, middles))
    except QgsCsException as error:
        raise CannotLieOnMap from error
    size = max(moved[0].distance(moved[2]), moved[1].distance(moved[3]))
    straight = [_between(one, other) for one, other in zip(moved, (*moved[1:], moved[0]))]
    if any(one.distance(other) > MOST_BENT * size for one, other in zip(straight, moved_middles)):
        raise CannotLieOnMap
    return tuple(moved)


class PreviewItem(QgsMapCanvasItem):
    """Draws an image at an extent. ``remove`` takes it off the map for good.

    Args:
        caption: what it is, in a word or two.

    Raises:
        CannotLieOnMap: if the extent has no place in the map's CRS.
    """

    def __init__(self, canvas: QgsMapCanvas, extent: QgsReferencedRectangle, caption: str) -> None:
        corners = corners_on_map(extent, canvas)
        super().__init__(canvas)
        self._canvas = canvas
        self._extent = extent
        self._corners: tuple[QgsPointXY, ...] = corners
        self._quad = QPolygonF()
        self.caption = caption
        self.image: Optional[QImage] = None
        self.setZValue(Z_VALUE)
        self.updatePosition()

    def show_image(self, image: QImage) -> None:
        """Draw ``image`` from now on."""
        self.image = image
        self.update()

    def follow_crs(self) -> None:
        """Go where the extent lies in the map's CRS, or nowhere."""
        try:
            self._corners = corners_on_map(self._extent, self._canvas)
        except CannotLieOnMap:
            self._corners = ()
        self.updatePosition()

    def remove(self) -> None:
        """Take it off the map."""
        scene = self.scene()
        if scene is not None:
            scene.removeItem(self)

    def updatePosition(self) -> None:  # noqa: N802, QGIS's name
        """Follow the map."""
        self.prepareGeometryChange()
        points = [self.toCanvasCoordinates(corner) for corner in self._corners]
        self._quad = QPolygonF(points)
        self.setPos(self._quad.boundingRect().topLeft() if points else QPointF())
        self._quad.translate(-self.pos())

    def boundingRect(self) -> QRectF:  # noqa: N802, Qt's name
        """Return what the quadrangle covers."""
        return self._quad.boundingRect().adjusted(-FRAME_PX, -FRAME_PX, FRAME_PX, FRAME_PX)

    def paint(self, painter: QPainter, *_options: Any) -> None:
        """Draw the image into the quadrangle, or nothing."""
        if self.image is None or not self._corners:
            return
        width, height = self.image.width(), self.image.height()
        whole = QPolygonF([QPointF(0, 0), QPointF(width, 0), QPointF(width, height), QPointF(0, height)])
        transform = QTransform()
        if not QTransform.quadToQuad(whole, self._quad, transform):
            return
        painter.save()
        painter.setTransform(transform, True)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._is_shrunk())
        painter.drawImage(QPointF(0, 0), self.image)
        painter.restore()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self._canvas.palette().color(QPalette.ColorRole.Highlight), FRAME_PX))
        painter.drawPolygon(self._quad)
        self._paint_caption(painter)

    def _paint_caption(self, painter: QPainter) -> None:
        """Say what it is in its upper left corner, as far as that can be seen, if there is room."""
        seen = self._quad.boundingRect().intersected(QRectF(self._canvas.viewport().rect()).translated(-self.pos()))
        margin = CAPTION_MARGIN_PX
        room = seen.adjusted(margin, margin, -margin, -margin)
        box = label_box(painter, self.caption)
        corner = self._quad[0]
        box.moveLeft(min(max(corner.x(), room.left()), room.right() - box.width()))
        box.moveTop(min(max(corner.y(), room.top()), room.bottom() - box.height()))
        if room.contains(box):
            paint_label(painter, self.caption, box)

    def _is_shrunk(self) -> bool:
        return self.image is not None and self._quad.boundingRect().width() < self.image.width()


def _between(one: QgsPointXY, other: QgsPointXY) -> QgsPointXY:
    return QgsPointXY((one.x() + other.x()) / 2, (one.y() + other.y()) / 2)
