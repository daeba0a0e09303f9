"""What the NDVI of a result's single pixels is worth, where the truth is known.

Places of Sentinel-2 pictures are the truth. What a sensor with pixels 2 or 4 times as large sees of them is enhanced:
how far is a pixel off, how far the area where NDVI is high, and how many pixels seem to have changed where nothing has?
The truth itself goes through the same comparisons: what it scores is the comparison's doing, not a picture's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiometry import Image, block_means, rms
from radiometry_pictures import METHODS, SENTINEL_2, degraded, enhanced

from headland.engine.job import Method
from headland.engine.sensors import SENTINEL_2_MTF

AREA_SIDES_PX = (1, 4, 16)
"""Sides of the squares whose share of high NDVI is measured, in source pixels."""
CHANGE_THRESHOLD = 0.1
"""A usual one for a change of NDVI."""
OTHER_NOISE, OTHER_GRID, MISREGISTERED = "other noise", "grid half a pixel beside", "misregistered by half a pixel"
SEEN_AGAIN = (OTHER_NOISE, OTHER_GRID, MISREGISTERED)
"""How a place is seen again, always with other noise: by the same pixels; by pixels that lie half a source pixel
beside, each picture laid where it belongs; and by these, with nobody knowing that they lie beside."""
# The place is rolled to see it by other pixels: near its edge is what lies at the opposite one.
EDGE_PX = 6
"""In source pixels. No changes are counted there."""
# Of the usual range of values, as everywhere in docs/quality.md.
NOISE_SD = 0.003
SOURCE, TRUTH = "source", "truth"


@dataclass(frozen=True)
class Worth:
    """What the single pixels of a picture of one place are worth.

    Attributes:
        ndvi_rms: of a pixel's NDVI against the truth.
        area_rms: of the share of high NDVI in a square, by its side in source pixels.
        changed: share of the pixels that seem to have changed, by how the place was seen again (SEEN_AGAIN).
    """

    ndvi_rms: float
    area_rms: dict[int, float]
    changed: dict[str, float]


def worth_of_single_pixels(places: Sequence[NDArray[Any]], scale: int) -> dict[str, list[Worth]]:
    """Return it for each place, by method, for the picture that was enhanced, its pixels repeated, and for the truth.

    Args:
        places: (band, row, column) each, in the bands of SENTINEL_2, with sides of whole source pixels.
        scale: 2 or 4, high-res pixels to a source pixel.
    """
    each = [_worth_at(place.astype(np.float64), scale, seed) for seed, place in enumerate(places)]
    return {name: [one[name] for one in each] for name in each[0]}


def _worth_at(truth: Image, scale: int, seed: int) -> dict[str, Worth]:
    ndvi, rng = SENTINEL_2.indices[0], np.random.default_rng(seed)
    again = (truth, truth, np.roll(truth, (scale // 2, scale // 2), axis=(1, 2)))
    low_res = [_seen(image, scale, rng) for image in again]
    pictures = {SOURCE: [image.repeat(scale, axis=1).repeat(scale, axis=2).astype(np.float64) for image in low_res]}
    # A picture without the steps of repeated pixels that is not sharper either.
    for method in (Method.BICUBIC, *METHODS):
        pictures[method.value] = [enhanced(image, SENTINEL_2, method, scale)[0] for image in low_res]
    pictures[TRUTH] = list(again)
    wanted = ndvi.of(truth)
    return {name: _worth([ndvi.of(image) for image in images], wanted, scale) for name, images in pictures.items()}


def _worth(found: Sequence[Image], wanted: Image, scale: int) -> Worth:
    """Judge NDVI (row, column), seen once, again by the same pixels, and by those half a source pixel beside."""
    once, again, beside = found
    moved_back = np.roll(beside, (-(scale // 2), -(scale // 2)), axis=(0, 1))
    others, edge_px = zip(SEEN_AGAIN, (again, moved_back, beside), strict=True), EDGE_PX * scale
    high = np.median(wanted)
    area_error = (once > high).astype(np.float64) - (wanted > high)
    return Worth(
        rms(once - wanted),
        {side: rms(block_means(area_error, side * scale)) for side in AREA_SIDES_PX},
        {how: _changed(once, other, edge_px) for how, other in others},
    )


def _seen(truth: Image, scale: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return what a sensor with larger pixels makes of a place, in whole digital numbers."""
    low_res = degraded(truth, [SENTINEL_2_MTF[band] for band in SENTINEL_2.bands], scale)
    usual_range = np.ptp(np.percentile(truth, (1, 99), axis=(1, 2)), axis=0)
    noisy = low_res + NOISE_SD * usual_range[:, None, None] * rng.standard_normal(low_res.shape)
    numbers: NDArray[np.uint16] = noisy.round().clip(1, None).astype(np.uint16)
    return numbers


def _changed(one: Image, other: Image, edge_px: int) -> float:
    differs = np.abs(one - other) > CHANGE_THRESHOLD
    return float(differs[edge_px:-edge_px, edge_px:-edge_px].mean())


def worth_table(by_scale: dict[int, dict[str, list[Worth]]]) -> str:
    """Return means over the places as Markdown; of several, for changes, the least and the most of a place as well."""
    areas = [f"share of high NDVI, {side} × {side} px" for side in AREA_SIDES_PX]
    changes = [f"changed: {how}" for how in SEEN_AGAIN]
    head = ["scale", "picture", "NDVI of a pixel", *areas, *changes]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for scale, by_name in by_scale.items():
        for name, found in by_name.items():
            cells = [
                f"×{scale}",
                name,
                f"{np.mean([one.ndvi_rms for one in found]):.3f}",
                *(f"{np.mean([one.area_rms[side] for one in found]):.3f}" for side in AREA_SIDES_PX),
                *(_shares([one.changed[how] for one in found]) for how in SEEN_AGAIN),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shares(found: Sequence[float]) -> str:
    of_each = f" ({100.0 * min(found):.1f} to {100.0 * max(found):.1f})" if len(found) > 1 else ""
    return f"{np.mean(found):.1%}{of_each}"
