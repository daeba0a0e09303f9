"""Does a job inside QGIS's own process, where there is no engine: in the worker's place, with the worker's manners."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np

from ..array_file import ArrayFile
from ..client import WorkerCancelled, WorkerFailed
from ..events import Event, FailureKind, Finished, Progress, Started
from ..events import Preview as PreviewWritten
from ..job import OUTPUT_FILE, Job, JobError
from ..job_arrays import open_inputs, write_outputs
from ..preview import Preview
from ..progress import BadInput, Cancelled
from .pipeline import DEVICE, enhance

# The GUI redraws its progress at most this often.
PROGRESS_INTERVAL_S = 0.1


def run_in_numpy(
    job_folder: Path,
    on_event: Callable[[Event], None],
    is_cancelled: Callable[[], bool],
    *,
    is_to_finish: Callable[[], bool] = lambda: False,
) -> Finished:
    """Do the job in ``job_folder`` and return what the worker would say last, once ``output.npy`` is whole.

    Blocks, on whichever thread calls it; other threads go on, since numpy lets go of Python's lock in all that takes
    long.

    Args:
        job_folder: as for :func:`..client.run_worker`.
        on_event: told of Started, Progress and Preview, on the calling thread.
        is_cancelled, is_to_finish: asked after every round of the anchor, on the calling thread.

    Raises:
        WorkerCancelled: soon after ``is_cancelled`` turned true.
        WorkerFailed: if the job cannot be done.
        MemoryError, OSError: where memory or disk do not suffice.
    """
    try:
        job = Job.load(job_folder)
        on_event(Started(DEVICE, {"python": platform.python_version(), "numpy": np.__version__}))
        low_res, valid = open_inputs(job_folder, job)
        # Windows does not remove a folder with an open file in it.
        with low_res, valid:
            return Finished(_enhanced(job_folder, job, low_res, valid, (on_event, is_cancelled, is_to_finish)))
    except Cancelled as error:
        raise WorkerCancelled from error
    except (JobError, BadInput) as error:
        raise WorkerFailed(FailureKind.BAD_INPUT, str(error)) from error


def _enhanced(
    job_folder: Path,
    job: Job,
    low_res: ArrayFile,
    valid: ArrayFile,
    caller: tuple[Callable[[Event], None], Callable[[], bool], Callable[[], bool]],
) -> dict[str, Any]:
    """Write the result and return the report."""
    on_event, is_cancelled, is_to_finish = caller
    preview = None
    if job.preview_bands:
        preview = Preview(job_folder, job.preview_bands, lambda: on_event(PreviewWritten()))
    report_progress = _Pace(on_event)

    def tell(phase: str, fraction: float) -> None:
        if preview is not None:
            preview.flush()
        report_progress(phase, fraction)

    report = write_outputs(
        job_folder,
        low_res,
        job,
        lambda outputs: enhance(
            job, low_res, valid, outputs[OUTPUT_FILE], tell, is_cancelled, is_to_finish, preview=preview
        ),
    )
    if preview is not None:
        preview.flush(is_last=True)
    return report


class _Pace:
    """Passes progress on, no oftener than a person can see."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._phase = ""
        self._told_at_s = 0.0

    def __call__(self, phase: str, fraction: float) -> None:
        now_s = time.monotonic()
        if phase != self._phase or now_s - self._told_at_s >= PROGRESS_INTERVAL_S:
            self._phase, self._told_at_s = phase, now_s
            self._on_event(Progress(phase, fraction))
