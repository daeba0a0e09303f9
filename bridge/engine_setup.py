"""Sets the engine up from inside QGIS: the same code as ``python engine/environment.py build``, as tasks of QGIS."""

from __future__ import annotations

import threading
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..engine.environment import EnvironmentProblem, cache_folder, location, read_ready_file
from ..engine.installing.building import Listener, set_up
from ..engine.installing.folders import other_engines, uninstall
from ..engine.installing.network import hide_secrets
from ..engine.installing.plan import SetUpPlan, Wishes, check_room, make_plan
from ..engine.installing.running import SetUpCancelled
from .failure_log import remember_failure
from .network_settings import authorities_file, qgis_network
from .task import EnhanceTask
from .words import tr

# pip is gone a second after it was cancelled; the rest is for a slow disk.
_LONGEST_WAIT_S = 10.0
_LOG_FILE = "engine_setup.log"


class EngineSetUp(QObject):
    """Looks what a set-up would do, does it, and takes the engine away. Lives on the main thread.

    Signals:
        looked: SetUpPlan.
        refused: why there is no plan, one sentence.
        told: a line of the log.
        progressed: what is being done, in words; the share that is done, from 0 to 1.
        finished: what is known of the engine that stands now, a dict; empty after it was removed.
        failed: sentence, details.
        cancelled: nothing half-made is left.
    """

    looked = pyqtSignal(object)
    refused = pyqtSignal(str)
    told = pyqtSignal(str)
    progressed = pyqtSignal(str, float)
    finished = pyqtSignal(object)
    failed = pyqtSignal(str, str)
    cancelled = pyqtSignal()

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._look: Optional[_Work] = None
        self._work: Optional[_Work] = None

    @property
    def is_running(self) -> bool:
        """Whether the engine is being set up or removed."""
        return self._work is not None

    def look(self, wishes: Wishes) -> None:
        """Find out what ``wishes`` come to; ``looked`` or ``refused`` follows, for the last call only."""
        self.stop_looking()
        self._look = self._started(tr("Look for a Python"), lambda _listener: _checked_plan(wishes), self._on_looked)

    def stop_looking(self) -> None:
        """Let nothing follow on the last :meth:`look`."""
        look, self._look = self._look, None
        if look is not None:
            look.cancel()

    def start(self, plan: SetUpPlan) -> None:
        """Carry ``plan`` out, with QGIS's network settings; ``finished``, ``failed`` or ``cancelled`` follows."""
        if not self._may_begin():
            return
        sources = replace(plan.sources, network=qgis_network())
        self._work = self._started(
            tr("Set up Headland’s engine"),
            lambda listener: set_up(replace(plan, sources=sources), listener),
            self._on_ended,
        )

    def remove(self) -> None:
        """Remove the engine, and those of other versions of Headland in the user's cache folder."""
        if self._may_begin():
            self._work = self._started(tr("Remove Headland’s engine"), _remove_all, self._on_ended)

    def cancel(self) -> None:
        """Ask a set-up to end; ``cancelled`` follows."""
        if self._work is not None:
            self._work.cancel()

    def close(self) -> None:
        """Cancel and wait until nothing runs any more; no signal follows."""
        ending = [work for work in (self._look, self._work) if work is not None]
        self._look = self._work = None
        for work in ending:
            work.told.disconnect(self.told)
            work.progressed.disconnect(self.progressed)
            work.cancel()
            work.wait_for_end(_LONGEST_WAIT_S)

    def _may_begin(self) -> bool:
        """Whether nothing uses the engine; say so if an enhancement does."""
        tasks = QgsApplication.taskManager().activeTasks()
        if self._work is None and any(isinstance(task, EnhanceTask) for task in tasks):
            self.failed.emit(tr("An enhancement is running; wait until it is done, or cancel it, and try again."), "")
            return False
        return self._work is None

    def _started(self, name: str, job: Callable[[Listener], Any], on_ended: Callable[[_Work], None]) -> _Work:
        work = _Work(name, job)
        work.told.connect(self.told)
        work.progressed.connect(self.progressed)
        work.taskCompleted.connect(lambda: on_ended(work))
        work.taskTerminated.connect(lambda: on_ended(work))
        QgsApplication.taskManager().addTask(work)
        return work

    def _on_looked(self, work: _Work) -> None:
        if work is not self._look:
            return
        self._look = None
        if isinstance(work.result, SetUpPlan):
            self.looked.emit(work.result)
        elif work.failure is not None:
            self.refused.emit(str(work.failure))

    def _on_ended(self, work: _Work) -> None:
        if work is not self._work:
            return
        self._work = None
        write_log(work.lines)
        if work.failure is not None:
            remember_failure(str(work.failure), work.failure.details)
            self.failed.emit(str(work.failure), work.failure.details)
        elif work.is_stopped or work.result is None:
            # Without a result it was cancelled before it began.
            self.cancelled.emit()
        else:
            self.finished.emit(work.result)


class _Work(QgsTask):
    """One job in the background. Afterwards it has a result, has failed, or was stopped."""

    told = pyqtSignal(str)
    progressed = pyqtSignal(str, float)

    def __init__(self, name: str, job: Callable[[Listener], Any]) -> None:
        super().__init__(name, QgsTask.Flag.CanCancel)
        self.result: Any = None
        self.failure: Optional[EnvironmentProblem] = None
        self.is_stopped = False
        self.lines: list[str] = []
        self._job = job
        self._has_begun = threading.Event()
        self._has_ended = threading.Event()

    def run(self) -> bool:
        """Do the job, in the task's thread."""
        self._has_begun.set()
        try:
            self.result = self._job(Listener(self._hear, self._tell, self.isCanceled))
        except SetUpCancelled:
            self.is_stopped = True
        except EnvironmentProblem as problem:
            self.failure = problem
        except Exception as error:  # noqa: BLE001, what escapes run() is lost
            sentence = tr("The set-up met an unexpected error ({name}); please report it with the details.").format(
                name=type(error).__name__
            )
            self.failure = EnvironmentProblem(sentence, traceback.format_exc())
        finally:
            self._has_ended.set()
        return self.failure is None and not self.is_stopped

    def wait_for_end(self, timeout_s: float) -> None:
        """Block until ``run`` is over; a task that has not begun counts as over."""
        if self._has_begun.is_set():
            self._has_ended.wait(timeout_s)

    def _hear(self, line: str) -> None:
        self.lines.append(line)
        self.told.emit(line)

    def _tell(self, words: str, fraction: float) -> None:
        self.setProgress(100.0 * fraction)
        self.progressed.emit(words, fraction)


def engine_state() -> dict[str, Any]:
    """Return what is known of the engine that stands; empty if there is none."""
    return read_ready_file(location()) or {}


def write_log(lines: list[str]) -> None:
    """Keep the lines of the last set-up for a bug report, if they can be written."""
    with suppress(OSError):
        log_file().parent.mkdir(parents=True, exist_ok=True)
        log_file().write_text(hide_secrets("\n".join(lines)) + "\n", encoding="utf-8")


def log_file() -> Path:
    """Return where the lines of the last set-up are kept."""
    return cache_folder() / _LOG_FILE


def _checked_plan(wishes: Wishes) -> SetUpPlan:
    plan = make_plan(wishes)
    if not plan.is_done:
        check_room(plan)
    return plan


def _remove_all(listener: Listener) -> dict[str, Any]:
    for folder in (location(), *other_engines()):
        listener.on_progress(tr("Removing"), 0.5)
        uninstall(folder)
        listener.on_line(tr("Nothing is left of the engine in {}.").format(folder))
    with suppress(OSError):
        authorities_file().unlink(missing_ok=True)
    return {}
