"""Enhancements one after another, from the request to the layer on the map. Lives on the main thread."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Optional

from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsReferencedRectangle, QgsTask
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QImage

from .border_layer import add_borders
from .confidence_layer import add_confidence
from .enhance import EnhanceResult
from .plan import CannotEnhance, EnhancePlan
from .prepare import check_room_for, prepare
from .preview import NoPreview, PreviewPainter
from .provenance import describe_dip, describe_layer
from .quick_look import discard, quick_look_request
from .request import EnhanceRequest
from .result_layer import add_dip, add_result
from .task import EnhanceTask
from .uncertain_layer import add_uncertain_areas
from .words import tr

# The worker is gone two seconds after it was cancelled; the rest is for a slow disk.
_LONGEST_WAIT_S = 10.0
_ENDED = (QgsTask.TaskStatus.Complete, QgsTask.TaskStatus.Terminated)


class _Run:
    """One enhancement, running or waiting.

    Attributes:
        refusal: why there will be no preview; "" if there will be one or none was wished for.
        is_for_other_project: whether the project that its layer belongs to is no longer open.
    """

    def __init__(self, task: EnhanceTask, refusal: str, *, is_quick_look: bool) -> None:
        self.task = task
        self.refusal = refusal
        self.is_quick_look = is_quick_look
        self.is_for_other_project = False


class EnhanceController(QObject):
    """Starts, shortens and cancels the work, and adds the results to the project.

    One enhancement runs at a time; the others wait for it, on hold in QGIS's task manager, where each can be cancelled
    as well. One that fails or is cancelled does not hold up the next.

    If the source layer was removed meanwhile, the result lies on top in QGIS's default style. If another project
    was opened, the result belongs to none of its layers: the file stands, but no layer is added and ``finished``
    tells an empty layer id; ``add`` puts it on the map after all.

    Signals:
        started: EnhancePlan, and why there will be no preview, "" if there will be one or none was wished for.
        queue_changed: ``waiting`` is another one.
        previewed: QImage of the extent as far as it is done.
        progressed: phase in words, fraction done from 0 to 1.
        finished: EnhanceResult, id of the result's layer.
        looked: EnhanceResult of a quick look, whose files are gone; the last picture was told by ``previewed``.
        failed: sentence, details. Nothing is left of the work but finished tiles in the cache, unless the sentence
            names a file that is kept.
        cancelled: nothing is left of the work but finished tiles in the cache.
    """

    started = pyqtSignal(object, str)
    queue_changed = pyqtSignal()
    previewed = pyqtSignal(QImage)
    progressed = pyqtSignal(str, float)
    finished = pyqtSignal(object, str)
    looked = pyqtSignal(object)
    failed = pyqtSignal(str, str)
    cancelled = pyqtSignal()

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._running: Optional[_Run] = None
        # The task manager does not keep Python's side of a task alive.
        self._waiting: list[_Run] = []
        QgsProject.instance().cleared.connect(self._on_project_cleared)

    @property
    def is_running(self) -> bool:
        """Whether work is going on."""
        return self._running is not None

    @property
    def is_looking(self) -> bool:
        """Whether the work that is going on is a quick look."""
        return self._running is not None and self._running.is_quick_look

    @property
    def waiting(self) -> tuple[EnhancePlan, ...]:
        """What comes next, in its order."""
        return tuple(run.task.plan for run in self._waiting)

    def start(self, request: EnhanceRequest, *, has_preview: bool = False) -> None:
        """Check ``request`` and start the work, or queue it if work is going on.

        Args:
            has_preview: whether ``previewed`` is to show how it grows.

        Raises:
            CannotEnhance: if something is wrong with the request, or the same is running or waiting already.
        """
        self._start(request, has_preview=has_preview, is_quick_look=False)

    def look(self, request: EnhanceRequest, visible: QgsReferencedRectangle) -> None:
        """Start a quick look at the middle of ``visible``: ``previewed`` shows it, and no layer comes of it.

        Raises:
            CannotEnhance: as :meth:`start`, or if the layer is not to be seen, or work is going on.
        """
        if self._running is not None:
            raise CannotEnhance(tr("Headland is still at work; wait until it is done, or cancel it."))
        context = QgsProject.instance().transformContext()
        self._start(quick_look_request(request, visible, context), has_preview=True, is_quick_look=True)

    def cancel(self) -> None:
        """Ask the work that is going on to end; ``cancelled`` follows, and the next one starts."""
        if self._running is not None:
            self._running.task.cancel()

    def withdraw(self, plan: EnhancePlan) -> None:
        """Take a waiting enhancement out of the queue; one that has begun by now goes on."""
        for run in [run for run in self._waiting if run.task.plan is plan]:
            # A task that has not begun ends within the call.
            run.task.cancel()

    def finish(self) -> None:
        """Ask the work that is going on to end early with the best so far; ``finished`` follows."""
        if self._running is not None:
            self._running.task.finish_early()

    def add(self, result: EnhanceResult) -> str:
        """Put a result onto the map of the project that is open now; return the name of its layer.

        Raises:
            CannotEnhance: if the file is gone.
        """
        if not result.output.exists():
            raise CannotEnhance(
                tr("The result in {output} is gone; enhance the extent again.").format(output=result.output)
            )
        return str(_add(result).name())

    def close(self) -> None:
        """Cancel everything and wait until the worker is gone; no signal follows. For the plugin's unload."""
        QgsProject.instance().cleared.disconnect(self._on_project_cleared)
        runs, running = self._runs, self._running
        self._waiting, self._running = [], None
        for run in runs:
            self._disconnect(run.task)
            run.task.cancel()
        if running is not None:
            running.task.wait_for_end(_LONGEST_WAIT_S)

    @property
    def _runs(self) -> tuple[_Run, ...]:
        """All that are running or waiting."""
        return (*self._waiting, *filter(None, (self._running,)))

    def _start(self, request: EnhanceRequest, *, has_preview: bool, is_quick_look: bool) -> None:
        plan = prepare(request, QgsProject.instance().transformContext())
        self._check_against_queue(plan)
        painter, refusal = None, ""
        if has_preview and request.layer is not None:
            try:
                painter = PreviewPainter(plan, request.layer)
            except NoPreview as reason:
                refusal = str(reason)
            else:
                plan = replace(plan, job=replace(plan.job, preview_bands=painter.bands))
        task = EnhanceTask(plan, painter)
        self._connect(task)
        # Before the task manager has it: it would start it at once.
        task.hold()
        self._waiting.append(_Run(task, refusal, is_quick_look=is_quick_look))
        QgsApplication.taskManager().addTask(task)
        if self._running is None:
            self._start_next()
        else:
            self.queue_changed.emit()

    def _check_against_queue(self, plan: EnhancePlan) -> None:
        """Refuse what is running or waiting already, or would write over what that writes."""
        for run in self._runs:
            other = run.task.plan
            if set(plan.files) & set(other.files):
                raise CannotEnhance(
                    tr("{name} is what another run in the queue writes; choose another file name.").format(
                        name=other.output.name
                    )
                )
            if _work_of(plan) == _work_of(other):
                raise CannotEnhance(
                    tr(
                        "This extent is being enhanced with these settings already; change one of them to queue "
                        "another."
                    )
                )

    def _start_next(self) -> None:
        """Start what waits longest; what can no longer be done fails, and the next one gets its turn."""
        while self._waiting and self._running is None:
            run = self._waiting.pop(0)
            self.queue_changed.emit()
            try:
                check_room_for(run.task.plan)
            except Exception as problem:  # noqa: BLE001, whatever it is, the others are to have their turn
                self._disconnect(run.task)
                run.task.cancel()
                details = "" if isinstance(problem, CannotEnhance) else traceback.format_exc()
                self.failed.emit(str(problem), details)
                continue
            self._running = run
            run.task.unhold()
            self.started.emit(run.task.plan, self._refusal_of(run))

    def _refusal_of(self, run: _Run) -> str:
        if run.is_for_other_project:
            return tr("No preview: the layer is in another project.")
        return run.refusal

    def _connect(self, task: EnhanceTask) -> None:
        task.progressed.connect(self.progressed)
        task.previewed.connect(self.previewed)
        task.taskCompleted.connect(self._on_ended)
        task.taskTerminated.connect(self._on_ended)

    def _disconnect(self, task: EnhanceTask) -> None:
        task.progressed.disconnect(self.progressed)
        task.previewed.disconnect(self.previewed)
        task.taskCompleted.disconnect(self._on_ended)
        task.taskTerminated.disconnect(self._on_ended)

    def _on_project_cleared(self) -> None:
        for run in self._runs:
            run.is_for_other_project = True

    def _on_ended(self) -> None:
        """Take note of the task that ended: the running one, or a waiting one that was cancelled."""
        withdrawn = [run for run in self._waiting if run.task.status() in _ENDED]
        if withdrawn:
            self._waiting = [run for run in self._waiting if run not in withdrawn]
            self.queue_changed.emit()
        run = self._running
        if run is None or run.task.status() not in _ENDED:
            return
        self._running = None
        self._tell_end(run)
        self._start_next()

    def _tell_end(self, run: _Run) -> None:
        task = run.task
        if task.result is not None and run.is_quick_look:
            discard(task.result)
            self.looked.emit(task.result)
        elif task.result is not None:
            self._show(task.result, is_for_other_project=run.is_for_other_project)
        elif task.failure is not None:
            self.failed.emit(task.failure.sentence, task.failure.details)
        else:
            self.cancelled.emit()

    def _show(self, result: EnhanceResult, *, is_for_other_project: bool) -> None:
        layer_id = ""
        try:
            if not is_for_other_project:
                layer_id = _add(result).id()
        except Exception:  # noqa: BLE001, whoever waits for a signal must get one
            sentence = tr("The result is kept in {output}, but could not be added to the map; add it yourself.").format(
                output=result.output
            )
            self.failed.emit(sentence, traceback.format_exc())
        else:
            self.finished.emit(result, layer_id)


def _work_of(plan: EnhancePlan) -> tuple[object, ...]:
    """Return what two plans have in common if they do the same, wherever they put it."""
    job = replace(plan.job, preview_bands=())
    return plan.source, plan.window, plan.grid, plan.bands, job, plan.is_cloud_optimised


def _add(result: EnhanceResult) -> QgsRasterLayer:
    """Put a result onto the map, with what is known of it in its layer's metadata."""
    plan, project, report = result.plan, QgsProject.instance(), result.summary
    names = result.names.apart_from({layer.name() for layer in project.mapLayers().values()})
    layer = add_result(plan, result.output, names.result, project)
    describe_layer(layer, report)
    if result.dip_output is not None and result.dip_output.exists():
        describe_dip(add_dip(plan, result.dip_output, names.dip, layer), report)
    if result.confidence is not None and result.confidence.exists():
        add_confidence(plan, result.confidence, names.confidence, layer, report)
    if result.uncertain_areas is not None and result.uncertain_areas.exists():
        add_uncertain_areas(plan, result.uncertain_areas, names.uncertain_areas, layer, report)
    if result.borders is not None and result.borders.exists():
        add_borders(result.borders, names.borders, layer, report)
    return layer
