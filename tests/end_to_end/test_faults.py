"""Whatever fails while an extent is enhanced: the result is whole or absent, the old one stands, the message is true.

Each test counts the faults that it injects and asserts how many there are at least; docs/reliability.md adds them up.
HEADLAND_FAULTS=all takes every one of them, as "make faults" does; without it some of the slow ones are left out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from pathlib import Path
from typing import Callable

import pytest
from osgeo import gdal

from headland.bridge import raster_source
from headland.bridge.leftovers import sweep_leftovers
from headland.tests.support.fault_rig import (
    IS_ALL,
    MakePlan,
    Rig,
    at_night,
    fail_each_call_once,
    fail_from_each_call_on,
    moments_of,
)
from headland.tests.support.faults import AtMoment, BrokenDisk, largest_file, small_disk
from headland.tests.support.rasters import fields, write_raster

# Where other parts of QGIS have switched GDAL's exceptions on, it tells once more, to nobody, when a dataset is let go
# that could not be written.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def rig(make_plan: MakePlan, quick: None, job_folders: Path) -> Rig:
    return Rig.of(make_plan(), job_folders)


@pytest.mark.parametrize(
    ("number", "is_old_there"),
    [
        (errno.ENOSPC, True),
        (errno.EACCES, True),
        at_night(errno.ENOSPC, False),
        at_night(errno.EDQUOT, True),
        at_night(errno.EFBIG, True),
        at_night(errno.EACCES, False),
        at_night(errno.EIO, True),
        at_night(errno.EIO, False),
    ],
)
def test_any_file_operation_of_qgis_may_fail_once(
    rig: Rig, broken_disk: BrokenDisk, number: int, is_old_there: bool
) -> None:
    calls = fail_each_call_once(rig, broken_disk, number, is_old_there=is_old_there)
    assert calls >= (24 if is_old_there else 21)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, at_night(errno.EACCES), at_night(errno.EIO)])
def test_a_disk_may_fail_at_any_moment_and_from_then_on(rig: Rig, broken_disk: BrokenDisk, number: int) -> None:
    calls, stranded = fail_from_each_call_on(rig, broken_disk, number)
    assert calls >= 24
    # Only where the disk gives way between two renames.
    assert stranded <= 3


@pytest.mark.parametrize("is_cloud_optimised", [False, True])
def test_a_full_disk_ends_the_writing_of_the_geotiff_wherever_it_is(
    make_plan: MakePlan, quick: None, job_folders: Path, is_cloud_optimised: bool
) -> None:
    rig = Rig.of(make_plan(is_cloud_optimised=is_cloud_optimised), job_folders)
    size = rig.plan.output.stat().st_size
    steps = 40 if IS_ALL else 12
    failures = 0
    for step in range(steps):
        rig.put_old_results()
        with contextlib.ExitStack() as disk:
            limited = []

            def fill_up(phase: str, _fraction: float, step: int = step, limited: list[bool] = limited) -> None:
                if phase == "Writing the result" and not limited:
                    limited.append(True)
                    disk.enter_context(largest_file(size * step // steps))

            message = rig.run(fill_up)
        rig.check(message, said="see that there is room on the disk")
        failures += message is not None
    assert failures >= 0.8 * steps


@pytest.mark.parametrize("phase", ["Reading the layer", "Pretending", "Writing the result"])
@pytest.mark.parametrize("place", ["results", "temporary files"])
def test_a_disk_that_is_really_full_is_said_to_be(
    make_plan: MakePlan, quick: None, folder: Path, phase: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(folder / "small disk") as disk:
        results = disk.folder if place == "results" else folder / "results"
        if place == "temporary files":
            monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
        rig = Rig.of(make_plan(output=results / "schärfer.tif"), Path(tempfile.gettempdir()))
        failures = 0
        for free_bytes in range(0, 500_000, 60_000):
            rig.put_old_results()

            def fill_up(now: str, _fraction: float, free_bytes: int = free_bytes) -> None:
                if now == phase and not disk.is_filled:
                    disk.leave(free_bytes)

            message = rig.run(fill_up)
            disk.relieve()
            rig.check(message, said="disk")
            failures += message is not None
        # Later there is little left to write to temporary files.
        assert failures >= (1 if (place, phase) != ("temporary files", "Writing the result") else 0)


CHANGES: dict[str, Callable[[Path], object]] = {
    "replaced": lambda file: write_raster(file.with_name("new.tif"), fields(2, 150, 170) + 1).replace(file),
    "replaced by one that lies elsewhere": lambda file: write_raster(
        file.with_name("new.tif"), fields(2, 150, 170), geotransform=(0.0, 10.0, 0.0, 0.0, 0.0, -10.0)
    ).replace(file),
    "overwritten": lambda file: write_raster(file, fields(2, 150, 170) + 1),
    "cut short": lambda file: os.truncate(file, file.stat().st_size // 2),
    "emptied": lambda file: os.truncate(file, 0),
    "removed": lambda file: file.unlink(),
    "appended to": lambda file: file.write_bytes(file.read_bytes() + b"more"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_changes_before_or_while_it_is_read_is_refused(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(raster_source, "PIECE_PIXELS", 170 * 2 * 30)
    source = Path(rig.plan.source.dataset)
    original, times = source.read_bytes(), source.stat()
    pieces = len(moments_of(rig, "Reading the layer"))
    assert pieces >= 6
    for moment in range(-1, pieces if IS_ALL else 3):
        source.write_bytes(original)
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
        rig.put_old_results()
        if moment < 0:
            CHANGES[change](source)
        changing = AtMoment("Reading the layer", moment, lambda: CHANGES[change](source))
        message = rig.run(changing)
        assert changing.has_acted == (moment >= 0)
        assert message is not None
        rig.check(message, said="was changed, replaced or removed")


@pytest.mark.parametrize("phase", ["Starting the engine", "Pretending", "Writing the result"])
@pytest.mark.parametrize("change", ["replaced", "removed", "emptied"])
def test_a_source_that_changes_after_it_was_read_does_not_matter(rig: Rig, change: str, phase: str) -> None:
    rig.put_old_results()
    source = Path(rig.plan.source.dataset)
    changing = AtMoment(phase, 0, lambda: CHANGES[change](source))
    message = rig.run(changing)
    assert changing.has_acted
    assert message is None
    rig.check(message)


def test_what_qgis_writes_beside_a_source_is_no_change(rig: Rig) -> None:
    source = Path(rig.plan.source.dataset)

    def look_at_it() -> None:
        dataset = gdal.Open(str(source))
        dataset.GetRasterBand(1).ComputeStatistics(False)
        del dataset
        assert source.with_name(source.name + ".aux.xml").exists()

    looking = AtMoment("Reading the layer", 0, look_at_it)
    assert rig.run(looking) is None
    assert looking.has_acted


@pytest.mark.parametrize("phase", ["Reading the layer", "Starting the engine", "Pretending", "Writing the result"])
@pytest.mark.parametrize("jump_s", [-10 * 365 * 86400.0, -7200.0, 7200.0, 10 * 365 * 86400.0])
def test_a_clock_that_jumps_changes_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, phase: str, jump_s: float
) -> None:
    now = time.time
    rig.put_old_results()
    with monkeypatch.context() as clock:

        def jump() -> None:
            clock.setattr(time, "time", lambda: now() + jump_s)
            # Another run that comes now must not take this one's folders for old.
            sweep_leftovers([rig.results])

        jumping = AtMoment(phase, 0, jump)
        message = rig.run(jumping)
    assert jumping.has_acted
    assert message is None
    rig.check(message)
