"""What may be computed with: pictures of several sensors, their places, and what Headland makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from radiometry import Image, Index

from headland.engine import pipeline
from headland.engine.forward_model import ForwardModel
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.engine.psf import GaussianPsf

CROP = Path(__file__).resolve().parent.parent / "tests" / "data" / "s2_farmland_virginia.tif"
METHODS = (Method.DIP, Method.CHAIN, Method.ANCHOR)
PLACES_A_SCENE, PLACE_PX = 3, 192


@dataclass(frozen=True)
class Picture:
    """What a sensor delivered.

    Attributes:
        file: below DATA, None for the crop in tests/data.
        bands: their names.
        indices: the first one is the NDVI, or what is nearest to it.
    """

    name: str
    file: Optional[str]
    sensor: Sensor
    bands: tuple[str, ...]
    indices: tuple[Index, ...]


TEN_METRES = (
    Index("NDVI", (3, 2), is_normalised=True),
    Index("B08/B04", (3, 2)),
    Index("B04/B03", (2, 1)),
    Index("B03/B02", (1, 0)),
)
TEN_METRE_BANDS = ("B02", "B03", "B04", "B08")
SENTINEL_2 = Picture(
    "Sentinel-2, 10 m", "scenes/s2_l1c_virginia_10m.tif", Sensor.SENTINEL_2, TEN_METRE_BANDS, TEN_METRES
)
PICTURES = (
    Picture("the crop", None, Sensor.SENTINEL_2, TEN_METRE_BANDS, TEN_METRES),
    SENTINEL_2,
    Picture(
        "Sentinel-2, 20 m",
        "scenes/s2_l1c_virginia_20m.tif",
        Sensor.SENTINEL_2,
        ("B05", "B06", "B07", "B8A", "B11", "B12"),
        (Index("NDRE (B8A, B05)", (3, 0), is_normalised=True), Index("B11/B8A", (4, 3)), Index("B12/B11", (5, 4))),
    ),
    Picture(
        "Landsat 7, 8 bits",
        "scenes/landsat7_olinda_30m.tif",
        Sensor.LANDSAT,
        ("1", "2", "3", "4", "5", "7"),
        (Index("NDVI", (3, 2), is_normalised=True), Index("4/3", (3, 2)), Index("5/4", (4, 3))),
    ),
)


def places_of(picture: Picture, data: Optional[Path]) -> Iterator[NDArray[Any]]:
    """Yield digital numbers (band, row, column) of evenly spread places without nodata; none of a file not there."""
    path = CROP if picture.file is None else data and data / picture.file
    if path is None or not path.exists():
        return
    pixels = tifffile.imread(path)
    bands = pixels if pixels.shape[0] < pixels.shape[-1] else np.moveaxis(pixels, -1, 0)
    if picture.file is None:
        yield bands
        return
    starts = [range(0, length - PLACE_PX + 1, PLACE_PX) for length in bands.shape[1:]]
    places = [bands[:, y : y + PLACE_PX, x : x + PLACE_PX] for y in starts[0] for x in starts[1]]
    whole = [place for place in places if (place > 0).all()]
    yield from whole[:: max(1, len(whole) // PLACES_A_SCENE)][:PLACES_A_SCENE]


def enhanced(numbers: NDArray[Any], picture: Picture, method: Method, scale: int) -> tuple[Image, dict[str, Any]]:
    """Return the result (band, row, column), rounded as in the file, and the engine's report."""
    job = Job(method, scale, Preset.FAST, Device.CPU, 0, picture.sensor, picture.bands)
    output = np.zeros((len(numbers), *(length * scale for length in numbers.shape[1:])), dtype=np.float32)
    valid = np.ones(numbers.shape, dtype=bool)
    report = pipeline.enhance(job, numbers, valid, output, lambda _phase, _fraction: None, lambda: False)
    limits = np.iinfo(numbers.dtype)
    return output.astype(np.float64).round().clip(limits.min, limits.max), report


def degraded(result: Image, mtf_at_nyquist: Sequence[float], scale: int) -> Image:
    """Return what the sensor would make of a result (band, row, column)."""
    size_px = (result.shape[1] // scale, result.shape[2] // scale)
    sensor = ForwardModel([GaussianPsf(mtf) for mtf in mtf_at_nyquist], size_px, scale)
    seen: Image = sensor.degrade(torch.from_numpy(result.astype(np.float32))).numpy().astype(np.float64)
    return seen
