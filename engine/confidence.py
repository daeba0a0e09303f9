"""How far the result may be from the truth: an expected error for every high-res pixel of every band.

A small network (models/confidence) looks at what the stages made of a tile: what was added to the measurements, how far
Decrappify went from Deep Image Prior, how steep the result is, how much of the contrast of the low-res image lies just
below its limit of resolution, here and around, beside its noise and blur. It was fitted to places whose truth is known,
so that its value is the mean of |error|; times a factor, from other places, it is a bound that holds for a given share
of the pixels (split conformal prediction: Papadopoulos et al. 2002; Lei et al. 2018). The anchor has no part in it: it
costs more than all of this, and told no more (docs/confidence.md).

There is one map a band: noise, blur and units are the band's, and a border that is sure in one is a guess in another.
Every channel is a ratio to the band's own local contrast, so an image in other units gets the same map in those units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ..models.confidence.error_network import COVERAGES, Calibrated, load_calibrated
from .job import CONFIDENCE_METHODS, Method
from .scene import Tile

CONFIDENCE_WEIGHTS = Path(__file__).resolve().parent.parent / "models" / "confidence" / "confidence.npz"

NOMINAL = 0.9

# Windows of the low-res image: its finest detail, its texture, its surroundings, and as far as a tile's margin shows.
FINEST_PX, TEXTURE_PX, SURROUNDINGS_PX, FARTHEST_PX = 3, 7, 15, 25
# What signed differences, in units of the local contrast, are multiplied by before their logarithm.
ZOOM = 4.0
# Added before a logarithm, in units of the local contrast.
SMALLEST_RATIO = 0.02


@dataclass(frozen=True)
class ErrorMap:
    """What is expected of the result of some bands of a tile.

    Attributes:
        expected: (band, H, W), the mean of |result - truth| at pixels that look like this one, in the tile's levels;
            never negative, not a number where the input is invalid.
        factor: the bound that holds for the nominal share of pixels is so many times the expected error.
    """

    expected: Tensor
    factor: float

    @property
    def bound(self) -> Tensor:
        """(band, H, W): |result - truth| is less for the nominal share of all pixels."""
        return self.expected * self.factor


class Confidence:
    """Predicts errors for one scale factor and method.

    Raises:
        ValueError: if the file of parameters is missing or damaged, or the method has no estimate of Deep Image Prior.
    """

    def __init__(
        self, scale: int, method: Method, device: torch.device | str = "cpu", path: Path | None = None
    ) -> None:
        if method not in CONFIDENCE_METHODS:
            raise ValueError(
                f"No errors are predicted for the method {method.value}; it does not run Deep Image Prior."
            )
        self._calibrated = _on(load_calibrated(path or CONFIDENCE_WEIGHTS, scale), device)
        if method.value not in self._calibrated.factors:
            raise ValueError(f"The confidence network was not calibrated for the method {method.value}.")
        self._factors = dict(zip(COVERAGES, self._calibrated.factors[method.value]))

    def factor(self, coverage: float = NOMINAL) -> float:
        """Return how many times the expected error the bound is that holds for ``coverage`` of the pixels.

        Raises:
            KeyError: if ``coverage`` is none of models.confidence.error_network.COVERAGES.
        """
        return self._factors[coverage]

    def __call__(self, tile: Tile, dip: Tensor) -> ErrorMap:
        """Return the expected error of a finished tile.

        Args:
            tile: after the consistency step.
            dip: (band, H, W), what Deep Image Prior had made of it, projected, in the tile's levels.
        """
        return ErrorMap(tile_confidence(tile, dip, self._calibrated), self.factor())


def tile_confidence(tile: Tile, dip: Tensor, calibrated: Calibrated) -> Tensor:
    """Return the expected |error| of ``tile.estimate``, (band, H, W), in the tile's levels; NaN where it is invalid.

    A pixel's value depends on the tile's low-res pixels less than a tile's margin away.
    """
    with torch.inference_mode():
        expected = torch.empty_like(dip)
        for band, channels in enumerate(error_channels(tile, dip)):
            ratio = calibrated.network(channels.high_res[None], channels.low_res[None])[0, 0]
            torch.mul(ratio.exp_(), channels.contrast, out=expected[band])
        scale = tile.forward_model.scale
        invalid = ~tile.valid.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
        return expected.masked_fill_(invalid, torch.nan)


@dataclass(frozen=True)
class ErrorChannels:
    """What the network sees of one band, and the unit that its answer is in.

    Attributes:
        high_res: (HIGH_RES_CHANNELS, H, W).
        low_res: (LOW_RES_CHANNELS, h, w).
        contrast: (H, W), the local contrast in levels.
    """

    high_res: Tensor
    low_res: Tensor
    contrast: Tensor


def error_channels(tile: Tile, dip: Tensor) -> Iterator[ErrorChannels]:
    """Yield the network's input for each band of a finished tile; one at a time, for they are many images.

    Args:
        tile: after the consistency step.
        dip: (band, H, W), as for :class:`Confidence`.

    Raises:
        ValueError: if the tile has no estimate.
    """
    if tile.estimate is None:
        raise ValueError("There is no estimate whose error could be predicted.")
    model = tile.forward_model
    start = model.enlarge(tile.low_res, tile.damping)
    widths_px = [psf.support_px for psf in model.psfs]
    for band in range(len(dip)):
        one = slice(band, band + 1)
        low_res, noise, result = tile.low_res[one], tile.noise_sd[one], tile.estimate[one]
        contrast = _spread(low_res, TEXTURE_PX).square_().add_(noise.square()).sqrt_()
        unit = _enlarged(contrast, model.scale)
        signed = (result - _enlarged(low_res, model.scale), result - start[one], result - dip[one])
        gradient = image_gradient(result).div_(unit)
        steepness = (gradient, window_mean(gradient, model.scale + 1))
        high_res = [*(_compressed(image / unit) for image in signed), *(_log(ratio) for ratio in steepness)]
        ratios = [_log(value / contrast) for value in (*_detail(low_res), noise)]
        width_px = torch.full_like(low_res, widths_px[band if len(widths_px) > 1 else 0])
        yield ErrorChannels(torch.cat(high_res), torch.cat([*ratios, width_px]), unit[0])


def _detail(low_res: Tensor) -> tuple[Tensor, ...]:
    """Return how much of (band, h, w) changes from pixel to pixel, and more slowly, at each pixel and around it."""
    smooth = window_mean(low_res, FINEST_PX)
    fine, coarse = (low_res - smooth).abs_(), (smooth - window_mean(low_res, TEXTURE_PX)).abs_()
    spreads = (_spread(low_res, window_px) for window_px in (FINEST_PX, SURROUNDINGS_PX, FARTHEST_PX))
    around = (window_mean(image, window_px) for window_px in (SURROUNDINGS_PX, FARTHEST_PX) for image in (fine, coarse))
    return (fine, window_mean(fine, TEXTURE_PX), *spreads, *around)


def _compressed(ratio: Tensor) -> Tensor:
    """Return signed ratios with their large values drawn in, as a logarithm does, and the small ones as they are."""
    return (ratio * ZOOM).asinh_()


def _log(ratio: Tensor) -> Tensor:
    return (ratio + SMALLEST_RATIO).log_()


def _enlarged(low_res: Tensor, scale: int) -> Tensor:
    """(band, h, w) to (band, H, W), without overshoot: a contrast must stay positive."""
    return functional.interpolate(low_res[None], scale_factor=float(scale), mode="bilinear", align_corners=False)[0]


def image_gradient(image: Tensor) -> Tensor:
    """Return the length of each band's gradient by central differences, (band, H, W)."""
    padded = functional.pad(image[None], (1, 1, 1, 1), mode="replicate")[0]
    down, right = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1], padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    return torch.hypot(down, right) / 2.0


def window_mean(image: Tensor, window_px: int) -> Tensor:
    """Return the mean over a square around each pixel of (band, row, column); an odd number of pixels a side."""
    reach = window_px // 2
    padded = functional.pad(image[None], (reach, reach, reach, reach), mode="replicate")[0]
    return _sums(_sums(padded, window_px, -2), window_px, -1).div_(window_px * window_px)


def _sums(image: Tensor, length_px: int, axis: int) -> Tensor:
    """Return the sums of so many neighbours along an axis, which gets shorter by all but one of them.

    They are added up in pairs, pairs of pairs and so on: windows are wide, and pooling takes as long as they are.
    """
    remaining_px = image.shape[axis] - length_px + 1
    of_power, power_px, begun_px = image, 1, 0
    total = torch.zeros((), dtype=image.dtype, device=image.device)
    while True:
        if length_px & power_px:
            total = total + of_power.narrow(axis, begun_px, remaining_px)
            begun_px += power_px
        if 2 * power_px > length_px:
            return total
        pairs = of_power.shape[axis] - power_px
        of_power = of_power.narrow(axis, 0, pairs) + of_power.narrow(axis, power_px, pairs)
        power_px *= 2


def _spread(image: Tensor, window_px: int) -> Tensor:
    """Return the standard deviation over a square around each pixel of (band, row, column)."""
    mean = window_mean(image, window_px)
    return (window_mean(image.square(), window_px) - mean.square()).clamp_(min=0.0).sqrt_()


def _on(calibrated: Calibrated, device: torch.device | str) -> Calibrated:
    return Calibrated(calibrated.network.to(device), calibrated.factors)
