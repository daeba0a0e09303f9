"""What a plan will cost, in numbers and in words, and what a finished run teaches about the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from ..engine.calibration import DEVICES, NUMPY, Run, job_kind, learn, learn_download, this_machine
from ..engine.estimate import estimate
from ..engine.events import Started
from ..engine.job import Device
from .free_memory import free_memory_bytes
from .plan import EnhancePlan
from .raster_source import common_dtype
from .web_source import WebSource
from .words import tr

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
# Overviews add a third to the result.
_OVERVIEW_FACTOR = 4 / 3
_BOUND_BYTES = 4
# What traced borders take a low-res pixel of dense farmland, in the job folder and as a GeoPackage.
_BORDER_BYTES, _GEOPACKAGE_BYTES = 1.0, 3.0
# What uncertain areas take a low-res pixel of patchy land: the mask that they are outlined in, and the GeoPackage.
_AREA_BYTES = 3.0


@dataclass(frozen=True)
class DiskNeeds:
    """Bytes in the folder for temporary files while it is made, and of the result."""

    job_folder_bytes: int
    result_bytes: int


@dataclass(frozen=True)
class PlanEstimate:
    """What a plan is expected to cost.

    Attributes:
        seconds: from the click to the result.
        memory_bytes: the worker's at its peak.
        free_bytes: what the machine has for it now; None where it does not say.
        disk_bytes: temporary files and the result together.
        device: "cpu", "cuda" or "mps"; "numpy" where QGIS itself computes.
    """

    seconds: float
    memory_bytes: int
    free_bytes: Optional[int]
    disk_bytes: int
    device: str


def disk_needs(plan: EnhancePlan) -> DiskNeeds:
    """Return how much room a job and its results take while they are made."""
    area_px = plan.window.width_px * plan.window.height_px
    pixels, scale, dtype = area_px * len(plan.bands), plan.job.scale, common_dtype(plan.bands)
    # Of one that is no integer in the file: how far off the result may be.
    bounds = 0 if plan.confidence is None else 1
    pictures = 1 if plan.dip_output is None else 2
    # A cloud-optimised GeoTIFF is made of another one.
    files = 2 if plan.is_cloud_optimised else 1
    lines = 0 if plan.borders is None else area_px
    areas = 0 if plan.uncertain_areas is None else area_px
    floats = 4 if np.can_cast(dtype, np.float32, casting="safe") else 8
    return DiskNeeds(
        job_folder_bytes=int(
            pixels * (dtype.itemsize + 1) + (pictures + bounds) * pixels * scale**2 * floats + lines * _BORDER_BYTES
        ),
        result_bytes=int(
            files * pixels * scale**2 * (pictures * dtype.itemsize + bounds * _BOUND_BYTES) * _OVERVIEW_FACTOR
            + lines * _GEOPACKAGE_BYTES
            + areas * _AREA_BYTES
        ),
    )


def estimate_plan(plan: EnhancePlan) -> PlanEstimate:
    """Return what ``plan`` will cost on this machine, as far as that is known."""
    machine, window = this_machine(), plan.window
    expected = estimate(plan.job, window.height_px, window.width_px, machine, is_in_qgis=plan.is_in_qgis)
    download_s = 0.0
    if isinstance(plan.source, WebSource):
        download_s = machine.download_s(plan.source.server, window.height_px * window.width_px)
    disk = disk_needs(plan)
    return PlanEstimate(
        seconds=expected.seconds + download_s,
        memory_bytes=expected.memory_bytes,
        free_bytes=free_memory_bytes(),
        disk_bytes=disk.job_folder_bytes + disk.result_bytes,
        device=expected.device,
    )


def learn_from(plan: EnhancePlan, started: Started, start_s: float, work_s: float) -> None:
    """Let the next estimates know what a run took that went through to its end.

    Args:
        started: what the worker said of itself.
        start_s, work_s: until it said so, and from then to its result.
    """
    machine, window = this_machine(), plan.window
    if plan.is_in_qgis:
        expected = estimate(plan.job, window.height_px, window.width_px, machine, is_in_qgis=True)
        learn(Run(job_kind(plan.job, NUMPY), NUMPY, False, None, work_s, expected.work_s))
        return
    said = started.device.partition(",")[0]
    device = said if said in DEVICES else machine.device_for(plan.job.device)
    job = replace(plan.job, device=Device(device))
    expected = estimate(job, window.height_px, window.width_px, machine)
    is_free = plan.job.device is Device.AUTO
    learn(Run(job_kind(job, device), device, is_free, start_s, work_s, expected.work_s))


def learn_download_from(plan: EnhancePlan, seconds: float) -> None:
    """Let the next estimates know how long the plan's server took, if there is one."""
    if isinstance(plan.source, WebSource):
        learn_download(plan.source.server, plan.window.height_px * plan.window.width_px, seconds)


def in_words(expected: PlanEstimate) -> str:
    """Return the estimate as one line, such as ``about 40 s · 1.1 GB of memory · 12 MB on disk · on the processor``."""
    memory = tr("{} of~memory").format(_size(expected.memory_bytes))
    if expected.free_bytes is not None and expected.memory_bytes > expected.free_bytes:
        memory = tr("{memory} (only {free} free: it will go on in smaller tiles)").format(
            memory=memory, free=_size(expected.free_bytes)
        )
    devices = {
        "cpu": tr("on~the~processor"),
        "cuda": tr("on~the~graphics~card"),
        "mps": tr("on~Apple~graphics"),
        NUMPY: tr("in~QGIS~itself"),
    }
    parts = (_duration(expected.seconds), memory, tr("{} on~disk").format(_size(expected.disk_bytes)))
    # A line does not break between a number and its unit.
    return " · ".join((*parts, devices[expected.device])).replace("~", NO_BREAK_SPACE)


def _duration(seconds: float) -> str:
    """Say a time no more precisely than it is known."""
    minutes, hours = seconds / 60, seconds / 3600
    if seconds < 57.5:  # noqa: PLR2004, rounded to fives
        return tr("about~{}~s").format(max(5, 5 * round(seconds / 5)))
    if minutes < 9.5:  # noqa: PLR2004, rounded to ones
        return tr("about~{}~min").format(max(1, round(minutes)))
    if minutes < 57.5:  # noqa: PLR2004, rounded to fives
        return tr("about~{}~min").format(5 * round(minutes / 5))
    if hours < 9.9:  # noqa: PLR2004, rounded to tens of minutes
        whole, rest = divmod(10 * round(minutes / 10), 60)
        return tr("about~{}~h~{}~min").format(whole, rest) if rest else tr("about~{}~h").format(whole)
    if hours < 47.5:  # noqa: PLR2004, two days
        return tr("about~{}~h").format(round(hours))
    return tr("about~{}~days").format(round(hours / 24))


def _size(size_bytes: int) -> str:
    """Say so many bytes in two digits or so."""
    if size_bytes >= 0.95e9:  # noqa: PLR2004
        return f"{size_bytes / 1e9:.1f}~GB"
    megabytes = size_bytes / 1e6
    return f"{10 * round(megabytes / 10)}~MB" if megabytes >= 100 else f"{max(1, round(megabytes))}~MB"  # noqa: PLR2004
