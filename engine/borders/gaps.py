"""Where a line that ends could go on: the nearest place on another line, ahead of it and within its reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from .line import Line, Node, direction_at

# In low-res pixels: how far an end looks, and over how much of its end a line's direction is taken.
GAP_PX = 2.0
DIRECTION_PX = 1.5
# The cosine of how far from straight on a line may be led, and how much more a gap to the side counts.
LEAST_AHEAD = 0.4
SIDEWAYS_COST = 1.0

Values = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Aim:
    """Where a free end could be led: a place on a segment of a line, and what it costs to go there.

    Attributes:
        share: how much of the segment lies before the place.
    """

    cost: float
    line: int
    segment: int
    share: float
    node: Node


class GapFinder:
    """Finds what ends of lines could be led to.

    Args:
        lines: all of them, by the numbers that aims give.
        scale: of the result.
    """

    def __init__(self, lines: Sequence[Line], scale: int) -> None:
        self._lines = lines
        self._gap_px, self._direction_px = GAP_PX * scale, DIRECTION_PX * scale
        self._segments = _Segments(lines, self._gap_px)

    def best_aim(self, number: int, *, at_begin: bool) -> Optional[Aim]:
        """Return where an end of a line is best led to, None if nothing is near enough."""
        segments, line = self._segments, self._lines[number]
        places = line.places if at_begin else line.places[::-1]
        tip = places[0]
        found = segments.near(tip)
        # What it comes from itself is no aim, but it may close in on itself further on.
        found = found[
            (segments.lines[found] != number) | (self._along(line, found, at_begin=at_begin) > 2 * self._gap_px)
        ]
        if not len(found):
            return None
        ahead = direction_at(places, self._direction_px)
        begins, ways = segments.begins[found], segments.ways[found]
        shares = self._shares(tip, ahead, begins, ways)
        gaps = begins + shares[:, None] * ways - tip
        distances = np.sqrt((gaps**2).sum(axis=1))
        forward = gaps @ ahead
        is_possible = (distances <= self._gap_px) & (forward >= LEAST_AHEAD * distances)
        if not is_possible.any():
            return None
        costs = np.where(is_possible, distances + SIDEWAYS_COST * (distances - forward), np.inf)
        best = int(costs.argmin())
        row, column = (tip + gaps[best]).tolist()
        segment = found[best]
        return Aim(
            float(costs[best]),
            int(segments.lines[segment]),
            int(segments.numbers[segment]),
            float(shares[best]),
            (row, column),
        )

    def _shares(self, tip: Values, ahead: Values, begins: Values, ways: Values) -> Values:
        """Return which place on each segment is aimed at: straight ahead, if it lies there in reach, or the nearest."""
        offs = tip - begins
        lengths = (ways**2).sum(axis=1)
        nearest = np.clip((offs * ways).sum(axis=1) / np.where(lengths > 0.0, lengths, 1.0), 0.0, 1.0)
        crossing = ways[:, 0] * ahead[1] - ways[:, 1] * ahead[0]
        is_crossing = crossing != 0.0
        safe = np.where(is_crossing, crossing, 1.0)
        straight = (offs[:, 0] * ahead[1] - offs[:, 1] * ahead[0]) / safe
        forward = (offs[:, 0] * ways[:, 1] - offs[:, 1] * ways[:, 0]) / safe
        is_hit = is_crossing & (straight >= 0.0) & (straight <= 1.0) & (forward >= 0.0) & (forward <= self._gap_px)
        shares: Values = np.where(is_hit, straight, nearest)
        return shares

    def _along(self, line: Line, found: Indices, *, at_begin: bool) -> Values:
        """Return how far from its end segments are, along ``line``, if they are its own."""
        numbers = np.minimum(self._segments.numbers[found], len(line.places) - 2)
        along: Values = line.traced_px[numbers] if at_begin else line.traced_px[-1] - line.traced_px[numbers + 1]
        return along


class _Segments:
    """All segments of all lines, to be found by place.

    Attributes:
        begins, ways: (n, 2), where each begins, and from there to its end.
        lines, numbers: (n,), which line it is of, and its number there.
    """

    def __init__(self, lines: Sequence[Line], cell_px: float) -> None:
        self._cell_px = cell_px
        none = np.zeros((0, 2))
        self.begins = np.concatenate([none, *(line.places[:-1] for line in lines)])
        self.ways = np.concatenate([none, *(line.places[1:] for line in lines)]) - self.begins
        counts = np.array([len(line.places) - 1 for line in lines], dtype=np.int64)
        self.lines = np.repeat(np.arange(len(lines)), counts)
        self.numbers = np.arange(len(self.lines)) - np.repeat(np.cumsum(counts) - counts, counts)
        # Each is found where any of its pieces is, none of which is longer than a cell.
        pieces = np.ceil(np.sqrt((self.ways**2).sum(axis=1)) / cell_px).astype(np.int64).clip(min=1)
        owners = np.repeat(np.arange(len(pieces)), pieces)
        within = np.arange(len(owners)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        middles = self.begins[owners] + ((within + 0.5) / pieces[owners])[:, None] * self.ways[owners]
        cells = np.floor(middles / cell_px).astype(np.int64) + 1
        self._columns = int(cells[:, 1].max(initial=0)) + 2
        keys = cells[:, 0] * self._columns + cells[:, 1]
        order = np.argsort(keys, kind="stable")
        self._keys, self._owners = keys[order], owners[order]

    def near(self, place: Values) -> Indices:
        """Return the segments that may lie within a cell's length of ``place``, in their order."""
        row, column = (int(part // self._cell_px) + 1 for part in place)
        # A piece's middle is at most half a cell farther away than the piece itself.
        first_column, last_column = max(column - 2, 0), min(column + 2, self._columns - 1)
        first_keys = np.arange(row - 2, row + 3) * self._columns + first_column
        begins = np.searchsorted(self._keys, first_keys, "left")
        ends = np.searchsorted(self._keys, first_keys + (last_column - first_column), "right")
        found = [self._owners[begin:end] for begin, end in zip(begins, ends, strict=True)]
        return np.unique(np.concatenate(found))
