"""Carries out a plan: read the window, have it enhanced, write the GeoTIFF and the report. Any thread."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Optional

from qgis.core import Qgis, QgsMessageLog

from ..engine.client import WorkerCancelled, WorkerFailed, run_worker
from ..engine.engine_users import engine_in_use
from ..engine.environment import location
from ..engine.events import Event, Finished, Preview, Progress, Started
from ..engine.in_numpy.run import run_in_numpy
from ..engine.job import PREVIEW_FILE
from .doubts import anchor_stands_in
from .estimating import estimate_plan, learn_download_from, learn_from
from .file_failure import file_failure
from .layer_names import LayerNames
from .leftovers import JOB_FOLDER_PREFIX, sweep_leftovers
from .outputs import StagedOutputs
from .phases import phase_in_words
from .plan import EnhancePlan
from .private_folder import PrivateFolder
from .raster_sink import ResultUnwritable
from .raster_source import SourceUnreadable, read_window
from .report import compose_report
from .source_files import unchanged
from .staging import NotPutBack
from .undeclared_nodata import ZeroAreas, find_undeclared_nodata
from .version import headland_version
from .web_source import WebSource, read_web_picture
from .words import tr

# Which part of the progress bar reading and the worker take; writing has the rest.
READ_UNTIL = 0.03
WORK_UNTIL = 0.97
# The tab of QGIS's log.
LOG_TAG = "Headland"


class EnhanceCancelled(Exception):
    """The work was cancelled; nothing is left of it but finished tiles in the cache."""


class EnhanceFailed(RuntimeError):
    """The work failed; nothing is left of it but finished tiles in the cache.

    Attributes:
        sentence: for people: what happened and what to do.
        details: for a bug report: traceback, the end of the worker's log; may be empty.
    """

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.details = details


def unexpected(error: Exception) -> EnhanceFailed:
    """Return the failure that an error stands for which nobody foresaw; to be called where it was caught."""
    sentence = tr("Headland met an unexpected error ({name}); please report it with the details.").format(
        name=type(error).__name__
    )
    return EnhanceFailed(sentence, traceback.format_exc())


@dataclass(frozen=True)
class EnhanceResult:
    """What came of it.

    Attributes:
        plan: what was carried out; it names the GeoTIFF and the report.
        summary: the content of the report.
    """

    plan: EnhancePlan
    summary: dict[str, Any]

    @property
    def names(self) -> LayerNames:
        """What its layers are called in the layer tree, where nothing else is called so."""
        return LayerNames.of(self.plan, self.summary)

    @property
    def output(self) -> Path:
        """The GeoTIFF."""
        return self.plan.output

    @property
    def dip_output(self) -> Optional[Path]:
        """The GeoTIFF of Deep Image Prior's own picture, None if it was not kept."""
        return self.plan.dip_output

    @property
    def confidence(self) -> Optional[Path]:
        """The GeoTIFF of how far off the result may be, None if that was not mapped."""
        return self.plan.confidence

    @property
    def uncertain_areas(self) -> Optional[Path]:
        """The GeoPackage of where it is uncertain, None if that was not mapped."""
        return self.plan.uncertain_areas

    @property
    def borders(self) -> Optional[Path]:
        """The GeoPackage of traced borders, None if none were asked for."""
        return self.plan.borders

    @property
    def report(self) -> Path:
        """The JSON file."""
        return self.plan.report


class _Run:
    """Progress, cancelling and the clock of one run."""

    def __init__(self, on_progress: Callable[[str, float], None], is_cancelled: Callable[[], bool]) -> None:
        self._on_progress = on_progress
        self.is_cancelled = is_cancelled
        self.seconds: dict[str, float] = {}
        self.started: Optional[Started] = None
        self.start_s = 0.0
        self._began = self._engine_began = time.monotonic()

    @property
    def total_s(self) -> float:
        """Time since the run began."""
        return time.monotonic() - self._began

    def tell(self, phase: str, fraction: float) -> None:
        """Say what is being done and how much of the whole is done. Raises EnhanceCancelled if it is to end."""
        if self.is_cancelled():
            raise EnhanceCancelled
        self._on_progress(phase, fraction)

    def tell_writing(self, phase: str, fraction: float) -> None:
        """Say how much of the rasters is written; raises as :meth:`tell` does."""
        self.tell(phase, WORK_UNTIL + (1.0 - WORK_UNTIL) * fraction)

    def start_engine(self, *, is_in_qgis: bool) -> None:
        """Say that the worker is being started, if one is."""
        if not is_in_qgis:
            self.tell(tr("Starting the engine"), READ_UNTIL)
        self._engine_began = time.monotonic()

    def on_event(self, event: Event) -> None:
        """Relay an event of the worker."""
        if isinstance(event, Started):
            self.started = event
            self.start_s = time.monotonic() - self._engine_began
        elif isinstance(event, Progress):
            self._on_progress(phase_in_words(event.phase), READ_UNTIL + (WORK_UNTIL - READ_UNTIL) * event.fraction)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Keep the time spent inside as that of ``stage``."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = time.monotonic() - began


def enhance(
    plan: EnhancePlan,
    on_progress: Callable[[str, float], None],
    is_cancelled: Callable[[], bool],
    is_to_finish: Callable[[], bool] = lambda: False,
    on_preview: Callable[[Path], None] = lambda _file: None,
) -> EnhanceResult:
    """Carry out ``plan``.

    Args:
        on_progress: told a short sentence and the fraction done, from 0 to 1, on the calling thread.
        is_cancelled: asked often, on the calling thread.
        is_to_finish: asked as often; once true, the work ends early with the best so far, and the result's summary
            says so (``stopped``).
        on_preview: given ``preview.npy``, on the calling thread, each time that the worker has drawn what is done so
            far. It does so if the plan's job asks for it. The file may change or go once the call is over.

    Raises:
        EnhanceCancelled: soon after ``is_cancelled`` turned true.
        EnhanceFailed: for everything that went wrong.
    """
    run = _Run(on_progress, is_cancelled)
    try:
        sweep_leftovers({plan.output.parent, plan.report.parent})
        expected = estimate_plan(plan)
        with _job_folder() as folder:
            zero_areas = _read(plan, run, folder)
            finished = _work(plan, run, folder, is_to_finish, on_preview)
            with StagedOutputs(replace(plan, bands=zero_areas.declared_in(plan.bands))) as outputs:
                with run.timed("write"):
                    outputs.write_rasters(folder, run.started, finished.report, run.tell_writing)
                outputs.write_borders(folder, lambda _done: run.tell(tr("Writing the borders"), 1.0))
                seconds = {**run.seconds, "total": run.total_s}
                report = {**zero_areas.in_report, **finished.report}
                summary = compose_report(plan, run.started, report, seconds, expected.seconds)
                outputs.write_report(summary)
                outputs.publish()
    except WorkerCancelled as error:
        raise EnhanceCancelled from error
    except WorkerFailed as error:
        raise EnhanceFailed(error.message, _join(error.details, _circumstances(plan, run))) from error
    except (SourceUnreadable, ResultUnwritable, NotPutBack) as error:
        raise EnhanceFailed(str(error), traceback.format_exc()) from error
    except OSError as error:
        raise EnhanceFailed(file_failure(error, plan), traceback.format_exc()) from error
    except MemoryError as error:
        sentence = tr("QGIS ran out of memory; close other programs or choose a smaller extent or fewer bands.")
        raise EnhanceFailed(sentence, traceback.format_exc()) from error
    except (EnhanceCancelled, EnhanceFailed):
        raise
    except Exception as error:
        raise unexpected(error) from error
    _learn(plan, run, summary)
    return EnhanceResult(plan, summary)


def _learn(plan: EnhancePlan, run: _Run, summary: dict[str, Any]) -> None:
    """Let the next estimates know what the download took, and the work if all of it was done in this run."""
    with _failure_logged():
        learn_download_from(plan, run.seconds["read"])
    with _failure_logged():
        is_usual = not any(summary.get(name) for name in ("tiles_from_cache", "stopped", "left_graphics_card"))
        is_usual = is_usual and not anchor_stands_in(summary) and not plan.has_extras
        if run.started is not None and is_usual:
            learn_from(plan, run.started, run.start_s, run.seconds["engine"] - run.start_s)


@contextmanager
def _failure_logged() -> Iterator[None]:
    """Write what goes wrong inside into QGIS's log, and go on."""
    try:
        yield
    except Exception:  # noqa: BLE001, the result stands: whatever goes wrong now is no failure of the run
        QgsMessageLog.logMessage(traceback.format_exc(), LOG_TAG, Qgis.MessageLevel.Warning, notifyUser=False)


def _read(plan: EnhancePlan, run: _Run, folder: Path) -> ZeroAreas:
    """Write the job folder, and return what was made of zeros in it."""
    phase = tr("Downloading the layer") if isinstance(plan.source, WebSource) else tr("Reading the layer")

    def tell(fraction: float) -> None:
        run.tell(phase, READ_UNTIL * fraction)

    with run.timed("read"):
        tell(0.0)
        plan.job.save(folder)
        if isinstance(plan.source, WebSource):
            read_web_picture(plan.source, plan.grid, plan.bands, folder, tell)
        else:
            with unchanged(plan.source_files):
                read_window(plan.source, plan.window, plan.bands, folder, tell)
        return find_undeclared_nodata(plan.bands, plan.job, folder, lambda: tell(1.0))


def _work(
    plan: EnhancePlan,
    run: _Run,
    folder: Path,
    is_to_finish: Callable[[], bool],
    on_preview: Callable[[Path], None],
) -> Finished:
    """Have the job done: by the worker, or where there is no engine by this very thread."""

    def on_event(event: Event) -> None:
        if isinstance(event, Preview):
            on_preview(folder / PREVIEW_FILE)
        else:
            run.on_event(event)

    run.start_engine(is_in_qgis=plan.is_in_qgis)
    with run.timed("engine"):
        if plan.engine_python is None:
            return run_in_numpy(folder, on_event, run.is_cancelled, is_to_finish=is_to_finish)
        with engine_in_use(location(), lambda: run.tell(tr("Waiting for the engine to be replaced"), READ_UNTIL)):
            return run_worker(plan.engine_python, folder, on_event, run.is_cancelled, is_to_finish=is_to_finish)


def _join(*texts: str) -> str:
    return "\n\n".join(filter(None, texts))


def _circumstances(plan: EnhancePlan, run: _Run) -> str:
    """Say what a bug report needs even if the worker had no time to leave a word."""
    job, window = plan.job, plan.window
    facts = {
        "Headland": headland_version(),
        "engine": plan.engine_python or plan.engine,
        "device": "not known yet" if run.started is None else run.started.device,
        "versions": "not known yet" if run.started is None else run.started.versions,
        "job": f"{job.method.value}, {job.preset.value}, x{job.scale}, seed {job.seed}",
        "window": f"{window.width_px} x {window.height_px} pixels, {len(plan.bands)} bands",
        "seconds": f"{run.total_s:.1f}",
    }
    return "\n".join(f"{name}: {fact}" for name, fact in facts.items())


@contextmanager
def _job_folder() -> Iterator[Path]:
    """Yield a new folder that only this user can look into, and remove it with all that is in it."""
    folder = PrivateFolder(Path(tempfile.gettempdir()), JOB_FOLDER_PREFIX)
    try:
        yield folder.path
    finally:
        folder.remove()
