"""Whatever fails while an extent is enhanced: the result is whole or absent, the old one stands, the message is true.

Each test counts the faults that it injects and asserts how many there are at least; docs/reliability.md adds them up.
HEADLAND_FAULTS=all takes every one of them, as "make faults" does; without it some of the slow ones are left out.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext

from headland.bridge import enhance as enhance_module
from headland.bridge import raster_source
from headland.bridge.enhance import EnhanceFailed, enhance
from headland.bridge.leftovers import sweep_leftovers
from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.events import Event, Finished, Progress, Started
from headland.engine.job import OUTPUT_FILE, Job, Method
from headland.tests.support.faults import AtMoment, BrokenDisk, largest_file, small_disk
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.rasters import fields, read_raster, write_raster

# Where other parts of QGIS have switched GDAL's exceptions on, it tells once more, to nobody, when a dataset is let go
# that could not be written.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

IS_ALL = os.environ.get("HEADLAND_FAULTS") == "all"
OLD = {
    "schärfer.tif": b"an old result",
    "schärfer.tif.aux.xml": b"of the old",
    "schärfer.report.json": b"an old report",
}
NAMES = {name for name in OLD if not name.endswith(".xml")}
MakePlan = Callable[..., EnhancePlan]


def at_night(*values: Any) -> Any:
    """Mark a test's parameters as one of those that CI leaves out."""
    return pytest.param(*values, marks=pytest.mark.skipif(not IS_ALL, reason="taken by make faults"))


# What is said of each.
WORDS = {
    errno.ENOSPC: "disk is full",
    errno.EDQUOT: "disk is full",
    errno.EFBIG: "takes no file as large",
    errno.EROFS: "cannot be written to any more (it is read-only)",
    errno.EACCES: "written",
    errno.EIO: "could not be read or written",
}


def repeating_worker(
    _python: Path, folder: Path, on_event: Callable[[Event], None], _is_cancelled: Any, **_: Any
) -> Finished:
    """Stand for the worker, where its own behaviour is not what is looked at: repeat every pixel, at once."""
    job = Job.load(folder)
    on_event(Started("a fake", {"fake": "1"}))
    on_event(Progress("Pretending", 0.5))
    enlarged = np.load(folder / "input.npy").repeat(job.scale, axis=1).repeat(job.scale, axis=2)
    np.save(folder / OUTPUT_FILE, enlarged.astype(np.float32))
    return Finished({"consistency": {}, "seconds": {}})


@dataclass
class Rig:
    """One request that is carried out again and again, each time with another fault."""

    plan: EnhancePlan
    results: Path
    temporary_files: Path
    expected: np.ndarray

    @classmethod
    def of(cls, plan: EnhancePlan, temporary_files: Path) -> Rig:
        """Carry the request out without a fault first."""
        enhance(plan, lambda *_: None, lambda: False)
        return cls(plan, plan.output.parent, temporary_files, read_raster(plan.output))

    def put_old_results(self, *, is_there: bool = True) -> None:
        """Make the folder that of an earlier run, or empty."""
        for file in self.results.iterdir():
            file.unlink()
        for name, content in OLD.items() if is_there else ():
            (self.results / name).write_bytes(content)

    def run(self, on_progress: Callable[[str, float], None] = lambda *_: None) -> Optional[str]:
        """Enhance; return the message of the failure, None if there was none."""
        try:
            enhance(self.plan, on_progress, lambda: False)
        except EnhanceFailed as failure:
            return failure.sentence
        return None

    def check(self, message: Optional[str], *, was_there: bool = True, said: str = "") -> None:
        """Check that the result is whole or absent, that nothing else is left, and that the message is a sentence."""
        assert list(self.temporary_files.iterdir()) == []
        found = {file.name for file in self.results.iterdir()}
        if message is None:
            assert found == NAMES
            self.check_whole()
            return
        assert found == (set(OLD) if was_there else set())
        for name in found:
            assert (self.results / name).read_bytes() == OLD[name]
        assert said in message
        assert "unexpected" not in message
        assert "\n" not in message
        assert message.endswith(".")
        assert message.count(". ") == 0

    def check_whole(self) -> None:
        np.testing.assert_array_equal(read_raster(self.plan.output), self.expected)
        assert json.loads(self.plan.report.read_text(encoding="utf-8"))["output"] == str(self.plan.output)


@pytest.fixture
def make_plan(make_layer: MakeLayer, fake_engine: Any, folder: Path) -> MakePlan:
    results = folder / "results"
    results.mkdir()

    def make(layer: Any = None, **wishes: Any) -> EnhancePlan:
        layer = layer or make_layer(fields(2, 150, 170), nodata=0)
        wishes = {"method": Method.ANCHOR, "scale": 2, "output": results / "schärfer.tif", **wishes}
        return prepare(EnhanceRequest(layer, **wishes), QgsCoordinateTransformContext())

    return make


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enhance_module, "run_worker", repeating_worker)


@pytest.fixture
def rig(make_plan: MakePlan, quick: None, job_folders: Path) -> Rig:
    return Rig.of(make_plan(), job_folders)


@pytest.fixture
def broken_disk(rig: Rig, folder: Path, job_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BrokenDisk]:
    """Below the folders of results and of temporary files."""
    with monkeypatch.context() as patches:
        yield BrokenDisk(patches, (rig.results, job_folders))


def count_calls(rig: Rig, disk: BrokenDisk, *, is_old_there: bool = True) -> int:
    """Return how many calls an undisturbed run makes."""
    rig.put_old_results(is_there=is_old_there)
    disk.heal()
    assert rig.run() is None
    calls = len(disk.calls)
    disk.heal()
    return calls


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
    calls = count_calls(rig, broken_disk, is_old_there=is_old_there)
    for call in range(calls):
        rig.put_old_results(is_there=is_old_there)
        broken_disk.fail(number, call)
        message = rig.run()
        assert broken_disk.has_failed
        broken_disk.heal()
        rig.check(message, was_there=is_old_there, said=WORDS[number])
    assert calls >= (24 if is_old_there else 21)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, at_night(errno.EACCES), at_night(errno.EIO)])
def test_a_disk_may_fail_at_any_moment_and_from_then_on(rig: Rig, broken_disk: BrokenDisk, number: int) -> None:
    calls = count_calls(rig, broken_disk)
    stranded = 0
    for call in range(calls):
        rig.put_old_results()
        broken_disk.fail(number, call, times=None)
        message = rig.run()
        assert broken_disk.has_failed
        broken_disk.heal()
        assert message is not None
        sweep_all(rig)
        if "now lies at" in message:
            stranded += 1
            put_back(rig, message)
            rig.check(message)
        else:
            rig.check(message, said=WORDS[number])
    assert calls >= 24
    # Only where the disk gives way between two renames.
    assert stranded <= 3


def sweep_all(rig: Rig) -> None:
    """Let time pass, and the next run come: what could not be removed from a read-only disk goes."""
    for folder in (*rig.results.glob(".headland-*"), *rig.temporary_files.glob("headland-*")):
        os.utime(folder, (0, 0))
    sweep_leftovers([rig.results])


def put_back(rig: Rig, message: str) -> None:
    """Do what the message says; then nothing keeps the folder from being swept."""
    places = re.findall(r"(/[^;]+?) now lies at (/[^;]+?/old-[0-9])", message)
    for file, place in places:
        Path(place).replace(file)
    sweep_all(rig)


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


def moments_of(rig: Rig, phase: str) -> list[float]:
    """Return the fractions that an undisturbed run tells of in ``phase``."""
    told: list[float] = []
    assert rig.run(lambda now, fraction: told.append(fraction) if now == phase else None) is None
    return told
