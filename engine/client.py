"""Runs the worker from inside QGIS: starts it, relays its events, and makes sure that it never outlives the call."""

from __future__ import annotations

import os
import queue
import signal
import subprocess  # nosec B404 # no shell, no words of anybody else's in the command
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Callable, Optional, Union

from .child_process import CREATION_FLAGS, child_environment
from .events import Cancelled, Event, Failed, FailureKind, Finished, NotAnEvent, Preview, Progress, Started, decode
from .job import OUTPUT_FILE
from .plain_file import open_plain

WORKER_SCRIPT = Path(__file__).with_name("worker.py")
LOG_FILE = "worker.log"

_POLL_S = 0.1
# A worker that was asked to stop, or that has said its last word, gets this long before it is killed.
_GRACE_S = 0.4
_LONGEST_LINE = 1 << 20
_MOST_STRAY_LINES = 100
_LOG_TAIL_BYTES = 8192
# Windows' exit statuses for "no memory" and "commit limit reached".
_WINDOWS_NO_MEMORY = {0xC0000017, 0xC000012D}

_OUT_OF_MEMORY_ADVICE = "close other programs or choose a smaller extent or fewer bands, and try again"
_SET_UP_AGAIN = "set the engine up again"


class WorkerCancelled(Exception):
    """The job was cancelled and the worker is gone."""


class WorkerFailed(RuntimeError):
    """The job failed and the worker is gone.

    Attributes:
        kind: what sort of failure it is.
        message: one sentence for people: what happened and what to do.
        details: traceback and the end of the worker's log, for a bug report.
    """

    def __init__(self, kind: FailureKind, message: str, details: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.details = details


def run_worker(  # noqa: PLR0913, the last ones are seldom given
    engine_python: Path,
    job_folder: Path,
    on_event: Callable[[Event], None],
    is_cancelled: Callable[[], bool],
    *,
    is_to_finish: Callable[[], bool] = lambda: False,
    silence_limit_s: float = 300.0,
    worker_script: Path = WORKER_SCRIPT,
) -> Finished:
    """Run the worker on ``job_folder`` and return its last event once ``output.npy`` is whole.

    Blocks, on whichever thread calls it. The worker never survives the call, whatever ends it; it also ends by
    itself when this process dies, because its standard input then comes to an end.

    Args:
        engine_python: the Python of the engine environment.
        job_folder: holds the job as :mod:`headland.engine.job` describes; gains ``worker.log``.
        on_event: told of Started, Progress and Preview, on the calling thread.
        is_cancelled: asked at least every 0.1 s, on the calling thread.
        is_to_finish: asked as often; once true, the worker is told to end early with the result so far.
        silence_limit_s: how long the worker may say nothing before it counts as hanging.
        worker_script: the worker's program.

    Raises:
        WorkerCancelled: at most two seconds after ``is_cancelled`` turned true.
        WorkerFailed: for everything that went wrong in the worker.
    """
    if is_cancelled():
        raise WorkerCancelled
    try:
        with _started_worker(engine_python, job_folder, worker_script) as worker:
            last = _relay(worker, on_event, is_cancelled, is_to_finish, silence_limit_s)
    except WorkerFailed as failure:
        raise _with_log(failure, job_folder) from failure.__cause__
    if isinstance(last, Failed):
        raise _with_log(WorkerFailed(last.kind, last.message, last.details), job_folder)
    if isinstance(last, Cancelled):
        raise WorkerCancelled
    if not (job_folder / OUTPUT_FILE).is_file():
        message = "The engine finished without a result; please report this with the details."
        raise _with_log(WorkerFailed(FailureKind.INTERNAL, message), job_folder)
    return last


def _relay(
    worker: _Worker,
    on_event: Callable[[Event], None],
    is_cancelled: Callable[[], bool],
    is_to_finish: Callable[[], bool],
    silence_limit_s: float,
) -> Union[Finished, Failed, Cancelled]:
    """Pass events on until the last one and return that one."""
    stray_lines = 0
    last_heard = time.monotonic()
    has_started = is_finishing = False
    while True:
        if is_cancelled():
            worker.cancel()
            raise WorkerCancelled
        if not is_finishing and is_to_finish():
            is_finishing = True
            worker.say(b"finish")
        try:
            line = worker.lines.get(timeout=_POLL_S)
        except queue.Empty:
            if time.monotonic() - last_heard > silence_limit_s:
                raise _hanging(silence_limit_s) from None
            continue
        if line is None:
            raise _ended_early(worker.wait(), has_started)
        try:
            event = decode(line)
        except NotAnEvent:
            stray_lines += 1
            if stray_lines > _MOST_STRAY_LINES:
                raise _unintelligible() from None
            continue
        last_heard = time.monotonic()
        if isinstance(event, (Started, Progress, Preview)):
            has_started = True
            on_event(event)
        else:
            return event


class _Worker:
    """The child process with a thread that turns its standard output into a queue of lines, None at the end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.lines: queue.Queue[Optional[str]] = queue.Queue(maxsize=_MOST_STRAY_LINES)
        self._process = process
        self._is_stopping = threading.Event()
        # Reading in a thread is what works on Windows too, where pipes cannot be polled.
        self._reader = threading.Thread(target=self._read, name="headland-worker-events", daemon=True)
        self._reader.start()

    def wait(self) -> int:
        """Return the exit status of a worker that has closed its standard output; kill it if it stays."""
        try:
            return self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._kill()
            return self._process.wait()

    def say(self, command: bytes) -> None:
        """Write a command; a worker that is gone does not hear it."""
        with suppress(OSError):
            stdin = _pipe(self._process.stdin)
            stdin.write(command + b"\n")
            stdin.flush()

    def cancel(self) -> None:
        """Ask the worker to stop and give it a moment to do so."""
        self.say(b"cancel")
        deadline = time.monotonic() + _GRACE_S
        while time.monotonic() < deadline and self._process.poll() is None:
            # Its lines are taken off so that it does not block on a full pipe.
            with suppress(queue.Empty):
                self.lines.get(timeout=_POLL_S / 2)

    def stop(self) -> None:
        """End the worker and all that it started, and this object's thread."""
        self._is_stopping.set()
        with suppress(OSError):
            _pipe(self._process.stdin).close()
        self._kill()
        self._process.wait()
        # The end of the pipe ends the thread. The limit is for a grandchild that left the process group and holds it.
        self._reader.join(_GRACE_S)
        if not self._reader.is_alive():
            _pipe(self._process.stdout).close()

    def _kill(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
            return
        # The worker leads a process group of its own, so this reaches whatever it may have started. Until the
        # leader is waited for, its number cannot belong to anybody else.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self) -> None:
        stdout = _pipe(self._process.stdout)
        while True:
            line = stdout.readline(_LONGEST_LINE)
            if not self._put(line.decode("utf-8", errors="replace") if line else None) or not line:
                return

    def _put(self, line: Optional[str]) -> bool:
        """Queue ``line``, waiting for room; return False once nobody takes lines any more."""
        while not self._is_stopping.is_set():
            try:
                self.lines.put(line, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False


@contextmanager
def _started_worker(engine_python: Path, job_folder: Path, worker_script: Path) -> Iterator[_Worker]:
    """Start the worker and see to it that it is gone afterwards."""
    command = [str(engine_python), "-I", "-X", "utf8"]
    if sys.dont_write_bytecode:
        # An isolated Python does not see PYTHONDONTWRITEBYTECODE.
        command.append("-B")
    try:
        with open_plain(job_folder / LOG_FILE, "wb") as log:
            # The engine's own Python on the worker's own file and a folder that was just made.
            process = subprocess.Popen(  # nosec B603
                [*command, str(worker_script), str(job_folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=job_folder,
                env=child_environment(),
                start_new_session=True,
                creationflags=CREATION_FLAGS,
            )
    except OSError as error:
        raise WorkerFailed(
            FailureKind.ENVIRONMENT_BROKEN,
            f"The engine could not be started ({error.strerror or error}); {_SET_UP_AGAIN}.",
            str(error),
        ) from error
    worker = _Worker(process)
    try:
        yield worker
    finally:
        worker.stop()


def _ended_early(exit_status: int, has_started: bool) -> WorkerFailed:
    """Return what it means that the worker ended without a last event."""
    if exit_status == -getattr(signal, "SIGKILL", 9) or exit_status in _WINDOWS_NO_MEMORY:
        return WorkerFailed(
            FailureKind.OUT_OF_MEMORY,
            f"The system ended the engine, probably because memory ran out; {_OUT_OF_MEMORY_ADVICE}.",
        )
    how = _signal_name(-exit_status) if exit_status < 0 else f"exit status {exit_status}"
    if not has_started:
        return WorkerFailed(
            FailureKind.ENVIRONMENT_BROKEN, f"The engine ended before it began to work ({how}); {_SET_UP_AGAIN}."
        )
    return WorkerFailed(
        FailureKind.INTERNAL, f"The engine crashed ({how}); try again, with the device set to cpu if it happens again."
    )


def _hanging(silence_limit_s: float) -> WorkerFailed:
    return WorkerFailed(
        FailureKind.INTERNAL,
        f"The engine was silent for {silence_limit_s:g} s and was ended; try again, with a smaller extent or the "
        "device set to cpu if it happens again.",
    )


def _unintelligible() -> WorkerFailed:
    return WorkerFailed(
        FailureKind.INTERNAL, f"The engine answers with something that Headland does not understand; {_SET_UP_AGAIN}."
    )


def _with_log(failure: WorkerFailed, job_folder: Path) -> WorkerFailed:
    """Return ``failure`` with the end of what the worker wrote to its standard error added to its details."""
    log_file = job_folder / LOG_FILE
    try:
        with open_plain(log_file, "rb") as log:
            log.seek(max(0, log_file.stat().st_size - _LOG_TAIL_BYTES))
            tail = log.read(_LOG_TAIL_BYTES).decode("utf-8", errors="replace").strip()
    except OSError:
        tail = ""
    return WorkerFailed(failure.kind, failure.message, "\n".join(filter(None, (failure.details, tail))))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _pipe(stream: Optional[IO[bytes]]) -> IO[bytes]:
    assert stream is not None  # noqa: S101, Popen was told to make it # nosec B101
    return stream
