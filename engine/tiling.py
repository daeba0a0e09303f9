"""How an extent is cut into tiles and how their results are blended back without seams.

Every tile has a core; the cores cover the extent without overlap. Around the core lies a margin that gives
the methods their context. Near the core's edges the blending weights rise linearly, in such a way that the
weights of all tiles sum to one at every pixel: results are simply added up, in any order.

Decrappify's network halves its image four times, so what it gives depends on where a tile begins, modulo 16 high-res
pixels. All tiles begin at multiples of that, as an untiled extent does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LARGEST_CORE_PX = 224
MARGIN_PX = 24
# 16 high-res pixels at a scale factor of two, 32 at four.
ALIGNMENT_PX = 8
# Tiles of 28 pixels and their margins are the smallest: who has no memory for those has none for anything.
MOST_HALVINGS = 3
# Half the width of the zone in which two tiles are mixed; the rest of the margin is context only.
BLEND_PX = 8


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in low-res pixels of the extent: margin included, and its core."""

    start: int
    stop: int
    core_start: int
    core_stop: int


@dataclass(frozen=True)
class TileWindow:
    """A tile's place in the extent."""

    rows: Span
    columns: Span

    @property
    def size_px(self) -> tuple[int, int]:
        """(rows, columns) of the tile in low-res pixels, margin included."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the tile, margin included, in an array (..., row, column) of the extent."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    def high_res_slices(self, scale: int) -> tuple[slice, slice]:
        """The same in the enlarged extent."""
        rows, columns = self.slices
        return slice(rows.start * scale, rows.stop * scale), slice(columns.start * scale, columns.stop * scale)

    @property
    def core_slices(self) -> tuple[slice, slice]:
        """Index of the core in an array of the tile."""
        rows, columns = self.rows, self.columns
        return (
            slice(rows.core_start - rows.start, rows.core_stop - rows.start),
            slice(columns.core_start - columns.start, columns.core_stop - columns.start),
        )

    def blending_weights(self, scale: int) -> NDArray[np.float32]:
        """Return the weights (row, column) of the tile's high-res pixels; over all tiles they sum to one."""
        return np.outer(_weights(self.rows, scale), _weights(self.columns, scale)).astype(np.float32)


def margin_for(context_px: int, scale: int) -> int:
    """Return the margin, in low-res pixels, for a network that needs ``context_px`` high-res pixels around each pixel.

    Those that are mixed with another tile's lie up to BLEND_PX beyond the core and need it too.
    """
    return max(MARGIN_PX, _rounded_up(math.ceil(context_px / scale) + BLEND_PX))


def plan_tiles(
    rows_px: int, columns_px: int, largest_core_px: int = LARGEST_CORE_PX, margin_px: int = MARGIN_PX
) -> tuple[TileWindow, ...]:
    """Cut an extent of ``rows_px`` x ``columns_px`` low-res pixels into tiles of nearly equal cores.

    Args:
        largest_core_px: at least ALIGNMENT_PX.
        margin_px: a multiple of ALIGNMENT_PX.
    """
    row_spans = list(_spans(rows_px, largest_core_px, margin_px))
    column_spans = list(_spans(columns_px, largest_core_px, margin_px))
    return tuple(TileWindow(rows, columns) for rows in row_spans for columns in column_spans)


def tilings(
    rows_px: int, columns_px: int, largest_core_px: int = LARGEST_CORE_PX, margin_px: int = MARGIN_PX
) -> Iterator[tuple[TileWindow, ...]]:
    """Yield the extent in tiles, then in smaller and smaller ones for where memory runs out; see :func:`plan_tiles`."""
    last: tuple[TileWindow, ...] = ()
    for halvings in range(MOST_HALVINGS + 1):
        tiles = plan_tiles(rows_px, columns_px, largest_core_px >> halvings, margin_px)
        # A small extent's largest tiles may be smaller than half a core, and to try the same again helps nobody.
        if tiles != last:
            yield tiles
        last = tiles


def _spans(length_px: int, largest_core_px: int, margin_px: int) -> Iterator[Span]:
    units = math.ceil(length_px / ALIGNMENT_PX)
    count = math.ceil(units / (largest_core_px // ALIGNMENT_PX))
    edges = [min(k * units // count * ALIGNMENT_PX, length_px) for k in range(count + 1)]
    for core_start, core_stop in zip(edges[:-1], edges[1:]):
        yield Span(max(0, core_start - margin_px), min(length_px, core_stop + margin_px), core_start, core_stop)


def _rounded_up(length_px: int) -> int:
    return math.ceil(length_px / ALIGNMENT_PX) * ALIGNMENT_PX


def _weights(span: Span, scale: int) -> NDArray[np.float64]:
    """Linear ramps of 2 x BLEND_PX low-res pixels centred on the core's inner edges."""
    centres = span.start + (np.arange((span.stop - span.start) * scale) + 0.5) / scale
    weights = np.ones_like(centres)
    if span.start < span.core_start:
        weights *= np.clip((centres - span.core_start) / (2 * BLEND_PX) + 0.5, 0.0, 1.0)
    if span.stop > span.core_stop:
        weights *= np.clip((span.core_stop - centres) / (2 * BLEND_PX) + 0.5, 0.0, 1.0)
    return weights
