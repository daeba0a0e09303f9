"""The work as a task of QGIS's task manager."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Optional

from qgis.core import QgsTask
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QImage

from .enhance import EnhanceCancelled, EnhanceFailed, EnhanceResult, enhance
from .plan import EnhancePlan
from .preview import PreviewPainter
from .words import tr


class EnhanceTask(QgsTask):
    """Carries out one plan in the background.

    ``finish_early`` has it end with the best so far. After it ended, exactly one of these holds: ``result`` is set;
    ``failure`` is set; it was cancelled.

    Signals:
        progressed: phase in words, fraction done from 0 to 1.
        previewed: QImage of the extent as far as it is done, in the layer's own colours.
    """

    progressed = pyqtSignal(str, float)
    previewed = pyqtSignal(QImage)

    def __init__(self, plan: EnhancePlan, painter: Optional[PreviewPainter] = None) -> None:
        super().__init__(tr("Enhance {}").format(plan.title), QgsTask.Flag.CanCancel)
        self.plan = plan
        self.result: Optional[EnhanceResult] = None
        self.failure: Optional[EnhanceFailed] = None
        self._painter = painter
        self._is_to_finish = threading.Event()
        self._has_begun = threading.Event()
        self._has_ended = threading.Event()

    def run(self) -> bool:
        """Do the work, in the task's thread."""
        self._has_begun.set()
        try:
            self.result = enhance(self.plan, self._tell, self.isCanceled, self._is_to_finish.is_set, self._preview)
        except EnhanceCancelled:
            return False
        except EnhanceFailed as failure:
            self.failure = failure
            return False
        finally:
            self._has_ended.set()
        return True

    def finish_early(self) -> None:
        """Ask the work to end with the best so far; from any thread."""
        self._is_to_finish.set()

    def wait_for_end(self, timeout_s: float) -> bool:
        """Block until ``run`` is over; a task that has not begun counts as over. Return whether it is.

        QgsTask.waitForFinished would hold Python's lock, which ``run`` needs.
        """
        return not self._has_begun.is_set() or self._has_ended.wait(timeout_s)

    def _tell(self, phase: str, fraction: float) -> None:
        self.setProgress(100.0 * fraction)
        self.progressed.emit(phase, fraction)

    def _preview(self, file: Path) -> None:
        if self._painter is None:
            return
        try:
            image = self._painter.paint(file)
        except Exception:  # noqa: BLE001, it may be half-written, too large, or of a style that nobody foresaw
            # A picture less; a run of hours does not end because of it, and the next picture may come out well.
            return
        self.previewed.emit(image)
