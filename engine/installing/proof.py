"""Proves an engine environment the only way that counts: a small enhancement, by the worker, on the device.

The job is a real one, with all stages. It is written and checked with the standard library alone: whoever sets the
engine up may have no numpy.
"""

from __future__ import annotations

import array
import math
import shutil
import struct
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from ..client import WorkerCancelled, WorkerFailed, run_worker
from ..environment import EnvironmentProblem
from ..events import Event, Progress, Started
from ..job import INPUT_FILE, OUTPUT_FILE, VALID_FILE, Device, Job, Method, Preset, Sensor
from .failures import explain
from .running import SetUpCancelled

SIDE_PX = 32
SCALE = 2
BANDS = ("B4", "B3", "B2")
# Fields of two crops, as digital numbers.
_DARK, _BRIGHT = 600.0, 2400.0
_FIELD_PX = 8
_MAGIC = b"\x93NUMPY\x01\x00"
_WHAT_FAILED = "The engine does not work here"
# A first start compiles Python's files and, on a graphics card, kernels.
_SILENCE_LIMIT_S = 600.0


@dataclass(frozen=True)
class Proof:
    """What was found out.

    Attributes:
        device: where it really computed, in words, such as ``cpu, 4 threads``.
        versions: of Python and the packages, by name.
        provider: what of ONNX Runtime ran the Decrappify stage.
    """

    device: str
    versions: dict[str, str] = field(default_factory=dict)
    provider: str = ""

    @property
    def is_on_graphics(self) -> bool:
        """Whether a graphics card did it."""
        return not self.device.startswith("cpu")


def prove(
    python: Path,
    on_progress: Callable[[float], None] = lambda _fraction: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Proof:
    """Enhance a small picture with ``python`` and look at the result.

    Raises:
        SetUpCancelled: once ``is_cancelled`` turned true.
        EnvironmentProblem: if nothing sensible came of it; the sentence says what to do as far as that is known.
    """
    started: list[Started] = []

    def hear(event: Event) -> None:
        if isinstance(event, Started):
            started.append(event)
        elif isinstance(event, Progress):
            on_progress(event.fraction)

    job_folder = Path(tempfile.mkdtemp(prefix="headland-proof-"))
    try:
        _write_job(job_folder)
        finished = run_worker(python, job_folder, hear, is_cancelled, silence_limit_s=_SILENCE_LIMIT_S)
        _check_result(job_folder / OUTPUT_FILE)
    except WorkerCancelled as cancelled:
        raise SetUpCancelled from cancelled
    except WorkerFailed as failure:
        details = "\n".join(filter(None, (failure.message, failure.details)))
        raise EnvironmentProblem(explain(_WHAT_FAILED, details), details) from failure
    finally:
        shutil.rmtree(job_folder, ignore_errors=True)
    providers = [model["provider"] for model in finished.report.get("models", ()) if "provider" in model]
    begun = started[-1] if started else Started("unknown", {})
    return Proof(begun.device, dict(begun.versions), providers[-1] if providers else "")


def _write_job(folder: Path) -> None:
    Job(
        method=Method.CHAIN,
        scale=SCALE,
        preset=Preset.FAST,
        device=Device.AUTO,
        seed=0,
        sensor=Sensor.SENTINEL_2,
        band_names=BANDS,
        pixel_size_m=(10.0, 10.0),
    ).save(folder)
    values = [
        _BRIGHT if (row // _FIELD_PX + column // _FIELD_PX) % 2 else _DARK
        for _band in BANDS
        for row in range(SIDE_PX)
        for column in range(SIDE_PX)
    ]
    shape = (len(BANDS), SIDE_PX, SIDE_PX)
    _write_array(folder / INPUT_FILE, "<f4", shape, struct.pack(f"<{len(values)}f", *values))
    _write_array(folder / VALID_FILE, "|b1", shape, b"\x01" * len(values))


def _write_array(file: Path, kind: str, shape: tuple[int, ...], content: bytes) -> None:
    """Write numpy's format, version 1.0: a dictionary in Python's own notation, padded to a multiple of 64 bytes."""
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode("latin1")
    padding = -(len(_MAGIC) + 2 + len(header) + 1) % 64
    header += b" " * padding + b"\n"
    file.write_bytes(_MAGIC + struct.pack("<H", len(header)) + header + content)


def _check_result(file: Path) -> None:
    """Raise EnvironmentProblem unless the result is an enlarged picture of the same brightness."""
    count = len(BANDS) * (SIDE_PX * SCALE) ** 2
    values = array.array("f")
    content = file.read_bytes()
    values.frombytes(content[-count * values.itemsize :])
    if sys.byteorder == "big":
        values.byteswap()
    mean = sum(values) / count if len(values) == count else math.nan
    expected = (_DARK + _BRIGHT) / 2
    if not math.isfinite(mean) or abs(mean - expected) > 0.1 * expected:
        raise EnvironmentProblem(
            f"{_WHAT_FAILED}: it computes wrong results; set the device to the processor or report this, "
            "with the details.",
            f"a mean of {mean} where {expected} was expected, from {len(content)} bytes",
        )
