"""Runs one job inside the worker process: opens its arrays, calls the pipeline, tells QGIS how it goes."""

from __future__ import annotations

import errno
import os
import platform
import threading
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO

from .events import Cancelled, Event, Failed, FailureKind, Finished, Progress, Started, encode
from .events import Preview as PreviewWritten
from .job import CONFIDENCE_FILE, DIP_FILE, OUTPUT_FILE, Job, JobError
from .memory import is_out_of_memory
from .progress import BadInput
from .progress import Cancelled as JobCancelled

if TYPE_CHECKING:
    from .preview import Preview

# QGIS redraws its progress at most this often.
PROGRESS_INTERVAL_S = 0.1


class EnvironmentBroken(Exception):
    """torch, onnxruntime or numpy does not import."""


class Commands:
    """What QGIS says on standard input, heard by a thread: ``cancel``, ``finish``, or the end of it all."""

    def __init__(self, stream: BinaryIO) -> None:
        self._is_cancelled = threading.Event()
        self._is_to_finish = threading.Event()
        threading.Thread(target=self._listen, args=(stream,), name="commands", daemon=True).start()

    def is_cancelled(self) -> bool:
        """Whether QGIS asked for the end of the job."""
        return self._is_cancelled.is_set()

    def is_to_finish(self) -> bool:
        """Whether QGIS asked to stop here and keep the result so far."""
        return self._is_to_finish.is_set()

    def _listen(self, stream: BinaryIO) -> None:
        for line in iter(stream.readline, b""):
            command = line.strip()
            if command == b"cancel":
                self._is_cancelled.set()
            elif command == b"finish":
                self._is_to_finish.set()
        # Nobody is left to work for, and nothing needs tidying: the job folder is QGIS's.
        os._exit(0)


class Reporter:
    """Writes events, progress no oftener than a person can see."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._last_progress: Progress | None = None
        self._last_time_s = 0.0

    def emit(self, event: Event) -> None:
        """Write ``event`` at once."""
        self._last_time_s = time.monotonic()
        try:
            self._stream.write(f"{encode(event)}\n".encode("ascii"))
            self._stream.flush()
        except OSError:
            # QGIS is gone.
            os._exit(1)

    def progress(self, phase: str, fraction: float) -> None:
        """Tell what is being done (one sentence) and how much of the whole job is done (0 to 1)."""
        progress = Progress(phase, min(max(float(fraction), 0.0), 1.0))
        is_new_phase = self._last_progress is None or self._last_progress.phase != phase
        self._last_progress = progress
        if is_new_phase or time.monotonic() - self._last_time_s >= PROGRESS_INTERVAL_S:
            self.emit(progress)


def run(job_folder: Path, command_stream: BinaryIO, event_stream: BinaryIO) -> int:
    """Do the job in ``job_folder`` and return the exit status: 0 if it finished or was cancelled, else 1."""
    commands = Commands(command_stream)
    reporter = Reporter(event_stream)
    try:
        reporter.emit(_do_job(job_folder, commands, reporter))
    except Exception as error:  # noqa: BLE001, whatever it is, QGIS has to be told
        reporter.emit(_failure(error))
        return 1
    return 0


def _do_job(job_folder: Path, commands: Commands, reporter: Reporter) -> Finished | Cancelled:
    job = Job.load(job_folder)
    pipeline, versions = _import_pipeline()
    from .border_file import write_borders  # noqa: PLC0415, the environment may be broken
    from .device import choose_device, describe, leave_qgis_a_core  # noqa: PLC0415, only now is torch known to import
    from .job_arrays import open_inputs, write_outputs  # noqa: PLC0415, as above

    leave_qgis_a_core()
    reporter.emit(Started(device=describe(choose_device(job.device)), versions=versions))
    low_res, valid = open_inputs(job_folder, job)
    preview = _preview(job_folder, job, reporter)

    def tell(phase: str, fraction: float) -> None:
        if preview is not None:
            preview.flush()
        reporter.progress(phase, fraction)

    try:
        report = write_outputs(
            job_folder,
            low_res,
            job,
            lambda outputs: pipeline.enhance(
                job,
                low_res,
                valid,
                outputs[OUTPUT_FILE],
                tell,
                commands.is_cancelled,
                is_to_finish=commands.is_to_finish,
                preview=preview,
                dip_output=outputs.get(DIP_FILE),
                bound_output=outputs.get(CONFIDENCE_FILE),
                on_borders=lambda lines: write_borders(job_folder, lines),
            ),
        )
        if preview is not None:
            preview.flush(is_last=True)
    except JobCancelled:
        return Cancelled()
    except BadInput as error:
        raise JobError(str(error)) from error
    return Finished(report)


def _import_pipeline() -> tuple[ModuleType, dict[str, str]]:
    """Return the pipeline and the versions of what it stands on.

    Both libraries are imported now: a broken one shows at once and not after minutes of work.
    """
    try:
        import numpy  # noqa: PLC0415, ICN001
        import onnxruntime  # noqa: PLC0415
        import torch  # noqa: PLC0415

        from . import pipeline  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise EnvironmentBroken from error
    versions = {module.__name__: str(module.__version__) for module in (numpy, onnxruntime, torch)}
    return pipeline, {"python": platform.python_version(), **versions}


def _preview(job_folder: Path, job: Job, reporter: Reporter) -> Preview | None:
    """Return what draws the preview that the job asks for, None if it asks for none."""
    if not job.preview_bands:
        return None
    from .preview import Preview  # noqa: PLC0415, only now is torch known to import

    return Preview(job_folder, job.preview_bands, lambda: reporter.emit(PreviewWritten()))


def _failure(error: Exception) -> Failed:
    """Return what to tell QGIS about ``error``."""
    details = "".join(traceback.format_exception(error))
    if is_out_of_memory(error):
        message = "The engine ran out of memory; close other programs or choose a smaller extent or fewer bands."
        return Failed(FailureKind.OUT_OF_MEMORY, message, details)
    if isinstance(error, EnvironmentBroken):
        message = f"The engine's packages do not load ({error.__cause__}); set the engine up again."
        return Failed(FailureKind.ENVIRONMENT_BROKEN, message, details)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        message = "The disk of the temporary folder is full; free some space or choose a smaller extent, and try again."
        return Failed(FailureKind.BAD_INPUT, message, details)
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        message = (
            "The disk of the temporary folder takes no file as large as the result; choose a smaller extent or fewer "
            "bands, or set another temporary folder."
        )
        return Failed(FailureKind.BAD_INPUT, message, details)
    if isinstance(error, JobError):
        return Failed(FailureKind.BAD_INPUT, str(error), details)
    message = f"The engine met an unexpected error ({type(error).__name__}); please report it with the details."
    return Failed(FailureKind.INTERNAL, message, details)
