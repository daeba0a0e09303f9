"""How much sharper are the edges? One number that needs no truth: the result against its enlarged input."""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import NDArray

from .in_numpy.enlargement import enlarge_bicubically

# Edges are where the enlarged input is steeper than nine in ten of the tile's pixels, and what lies within a low-res
# pixel of those: there the result may have them.
EDGE_QUANTILE = 0.9
# So many of a tile's pixels tell where that is.
MOST_SAMPLED_PX = 1_000_000


class SharpnessMeter:
    """Adds up, tile by tile, how steep the edges are in the result and in its input, bicubically enlarged.

    The steepness is the sum of |gradient|² over that of |gradient|: across an edge the gradient adds up to the
    contrast, however steep it is, and its square to the contrast over the width. Strong edges count for more, and in
    both images the same places count. What overshoots counts as steep too, so this is no measure of truth.
    """

    def __init__(self) -> None:
        self._squares = {"result": 0.0, "input": 0.0}
        self._sums = {"result": 0.0, "input": 0.0}

    def add(
        self,
        result: NDArray[np.float32],
        low_res: NDArray[np.float32],
        valid: NDArray[np.bool_],
        core: tuple[slice, slice],
    ) -> None:
        """Take one tile's core into account.

        Args:
            result: (band, H, W), levels.
            low_res: (band, h, w), levels.
            valid: (band, h, w), True = valid; places that are not, in whatever band, do not count.
            core: index of the core in ``low_res``.
        """
        scale = result.shape[-1] // low_res.shape[-1]
        high_res_core = tuple(slice(part.start * scale, part.stop * scale) for part in core)
        everywhere = valid.all(axis=0).repeat(scale, axis=0).repeat(scale, axis=1)[high_res_core]
        steepness = {
            "result": _gradient(result)[high_res_core],
            "input": _gradient(enlarge_bicubically(low_res, scale))[high_res_core],
        }
        edges = _near_edges(steepness["input"], everywhere, scale)
        for name, values in steepness.items():
            there = values[edges].astype(np.float64)
            self._squares[name] += float(np.square(there).sum())
            self._sums[name] += float(there.sum())

    def times_sharper(self) -> Optional[float]:
        """Return how many times as steep as in the input the edges are; None where there are none."""
        if not all((*self._squares.values(), *self._sums.values())):
            return None
        result, enlarged = (self._squares[name] / self._sums[name] for name in ("result", "input"))
        return result / enlarged


def _near_edges(steepness: NDArray[np.float32], counted: NDArray[np.bool_], scale: int) -> NDArray[np.bool_]:
    if not counted.any():
        return counted
    sample = steepness[counted]
    sample = sample[:: max(1, sample.size // MOST_SAMPLED_PX)]
    near = (steepness > np.quantile(sample, EDGE_QUANTILE)) & counted
    for axis in (0, 1):
        near = _widened(near, scale, axis)
    return near & counted


def _widened(marks: NDArray[np.bool_], reach_px: int, axis: int) -> NDArray[np.bool_]:
    """Return marks (row, column) with what lies up to ``reach_px`` beside one along ``axis``."""
    marks = np.moveaxis(marks, axis, 0)
    wide = marks.copy()
    for step in range(1, reach_px + 1):
        wide[step:] |= marks[:-step]
        wide[:-step] |= marks[step:]
    return np.moveaxis(wide, 0, axis)


def _gradient(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the length of the gradient over all bands: (band, H, W) to (H, W); 0 across the far edges."""
    squares = np.zeros(image.shape[1:], dtype=np.float32)
    for band in image:
        squares[:-1] += np.square(band[1:] - band[:-1])
        squares[:, :-1] += np.square(band[:, 1:] - band[:, :-1])
    return np.sqrt(squares)
