"""Measure what the cache of finished tiles costs a run, and what it saves the next one.

usage: measure_cache.py ENGINE_PYTHON [REPETITIONS]

Runs the real worker on made-up extents: without a cache, with an empty one, and once more from what was kept. Prints
the shortest of some repetitions each, and how much of it was the cache's own work. "make measure-cache" calls it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headland.engine.client import run_worker
from headland.engine.events import Event, Progress
from headland.engine.job import INPUT_FILE, VALID_FILE, Device, Job, Method, Preset, Sensor
from headland.engine.tile_store import TileStore

LIMIT_BYTES = 5_000_000_000
BAND_NAMES = ("B02", "B03", "B04", "B08")
# The first is as large as the scene in tests/data.
CASES = ((Method.CHAIN, 300), (Method.ANCHOR, 672))


@dataclass(frozen=True)
class Cost:
    """What one run took: the worker's stages together, and the cache's part of it; in seconds."""

    total_s: float
    cache_s: float


def main(arguments: list[str]) -> int:
    """Print a line for each case."""
    python, repetitions = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 3
    for method, side_px in CASES:
        with tempfile.TemporaryDirectory() as name:
            told = measure(python, Path(name), method, side_px, repetitions)
        print(f"{method.value} x4, {side_px} x {side_px} pixels, {len(BAND_NAMES)} bands: {told}", flush=True)
    return 0


def measure(python: Path, folder: Path, method: Method, side_px: int, repetitions: int) -> str:
    """Return what the runs of one case took, in words."""
    job = Job(method, 4, Preset.FAST, Device.CPU, 0, Sensor.AUTO, BAND_NAMES, pixel_size_m=(10.0, 10.0))
    cached = replace(job, cache_folder=str(folder / "tiles"), cache_limit_bytes=LIMIT_BYTES)
    without, empty, again = [], [], []
    for _ in range(repetitions):
        shutil.rmtree(folder / "tiles", ignore_errors=True)
        for costs, wish in ((without, job), (empty, cached), (again, cached)):
            costs.append(run(python, folder / "job", wish, side_px))
    # In longer ones something else came between.
    least = [min(costs, key=lambda cost: cost.total_s) for costs in (without, empty, again)]
    return (
        f"{least[0].total_s:.2f} s without a cache; {least[1].total_s:.2f} s with an empty one, "
        f"{least[1].cache_s:.2f} s of them its own; {least[2].total_s:.2f} s from what it kept, "
        f"{TileStore(folder / 'tiles', LIMIT_BYTES).size_bytes / 1e6:.0f} MB"
    )


def run(python: Path, folder: Path, job: Job, side_px: int) -> Cost:
    """Run the worker on random fields."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    job.save(folder)
    random = np.random.default_rng(1)
    fields = random.uniform(500, 3000, (len(BAND_NAMES), side_px // 12 + 1, side_px // 12 + 1))
    image = fields.repeat(12, axis=1).repeat(12, axis=2)[:, :side_px, :side_px]
    np.save(folder / INPUT_FILE, (image + random.normal(0, 20, image.shape)).astype(np.uint16))
    np.save(folder / VALID_FILE, np.ones(image.shape, bool))
    report = run_worker(python, folder, tell, lambda: False).report
    return Cost(sum(report["seconds"].values()), report["seconds"].get("cache", 0.0))


def tell(event: Event) -> None:
    """Show that something happens."""
    if isinstance(event, Progress):
        sys.stderr.write(".")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
