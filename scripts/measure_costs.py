"""Measure what the worker costs on this machine, for the constants of engine/estimate.py.

usage: measure_costs.py ENGINE_PYTHON OUT.json [NAME ...]

Runs the real worker on made-up extents, each in a process of its own, and keeps its processor time by stage and its
largest memory. Processor time, because it is the same on a busy machine; the worker gets one thread, so that what it
takes is what one core would. "make measure-costs" calls it; NAMEs choose cases (default: all).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headland.engine.events import Finished, Progress, Started, decode
from headland.engine.job import INPUT_FILE, VALID_FILE, Device, Job, Method, Preset, Sensor
from headland.engine.worker import __file__ as worker_file

# Of the progress bar of a job whose stages are DIP and consistency.
DIP_SHARE = 0.49


@dataclass(frozen=True)
class Case:
    """One job: a square extent of random fields.

    Attributes:
        finish_after: what share of the job is done before it is asked to end early; its stages are scaled up.
    """

    method: Method
    preset: Preset = Preset.FAST
    scale: int = 4
    side_px: int = 272
    bands: int = 3
    sensor: Sensor = Sensor.SENTINEL_2
    finish_after: float = 1.0
    traces_borders: bool = False

    @property
    def name(self) -> str:
        """A word for it, such as ``chain-fast-x4-272px-3b-auto``."""
        parts = (self.method.value, self.preset.value, f"x{self.scale}", f"{self.side_px}px", f"{self.bands}b")
        return "-".join((*parts, self.sensor.value, *(["borders"] if self.traces_borders else [])))


CASES = (
    *(Case(Method.ANCHOR, scale=scale, side_px=side, bands=bands)
      for scale, side, bands in ((4, 16, 1), (4, 128, 3), (4, 256, 1), (4, 256, 3), (4, 256, 12), (2, 256, 3))),
    *(Case(Method.DECRAPPIFY, scale=scale, side_px=side, bands=bands)
      for scale, side, bands in ((4, 16, 1), (4, 128, 3), (4, 224, 1), (4, 224, 3), (4, 224, 12), (2, 224, 3))),
    *(Case(Method.DIP, scale=scale, side_px=side, bands=bands)
      for scale, side, bands in ((4, 16, 1), (4, 128, 3), (4, 224, 1), (4, 224, 3), (4, 224, 12), (2, 224, 3))),
    Case(Method.DIP, Preset.BALANCED, side_px=128),
    Case(Method.DIP, side_px=224, sensor=Sensor.AUTO),
    Case(Method.DIP, Preset.BALANCED, side_px=224, bands=1, sensor=Sensor.AUTO),
    Case(Method.CHAIN, side_px=224),
    Case(Method.CHAIN, side_px=224, bands=12),
    Case(Method.CHAIN, scale=2, side_px=224),
    Case(Method.ANCHOR, side_px=224, traces_borders=True),
    Case(Method.ANCHOR, scale=2, side_px=224, traces_borders=True),
    Case(Method.DIP, Preset.REFERENCE, side_px=80, finish_after=0.002),
    Case(Method.DIP, Preset.REFERENCE, side_px=80, bands=1, finish_after=0.002),
    Case(Method.DIP, Preset.REFERENCE, side_px=40, finish_after=0.01),
    Case(Method.DIP, Preset.REFERENCE, side_px=80, scale=2, finish_after=0.005),
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the command line."""
    python, out, names = Path(arguments[0]), Path(arguments[1]), arguments[2:]
    results = []
    for case in CASES:
        if not names or case.name in names:
            results.append({**asdict(case), "name": case.name, **measure(python, case)})
            print(json.dumps(results[-1]))
            out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(python: Path, case: Case) -> dict[str, Any]:
    """Run the worker on ``case``; return seconds of one core in all and by stage, and the largest memory in bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_job(folder, case)
        began = time.monotonic()
        worker = subprocess.Popen(
            [str(python), "-I", worker_file, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            encoding="ascii",
        )
        start_wall_s, start_cpu_s, share, stages, own_bytes = 0.0, 0.0, 1.0, {}, 0
        for line in worker.stdout or ():
            event = decode(line)
            own_bytes = max(own_bytes, _own_bytes(worker.pid))
            if isinstance(event, Started):
                start_wall_s, start_cpu_s = time.monotonic() - began, _cpu_seconds(worker.pid)
            elif isinstance(event, Progress) and share == 1.0 and event.fraction >= case.finish_after:
                # Half of the bar is Deep Image Prior's.
                share = event.fraction / DIP_SHARE
                worker.stdin.write("finish\n")
                worker.stdin.flush()
            elif isinstance(event, Finished):
                stages = event.report["seconds"]
        _, status, usage = os.wait4(worker.pid, 0)
        wall_s = time.monotonic() - began
        worker.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    busy = (cpu_s - start_cpu_s) / (wall_s - start_wall_s)
    return {
        "status": worker.returncode,
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
        "start_cpu_s": round(start_cpu_s, 2),
        "stages_cpu_s": {stage: round(seconds * busy, 3) for stage, seconds in stages.items()},
        "share_of_dip": round(share, 5),
        "peak_bytes": usage.ru_maxrss * 1024,
        "own_bytes": own_bytes,
    }


def _cpu_seconds(process_id: int) -> float:
    """Return the processor time that a running process has taken; Linux only."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _own_bytes(process_id: int) -> int:
    """Return the memory of a running process without the files that it has mapped, 0 if it is gone; Linux only."""
    with suppress(OSError):
        for line in Path(f"/proc/{process_id}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def _write_job(folder: Path, case: Case) -> None:
    random = np.random.default_rng(1)
    fields = random.uniform(500, 3000, (case.bands, case.side_px // 12 + 1, case.side_px // 12 + 1))
    image = fields.repeat(12, axis=1).repeat(12, axis=2)[:, : case.side_px, : case.side_px]
    image = (image + random.normal(0, 20, image.shape)).astype(np.uint16)
    np.save(folder / INPUT_FILE, image)
    np.save(folder / VALID_FILE, np.ones(image.shape, bool))
    names = tuple(f"B{band + 1}" for band in range(case.bands))
    job = Job(
        case.method,
        case.scale,
        case.preset,
        Device.CPU,
        0,
        case.sensor,
        names,
        pixel_size_m=(10.0, 10.0),
        traces_borders=case.traces_borders,
    )
    job.save(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
