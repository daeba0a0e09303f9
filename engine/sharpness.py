"""How much sharper are the edges? One number that needs no truth: the result against its enlarged input."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Edges are where the enlarged input is steeper than nine in ten of the tile's pixels, and what lies within a low-res
# pixel of those: there the result may have them.
EDGE_QUANTILE = 0.9


class SharpnessMeter:
    """Adds up, tile by tile, how steep the edges are in the result and in its input, bicubically enlarged.

    The steepness is the sum of |gradient|² over that of |gradient|: across an edge the gradient adds up to the
    contrast, however steep it is, and its square to the contrast over the width. Strong edges count for more, and in
    both images the same places count. What overshoots counts as steep too, so this is no measure of truth.
    """

    def __init__(self) -> None:
        self._squares = {"result": 0.0, "input": 0.0}
        self._sums = {"result": 0.0, "input": 0.0}

    def add(self, result: Tensor, low_res: Tensor, valid: Tensor, core: tuple[slice, slice]) -> None:
        """Take one tile's core into account.

        Args:
            result: (band, H, W), levels.
            low_res: (band, h, w), levels.
            valid: (band, h, w), True = valid; places that are not, in whatever band, do not count.
            core: index of the core in ``low_res``.
        """
        scale = result.shape[-1] // low_res.shape[-1]
        enlarged = functional.interpolate(low_res[None], scale_factor=float(scale), mode="bicubic", align_corners=False)
        high_res_core = tuple(slice(part.start * scale, part.stop * scale) for part in core)
        everywhere = valid.all(dim=0).repeat_interleave(scale, 0).repeat_interleave(scale, 1)[high_res_core]
        steepness = {
            "result": _gradient(result)[high_res_core],
            "input": _gradient(enlarged[0])[high_res_core],
        }
        edges = _near_edges(steepness["input"], everywhere, scale)
        for name, values in steepness.items():
            there = values[edges].double()
            self._squares[name] += float(there.square().sum())
            self._sums[name] += float(there.sum())

    def times_sharper(self) -> float | None:
        """Return how many times as steep as in the input the edges are; None where there are none."""
        if not all((*self._squares.values(), *self._sums.values())):
            return None
        result, enlarged = (self._squares[name] / self._sums[name] for name in ("result", "input"))
        return result / enlarged


def _near_edges(steepness: Tensor, counted: Tensor, scale: int) -> Tensor:
    if not counted.any():
        return counted
    # torch.quantile takes no more than 16 million values.
    sample = steepness[counted]
    sample = sample[:: max(1, sample.numel() // 1_000_000)]
    edges = ((steepness > sample.quantile(EDGE_QUANTILE)) & counted).float()
    near = functional.max_pool2d(edges[None, None], 2 * scale + 1, 1, scale)[0, 0] > 0
    return near & counted


def _gradient(image: Tensor) -> Tensor:
    """Return the length of the gradient over all bands: (band, H, W) to (H, W)."""
    padded = functional.pad(image[None], (0, 1, 0, 1), mode="replicate")[0]
    down, right = padded[:, 1:, :-1] - image, padded[:, :-1, 1:] - image
    return torch.sqrt((down.square() + right.square()).sum(dim=0))
