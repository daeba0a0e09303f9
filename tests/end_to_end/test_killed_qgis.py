"""A QGIS that is killed at whatever moment leaves no broken result, and the next one goes on where it was."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from osgeo import gdal

from headland.bridge.leftovers import JOB_FOLDER_PREFIX
from headland.bridge.staging import STAGING_PREFIX
from headland.engine.tile_store import tile_folder
from headland.tests.support import enhance_in_own_qgis
from headland.tests.support.rasters import fields, write_raster

SCRIPT = Path(enhance_in_own_qgis.__file__)
# After so many kills all is finished, and further ones would say nothing.
KILLS_A_REQUEST = 4
LONGEST_S = 60.0


class OwnQgis:
    """The same request again and again, each time in a QGIS of its own."""

    def __init__(self, folder: Path, temporary_files: Path) -> None:
        self.source = write_raster(folder / "source.tif", fields(1, 470, 690))
        self.folder, self.temporary_files = folder / "results", temporary_files
        self.folder.mkdir()
        self.output = self.folder / "schärfer.tif"
        self.report = self.folder / "schärfer.report.json"

    def start(self) -> subprocess.Popen[str]:
        """Return the process once it has begun to enhance."""
        qgis = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.source), str(self.output)],
            env={**os.environ, "TMPDIR": str(self.temporary_files), "QT_QPA_PLATFORM": "offscreen"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert qgis.stdout is not None
        assert qgis.stdout.readline() == "Reading the layer\n"
        return qgis

    def run(self) -> float:
        """Let it go through to its end; return how long it worked."""
        with self.start() as qgis:
            began = time.monotonic()
            qgis.communicate(timeout=LONGEST_S)
        assert qgis.returncode == 0
        return time.monotonic() - began

    def kill_after(self, delay_s: float) -> None:
        with self.start() as qgis:
            time.sleep(delay_s)
            qgis.kill()

    def leftovers(self) -> list[Path]:
        """What is not for people to see."""
        return [*self.temporary_files.glob(f"{JOB_FOLDER_PREFIX}*"), *self.folder.glob(f"{STAGING_PREFIX}*")]

    def results(self) -> list[Path]:
        return sorted(file for file in self.folder.iterdir() if not file.name.startswith("."))

    def pixels(self) -> bytes:
        return gdal.Open(str(self.output)).ReadAsArray().tobytes()


@pytest.fixture
def own_qgis(folder: Path, tmp_path: Path) -> OwnQgis:
    # QGIS's own files stay there when it is killed.
    temporary_files = tmp_path / "of a killed QGIS"
    temporary_files.mkdir()
    return OwnQgis(folder, temporary_files)


def make_old(paths: list[Path]) -> None:
    """Let minutes pass: what is very new may be in the making, and is not swept."""
    for path in paths:
        os.utime(path, (time.time() - 3600,) * 2)


def wait_until_nobody_works_in(folder: Path) -> None:
    deadline = time.monotonic() + 5.0
    while any(str(folder).encode() in command_line for command_line in command_lines()):
        assert time.monotonic() < deadline, "a worker has outlived its QGIS"
        time.sleep(0.05)


def command_lines() -> list[bytes]:
    """Return those of all processes; Linux only."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "kills", [KILLS_A_REQUEST, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
def test_a_qgis_killed_at_random_moments_goes_on_to_the_same_pixels_and_leaves_nothing(
    own_qgis: OwnQgis, kills: int
) -> None:
    duration_s = own_qgis.run()
    expected = own_qgis.pixels()
    moments = random.Random(kills)
    for _ in range(kills // KILLS_A_REQUEST):
        shutil.rmtree(tile_folder())
        for _ in range(KILLS_A_REQUEST):
            for file in own_qgis.results():
                file.unlink()
            own_qgis.kill_after(moments.uniform(0.0, duration_s))
            wait_until_nobody_works_in(own_qgis.temporary_files)
            if own_qgis.results():
                assert own_qgis.results() == [own_qgis.report, own_qgis.output]
                assert own_qgis.pixels() == expected
            make_old(own_qgis.leftovers())
        kept = len(list(tile_folder().glob("*.tile")))
        own_qgis.run()
        assert own_qgis.pixels() == expected
        assert own_qgis.results() == [own_qgis.report, own_qgis.output]
        assert json.loads(own_qgis.report.read_text(encoding="utf-8"))["tiles_from_cache"] == kept
        assert own_qgis.leftovers() == []
