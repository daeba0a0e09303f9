"""Where the worker computes: the device asked for, or the best one that works."""

from __future__ import annotations

import os
import platform

import torch

from .job import Device, JobError

# On fewer cores one less would halve the speed or nearly so; there the worker's low priority has to do.
_FEWEST_CORES_TO_SPARE_ONE = 4


def choose_device(wish: Device) -> torch.device:
    """Return the device to compute on.

    ``AUTO`` takes CUDA, then MPS, then the processor, passing over one that is there but cannot compute (a driver
    too old for this torch, a card too old for its kernels).

    Raises:
        JobError: if a particular device is wished for and does not work.
    """
    if wish is Device.AUTO:
        return next(torch.device(kind) for kind in ("cuda", "mps", "cpu") if _works(kind))
    if not _works(wish.value):
        raise JobError(f"The device {wish.value} does not work on this computer; choose auto or cpu.")
    return torch.device(wish.value)


def leave_qgis_a_core() -> None:
    """Have torch, and with it ONNX Runtime, use one core fewer than there are, on a computer that has some."""
    torch.set_num_threads(polite_threads(torch.get_num_threads(), os.cpu_count() or 1))


def polite_threads(wanted: int, cores: int) -> int:
    """Return how many threads to use where torch would use ``wanted``."""
    return wanted if cores < _FEWEST_CORES_TO_SPARE_ONE else min(wanted, cores - 1)


def give_back_device_memory(device: torch.device) -> None:
    """Let other programs, and ONNX Runtime, have the graphics memory that torch keeps for itself."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def describe(device: torch.device) -> str:
    """Return the device in words, such as ``cpu, 4 threads`` or ``cuda, NVIDIA RTX A2000``."""
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return f"mps, {platform.machine()}"
    return f"cpu, {torch.get_num_threads()} threads"


def _works(kind: str) -> bool:
    if kind == "cpu":
        return True
    backend = torch.cuda if kind == "cuda" else torch.backends.mps
    if not backend.is_available():
        return False
    try:
        image = torch.ones(1, 1, 8, 8, device=kind)
        return bool(torch.nn.functional.conv2d(image, image).item() == image.numel())
    except RuntimeError:
        return False
