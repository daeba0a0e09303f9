"""A picture of the map with other layers than it shows, drawn in other threads."""

from __future__ import annotations

from typing import Callable, Optional

from qgis.core import QgsMapLayer, QgsMapRendererParallelJob
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtGui import QImage


class MapPicture:
    """Draws one picture at a time; a new one takes the place of the last when it is whole.

    Args:
        on_drawn: told when there is a new one.

    Attributes:
        image: the last one, None if there is none.
    """

    def __init__(self, canvas: QgsMapCanvas, on_drawn: Callable[[], None]) -> None:
        self._canvas = canvas
        self._tell = on_drawn
        self._job: Optional[QgsMapRendererParallelJob] = None
        self.image: Optional[QImage] = None

    def draw(self, layers: list[QgsMapLayer]) -> None:
        """Begin to draw ``layers``, the uppermost first, where the map is now."""
        self.stop()
        settings = self._canvas.mapSettings()
        settings.setLayers(layers)
        job = QgsMapRendererParallelJob(settings)
        # Whoever drops a job that is at work waits for it, and in its own signal nobody may delete it: the canvas keeps
        # it, finished or cancelled, until it is over.
        job.setParent(self._canvas)
        job.finished.connect(self._on_drawn)
        job.finished.connect(job.deleteLater)
        self._job = job
        job.start()

    def forget(self) -> None:
        """Have no picture, and draw none."""
        self.stop()
        self.image = None

    def stop(self) -> None:
        """Give up what is being drawn."""
        job, self._job = self._job, None
        if job is not None:
            job.finished.disconnect(self._on_drawn)
            job.cancelWithoutBlocking()

    def _on_drawn(self) -> None:
        if self._job is None:
            return
        self.image = self._job.renderedImage()
        self._job = None
        self._tell()
