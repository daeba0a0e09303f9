"""The places that bounds are judged on: those for choosing by, and those that the figures are reported on.

Of the satellite scenes no pixel is fitted to, and none gives a factor. What the first calibration had reported on, six
windows of the Sentinel-2 scene and the visible bands of the Landsat scene, is for choosing by.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from bench_sensors import HIGH_RES_PX, SCENES, scene_places
from numpy.typing import NDArray

from headland.models.training.judged_places import FARMLAND, Part, places
from headland.models.training.sensors import BANDS

KINDS = {FARMLAND: "farmland", "naip_urban_0.6m": "cities", "ucmerced_0.3m": "land uses"}
# Every how many-th place of a kind is measured.
EVERY = {Part.VALIDATION: {"cities": 3, "land uses": 2}, Part.REPORT: {}}

# Rows and columns of windows in a grid over the Sentinel-2 scene that bench_sensors.py does not take and that are not
# mostly sea; of the Landsat scene there is one window, of which these bands were never looked at.
SENTINEL_2_WINDOWS = ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0))
LANDSAT_INFRARED = slice(3, 6)

Image = NDArray[np.float32]


def judged_places(data: Path, part: Part) -> dict[str, list[Image]]:
    """Return the places (3, H, W) of each kind, in a range of about 0 to 1.

    Raises:
        FileNotFoundError: if there is not one image.
    """
    found: dict[str, list[Image]] = {kind: [] for kind in KINDS.values()}
    for image in places(data / "highres", part):
        found[KINDS[image.image_set]].append(image.pixels[:BANDS])
    thinned = {kind: images[:: EVERY[part].get(kind, 1)] for kind, images in found.items()}
    scenes = {name: data / "scenes" / file for name, file in SCENES.items()}
    if part is Part.REPORT:
        thinned["Sentinel-2"] = list(_sentinel_2_windows(scenes["Sentinel-2"]))
        thinned["Landsat 7"] = list(_landsat_infrared(scenes["Landsat 7"]))
    else:
        thinned |= {name: list(scene_places(file)) for name, file in scenes.items()}
    return thinned


def _sentinel_2_windows(path: Path) -> Iterator[Image]:
    if path.exists():
        scene = _bands_first(tifffile.imread(path))[:BANDS]
        for row, column in SENTINEL_2_WINDOWS:
            rows, columns = (slice(HIGH_RES_PX * start, HIGH_RES_PX * (start + 1)) for start in (row, column))
            yield _stretched(scene[:, rows, columns])


def _landsat_infrared(path: Path) -> Iterator[Image]:
    if path.exists():
        scene = _bands_first(tifffile.imread(path))[LANDSAT_INFRARED]
        side = min(length // 32 * 32 for length in scene.shape[1:])
        yield _stretched(scene[:, :side, :side])


def _bands_first(scene: NDArray[np.generic]) -> NDArray[np.generic]:
    return scene if scene.shape[0] < scene.shape[-1] else np.moveaxis(scene, -1, 0)


def _stretched(window: NDArray[np.generic]) -> Image:
    """Return a window (3, H, W) in about 0 to 1, as bench_sensors.py has it."""
    pixels = window.astype(np.float32)
    low, high = np.percentile(pixels, (0.1, 99.9))
    return ((pixels - low) / (high - low) * 0.8 + 0.1).astype(np.float32)
