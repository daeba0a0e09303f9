"""One enhancement at a time, from the request to the layer on the map. Lives on the main thread."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Optional

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsReferencedRectangle
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QImage

from .border_layer import add_borders
from .enhance import EnhanceResult
from .plan import CannotEnhance
from .prepare import prepare
from .preview import NoPreview, PreviewPainter
from .provenance import describe_layer
from .quick_look import discard, quick_look_request
from .request import EnhanceRequest
from .result_layer import add_result
from .task import EnhanceTask

# The worker is gone two seconds after it was cancelled; the rest is for a slow disk.
_LONGEST_WAIT_S = 10.0


class EnhanceController(QObject):
    """Starts, shortens and cancels the work, and adds the result to the project.

    If the source layer was removed meanwhile, the result lies on top in QGIS's default style. If another project
    was opened, the result belongs to none of its layers: the file stands, but no layer is added and ``finished``
    tells an empty layer id; ``add`` puts it on the map after all.

    Signals:
        started: EnhancePlan, and why there will be no preview, "" if there will be one or none was wished for.
        previewed: QImage of the extent as far as it is done.
        progressed: phase in words, fraction done from 0 to 1.
        finished: EnhanceResult, id of the result's layer.
        looked: EnhanceResult of a quick look, whose files are gone; the last picture was told by ``previewed``.
        failed: sentence, details. Nothing is left of the work but finished tiles in the cache, unless the sentence
            names a file that is kept.
        cancelled: nothing is left of the work but finished tiles in the cache.
    """

    started = pyqtSignal(object, str)
    previewed = pyqtSignal(QImage)
    progressed = pyqtSignal(str, float)
    finished = pyqtSignal(object, str)
    looked = pyqtSignal(object)
    failed = pyqtSignal(str, str)
    cancelled = pyqtSignal()

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._task: Optional[EnhanceTask] = None
        self._has_project_changed = self._is_quick_look = False
        QgsProject.instance().cleared.connect(self._on_project_cleared)

    @property
    def is_running(self) -> bool:
        """Whether work is going on."""
        return self._task is not None

    def start(self, request: EnhanceRequest, *, has_preview: bool = False) -> None:
        """Check ``request`` and start the work; with ``has_preview``, ``previewed`` shows how it grows.

        Raises:
            CannotEnhance: if something is wrong with the request, or work is going on already.
        """
        if self._task is not None:
            raise CannotEnhance("Headland is still at work; wait until it is done, or cancel it.")
        plan = prepare(request, QgsProject.instance().transformContext())
        self._has_project_changed = self._is_quick_look = False
        painter, refusal = None, ""
        if has_preview and request.layer is not None:
            try:
                painter = PreviewPainter(plan, request.layer)
            except NoPreview as reason:
                refusal = str(reason)
            else:
                plan = replace(plan, job=replace(plan.job, preview_bands=painter.bands))
        # The task manager does not keep Python's side of a task alive.
        self._task = EnhanceTask(plan, painter)
        self._task.progressed.connect(self.progressed)
        self._task.previewed.connect(self.previewed)
        self._task.taskCompleted.connect(self._on_ended)
        self._task.taskTerminated.connect(self._on_ended)
        QgsApplication.taskManager().addTask(self._task)
        self.started.emit(plan, refusal)

    def look(self, request: EnhanceRequest, visible: QgsReferencedRectangle) -> None:
        """Start a quick look at the middle of ``visible``: ``previewed`` shows it, and no layer comes of it.

        Raises:
            CannotEnhance: as :meth:`start`, or if the layer is not to be seen.
        """
        context = QgsProject.instance().transformContext()
        self.start(quick_look_request(request, visible, context), has_preview=True)
        self._is_quick_look = True

    def cancel(self) -> None:
        """Ask the work to end; ``cancelled`` follows."""
        if self._task is not None:
            self._task.cancel()

    def finish(self) -> None:
        """Ask the work to end early with the best so far; ``finished`` follows."""
        if self._task is not None:
            self._task.finish_early()

    def add(self, result: EnhanceResult) -> str:
        """Put a result onto the map of the project that is open now; return the name of its layer.

        Raises:
            CannotEnhance: if the file is gone.
        """
        if not result.output.exists():
            raise CannotEnhance(f"The result in {result.output} is gone; enhance the extent again.")
        return str(_add(result).name())

    def close(self) -> None:
        """Cancel and wait until the worker is gone; no signal follows. For the plugin's unload."""
        QgsProject.instance().cleared.disconnect(self._on_project_cleared)
        task, self._task = self._task, None
        if task is None:
            return
        task.progressed.disconnect(self.progressed)
        task.previewed.disconnect(self.previewed)
        task.taskCompleted.disconnect(self._on_ended)
        task.taskTerminated.disconnect(self._on_ended)
        task.cancel()
        task.wait_for_end(_LONGEST_WAIT_S)

    def _on_project_cleared(self) -> None:
        self._has_project_changed = True

    def _on_ended(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        if task.result is not None and self._is_quick_look:
            discard(task.result)
            self.looked.emit(task.result)
        elif task.result is not None:
            self._show(task.result)
        elif task.failure is not None:
            self.failed.emit(task.failure.sentence, task.failure.details)
        else:
            self.cancelled.emit()

    def _show(self, result: EnhanceResult) -> None:
        layer_id = ""
        try:
            if not self._has_project_changed:
                layer_id = _add(result).id()
        except Exception:  # noqa: BLE001, whoever waits for a signal must get one
            sentence = f"The result is kept in {result.output}, but could not be added to the map; add it yourself."
            self.failed.emit(sentence, traceback.format_exc())
        else:
            self.finished.emit(result, layer_id)


def _add(result: EnhanceResult) -> QgsRasterLayer:
    """Put a result onto the map, with what is known of it in its layer's metadata."""
    layer = add_result(result.plan, result.output, QgsProject.instance())
    describe_layer(layer, result.summary)
    if result.borders is not None and result.borders.exists():
        add_borders(result.plan, result.borders, layer, result.summary)
    return layer
