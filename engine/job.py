"""The job folder: the contract between QGIS and the worker process.

A job is a private folder that holds ``job.json`` (a :class:`Job`), ``input.npy`` and ``valid.npy``.
The worker adds ``output.npy``, and if the job asks for them ``preview.npy`` while it works, and ``dip.npy``,
``confidence.npy`` and the traced borders (:mod:`.border_file`) when it is done. Both sides read and write arrays window
by window (:mod:`.array_file`), so their size is bounded by the disk and not by memory.

======================  ===========================================  ==========================
file                    shape                                        values
======================  ===========================================  ==========================
``input.npy``           (band, row, column)                          the source's own digital numbers
``valid.npy``           (band, row, column), bool                    True = valid
``output.npy``          (band, row x scale, column x scale), float   digital numbers, not rounded
``dip.npy``             as ``output.npy``                            Deep Image Prior's own picture, if
                                                                     the job keeps it
``confidence.npy``      as ``output.npy``                            what the error stays below in nine
                                                                     pixels of ten, if the job maps it;
                                                                     0 where the input is invalid
``preview.npy``         (band, row, column), float32, some bands     digital numbers, no number where
                                                                     nothing is known yet or valid
======================  ===========================================  ==========================
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from enum import Enum
from io import BufferedWriter
from pathlib import Path
from typing import Any, Optional

from .plain_file import open_plain

SCHEMA_VERSION = 1

JOB_FILE = "job.json"
_LONGEST_JOB_BYTES = 1 << 24
_LONGEST_REASON = 200
INPUT_FILE = "input.npy"
VALID_FILE = "valid.npy"
OUTPUT_FILE = "output.npy"
DIP_FILE = "dip.npy"
CONFIDENCE_FILE = "confidence.npy"
PREVIEW_FILE = "preview.npy"

SCALE_FACTORS = (2, 4)
LARGEST_SEED = 2**31 - 1
# Beyond these a point spread function is a single high-res pixel, or so wide that nothing can be restored.
SMALLEST_MTF, LARGEST_MTF = 0.01, 0.9


class JobError(ValueError):
    """The job folder cannot be used; the message says what is wrong with it."""


class Method(str, Enum):
    """Which stages run. The values are the words of the Processing parameter METHOD."""

    CHAIN = "chain"
    DIP = "dip"
    DECRAPPIFY = "decrappify"
    ANCHOR = "anchor"
    BICUBIC = "bicubic"


class Preset(str, Enum):
    """How much effort Deep Image Prior makes; ``reference`` is the published setting."""

    FAST = "fast"
    BALANCED = "balanced"
    REFERENCE = "reference"


class Device(str, Enum):
    """Where the worker computes; ``auto`` takes the best one that works."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Sensor(str, Enum):
    """Whose point spread function blurred the input; ``auto`` reads it off band names and pixel size."""

    AUTO = "auto"
    SENTINEL_2 = "sentinel-2"
    LANDSAT = "landsat"
    CUSTOM = "custom"


# What QGIS can compute itself, without torch (engine/in_numpy).
METHODS_WITHOUT_ENGINE = (Method.ANCHOR, Method.BICUBIC)

# Decrappify and the anchor alone have no estimate of Deep Image Prior to be compared with.
CONFIDENCE_METHODS = (Method.CHAIN, Method.DIP)


def can_map_confidence(method: Method, preset: Preset, *, has_own_model: bool) -> bool:
    """Whether it is known how far off a result may be: of the shipped networks it is, and of no others."""
    is_of_others = has_own_model and method is Method.CHAIN
    return method in CONFIDENCE_METHODS and preset is not Preset.REFERENCE and not is_of_others


def can_end_early(method: Method) -> bool:
    """Whether there is a quicker way to make the rest of an extent: than to enlarge it there is none."""
    return method is not Method.BICUBIC


@dataclass(frozen=True)
class Job:
    """What the worker is asked to do.

    Attributes:
        method, scale, preset, device, seed: as in the Processing parameters of the same names.
        sensor: whose MTF applies; ``CUSTOM`` takes ``mtf_at_nyquist`` for every band.
        mtf_at_nyquist: from SMALLEST_MTF to LARGEST_MTF, used only with ``Sensor.CUSTOM``.
        band_names: one per band of ``input.npy``, as the source names them ("" where it does not).
        model: the user's own Decrappify model, an ONNX file with its card beside it; None for the shipped one.
        preview_bands: 0-based, those that ``preview.npy`` shows; empty for no preview. They have no say in the result.
        pixel_size_m: ground size (x, y) of an input pixel in metres, or None where it is unknown.
        cache_folder: where finished tiles are kept (engine/tile_store.py); None to keep none.
        cache_limit_bytes: how much may be kept there; 0 to keep none.
        traces_borders: whether likely field borders are traced in the result.
        maps_confidence: whether it is mapped how far off the result may be; see :func:`can_map_confidence`.
        keeps_dip: whether Deep Image Prior's own picture is kept beside the result of the chain, which builds on it.
    """

    method: Method
    scale: int
    preset: Preset
    device: Device
    seed: int
    sensor: Sensor
    band_names: tuple[str, ...]
    mtf_at_nyquist: Optional[float] = None
    pixel_size_m: Optional[tuple[float, float]] = None
    model: Optional[str] = None
    preview_bands: tuple[int, ...] = ()
    cache_folder: Optional[str] = None
    cache_limit_bytes: int = 0
    traces_borders: bool = False
    keeps_dip: bool = False
    maps_confidence: bool = False

    def __post_init__(self) -> None:
        if self.scale not in SCALE_FACTORS:
            raise JobError(f"The scale factor is {self.scale}; it must be 2 or 4.")
        if not self.band_names:
            raise JobError("The job names no band; it needs at least one.")
        if not all(0 <= band < len(self.band_names) for band in self.preview_bands):
            raise JobError(f"The preview is to show other bands than the {len(self.band_names)} that there are.")
        self._check_extras()
        if not 0 <= self.seed <= LARGEST_SEED:
            raise JobError(f"The seed is {self.seed}; it must lie between 0 and {LARGEST_SEED}.")
        if self.cache_limit_bytes < 0:
            raise JobError(f"The cache is limited to {self.cache_limit_bytes} bytes; it must be 0 or more.")
        if self.pixel_size_m is not None and not all(0.0 < size < math.inf for size in self.pixel_size_m):
            raise JobError(f"A pixel measures {self.pixel_size_m} m; both sides must be more than 0.")
        if self.sensor is Sensor.CUSTOM and self.mtf_at_nyquist is None:
            raise JobError("A custom sensor needs its MTF at Nyquist.")
        if self.mtf_at_nyquist is not None and not SMALLEST_MTF <= self.mtf_at_nyquist <= LARGEST_MTF:
            raise JobError(
                f"The MTF at Nyquist is {self.mtf_at_nyquist}; it must lie between {SMALLEST_MTF} and {LARGEST_MTF}."
            )

    def _check_extras(self) -> None:
        """Refuse what the method cannot give beside its result."""
        if self.keeps_dip and self.method is not Method.CHAIN:
            raise JobError(f"The method {self.method.value} has no picture of Deep Image Prior beside its result.")
        if self.maps_confidence and not can_map_confidence(self.method, self.preset, has_own_model=bool(self.model)):
            raise JobError(
                f"How far off it may be is not known of the method {self.method.value}, preset {self.preset.value}, "
                f"model {self.model or 'shipped'}."
            )

    def save(self, folder: Path) -> None:
        """Write ``job.json`` into ``folder``, which must exist."""
        content = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        with BufferedWriter(open_plain(folder / JOB_FILE, "wb")) as file:
            file.write(json.dumps(content, indent=2).encode("utf-8"))

    @classmethod
    def load(cls, folder: Path) -> Job:
        """Read ``job.json`` from ``folder``.

        Raises:
            JobError: if the file is missing, is not JSON, has another schema version or a value out of range.
        """
        try:
            with open_plain(folder / JOB_FILE, "rb") as file:
                # What is longer is no job, and cut short no JSON.
                content = json.loads(file.read(_LONGEST_JOB_BYTES).decode("utf-8"))
        # Brackets within brackets within brackets end in a RecursionError.
        except (OSError, ValueError, RecursionError) as error:
            raise JobError(f"The job file {folder / JOB_FILE} cannot be read ({in_one_line(error)}).") from error
        if not isinstance(content, dict) or content.pop("schema_version", None) != SCHEMA_VERSION:
            raise JobError(
                f"The job file is not of schema version {SCHEMA_VERSION}, so it is another Headland’s; restart QGIS."
            )
        try:
            return cls._from_json(content)
        except JobError:
            raise
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise JobError(f"The job file has a wrong entry ({in_one_line(error)}).") from error

    @classmethod
    def _from_json(cls, content: dict[str, Any]) -> Job:
        pixel_size = content.pop("pixel_size_m")
        _check_types(content)
        return cls(
            method=Method(content.pop("method")),
            preset=Preset(content.pop("preset")),
            device=Device(content.pop("device")),
            sensor=Sensor(content.pop("sensor")),
            band_names=tuple(content.pop("band_names")),
            preview_bands=tuple(content.pop("preview_bands", ())),
            pixel_size_m=None if pixel_size is None else (float(pixel_size[0]), float(pixel_size[1])),
            **content,
        )


def in_one_line(error: Exception) -> str:
    """Return what ``error`` says, short enough for a sentence: it may quote a damaged file at length."""
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def _check_types(content: dict[str, Any]) -> None:
    """Raise TypeError for an entry of another type than the job's: one that looks right may fail only hours later."""
    for name in ("scale", "seed", "cache_limit_bytes"):
        if type(content.get(name, 0)) is not int:
            raise TypeError(f"{name} is no whole number")
    for name in ("traces_borders", "keeps_dip", "maps_confidence"):
        if type(content.get(name, False)) is not bool:
            raise TypeError(f"{name} is neither true nor false")
    for name in ("model", "cache_folder"):
        if not isinstance(content.get(name), (str, type(None))):
            raise TypeError(f"{name} is no path")
    for name, kind in (("band_names", str), ("preview_bands", int)):
        values = content.get(name, [])
        if not isinstance(values, list) or not all(type(value) is kind for value in values):
            raise TypeError(f"{name} is no list of the right kind")
