"""Measure how time and memory grow with the extent, through the whole way that a click takes.

usage: bench_scaling.py OUT.json [CASE ...], where a case is METHOD-SIDEpx-BANDSb-xSCALE, such as anchor-1024px-3b-x4

"make bench-scaling" calls it with QGIS's Python; without cases it takes those of CASES. Each case is a process of its
own: a QGIS without a window, which enhances a GeoTIFF that the shipped Sentinel-2 crop was mirrored into until it was
large enough. Of a short case the median of several runs is told. The figures:

- core seconds: the worker's processor time, which is the same on a busy machine. What a job of any size takes, such as
  loading libraries, is measured with an extent of 16 x 16 pixels first, and given apart from it.
- a megapixel: of the input, all bands together.
- worker's peak: its largest resident memory, files and all.
- QGIS's growth: by how much QGIS's own process was larger at its peak than before the click.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from osgeo import gdal

SHIPPED_SCENE = Path(__file__).resolve().parent.parent / "tests" / "data" / "s2_farmland_virginia.tif"
CASES = (
    *(f"anchor-{side}px-3b-x4" for side in (256, 512, 1024, 2048)),
    *(f"chain-{side}px-3b-x4" for side in (256, 512, 1024)),
    *(f"{method}-256px-{bands}b-x4" for method in ("anchor", "chain") for bands in (1, 12, 50)),
)
POLL_S = 0.1
# Of a run that takes less, a moment's disturbance is a large part.
SHORT_CORE_S = 10.0
REPEATS = 7
# What bridge/prepare.py takes.
SMALLEST_PX = 16
STRIP_ROWS = 256


@dataclass(frozen=True)
class Case:
    """One extent, square, and what is done with it."""

    method: str
    side_px: int
    bands: int
    scale: int

    @classmethod
    def parse(cls, name: str) -> Case:
        """Return the case that ``name`` stands for. Raises ValueError if there is none."""
        match = re.fullmatch(r"([a-z]+)-(\d+)px-(\d+)b-x(\d)", name)
        if match is None:
            raise ValueError(f"{name} is no case; write it like {CASES[0]}.")
        return cls(match[1], int(match[2]), int(match[3]), int(match[4]))

    @property
    def smallest(self) -> str:
        """The name of the same case on the smallest extent."""
        return f"{self.method}-{SMALLEST_PX}px-{self.bands}b-x{self.scale}"


def main(arguments: list[str]) -> int:
    """Run the command line."""
    if arguments[0] == "--one":
        print(json.dumps(measure(arguments[1])))
        return 0
    out, names = Path(arguments[0]), arguments[1:] or CASES
    for name in names:
        Case.parse(name)
    results, fixed_core_s = [], {}
    for name in names:
        smallest = Case.parse(name).smallest
        if smallest not in fixed_core_s:
            fixed_core_s[smallest] = _typical(smallest)["core_s"]
        results.append(_with_rates(name, _typical(name), fixed_core_s[smallest]))
        out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        print(table(results[-1:], has_head=len(results) == 1), flush=True)
    return 0


def _typical(name: str) -> dict[str, Any]:
    """Return the figures of a run, of the median one of several if it is short."""
    runs = [_in_a_process_of_its_own(name)]
    if runs[0]["core_s"] < SHORT_CORE_S:
        runs += [_in_a_process_of_its_own(name) for _ in range(REPEATS - 1)]
    return sorted(runs, key=itemgetter("core_s"))[len(runs) // 2]


def _in_a_process_of_its_own(name: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", name]
    # Finished tiles of an earlier measurement would be taken instead of made.
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "HEADLAND_CACHE": cache}
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def _with_rates(name: str, figures: dict[str, Any], fixed_core_s: float) -> dict[str, Any]:
    work_core_s = figures["core_s"] - fixed_core_s
    return {
        "name": name,
        **figures,
        "fixed_core_s": fixed_core_s,
        "work_core_s": round(work_core_s, 2),
        "core_s_a_megapixel": round(work_core_s / (figures["side_px"] ** 2 / 1e6), 2),
    }


def table(results: list[dict[str, Any]], *, has_head: bool = True) -> str:
    """Return the figures as rows of a Markdown table."""
    head = (
        "| case | seconds | core s: any job | this size | a megapixel | worker's peak (MB) | QGIS's growth (MB) |",
        "|---|---|---|---|---|---|---|",
    )
    rows = (
        f"| {result['name']} | {result['seconds']['total']:.1f} | {result['fixed_core_s']:.1f} "
        f"| {result['work_core_s']:.1f} | {result['core_s_a_megapixel']:.1f} | {result['worker_peak_bytes'] / 1e6:.0f} "
        f"| {result['qgis_growth_bytes'] / 1e6:.0f} |"
        for result in results
    )
    return "\n".join((*(head if has_head else ()), *rows))


def measure(name: str) -> dict[str, Any]:
    """Carry out one case in this process and return its figures."""
    # Only the process of one case may have QGIS in it.
    from qgis.core import QgsApplication, QgsCoordinateTransformContext, QgsRasterLayer  # noqa: PLC0415

    from headland.bridge.enhance import enhance  # noqa: PLC0415
    from headland.bridge.prepare import prepare  # noqa: PLC0415
    from headland.bridge.request import EnhanceRequest  # noqa: PLC0415
    from headland.engine.job import Method  # noqa: PLC0415

    case = Case.parse(name)
    application = QgsApplication([], False)
    application.initQgis()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.tif"
        _write_source(source, case)
        layer = QgsRasterLayer(str(source), "source")
        request = EnhanceRequest(
            layer, method=Method(case.method), scale=case.scale, output=Path(folder) / "result.tif"
        )
        plan = prepare(request, QgsCoordinateTransformContext())
        # From here on the peak is a new one; Linux only.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before_bytes = _status_bytes(os.getpid(), "VmRSS")
        with _Watch() as watch:
            summary = enhance(plan, lambda _phase, _fraction: None, lambda: False).summary
        growth_bytes = _status_bytes(os.getpid(), "VmHWM") - before_bytes
    worker = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        **asdict(case),
        "core_s": round(worker.ru_utime + worker.ru_stime, 2),
        "seconds": summary["seconds"],
        "tiles": summary["tiles"],
        "consistency": summary["consistency"],
        "worker_peak_bytes": watch.peak_bytes,
        "qgis_growth_bytes": growth_bytes,
        "device": summary["device"],
        "load_average": os.getloadavg()[1],
    }


class _Watch:
    """Keeps the largest memory of the process that this one starts."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._has_ended.set()
        self._thread.join()

    def _run(self) -> None:
        child = 0
        while not self._has_ended.wait(POLL_S):
            child = child or _child_of(os.getpid())
            if child:
                self.peak_bytes = max(self.peak_bytes, _status_bytes(child, "VmHWM"))


def _child_of(process_id: int) -> int:
    """Return the first process that was started by ``process_id``, 0 if there is none."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(status.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1]) == process_id:
                return int(status.parent.name)
    return 0


def _status_bytes(process_id: int, item: str) -> int:
    """Return one of the sizes that Linux gives of a process, 0 if it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{process_id}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{item}:"):
                return int(line.split()[1]) * 1024
    return 0


def _write_source(path: Path, case: Case) -> None:
    """Write a GeoTIFF of the case's size: the shipped crop, mirrored again and again, its bands in turn."""
    crop = gdal.Open(str(SHIPPED_SCENE))
    pixels = crop.ReadAsArray()
    height, width = pixels.shape[1:]
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), case.side_px, case.side_px, case.bands, gdal.GDT_UInt16, ["TILED=YES"]
    )
    dataset.SetProjection(crop.GetProjection())
    dataset.SetGeoTransform(crop.GetGeoTransform())
    columns = _mirrored(np.arange(case.side_px), width)
    for index in range(case.bands):
        band, source_band = dataset.GetRasterBand(index + 1), index % len(pixels)
        band.SetDescription(crop.GetRasterBand(source_band + 1).GetDescription())
        for row in range(0, case.side_px, STRIP_ROWS):
            rows = _mirrored(np.arange(row, min(row + STRIP_ROWS, case.side_px)), height)
            band.WriteArray(pixels[source_band][rows[:, None], columns], 0, row)
        band.FlushCache()


def _mirrored(places: np.ndarray, length: int) -> np.ndarray:
    """Fold 0, 1, 2 … back and forth between 0 and ``length`` - 1."""
    places = places % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
