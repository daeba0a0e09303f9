"""The real worker, broken at each of its phases: no half result, a true sentence, and the next run goes on there."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import pytest
from numpy.typing import NDArray

from headland.engine import client
from headland.engine.client import WorkerFailed, run_worker
from headland.engine.events import Event, FailureKind, Progress
from headland.engine.job import INPUT_FILE, OUTPUT_FILE, VALID_FILE, Device, Job, Method, Preset, Sensor
from headland.engine.job_arrays import PARTIAL_ENDING
from headland.engine.tile_store import TileStore, tile_folder
from headland.tests.engine.test_pipeline import farmland
from headland.tests.support.faults import BrokenDisk, SmallDisk, small_disk

IS_ALL = os.environ.get("HEADLAND_FAULTS") == "all"
TILE = np.random.default_rng(0).standard_normal((3, 20, 20)).astype(np.float32)
SIZE_PX = (470, 690)
TILES = 12
BLOCK_BYTES = 512
"""What st_blocks counts in."""
OTHER_ENDS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGTERM) if IS_ALL else ()
SOME_PHASES = ("Measuring the input", "tile 3 of", "Comparing the result")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """The result of a run that nothing disturbs, and the phases that it tells of."""
    folder = tmp_path_factory.mktemp("undisturbed") / "job"
    phases: list[str] = []
    run(make_job_folder(folder, replace(JOB, cache_folder=None)), phases.append)
    return np.load(folder / OUTPUT_FILE), tuple(dict.fromkeys(phases))


JOB = Job(Method.ANCHOR, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("red",), cache_limit_bytes=10**9)


@pytest.fixture
def job() -> Job:
    return replace(JOB, cache_folder=str(tile_folder()))


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The process ids of the workers that were started."""
    started: list[int] = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)

    monkeypatch.setattr(client.subprocess, "Popen", Watched)
    return started


def make_job_folder(folder: Path, job: Job) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    job.save(folder)
    np.save(folder / INPUT_FILE, farmland(1, *SIZE_PX))
    np.save(folder / VALID_FILE, np.ones((1, *SIZE_PX), dtype=bool))
    return folder


def run(folder: Path, on_phase: Callable[[str], object], silence_limit_s: float = 60.0) -> int:
    """Run the worker; return how many tiles it took from the cache."""

    def on_event(event: Event) -> None:
        if isinstance(event, Progress):
            on_phase(event.phase)

    finished = run_worker(
        Path(sys.executable), folder, on_event, is_cancelled=lambda: False, silence_limit_s=silence_limit_s
    )
    assert finished.report["tiles"] == TILES
    return int(finished.report["tiles_from_cache"])


def chosen(phases: tuple[str, ...]) -> list[str]:
    """Return the phases that are broken: each of them at night, some of them otherwise."""
    found = [phase for phase in phases if IS_ALL or any(part in phase for part in SOME_PHASES)]
    assert len(found) >= len(SOME_PHASES)
    return found


def once(phase: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Return what acts when ``phase`` is told of for the first time."""
    done: list[bool] = []

    def on_phase(now: str) -> None:
        if now == phase and not done:
            done.append(True)
            act()

    return on_phase


@pytest.fixture
def broken(
    tmp_path: Path, job: Job, expected: tuple[NDArray[np.float32], tuple[str, ...]]
) -> Iterator[Callable[..., Any]]:
    """Runs the worker with a fault, then anew without: the second one must come to the same pixels."""
    last: list[bool] = []

    def break_it(on_phase: Callable[[str], object], folder: Path = tmp_path / "job", **limits: float) -> WorkerFailed:
        # What an earlier fault left in the cache would skip the very phase that is to be broken.
        shutil.rmtree(tile_folder(), ignore_errors=True)
        with pytest.raises(WorkerFailed) as failure:
            run(make_job_folder(folder, job), on_phase, **limits)
        assert not (folder / OUTPUT_FILE).exists()
        assert failure.value.message.endswith(".")
        assert "unexpected" not in failure.value.message
        last.append(True)
        return failure.value

    yield break_it
    assert last
    kept = len(list(tile_folder().glob("*.tile")))
    folder = make_job_folder(tmp_path / "again", job)
    assert run(folder, lambda _phase: None) == kept
    assert np.load(folder / OUTPUT_FILE).tobytes() == expected[0].tobytes()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGKILL, FailureKind.OUT_OF_MEMORY),
        *((number, FailureKind.INTERNAL) for number in OTHER_ENDS),
    ],
)
def test_a_worker_that_is_ended_in_any_phase(
    broken: Callable[..., WorkerFailed],
    workers: list[int],
    expected: tuple[Any, tuple[str, ...]],
    number: signal.Signals,
    kind: FailureKind,
) -> None:
    for phase in chosen(expected[1]):
        failure = broken(once(phase, lambda: os.kill(workers[-1], number)))
        assert failure.kind is kind


def test_a_worker_that_stands_still_is_ended(
    broken: Callable[..., WorkerFailed], workers: list[int], expected: tuple[Any, tuple[str, ...]]
) -> None:
    phase = chosen(expected[1])[1]
    stopped: list[int] = []

    def stop() -> None:
        os.kill(workers[-1], signal.SIGSTOP)
        stopped.append(workers[-1])

    # Silence counts from the start, and the worker loads its libraries first.
    failure = broken(once(phase, stop), silence_limit_s=10.0)
    assert len(stopped) == 1
    assert "silent" in failure.message


def test_a_disk_that_takes_no_larger_file_in_any_phase(
    broken: Callable[..., WorkerFailed], workers: list[int], expected: tuple[Any, tuple[str, ...]]
) -> None:
    for phase in chosen(expected[1])[:-1]:
        failure = broken(once(phase, lambda: resource.prlimit(workers[-1], resource.RLIMIT_FSIZE, (0, 0))))
        assert "takes no file as large" in failure.message


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small disk", "24M") as disk:
        yield disk


def failure_of(folder: Path, on_phase: Callable[[str], object]) -> Optional[WorkerFailed]:
    """Run the worker; return how it failed, None where it did not."""
    try:
        run(folder, on_phase)
    except WorkerFailed as failure:
        return failure
    return None


def test_a_disk_that_fills_up_in_any_phase_leaves_a_whole_result_or_none(
    disk: SmallDisk, job: Job, expected: tuple[NDArray[np.float32], tuple[str, ...]]
) -> None:
    folder, had_its_room = disk.folder / "job", list[bool]()

    def fill() -> None:
        disk.leave(0)
        result = (folder / f"{OUTPUT_FILE}{PARTIAL_ENDING}").stat()
        had_its_room.append(result.st_blocks * BLOCK_BYTES >= result.st_size)

    for phase in chosen(expected[1])[:-1]:
        disk.relieve()
        shutil.rmtree(tile_folder(), ignore_errors=True)
        failure = failure_of(make_job_folder(folder, job), once(phase, fill))
        if failure is not None:
            assert "disk of the temporary folder is full" in failure.message
            assert not (folder / OUTPUT_FILE).exists()
        else:
            # Its last tiles fill up blocks that the ones before have taken.
            assert had_its_room[-1]
            assert np.load(folder / OUTPUT_FILE).tobytes() == expected[0].tobytes()
    assert not had_its_room[0]
    disk.relieve()
    kept = len(list(tile_folder().glob("*.tile")))
    assert run(make_job_folder(folder, job), lambda _phase: None) == kept
    assert np.load(folder / OUTPUT_FILE).tobytes() == expected[0].tobytes()


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "emptied": lambda tile, _: os.truncate(tile, 0),
    "cut short": lambda tile, _: os.truncate(tile, tile.stat().st_size - 1),
    "longer": lambda tile, _: tile.write_bytes(tile.read_bytes() + b"x"),
    "one bit": lambda tile, _: tile.write_bytes(flip(tile.read_bytes(), 1000)),
    "one bit of its checksum": lambda tile, _: tile.write_bytes(flip(tile.read_bytes(), -1)),
    "another tile's": lambda tile, other: tile.write_bytes(other.read_bytes()),
    "noise": lambda tile, _: tile.write_bytes(random.Random(0).randbytes(tile.stat().st_size)),
    "removed": lambda tile, _: tile.unlink(),
    "a link": lambda tile, other: (tile.unlink(), tile.symlink_to(other)),
    "a pipe": lambda tile, _: (tile.unlink(), os.mkfifo(tile)),
    "a folder": lambda tile, _: (tile.unlink(), tile.mkdir()),
    "a folder with something in it": lambda tile, _: (tile.unlink(), (tile / "x").mkdir(parents=True)),
}


def flip(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)


def test_a_cache_whose_every_tile_is_damaged_in_another_way(
    tmp_path: Path, job: Job, expected: tuple[NDArray[np.float32], Any]
) -> None:
    run(make_job_folder(tmp_path / "job", job), lambda _phase: None)
    tiles = sorted(tile_folder().glob("*.tile"))
    spare = tmp_path / "spare"
    shutil.copy(tiles[0], spare)
    for damage, tile in zip(DAMAGES.values(), tiles, strict=True):
        damage(tile, spare)
    folder = make_job_folder(tmp_path / "job", job)
    assert run(folder, lambda _phase: None) == 0
    assert np.load(folder / OUTPUT_FILE).tobytes() == expected[0].tobytes()


@pytest.mark.skipif(not IS_ALL, reason="taken by make faults")
def test_a_cache_folder_that_turns_into_something_else_while_it_is_used(
    tmp_path: Path, job: Job, expected: tuple[NDArray[np.float32], tuple[str, ...]]
) -> None:
    def replace_by_a_file() -> None:
        shutil.rmtree(tile_folder())
        tile_folder().write_text("mine")

    folder = make_job_folder(tmp_path / "job", job)
    # By then the folder is there.
    phase = next(phase for phase in expected[1] if "tile 3 of" in phase)
    run(folder, once(phase, replace_by_a_file))
    assert np.load(folder / OUTPUT_FILE).tobytes() == expected[0].tobytes()
    assert tile_folder().read_text() == "mine"


@pytest.mark.parametrize("when", [0, 1, 10**9, 2**31 - 1, 2**32, 4 * 10**9])
def test_a_tile_of_the_future_or_of_long_ago_is_as_good_as_others(tmp_path: Path, when: int) -> None:
    store = TileStore(tmp_path / "tiles", 10**9)
    keys = [f"{number:064x}" for number in range(3)]
    for key in keys:
        assert store.write(key, TILE, 0)
        os.utime(tmp_path / "tiles" / f"{key}.tile", (when, when))
    after = TileStore(tmp_path / "tiles", 10**9)
    assert after.write("f" * 64, TILE, 0)
    for key in (*keys, "f" * 64):
        found = after.read(key, TILE.dtype, TILE.shape)
        assert found is not None
        assert found.tobytes() == TILE.tobytes()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES])
def test_any_file_operation_of_the_cache_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    folder = tmp_path / "cache" / "tiles"
    with monkeypatch.context() as patches:
        disk = BrokenDisk(patches, (tmp_path,))
        assert TileStore(folder, 10**9).write("0" * 64, TILE, 0)
        calls = len(disk.calls)
        assert calls >= 8
        for call in range(calls):
            shutil.rmtree(folder.parent, ignore_errors=True)
            disk.fail(number, call)
            is_kept = TileStore(folder, 10**9).write("0" * 64, TILE, 0)
            assert disk.has_failed
            disk.heal()
            left = [file.name for file in folder.glob("*")] if folder.exists() else []
            assert left == ([f"{0:064d}.tile"] if is_kept else [])
