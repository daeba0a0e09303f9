"""Faults while more than the result is written: its extras come with it, whole, or nothing of either does.

As in test_faults.py, with Deep Image Prior's picture, the map of errors, the uncertain areas and traced borders wished
for: GeoTIFFs and GeoPackages, six files that are staged and published together.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

import pytest

from headland.tests.support.fault_rig import (
    EXTRAS,
    IS_ALL,
    MakePlan,
    Rig,
    at_night,
    fail_each_call_once,
    fail_from_each_call_on,
)
from headland.tests.support.faults import BrokenDisk, largest_file, small_disk

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

LEAST_CALLS = 50
# In the order in which they are come to.
PHASES = ("Writing the result", "Outlining what is uncertain", "Writing the borders")


@pytest.fixture
def rig(make_plan: MakePlan, quick: None, job_folders: Path) -> Rig:
    return Rig.of(make_plan(**EXTRAS), job_folders)


@pytest.mark.parametrize(
    ("number", "is_old_there"),
    [(errno.ENOSPC, True), at_night(errno.EACCES, True), at_night(errno.EIO, True), at_night(errno.EIO, False)],
)
def test_any_file_operation_of_qgis_may_fail_once(
    rig: Rig, broken_disk: BrokenDisk, number: int, is_old_there: bool
) -> None:
    calls = fail_each_call_once(rig, broken_disk, number, is_old_there=is_old_there)
    assert calls >= LEAST_CALLS


@pytest.mark.parametrize(
    ("number", "is_old_there"),
    [(errno.EROFS, True), at_night(errno.EROFS, False), at_night(errno.ENOSPC, True), at_night(errno.EIO, True)],
)
def test_a_disk_may_fail_at_any_moment_and_from_then_on(
    rig: Rig, broken_disk: BrokenDisk, number: int, is_old_there: bool
) -> None:
    calls, stranded = fail_from_each_call_on(rig, broken_disk, number, is_old_there=is_old_there)
    assert calls >= LEAST_CALLS
    assert stranded <= 8


@pytest.mark.parametrize("phase", PHASES)
def test_a_full_disk_ends_the_writing_of_every_file_wherever_it_is(rig: Rig, phase: str) -> None:
    written = dict(zip(PHASES, (rig.plan.output, rig.plan.uncertain_areas, rig.plan.borders)))[phase]
    assert written is not None
    size = written.stat().st_size
    steps = 20 if IS_ALL else 6
    failures = 0
    for step in range(steps):
        rig.put_old_results()
        with contextlib.ExitStack() as disk:
            limited = []

            def fill_up(now: str, _fraction: float, step: int = step, limited: list[bool] = limited) -> None:
                if now == phase and not limited:
                    limited.append(True)
                    disk.enter_context(largest_file(size * step // steps))

            message = rig.run(fill_up)
        rig.check(message, said="disk" if message and "takes no file" in message else "see that there is room")
        failures += message is not None
    assert failures >= 0.5 * steps


@pytest.mark.parametrize("phase", PHASES)
def test_a_disk_that_is_really_full_is_said_to_be(
    make_plan: MakePlan, quick: None, folder: Path, job_folders: Path, phase: str
) -> None:
    with small_disk(folder / "small disk") as disk:
        rig = Rig.of(make_plan(output=disk.folder / "schärfer.tif", **EXTRAS), job_folders)
        failures = 0
        for free_bytes in (0, 30_000, 120_000) if not IS_ALL else range(0, 500_000, 60_000):
            rig.put_old_results()

            def fill_up(now: str, _fraction: float, free_bytes: int = free_bytes) -> None:
                if now == phase and not disk.is_filled:
                    disk.leave(free_bytes)

            message = rig.run(fill_up)
            disk.relieve()
            rig.check(message, said="disk")
            failures += message is not None
        assert failures >= 1
