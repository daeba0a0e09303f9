"""Places for the tests of training and benchmarks: images of square fields, in folders of the imagery's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Of these, a fourth band is near infrared.
WITH_INFRARED = "naip_urban_0.6m"


def draw_fields(random: np.random.Generator, folder: str, fields: int, field_px: int) -> NDArray[np.uint8]:
    """Return (row, column, band) as an image of the set ``folder`` has them: ``fields`` square fields a side."""
    bands = 4 if folder == WITH_INFRARED else 3
    levels = random.integers(40, 160, (fields, fields, bands), dtype=np.uint8)
    return levels.repeat(field_px, axis=0).repeat(field_px, axis=1)


def make_places(highres: Path, files: Mapping[str, Sequence[str]], *, fields: int, field_px: int) -> None:
    """Write an image for each of ``files``, which are given by the set that they belong to, below ``highres``."""
    random = np.random.default_rng(4)
    for folder, names in files.items():
        (highres / folder).mkdir(parents=True)
        for name in names:
            Image.fromarray(draw_fields(random, folder, fields, field_px)).save(highres / folder / name)
