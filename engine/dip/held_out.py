"""Would the anchor be the better method here? Asked of measured pixels that neither method has seen.

Squares of the extent are degraded once more, by the sensor's own blur, the job's scale factor and the measured noise,
and both methods restore the measured pixels from that copy: all of these are held out, and they hold the very detail
that the copy cannot show (the reduced-resolution assessment of Wald, Ranchin and Mangolini 1997). To hide single
pixels instead was tried: it says nothing of that detail, and took a network whose corrections had the wrong sign for a
sound one (docs/dip.md).

This is a safety net, not a choice between methods of nearly the same worth: it is asked once, of the whole extent, and
Deep Image Prior has to be clearly behind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..anchor import anchor
from ..bands import band_groups
from ..forward_model import ForwardModel
from ..job import Method
from ..progress import OnStep, go_on
from ..scene import Scene, Tile

# Measured pixels a side of a square; what either method sees of it is smaller by the scale factor.
PATCH_PX = 96
# A copy must have so many pixels a side: of a smaller one the edges are all.
FEWEST_COPY_PX = 8
# As many copies as hold this part of the extent's pixels. Both methods together cost about twice as much a pixel as
# Deep Image Prior alone, so this is less than a tenth of its time.
SHARE_OF_EXTENT = 0.04
MOST_PATCHES = 8
# Fewer measured pixels than this, in all bands together, decide nothing.
FEWEST_PIXELS = 256
# Deep Image Prior may be so far behind. Chosen on cities (docs/dip.md).
LARGEST_LOSS_DB = 0.3


@dataclass(frozen=True)
class HeldOut:
    """How far either method is from the measured pixels: the mean squared error, in units of the noise's variance."""

    dip: float
    anchor: float

    @property
    def gain_db(self) -> float:
        """How far Deep Image Prior is ahead, in dB; without limit where only one of the two has drawn numbers.

        Not a number where neither has.
        """
        if not math.isfinite(self.anchor):
            return math.inf if math.isfinite(self.dip) else math.nan
        if not math.isfinite(self.dip):
            return -math.inf
        # The measured pixels have their noise too: where both are closer than that, neither is ahead.
        return 10.0 * math.log10((1.0 + self.anchor) / (1.0 + self.dip))

    @property
    def chosen(self) -> Method:
        """The anchor where Deep Image Prior is clearly behind, else ``DIP``."""
        return Method.ANCHOR if self.gain_db < -LARGEST_LOSS_DB else Method.DIP

    @property
    def figures(self) -> dict[str, float | str | None]:
        """Both errors, the gain and what is chosen, for the report: what is not finite is no JSON, and None."""
        numbers = {"dip": self.dip, "anchor": self.anchor, "gain_db": self.gain_db}
        finite = {name: number if math.isfinite(number) else None for name, number in numbers.items()}
        return {**finite, "chosen": self.chosen.value}


def hold_out(scene: Scene, dip: Callable[[Tile], Tile], seed: int, on_step: OnStep = go_on) -> HeldOut | None:
    """Return what the held-out pixels of ``scene`` say; None where they are too few, or all are invalid.

    Args:
        scene: with the blur that is assumed, not one that was fitted with the network in question.
        dip: the stage in question.
        seed: of the places and of the copies' noise.
        on_step: called after each square; once it says so, what is known by then decides.
    """
    size_px = tuple(min(PATCH_PX, length_px) // scene.scale for length_px in scene.size_px)
    if min(size_px) < FEWEST_COPY_PX:
        return None
    noise = torch.Generator().manual_seed(seed)
    errors, count = np.zeros(2), 0
    places = _places(scene, seed)
    for number, place in enumerate(places, start=1):
        # What is in memory does not grow with the number of bands.
        for bands in band_groups(scene.bands):
            copy, measured, valid = _copied(scene, place, (size_px[0], size_px[1]), bands, noise)
            estimates = dip(copy).estimate, anchor(copy.low_res, copy.forward_model, copy.damping)
            errors += [_squared_error(estimate, measured, valid, copy.noise_sd) for estimate in estimates]
            count += int(valid.sum())
        if on_step(number, len(places)):
            break
    return HeldOut(*(errors / count).tolist()) if count >= FEWEST_PIXELS else None


def patch_count(rows_px: int, columns_px: int, scale: int) -> int:
    """Return how many squares of an extent are looked at, at most; some of a small one may be the same."""
    copy_px = (PATCH_PX // scale) ** 2
    return max(1, min(MOST_PATCHES, int(SHARE_OF_EXTENT * rows_px * columns_px / copy_px)))


def _places(scene: Scene, seed: int) -> list[tuple[int, int]]:
    """Return the first row and column of each square."""
    random = np.random.default_rng(seed)
    last = [max(0, length_px - PATCH_PX) for length_px in scene.size_px]
    count = patch_count(*scene.size_px, scene.scale)
    return sorted({(int(random.integers(last[0] + 1)), int(random.integers(last[1] + 1))) for _ in range(count)})


def _copied(
    scene: Scene, place: tuple[int, int], size_px: tuple[int, int], bands: slice, noise: torch.Generator
) -> tuple[Tile, torch.Tensor, torch.Tensor]:
    """Return a copy of ``size_px`` of a square, its measured pixels, and which count, (band, row, column) each."""
    rows, columns = (slice(start, start + length_px * scene.scale) for start, length_px in zip(place, size_px))
    measured, valid = scene.read(rows, columns, bands)
    model = ForwardModel(scene.psfs[bands], size_px, scene.scale, scene.device)
    noise_sd = torch.tensor(scene.noise_sd[bands], device=scene.device)[:, None, None]
    degraded = model.degrade(measured)
    degraded += noise_sd * torch.randn(degraded.shape, generator=noise).to(scene.device)
    counted = torch.zeros_like(valid)
    # The outermost pixels of the copy have no neighbours on one side, which most of a tile's have.
    inner = slice(scene.scale, -scene.scale)
    counted[:, inner, inner] = valid[:, inner, inner]
    copy = Tile(degraded, torch.ones_like(degraded, dtype=torch.bool), model, noise_sd, scene.damping[bands])
    return copy, measured, counted


def _squared_error(
    estimate: torch.Tensor | None, measured: torch.Tensor, valid: torch.Tensor, noise_sd: torch.Tensor
) -> float:
    if estimate is None:
        raise ValueError("The method made no image.")
    return float(((estimate - measured) / noise_sd)[valid].square().sum())
