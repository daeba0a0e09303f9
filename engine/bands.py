"""Band triples and groups: the networks see three bands at a time, memory holds some, rasters have any number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TRIPLE = 3
# So many bands of a tile are worked on at a time, or up to a pair more: memory is set by them and not by the raster's.
GROUP = 2 * TRIPLE


@dataclass(frozen=True)
class BandTriple:
    """Three band indices to show to a network, and which of the three results to keep."""

    indices: tuple[int, int, int]
    kept: tuple[int, ...]


def band_triples(bands: int) -> Iterator[BandTriple]:
    """Yield triples that keep every band once.

    Consecutive bands go together. A remainder is filled up with the bands before it, so that a single
    near-infrared band is restored next to red and green; fewer than three bands repeat the last one.
    """
    for start in range(0, bands, TRIPLE):
        wanted = min(TRIPLE, bands - start)
        first = max(0, min(start, bands - TRIPLE))
        indices = tuple(min(first + k, bands - 1) for k in range(TRIPLE))
        kept = tuple(range(start - first, start - first + wanted))
        yield BandTriple((indices[0], indices[1], indices[2]), kept)


def band_groups(bands: int) -> tuple[slice, ...]:
    """Return the bands in groups that keep every band once and fall into the same triples as all bands together.

    One or two bands that remain go with the group before, so that a triple can be filled up with its last ones.
    """
    starts = list(range(0, bands, GROUP))
    if len(starts) > 1 and bands - starts[-1] < TRIPLE:
        starts.pop()
    return tuple(slice(start, stop) for start, stop in zip(starts, [*starts[1:], bands]))
