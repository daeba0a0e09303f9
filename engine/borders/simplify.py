"""Fewer vertices, no farther from the line than a tolerance (Ramer, 1972; Douglas and Peucker, 1973)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def kept_vertices(places: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """Return the indices of the vertices (n, 2) to keep, both ends among them, in their order.

    No vertex lies farther than ``tolerance`` from the segment that stands for it. A ring keeps the vertex that is
    farthest from where it begins.
    """
    is_kept = np.zeros(len(places), dtype=bool)
    is_kept[[0, -1]] = True
    spans = [(0, len(places) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:  # noqa: PLR2004, nothing lies between
            continue
        off = distances_to(places[first + 1 : last], places[first], places[last])
        farthest = int(off.argmax())
        is_ring = first == 0 and last == len(places) - 1 and bool((places[first] == places[last]).all())
        if off[farthest] > tolerance or (is_ring and off[farthest] > 0.0):
            middle = first + 1 + farthest
            is_kept[middle] = True
            spans += [(first, middle), (middle, last)]
    return np.flatnonzero(is_kept)


def distances_to(
    places: NDArray[np.float64], begin: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far each place (n, 2) is from the segment between ``begin`` and ``end``, (n,)."""
    way = end - begin
    length_squared = float(way @ way)
    off = places - begin
    shares = np.clip((off @ way) / (length_squared or 1.0), 0.0, 1.0)
    off = off - shares[:, None] * way
    distances: NDArray[np.float64] = np.sqrt((off**2).sum(axis=1))
    return distances
