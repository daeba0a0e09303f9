"""The real worker process, with a stand-in for the pipeline."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headland.engine.client import LOG_FILE, WORKER_SCRIPT, WorkerCancelled, WorkerFailed, run_worker
from headland.engine.events import Event, FailureKind, Finished, Progress, Started, decode
from headland.engine.job import INPUT_FILE, OUTPUT_FILE, VALID_FILE, Device, Job, Method, Preset, Sensor

ROOT = Path(__file__).resolve().parents[2]

PIPELINE = """
import time
from .progress import BadInput, Cancelled
def enhance(job, low_res, valid, output, progress, is_cancelled, is_to_finish, preview, **_wishes):
"""
ENLARGE = """
    output[:] = low_res[:].repeat(job.scale, 1).repeat(job.scale, 2)
    return {'method': job.method.value}
"""

Enhance = Callable[..., Finished]


@pytest.fixture
def job_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "jöb"
    folder.mkdir()
    job = Job(Method.ANCHOR, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("B04", "B08"))
    job.save(folder)
    np.save(folder / INPUT_FILE, np.arange(2 * 3 * 4, dtype=np.uint16).reshape(2, 3, 4))
    np.save(folder / VALID_FILE, np.ones((2, 3, 4), dtype=bool))
    return folder


@pytest.fixture
def enhance(tmp_path: Path, job_folder: Path) -> Enhance:
    """Runs the job with a pipeline that has the given body, in a plugin folder of another name."""

    def run(
        body: str,
        on_event: Callable[[Event], None] = lambda _event: None,
        is_cancelled: Callable[[], bool] = lambda: False,
        pipeline: str = PIPELINE,
        is_to_finish: Callable[[], bool] = lambda: False,
    ) -> Finished:
        engine = tmp_path / "headland-main (1) ä" / "engine"
        engine.mkdir(parents=True)
        shutil.copy(ROOT / "__init__.py", engine.parent)
        for module in (ROOT / "engine").glob("*.py"):
            shutil.copy(module, engine)
        (engine / "pipeline.py").write_text(pipeline + body, encoding="utf-8")
        return run_worker(
            Path(sys.executable),
            job_folder,
            on_event,
            is_cancelled,
            is_to_finish=is_to_finish,
            worker_script=engine / "worker.py",
        )

    return run


def test_the_worker_fills_the_output_and_reports(enhance: Enhance, job_folder: Path) -> None:
    events: list[Event] = []
    body = "    progress('Sharpening', 0.5)\n" + ENLARGE
    assert enhance(body, events.append) == Finished({"method": "anchor"})
    started, progress = events
    assert isinstance(started, Started)
    assert started.device.startswith("cpu")
    assert {"numpy", "onnxruntime", "python", "torch"} <= set(started.versions)
    assert progress == Progress("Sharpening", 0.5)
    output = np.load(job_folder / OUTPUT_FILE)
    assert output.dtype == np.float32
    assert output.shape == (2, 6, 8)
    np.testing.assert_array_equal(output[:, ::2, ::2], np.load(job_folder / INPUT_FILE))


def test_large_integers_keep_their_digits(enhance: Enhance, job_folder: Path) -> None:
    np.save(job_folder / INPUT_FILE, np.full((2, 3, 4), 2**31 - 1, dtype=np.int32))
    enhance(ENLARGE)
    output = np.load(job_folder / OUTPUT_FILE)
    assert output.dtype == np.float64
    assert (output == 2**31 - 1).all()


def test_what_a_library_prints_goes_into_the_log_and_not_into_the_protocol(enhance: Enhance, job_folder: Path) -> None:
    body = "    import os; print('from Python'); os.write(1, b'from C\\n')\n" + ENLARGE
    assert enhance(body) == Finished({"method": "anchor"})
    log = (job_folder / LOG_FILE).read_text()
    assert "from Python" in log
    assert "from C" in log


@pytest.mark.parametrize(
    ("body", "kind", "in_message"),
    [
        ("    bytearray(1 << 62)\n", FailureKind.OUT_OF_MEMORY, "memory"),
        ("    import torch; torch.empty(1 << 50)\n", FailureKind.OUT_OF_MEMORY, "memory"),
        ("    raise torch.OutOfMemoryError('CUDA')\n", FailureKind.OUT_OF_MEMORY, "memory"),
        ("    raise BadInput('Too few pixels.')\n", FailureKind.BAD_INPUT, "Too few pixels."),
        (
            "    raise OSError(28, 'No space left on device')\n",
            FailureKind.BAD_INPUT,
            "disk of the temporary folder is full",
        ),
        ("    raise KeyError('surprise')\n", FailureKind.INTERNAL, "KeyError"),
        ("    return {'not json': object()}\n", FailureKind.INTERNAL, "TypeError"),
    ],
    ids=[
        "python memory",
        "torch memory",
        "device memory",
        "bad input",
        "full disk",
        "unexpected",
        "unspeakable report",
    ],
)
def test_an_error_in_the_pipeline_becomes_a_sentence_with_the_traceback_as_details(
    enhance: Enhance, job_folder: Path, body: str, kind: FailureKind, in_message: str
) -> None:
    if "torch.OutOf" in body:
        body = "    import torch\n" + body.replace("'CUDA'", "'CUDA out of memory'")
    with pytest.raises(WorkerFailed, match=in_message) as caught:
        enhance(body)
    assert caught.value.kind is kind
    assert "Traceback" in caught.value.details


@pytest.mark.parametrize("error", ["ImportError('libcudart.so.12')", "OSError('libtorch.so')"])
def test_a_library_that_does_not_load_is_a_broken_environment(enhance: Enhance, error: str) -> None:
    with pytest.raises(WorkerFailed, match="set the engine up again") as caught:
        enhance("", pipeline=f"raise {error}\n")
    assert caught.value.kind is FailureKind.ENVIRONMENT_BROKEN


def test_a_cancelled_worker_says_so_itself_and_leaves_no_output(enhance: Enhance, job_folder: Path) -> None:
    body = """
    while not is_cancelled():
        progress('Working', 0.5)
        time.sleep(0.01)
    raise Cancelled
"""
    events: list[Event] = []
    with pytest.raises(WorkerCancelled):
        enhance(body, events.append, lambda: any(isinstance(event, Progress) for event in events))
    assert not (job_folder / OUTPUT_FILE).exists()


def test_a_worker_that_is_to_finish_tells_its_pipeline_and_keeps_the_result(enhance: Enhance, job_folder: Path) -> None:
    body = """
    for step in range(2000):
        progress('Working', 0.5)
        if is_to_finish():
            break
        time.sleep(0.01)
    output[:] = 1
    return {'steps': step}
"""
    events: list[Event] = []
    finished = enhance(body, events.append, is_to_finish=lambda: any(isinstance(event, Progress) for event in events))
    assert finished.report["steps"] < 1999
    assert (job_folder / OUTPUT_FILE).exists()


def test_the_worker_ends_by_itself_when_nobody_is_left_to_work_for(job_folder: Path) -> None:
    # The published network on this extent takes minutes.
    rng = np.random.default_rng(0)
    np.save(job_folder / INPUT_FILE, rng.integers(500, 3000, (2, 48, 48)).astype(np.uint16))
    np.save(job_folder / VALID_FILE, np.ones((2, 48, 48), dtype=bool))
    replace(Job.load(job_folder), method=Method.DIP, preset=Preset.REFERENCE).save(job_folder)
    command = [sys.executable, "-I", "-B", str(WORKER_SCRIPT), str(job_folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            events = (decode(line) for line in worker.stdout)
            next(event for event in events if isinstance(event, Progress) and event.fraction > 0.0)
            worker.stdin.close()
            assert worker.wait(timeout=5.0) == 0
        finally:
            worker.kill()
    assert not (job_folder / OUTPUT_FILE).exists()


def test_a_worker_deep_in_a_computation_is_gone_within_two_seconds_of_cancel(enhance: Enhance) -> None:
    cancelled_at: list[float] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Progress):
            cancelled_at.append(time.monotonic())

    with pytest.raises(WorkerCancelled):
        enhance("    progress('Deaf', 0.5)\n    time.sleep(60)\n", on_event, lambda: bool(cancelled_at))
    assert time.monotonic() - cancelled_at[0] < 2.0


def test_progress_is_told_no_oftener_than_a_person_can_see(enhance: Enhance) -> None:
    events: list[Event] = []
    enhance("    for k in range(10000): progress('Working', k / 10000)\n" + ENLARGE, events.append)
    assert len(events) < 100


@pytest.mark.parametrize(
    ("file", "array", "in_message"),
    [
        (INPUT_FILE, np.zeros((3, 4), np.uint16), "shape"),
        (INPUT_FILE, np.zeros((2, 0, 4), np.uint16), "cannot be read|shape"),
        (INPUT_FILE, np.zeros((1, 3, 4), np.uint16), "shape"),
        (INPUT_FILE, np.zeros((2, 3, 4), complex), "complex"),
        (VALID_FILE, np.zeros((2, 3, 4), np.uint8), "booleans"),
        (VALID_FILE, np.zeros((2, 4, 4), bool), "shape"),
    ],
)
def test_arrays_that_break_the_contract_are_bad_input(
    job_folder: Path, file: str, array: np.ndarray, in_message: str
) -> None:
    from headland.engine.job import JobError
    from headland.engine.job_arrays import open_inputs

    np.save(job_folder / file, array)
    with pytest.raises(JobError, match=in_message):
        open_inputs(job_folder, Job.load(job_folder))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks /proc")
@pytest.mark.parametrize("content", [np.zeros((2, 4, 4), bool), np.zeros((2, 3, 4), np.uint8), None])
def test_arrays_that_are_refused_are_closed_again(job_folder: Path, content: np.ndarray | None) -> None:
    from headland.engine.job import JobError
    from headland.engine.job_arrays import open_inputs

    (job_folder / VALID_FILE).unlink()
    if content is not None:
        np.save(job_folder / VALID_FILE, content)
    before = open_files()
    with pytest.raises(JobError) as refused:
        open_inputs(job_folder, Job.load(job_folder))
    # The error keeps alive all that its functions had at hand.
    assert refused.value.__traceback__ is not None
    assert open_files() == before


def test_an_array_of_objects_is_never_unpickled(job_folder: Path) -> None:
    from headland.engine.job import JobError
    from headland.engine.job_arrays import open_inputs

    np.save(job_folder / INPUT_FILE, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(JobError, match="cannot be read"):
        open_inputs(job_folder, Job.load(job_folder))


def test_bands_without_a_name_are_bad_input(enhance: Enhance, job_folder: Path) -> None:
    replace(Job.load(job_folder), band_names=("B04",)).save(job_folder)
    with pytest.raises(WorkerFailed, match="2 bands, but the job names 1") as caught:
        enhance(ENLARGE)
    assert caught.value.kind is FailureKind.BAD_INPUT
