"""The real worker's memory: set by the tile, whatever the extent is; Linux says how much it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from headland.engine.client import WORKER_SCRIPT
from headland.engine.decrappify import OnnxModel
from headland.engine.events import Finished, decode
from headland.engine.job import INPUT_FILE, VALID_FILE, Device, Job, Method, Preset, Sensor
from headland.engine.model_file import model_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")

MEGABYTE = 1 << 20


def peak_bytes(process: str) -> int:
    """Return the largest resident memory of a process so far, 0 if it has ended."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def worker_peak_bytes(folder: Path, rows_px: int) -> int:
    """Return the worker's on an extent of so many rows, in tiles of the same size."""
    folder.mkdir()
    numbers = np.random.default_rng(0).integers(500, 3000, (2, rows_px, 224)).astype(np.uint16)
    np.save(folder / INPUT_FILE, numbers)
    np.save(folder / VALID_FILE, np.ones(numbers.shape, bool))
    Job(Method.ANCHOR, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("", "")).save(folder)
    command = [sys.executable, "-I", "-B", str(WORKER_SCRIPT), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as worker:
        assert worker.stdout is not None
        peak = 0
        last = ""
        for last in worker.stdout:  # noqa: B007, it is looked at afterwards
            peak = max(peak, peak_bytes(str(worker.pid)))
    assert isinstance(decode(last), Finished)
    assert peak > 100 * MEGABYTE
    return peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_extent(tmp_path: Path) -> None:
    # How the heap falls to pieces is chance, up to some 20 MB on a busy machine, and only ever adds.
    small, large = (
        min(worker_peak_bytes(tmp_path / f"{tiles} {n}", tiles * 224) for n in range(2)) for tiles in (3, 24)
    )
    # Input, mask and output of the larger one are 51 MB more.
    assert large - small < 25 * MEGABYTE


def test_between_its_runs_the_network_gives_back_what_it_took() -> None:
    model = OnnxModel.load(model_file(None), 4, torch.device("cpu"))
    # From here on the peak is a new one.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = peak_bytes("self")
    model(torch.rand(1, 3, 512, 512))
    peak = peak_bytes("self")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    assert peak - peak_bytes("self") > 0.5 * (peak - before)
