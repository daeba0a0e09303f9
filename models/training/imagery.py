"""The training images: read, area-averaged until they are clean, and split by place.

The data folder holds `naip_farmland_1m`, `naip_urban_0.6m`, `ucmerced_0.3m` and `aerial_farmland_2.5m` (see the
project's data notes). A folder that is not there is left out; a team's own images go into `own_imagery` (any file
that Pillow reads, 8 or 16 bits, 3 or 4 bands).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.float32]

HELD_OUT_FARMLAND = (
    "38.8381287601523--95.04570706051",
    "40.2255287534228--88.8321466181766",
    "41.201467--92.079428",
    "42.2477--89.926355",
    "43.9847601324212--96.5876326807513",
    "45.6151016151883--95.0171869813459",
)
HELD_OUT_CITIES = ("eureka", "riverside")
"""Whole cities: the tiles of one city are neighbours."""
FIRST_HELD_OUT_NUMBER = 85

COLOURS = 3
MOSTLY_OPAQUE = 0.9


@dataclass(frozen=True)
class ImageSet:
    """One folder of images.

    Attributes:
        folder: its name inside the data folder.
        factors: area-averaging factors; each gives one image per file. Compressed sources are averaged more.
        weight: how often training draws from it, relative to the other sets.
        has_near_infrared: a fourth band is near infrared (else it is an alpha channel, and where it is 0 no data).
    """

    folder: str
    factors: tuple[float, ...]
    weight: float
    has_near_infrared: bool = False


IMAGE_SETS = (
    ImageSet("naip_farmland_1m", (2.0, 2.5, 4.0), 5.0),
    ImageSet("naip_urban_0.6m", (1.25, 1.5), 1.5, has_near_infrared=True),
    ImageSet("ucmerced_0.3m", (1.25, 1.5), 2.0),
    ImageSet("aerial_farmland_2.5m", (1.5, 2.0), 1.5),
    ImageSet("own_imagery", (1.0,), 10.0),
)


@dataclass(frozen=True)
class TrainingImage:
    """A clean image: pixels (band, row, column) in 0 to 1, the set it is from, its file's stem and its weight."""

    image_set: str
    name: str
    pixels: Pixels
    weight: float


def is_held_out(image_set: str, name: str) -> bool:
    """Whether the place is kept from training.

    The split is by place, never by tile: whole farmland scenes, whole cities, and in UC Merced, whose neighbours have
    neighbouring numbers, the last run of numbers of each class; its tiles carry no place, so nothing better can be had.

    Args:
        image_set: the set's folder name.
        name: the file's name without its ending.
    """
    if image_set == "naip_farmland_1m":
        return name in HELD_OUT_FARMLAND
    if image_set == "naip_urban_0.6m":
        return name.split("_", maxsplit=1)[0] in HELD_OUT_CITIES
    if image_set == "ucmerced_0.3m":
        match = re.fullmatch(r"[a-z]+(\d+)", name)
        return match is not None and int(match[1]) >= FIRST_HELD_OUT_NUMBER
    return False


def load_images(data_folder: Path, *, held_out: bool, sets: tuple[ImageSet, ...] = IMAGE_SETS) -> list[TrainingImage]:
    """Read every image of one side of the split, once per averaging factor.

    Raises:
        FileNotFoundError: if there is not one image.
    """
    images = [
        TrainingImage(image_set.folder, path.stem, area_average(pixels, factor), 0.0)
        for image_set in sets
        for path in _files(data_folder / image_set.folder)
        if is_held_out(image_set.folder, path.stem) == held_out
        for pixels in [_read(path, image_set)]
        for factor in image_set.factors
    ]
    if not images:
        raise FileNotFoundError(f"No image was found in {data_folder}; it should hold folders such as own_imagery.")
    return list(_weighted(images, sets))


def area_average(pixels: Pixels, factor: float) -> Pixels:
    """Average (band, row, column) over squares of `factor` pixels, which need not be whole.

    Rows and columns left over at the end are dropped.
    """
    if factor == 1.0:
        return pixels
    rows, columns = (_averaging_matrix(length, factor) for length in pixels.shape[1:])
    return np.ascontiguousarray(rows @ pixels @ columns.T, dtype=np.float32)


def _averaging_matrix(length: int, factor: float) -> Pixels:
    """(output, input) weights: how much of each input pixel lies in each output pixel, rows summing to 1."""
    starts = np.arange(int(length / factor))[:, None] * factor
    pixels = np.arange(length)[None, :]
    overlap = np.minimum(starts + factor, pixels + 1) - np.maximum(starts, pixels)
    weights: Pixels = (np.clip(overlap, 0.0, 1.0) / factor).astype(np.float32)
    return weights


def _weighted(images: list[TrainingImage], sets: tuple[ImageSet, ...]) -> Iterator[TrainingImage]:
    """Share each set's weight among its images by area."""
    for image_set in sets:
        members = [image for image in images if image.image_set == image_set.folder]
        area = sum(image.pixels[0].size for image in members)
        for image in members:
            weight = image_set.weight * image.pixels[0].size / area
            yield TrainingImage(image.image_set, image.name, image.pixels, weight)


def _files(folder: Path) -> list[Path]:
    endings = {".png", ".tif", ".tiff", ".webp", ".jpg", ".jpeg"}
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in endings)


def _read(path: Path, image_set: ImageSet) -> Pixels:
    """Return the image as (band, row, column) in 0 to 1, without what an alpha channel hides."""
    with Image.open(path) as file:
        image = file.convert("RGB") if file.mode == "P" else file
        values = np.asarray(image)
    full = 65535.0 if values.dtype == np.uint16 else 255.0
    pixels = np.ascontiguousarray(np.moveaxis(values.astype(np.float32) / np.float32(full), -1, 0))
    has_alpha = pixels.shape[0] == COLOURS + 1 and not image_set.has_near_infrared
    return _without_alpha(pixels) if has_alpha else pixels


def _without_alpha(pixels: Pixels) -> Pixels:
    """Return the colours of a rectangle that is wholly opaque: mostly opaque rows, then wholly opaque columns."""
    opaque = pixels[COLOURS] == 1.0
    rows = np.flatnonzero(opaque.mean(axis=1) > MOSTLY_OPAQUE)
    inner = slice(rows[0], rows[-1] + 1)
    columns = np.flatnonzero(opaque[inner].all(axis=0))
    return np.ascontiguousarray(pixels[:COLOURS, inner, columns[0] : columns[-1] + 1])
