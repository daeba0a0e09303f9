"""One request that is carried out again and again, each time with another fault, and what must hold after each."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext

from headland.bridge import enhance as enhance_module
from headland.bridge.enhance import EnhanceFailed, enhance
from headland.bridge.leftovers import sweep_leftovers
from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.border_file import BorderLines, write_borders
from headland.engine.events import Event, Finished, Progress, Started
from headland.engine.job import CONFIDENCE_FILE, DIP_FILE, OUTPUT_FILE, Job, Method

from .faults import BrokenDisk
from .fixtures import MakeLayer
from .rasters import fields, read_raster

IS_ALL = os.environ.get("HEADLAND_FAULTS") == "all"
OLD = {
    "schärfer.tif": b"an old result",
    "schärfer.tif.aux.xml": b"of the old",
    "schärfer.report.json": b"an old report",
}
# Points (x, y) in pixels of the result, where each line ends, and how likely it is one.
LINES = ([[0.0, 0.0], [10.0, 0.0], [10.0, 8.0], [24.0, 8.0]], [0, 2, 4], [0.9, 0.4])
EXTRAS = {"method": Method.CHAIN, "keeps_dip": True, "maps_confidence": True, "traces_borders": True}
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
    enlarged = np.load(folder / "input.npy").repeat(job.scale, axis=1).repeat(job.scale, axis=2).astype(np.float32)
    np.save(folder / OUTPUT_FILE, enlarged)
    report: dict[str, Any] = {"consistency": {}, "seconds": {}}
    if job.keeps_dip:
        np.save(folder / DIP_FILE, enlarged / 2)
    if job.maps_confidence:
        np.save(folder / CONFIDENCE_FILE, enlarged / 50)
        report["uncertain_from"] = [80.0] * len(enlarged)
    if job.traces_borders:
        write_borders(folder, BorderLines(*map(np.array, LINES)))
    return Finished(report)


def contents_of(plan: EnhancePlan) -> dict[Path, Any]:
    """Return the pixels of the rasters and the geometries of the layers that a plan has written."""
    contents: dict[Path, Any] = {file: read_raster(file) for file in plan.files if file.suffix == ".tif"}
    for file in plan.files:
        if file.suffix == ".gpkg":
            dataset = gdal.OpenEx(str(file), gdal.OF_VECTOR)
            contents[file] = [bytes(feature.GetGeometryRef().ExportToWkb()) for feature in dataset.GetLayer(0)]
            assert contents[file]
    return contents


@dataclass
class Rig:
    """One request that is carried out again and again, each time with another fault."""

    plan: EnhancePlan
    results: Path
    temporary_files: Path
    expected: dict[Path, Any]

    @classmethod
    def of(cls, plan: EnhancePlan, temporary_files: Path) -> Rig:
        """Carry the request out without a fault first."""
        enhance(plan, lambda *_: None, lambda: False)
        return cls(plan, plan.output.parent, temporary_files, contents_of(plan))

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
            assert found == {file.name for file in self.plan.files}
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
        found = contents_of(self.plan)
        assert set(found) == set(self.expected)
        for file, content in found.items():
            np.testing.assert_array_equal(content, self.expected[file])
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
def broken_disk(rig: Rig, folder: Path, job_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BrokenDisk]:
    """Below the folders of results and of temporary files of the test's own rig."""
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


def sweep_all(rig: Rig) -> None:
    """Let time pass, and the next run come: what could not be removed from a read-only disk goes."""
    for folder in (*rig.results.glob(".headland-*"), *rig.temporary_files.glob("headland-*")):
        os.utime(folder, (0, 0))
    sweep_leftovers([rig.results])


def put_back(rig: Rig, message: str) -> None:
    """Do what the message says; then nothing keeps the folder from being swept."""
    for fact in re.findall(r"\((/.*)\);", message)[0].split(" and "):
        file, _, place = fact.partition(" now lies at ")
        if place:
            Path(place).replace(file)
        else:
            Path(file.removesuffix(" is left over")).unlink()
    sweep_all(rig)


def fail_each_call_once(rig: Rig, disk: BrokenDisk, number: int, *, is_old_there: bool = True) -> int:
    """Let each call fail in a run of its own, and check what became of it; return how many calls there are."""
    calls = count_calls(rig, disk, is_old_there=is_old_there)
    for call in range(calls):
        rig.put_old_results(is_there=is_old_there)
        disk.fail(number, call)
        message = rig.run()
        assert disk.has_failed
        disk.heal()
        rig.check(message, was_there=is_old_there, said=WORDS[number])
    return calls


def fail_from_each_call_on(rig: Rig, disk: BrokenDisk, number: int, *, is_old_there: bool = True) -> tuple[int, int]:
    """Let the disk give way at each call in a run of its own; return how many calls there are, and stranded files.

    What the message of a run says about files that are not where they belong is done before it is checked.
    """
    calls, stranded = count_calls(rig, disk, is_old_there=is_old_there), 0
    for call in range(calls):
        rig.put_old_results(is_there=is_old_there)
        disk.fail(number, call, times=None)
        message = rig.run()
        assert disk.has_failed
        disk.heal()
        assert message is not None
        sweep_all(rig)
        if "now lies at" in message or "is left over" in message:
            stranded += 1
            put_back(rig, message)
            rig.check(message, was_there=is_old_there)
        else:
            rig.check(message, was_there=is_old_there, said=WORDS[number])
    return calls, stranded


def moments_of(rig: Rig, phase: str) -> list[float]:
    """Return the fractions that an undisturbed run tells of in ``phase``."""
    told: list[float] = []
    assert rig.run(lambda now, fraction: told.append(fraction) if now == phase else None) is None
    return told
