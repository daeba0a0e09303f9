"""The client against real child processes that misbehave in every way that a worker can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headland.engine.client import WorkerCancelled, WorkerFailed, run_worker
from headland.engine.events import Event, FailureKind, Finished, Progress, Started

GREETING = """
import json, os, signal, sys, time
job = sys.argv[1]
open(os.path.join(job, "pid"), "w").write(str(os.getpid()))
def say(**event):
    print(json.dumps(event), flush=True)
say(event="started", device="cpu", versions={})
"""
FINISH = """
open(os.path.join(job, "output.npy"), "w").close()
say(event="finished", report={"answer": 42})
"""

RunFake = Callable[..., Finished]


@pytest.fixture
def job_folder(tmp_path: Path) -> Path:
    """A folder as awkward as a person's may be."""
    folder = tmp_path / "Größe mit Leerzeichen, 大地"
    folder.mkdir()
    return folder


@pytest.fixture
def run_fake(job_folder: Path) -> RunFake:
    """Runs a worker that has the given program; nothing of it may be left afterwards."""

    def run(
        program: str,
        on_event: Callable[[Event], None] = lambda _event: None,
        is_cancelled: Callable[[], bool] = lambda: False,
        silence_limit_s: float = 20.0,
        is_to_finish: Callable[[], bool] = lambda: False,
    ) -> Finished:
        script = job_folder / "wörker script.py"
        script.write_text(program, encoding="utf-8")
        return run_worker(
            Path(sys.executable),
            job_folder,
            on_event,
            is_cancelled,
            is_to_finish=is_to_finish,
            silence_limit_s=silence_limit_s,
            worker_script=script,
        )

    return run


@pytest.fixture(autouse=True)
def _nothing_is_left(job_folder: Path) -> Iterator[None]:
    threads_before = threading.active_count()
    yield
    assert threading.active_count() == threads_before
    pid_file = job_folder / "pid"
    if pid_file.exists():
        # Not even a zombie: an unknown process, and not one that waits for its parent.
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid_file.read_text()), 0)


def test_a_worker_that_finishes_returns_its_report_and_its_events_arrive_in_order(run_fake: RunFake) -> None:
    events: list[Event] = []
    program = GREETING + 'say(event="progress", phase="Sharpening", fraction=0.5)' + FINISH
    assert run_fake(program, events.append) == Finished({"answer": 42})
    assert events == [Started("cpu", {}), Progress("Sharpening", 0.5)]


def test_events_arrive_on_the_calling_thread(run_fake: RunFake) -> None:
    threads: set[int] = set()
    run_fake(GREETING + FINISH, lambda _event: threads.add(threading.get_ident()))
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize(
    ("ending", "kind", "in_message"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", FailureKind.OUT_OF_MEMORY, "memory"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", FailureKind.INTERNAL, "SIGSEGV"),
        ("sys.exit(3)", FailureKind.INTERNAL, "exit status 3"),
        ("sys.exit(0)", FailureKind.INTERNAL, "exit status 0"),
        ('say(event="finished", report={})', FailureKind.INTERNAL, "without a result"),
        (
            'say(event="failed", kind="bad_input", message="Too few pixels.", details="traceback")',
            FailureKind.BAD_INPUT,
            "Too few pixels.",
        ),
    ],
    ids=["killed", "crashed", "gave up", "left quietly", "no output", "failed"],
)
def test_a_worker_that_ends_without_a_result_becomes_a_sentence(
    run_fake: RunFake, ending: str, kind: FailureKind, in_message: str
) -> None:
    with pytest.raises(WorkerFailed) as caught:
        run_fake(GREETING + ending)
    assert caught.value.kind is kind
    assert in_message in caught.value.message
    assert "\n" not in caught.value.message


def test_a_python_that_ends_before_the_worker_starts_is_a_broken_environment(run_fake: RunFake) -> None:
    with pytest.raises(WorkerFailed, match="set the engine up again") as caught:
        run_fake("raise SystemExit('no torch here')")
    assert caught.value.kind is FailureKind.ENVIRONMENT_BROKEN
    assert "no torch here" in caught.value.details


def test_a_python_that_does_not_exist_is_a_broken_environment(job_folder: Path) -> None:
    with pytest.raises(WorkerFailed) as caught:
        run_worker(job_folder / "no python", job_folder, lambda _event: None, lambda: False)
    assert caught.value.kind is FailureKind.ENVIRONMENT_BROKEN


def test_what_the_worker_writes_to_standard_error_is_in_the_details(run_fake: RunFake) -> None:
    with pytest.raises(WorkerFailed) as caught:
        run_fake(GREETING + "print('illegal instruction at 0x0', file=sys.stderr); sys.exit(1)")
    assert "illegal instruction at 0x0" in caught.value.details


def test_some_stray_lines_are_passed_over(run_fake: RunFake) -> None:
    stray = r"""
for k in range(50): print("garbage", k)
sys.stdout.buffer.write(b"\xff\xfe broken\n")
print('{"event": "unheard of"}')
print('{"event": "progress", "phase": "P", "fraction": 1, "surprise": 1}')
"""
    assert run_fake(GREETING + stray + FINISH) == Finished({"answer": 42})


def test_a_flood_of_garbage_ends_the_worker(run_fake: RunFake) -> None:
    with pytest.raises(WorkerFailed, match="does not understand") as caught:
        run_fake(GREETING + "while True: print('garbage' * 1000)")
    assert caught.value.kind is FailureKind.INTERNAL


def test_an_endless_line_does_not_fill_the_memory(run_fake: RunFake) -> None:
    with pytest.raises(WorkerFailed, match="does not understand"):
        run_fake(GREETING + "while True: sys.stdout.write('x' * (1 << 20))")


def test_a_silent_worker_counts_as_hanging(run_fake: RunFake) -> None:
    started = time.monotonic()
    with pytest.raises(WorkerFailed, match="silent"):
        run_fake(GREETING + "time.sleep(60)", silence_limit_s=0.5)
    assert time.monotonic() - started < 5.0


def test_a_slow_worker_that_reports_does_not_count_as_hanging(run_fake: RunFake) -> None:
    reports = "for k in range(8): say(event='progress', phase='P', fraction=k / 8); time.sleep(0.2)"
    assert run_fake(GREETING + reports + FINISH, silence_limit_s=1.0) == Finished({"answer": 42})


@pytest.mark.parametrize(
    "behaviour",
    [
        "sys.stdin.readline(); say(event='cancelled')",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
        "while True: say(event='progress', phase='Deaf and busy', fraction=0.5)",
    ],
    ids=["obedient", "deaf", "deaf and busy"],
)
def test_a_cancelled_worker_is_gone_within_two_seconds(run_fake: RunFake, behaviour: str) -> None:
    has_started = threading.Event()
    cancelled_at: list[float] = []

    def is_cancelled() -> bool:
        if has_started.is_set() and not cancelled_at:
            cancelled_at.append(time.monotonic())
        return has_started.is_set()

    with pytest.raises(WorkerCancelled):
        run_fake(GREETING + behaviour, lambda _event: has_started.set(), is_cancelled)
    assert time.monotonic() - cancelled_at[0] < 2.0


def test_a_worker_is_told_once_to_finish_and_its_result_is_kept(run_fake: RunFake) -> None:
    hears = """
say(event="progress", phase="P", fraction=0.5)
import select
told, end = b"", time.monotonic() + 1.0
while time.monotonic() < end:
    if select.select([0], [], [], 0.1)[0]:
        told += os.read(0, 100)
open(os.path.join(job, "output.npy"), "w").close()
say(event="finished", report={"told": told.decode()})
"""
    phases: list[Event] = []
    finished = run_fake(GREETING + hears, phases.append, is_to_finish=lambda: Progress("P", 0.5) in phases)
    assert finished.report == {"told": "finish\n"}


def test_what_is_cancelled_before_it_starts_starts_nothing(run_fake: RunFake, job_folder: Path) -> None:
    with pytest.raises(WorkerCancelled):
        run_fake(GREETING + FINISH, is_cancelled=lambda: True)
    assert not (job_folder / "pid").exists()


def test_cancelling_is_asked_for_often_although_the_worker_says_nothing(run_fake: RunFake) -> None:
    asked: list[float] = []

    def is_cancelled() -> bool:
        asked.append(time.monotonic())
        return False

    run_fake(GREETING + "time.sleep(1)" + FINISH, is_cancelled=is_cancelled)
    assert max(later - earlier for earlier, later in zip(asked, asked[1:])) < 0.4


def test_an_error_in_the_callers_callback_ends_the_worker_and_comes_through(run_fake: RunFake) -> None:
    def fail(event: Event) -> None:
        raise KeyError("the caller's own mistake")

    with pytest.raises(KeyError, match="own mistake"):
        run_fake(GREETING + "time.sleep(60)", fail)


def test_what_the_worker_started_ends_with_it(run_fake: RunFake, job_folder: Path) -> None:
    grandchild = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(os.path.join(job, "grandchild"), "w").write(str(child.pid))
time.sleep(60)
"""
    with pytest.raises(WorkerFailed, match="silent"):
        run_fake(GREETING + grandchild, silence_limit_s=1.5)
    assert ends_soon(int((job_folder / "grandchild").read_text()))


def test_the_worker_does_not_see_the_variables_that_qgis_sets_for_itself(
    run_fake: RunFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "GDAL_DATA", "LD_LIBRARY_PATH", "QT_PLUGIN_PATH"):
        monkeypatch.setenv(name, "/qgis")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    reports = """
open(os.path.join(job, "output.npy"), "w").close()
say(event="finished", report=dict(os.environ))
"""
    seen = run_fake(GREETING + reports).report
    assert "/qgis" not in seen.values()
    assert seen["HTTPS_PROXY"] == "http://127.0.0.1:1"


def test_the_worker_ends_when_the_process_that_waits_for_it_is_killed(job_folder: Path) -> None:
    script = job_folder / "worker.py"
    # As the real worker does: the end of standard input is the end.
    script.write_text(GREETING + "sys.stdin.read()", encoding="utf-8")
    caller = (
        "import sys; from pathlib import Path; from headland.engine.client import run_worker;"
        "run_worker(Path(sys.executable), Path(sys.argv[1]), print, lambda: False, worker_script=Path(sys.argv[2]))"
    )
    command = [sys.executable, "-u", "-c", caller, str(job_folder), str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as qgis:
        assert qgis.stdout is not None
        assert b"Started" in qgis.stdout.readline()
        qgis.send_signal(signal.SIGKILL)
    worker = int((job_folder / "pid").read_text())
    assert ends_soon(worker)
    (job_folder / "pid").unlink()


def ends_soon(pid: int) -> bool:
    """Whether the process ends within two seconds; one that nobody waits for may stay as a zombie."""
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
