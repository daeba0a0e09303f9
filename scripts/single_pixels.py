"""What the NDVI of a result's single pixels is worth, where the truth is known.

Places of the Sentinel-2 scene are the truth. What a sensor with pixels 2 or 4 times as large sees of them is enhanced:
how far is a pixel off, how far the area where NDVI is high, and how many pixels seem to have changed where nothing has?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiometry import Image, block_means, rms
from radiometry_pictures import METHODS, SENTINEL_2, degraded, enhanced

from headland.engine.sensors import SENTINEL_2_MTF

AREA_SIDES_PX = (1, 4, 16)
"""Sides of the squares whose share of high NDVI is measured, in source pixels."""
CHANGE_THRESHOLD = 0.1
"""A usual one for a change of NDVI."""
OTHER_NOISE, BESIDE = "other noise", "half a pixel beside"
"""How a place is seen again: half a source pixel, and other noise as well."""
# Of the usual range of values, as everywhere in docs/quality.md.
NOISE_SD = 0.003
SOURCE = "source"


@dataclass(frozen=True)
class Worth:
    """At one place, or the mean over several.

    Attributes:
        ndvi_rms: of a pixel's NDVI against the truth.
        area_rms: of the share of high NDVI in a square, by its side in source pixels.
        changed: share of the pixels that seem to have changed, by how the place was seen again.
    """

    ndvi_rms: float
    area_rms: dict[int, float]
    changed: dict[str, float]


def worth_of_single_pixels(places: Sequence[NDArray[Any]], scale: int) -> dict[str, Worth]:
    """Return it by method, and for the picture that was enhanced, its pixels repeated."""
    each = [_worth_at(place.astype(np.float64), scale, seed) for seed, place in enumerate(places)]
    return {name: _mean([one[name] for one in each]) for name in each[0]}


def _worth_at(truth: Image, scale: int, seed: int) -> dict[str, Worth]:
    ndvi, rng = SENTINEL_2.indices[0], np.random.default_rng(seed)
    beside = np.roll(truth, (scale // 2, scale // 2), axis=(1, 2))
    low_res = [_seen(image, scale, rng) for image in (truth, truth, beside)]
    pictures = {SOURCE: [image.repeat(scale, axis=1).repeat(scale, axis=2).astype(np.float64) for image in low_res]}
    for method in METHODS:
        pictures[method.value] = [enhanced(image, SENTINEL_2, method, scale)[0] for image in low_res]
    wanted = ndvi.of(truth)
    return {name: _worth([ndvi.of(image) for image in images], wanted, scale) for name, images in pictures.items()}


def _worth(found: Sequence[Image], wanted: Image, scale: int) -> Worth:
    """Judge NDVI (row, column), seen once, again, and beside."""
    once, again, beside = found
    high = np.median(wanted)
    area_error = (once > high).astype(np.float64) - (wanted > high)
    return Worth(
        rms(once - wanted),
        {side: rms(block_means(area_error, side * scale)) for side in AREA_SIDES_PX},
        {OTHER_NOISE: _changed(once, again), BESIDE: _changed(once, beside)},
    )


def _seen(truth: Image, scale: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return what a sensor with larger pixels makes of a place, in whole digital numbers."""
    low_res = degraded(truth, [SENTINEL_2_MTF[band] for band in SENTINEL_2.bands], scale)
    usual_range = np.ptp(np.percentile(truth, (1, 99), axis=(1, 2)), axis=0)
    noisy = low_res + NOISE_SD * usual_range[:, None, None] * rng.standard_normal(low_res.shape)
    numbers: NDArray[np.uint16] = noisy.round().clip(1, None).astype(np.uint16)
    return numbers


def _changed(one: Image, other: Image) -> float:
    return float((np.abs(one - other) > CHANGE_THRESHOLD).mean())


def _mean(found: Sequence[Worth]) -> Worth:
    return Worth(
        float(np.mean([one.ndvi_rms for one in found])),
        {side: float(np.mean([one.area_rms[side] for one in found])) for side in AREA_SIDES_PX},
        {how: float(np.mean([one.changed[how] for one in found])) for how in (OTHER_NOISE, BESIDE)},
    )


def worth_table(by_scale: dict[int, dict[str, Worth]]) -> str:
    """Return it as Markdown."""
    areas = [f"share of high NDVI, {side} × {side} px" for side in AREA_SIDES_PX]
    changes = [f"changed: {how}" for how in (OTHER_NOISE, BESIDE)]
    head = ["scale", "picture", "NDVI of a pixel", *areas, *changes]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for scale, found in by_scale.items():
        for name, one in found.items():
            cells = [
                f"×{scale}",
                name,
                f"{one.ndvi_rms:.3f}",
                *(f"{one.area_rms[side]:.3f}" for side in AREA_SIDES_PX),
                *(f"{one.changed[how]:.1%}" for how in (OTHER_NOISE, BESIDE)),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
