"""How fast this machine is: a moment's measurement, kept, and corrected by every finished run.

The measurement is a Fourier transform: numpy's own C code. A matrix product would say which library numpy was linked
with (QGIS's and the engine's differ twentyfold on one and the same machine) and not how fast the machine is. Where QGIS
itself computes, it is a step of the anchor instead: that waits for memory, of whose speed the transform says nothing.
Both say enough for a first estimate; from then on, what the runs really took counts more.

What is known lies in ``estimates.json`` in Headland's cache folder, by machine, for a home folder may be shared. If it
cannot be read it is measured anew, and if it cannot be written nothing is kept: an estimate is never in the way.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .environment import cache_folder
from .in_numpy.anchor import TotalVariationStep
from .job import Device, Job, Preset

SCHEMA_VERSION = 2
FILE_NAME = "estimates.json"

# What the transform takes on the machine that engine/estimate.py's constants were measured on.
REFERENCE_S = 1.2e-3
_REPETITIONS = 12
# What a step of the anchor takes there, with arrays as much larger than the processor's caches as a tile's are.
NUMPY_REFERENCE_S = 12.0e-3
_NUMPY_SHAPE = (3, 640, 640)
_NUMPY_REPETITIONS = 5
# Beyond these a measurement is a mishap.
SLOWEST, FASTEST = 0.1, 10.0
# torch and onnxruntime from a warm disk, on that machine.
START_S = 1.4
# How many times as fast n cores are as one: n to this power.
PARALLELISM = 0.75
MOST_CORES = 16
# Cores of that machine that a graphics card is worth. Assumed, for want of one: its first run says it better.
CARDS_WORTH = {"cuda": 40.0, "mps": 12.0}
DEVICES = ("cpu", *CARDS_WORTH)
# Where there is no engine, and QGIS itself computes with numpy.
NUMPY = "numpy"

# A run's ratio, real to estimated, is believed within these.
SMALLEST_RATIO, LARGEST_RATIO = 0.05, 20.0
# What a later run counts beside those before it.
LATER_WEIGHT = 0.5
# A run of this length says half as much of longer ones as those do themselves.
SHORT_RUN_S = 1.0
LONGEST_START_S = 300.0

# What a map server takes for a million pixels. Assumed, for want of one: its first download says it better.
DOWNLOAD_S = 2.0
SHORTEST_DOWNLOAD_S, LONGEST_DOWNLOAD_S = 0.01, 600.0


@dataclass(frozen=True)
class Machine:
    """What is known of a machine. The defaults are the one that the constants were measured on.

    Attributes:
        speed: of one core.
        cores: of the processor.
        start_s: how long the worker takes until it has its libraries.
        automatic_device: where a worker computed last that was free to choose; None if none has.
        numpy_speed: where QGIS itself computes.
        ratios: by :func:`job_kind`, how many times as long as estimated the worker's part took.
        downloads: by server, the seconds that a million pixels took.
    """

    speed: float = 1.0
    cores: int = 2
    start_s: float = START_S
    automatic_device: Optional[str] = None
    ratios: Mapping[str, float] = field(default_factory=dict)
    downloads: Mapping[str, float] = field(default_factory=dict)
    numpy_speed: float = 1.0

    def device_for(self, wish: Device) -> str:
        """Return the device that the worker will choose, as far as can be told from here."""
        if wish is not Device.AUTO:
            return str(wish.value)
        if self.automatic_device is not None:
            return self.automatic_device
        is_apple_silicon = sys.platform == "darwin" and platform.machine() == "arm64"
        return "mps" if is_apple_silicon else "cpu"

    def cores_worth(self, device: str) -> float:
        """Return how many cores of the measured machine ``device`` is worth."""
        if device in CARDS_WORTH:
            return CARDS_WORTH[device]
        return self.speed * math.pow(min(self.cores, MOST_CORES), PARALLELISM)

    def ratio(self, kind: str) -> float:
        """Return how many times as long as estimated runs of this kind took; 1 if there was none."""
        return self.ratios.get(kind, 1.0)

    def download_s(self, server: str, pixels: int) -> float:
        """Return how long ``server`` will take to send a picture of so many pixels."""
        return self.downloads.get(server, DOWNLOAD_S) * pixels / 1e6

    def after_download(self, server: str, pixels: int, seconds: float) -> Machine:
        """Return what is known once ``server`` has sent such a picture."""
        rate = min(max(seconds / (pixels / 1e6), SHORTEST_DOWNLOAD_S), LONGEST_DOWNLOAD_S)
        known = self.downloads.get(server)
        weighted = rate if known is None else known + LATER_WEIGHT * (rate - known)
        return replace(self, downloads={**self.downloads, server: weighted})

    def after(self, run: Run) -> Machine:
        """Return what is known once ``run`` has finished."""
        start_s = self._start_s_after(run)
        ratio = min(max(run.work_s / run.estimated_work_s, SMALLEST_RATIO), LARGEST_RATIO)
        # Of a short run most is what does not grow with the job.
        weight = run.work_s / (run.work_s + SHORT_RUN_S) * (LATER_WEIGHT if run.kind in self.ratios else 1.0)
        known = self.ratio(run.kind)
        return replace(
            self,
            start_s=start_s,
            automatic_device=run.device if run.was_free_to_choose else self.automatic_device,
            ratios={**self.ratios, run.kind: known * (ratio / known) ** weight},
        )

    def _start_s_after(self, run: Run) -> float:
        if run.start_s is None:
            return self.start_s
        start_s = min(run.start_s, LONGEST_START_S)
        is_first = all(kind.endswith(NUMPY) for kind in self.ratios)
        return start_s if is_first else self.start_s + LATER_WEIGHT * (start_s - self.start_s)


@dataclass(frozen=True)
class Run:
    """What a finished run took.

    Attributes:
        kind: its :func:`job_kind`, with the device that it really ran on.
        device: that device.
        was_free_to_choose: whether the worker chose it.
        start_s: until the worker had its libraries; None where QGIS itself computed.
        work_s: from then to its result.
        estimated_work_s: ``Estimate.work_s`` for that device.
    """

    kind: str
    device: str
    was_free_to_choose: bool
    start_s: Optional[float]
    work_s: float
    estimated_work_s: float


def job_kind(job: Job, device: str) -> str:
    """Return what jobs have in common whose estimates go wrong alike, such as ``dip, fast, x4, cpu``."""
    preset = job.preset if job.method.value in ("chain", "dip") else Preset.FAST
    return f"{job.method.value}, {preset.value}, x{job.scale}, {device}"


def this_machine() -> Machine:
    """Return what is known of this machine; what is not known yet is measured, in some tenths of a second."""
    known = _read().get(_name())
    if known is not None:
        return known
    machine = Machine(speed=_measured_speed(), cores=os.cpu_count() or 1, numpy_speed=_measured_numpy_speed())
    _keep(machine)
    return machine


def learn(run: Run) -> None:
    """Let the next estimates know what ``run`` took."""
    _keep(this_machine().after(run))


def learn_download(server: str, pixels: int, seconds: float) -> None:
    """Let the next estimates know how long ``server`` took for a picture."""
    _keep(this_machine().after_download(server, pixels, seconds))


def calibration_file() -> Path:
    """Return where it is kept, there or not."""
    return cache_folder() / FILE_NAME


@lru_cache(maxsize=1)
def _measured_speed() -> float:
    """Return the speed of one core; measured once, also where it cannot be kept."""
    image = np.random.default_rng(0).standard_normal((256, 1024))
    best_s = math.inf
    for _ in range(_REPETITIONS):
        began = time.perf_counter()
        np.fft.fft(image)
        # The best one is the one that nothing else came between.
        best_s = min(best_s, time.perf_counter() - began)
    return min(max(REFERENCE_S / best_s, SLOWEST), FASTEST)


@lru_cache(maxsize=1)
def _measured_numpy_speed() -> float:
    """Return likewise the speed of the work that QGIS itself does."""
    image = np.ones(_NUMPY_SHAPE, dtype=np.float32)
    step = TotalVariationStep(image.shape)
    best_s = math.inf
    for _ in range(_NUMPY_REPETITIONS):
        began = time.perf_counter()
        step(image, 0.1, steps=1)
        best_s = min(best_s, time.perf_counter() - began)
    return min(max(NUMPY_REFERENCE_S / best_s, SLOWEST), FASTEST)


def _name() -> str:
    return f"{platform.system()}, {platform.machine()}, {platform.node()}, {os.cpu_count()} cores"


def _keep(machine: Machine) -> None:
    with suppress(OSError):
        _write({**_read(), _name(): machine})


def _read() -> dict[str, Machine]:
    """Return what is kept, by machine; of a damaged file what is whole."""
    try:
        content = json.loads(calibration_file().read_text(encoding="utf-8"))
        machines = content["machines"].items() if content["schema_version"] == SCHEMA_VERSION else ()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    found = {name: _machine(entry) for name, entry in machines}
    return {name: machine for name, machine in found.items() if machine is not None}


def _machine(entry: Any) -> Optional[Machine]:
    """Return the machine that an entry of the file describes, None if it describes none."""
    try:
        machine = Machine(
            speed=float(entry["speed"]),
            cores=int(entry["cores"]),
            start_s=float(entry["start_s"]),
            automatic_device=entry["automatic_device"],
            ratios={str(kind): float(ratio) for kind, ratio in entry["ratios"].items()},
            downloads={str(server): float(rate) for server, rate in entry["downloads"].items()},
            numpy_speed=float(entry["numpy_speed"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        return None
    is_whole = (
        SLOWEST <= machine.speed <= FASTEST
        and SLOWEST <= machine.numpy_speed <= FASTEST
        and machine.cores >= 1
        and 0.0 <= machine.start_s <= LONGEST_START_S
        and machine.automatic_device in (None, *DEVICES)
        and all(SMALLEST_RATIO <= ratio <= LARGEST_RATIO for ratio in machine.ratios.values())
        and all(SHORTEST_DOWNLOAD_S <= rate <= LONGEST_DOWNLOAD_S for rate in machine.downloads.values())
    )
    return machine if is_whole else None


def _write(machines: Mapping[str, Machine]) -> None:
    """Replace the file as a whole. Raises OSError if that does not work."""
    file = calibration_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "schema_version": SCHEMA_VERSION,
        "machines": {name: asdict(machine) for name, machine in machines.items()},
    }
    handle, name = tempfile.mkstemp(prefix=f"{FILE_NAME}.", dir=file.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2)
        partial.replace(file)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
