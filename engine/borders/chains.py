"""Points in a row become chains: within a window, and on across its edges into the next.

Each point has at most one follower on either side of it: the nearest that goes the same way, if that one thinks the
same of it. So chains do not branch; where borders meet, one runs through and the others end near by
(:mod:`.network` joins them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gradient import EdgePoints
from .picture import Window

# How many pixels away the next point is looked for, along each axis.
LINK_REACH_PX = 2
# The cosine of how far the directions across may differ between two points in a row.
LEAST_ALIGNMENT = 0.7
# How much more a pixel to the side counts than one straight on.
SIDEWAYS_COST = 1.5

NOWHERE = -1

Places = NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    """Points in a row; a ring has its first point once more at the end.

    Attributes:
        places: (n, 2), row and column, with pixel centres at whole numbers.
        strengths: (n,).
    """

    places: Places
    strengths: NDArray[np.float64]

    @property
    def is_ring(self) -> bool:
        """Whether it ends where it begins."""
        return len(self.places) > 1 and bool((self.places[0] == self.places[-1]).all())


@dataclass(frozen=True)
class _Piece:
    """A chain as far as windows have shown it: each end is (its own pixel, the pixel where it goes on)."""

    places: Places
    strengths: NDArray[np.float64]
    ends: tuple[tuple[int, int], tuple[int, int]]

    def reversed(self) -> _Piece:
        return _Piece(self.places[::-1], self.strengths[::-1], (self.ends[1], self.ends[0]))


class ChainJoiner:
    """Takes the points of window after window, and hands each chain on as soon as all of it has been seen.

    What comes out does not depend on how the picture is cut into windows, but for the order.

    Args:
        width_px: of the picture, which tells pixels apart.
        on_chain: given each chain when it is whole.
    """

    def __init__(self, width_px: int, on_chain: Callable[[Chain], None]) -> None:
        self._width_px, self._on_chain = width_px, on_chain
        self._open: dict[tuple[int, int], _Piece] = {}

    def add(self, points: EdgePoints, window: Window) -> None:
        """Take the points of ``window`` and those within LINK_REACH_PX around it."""
        for piece in _pieces(points, window, self._width_px):
            self._join(piece)

    def _join(self, piece: _Piece) -> None:
        """Put ``piece`` to those that it goes on in, and hand on or keep what comes of it."""
        for _ in range(2):
            own, beyond = piece.ends[1]
            other = self._open.get((beyond, own)) if beyond != NOWHERE else None
            if other is not None and other is not piece:
                self._forget(other)
                if other.ends[0] != (beyond, own):
                    other = other.reversed()
                piece = _Piece(
                    np.concatenate([piece.places, other.places]),
                    np.concatenate([piece.strengths, other.strengths]),
                    (piece.ends[0], other.ends[1]),
                )
            piece = piece.reversed()
        self._settle(piece)

    def _settle(self, piece: _Piece) -> None:
        (first, before), (last, after) = piece.ends
        if before == after == NOWHERE:
            self._on_chain(_whole(piece.places, piece.strengths, is_ring=False))
        elif (before, after) == (last, first):
            self._on_chain(_whole(piece.places, piece.strengths, is_ring=True))
        else:
            for end in piece.ends:
                if end[1] != NOWHERE:
                    self._open[end] = piece

    def _forget(self, piece: _Piece) -> None:
        for end in piece.ends:
            self._open.pop(end, None)


def _whole(places: Places, strengths: NDArray[np.float64], *, is_ring: bool) -> Chain:
    """Return the chain from its topmost end, or a ring from its topmost point, whichever way it was found."""
    if is_ring:
        first = int(np.lexsort((places[:, 1], places[:, 0]))[0])
        places, strengths = np.roll(places, -first, axis=0), np.roll(strengths, -first)
        if tuple(places[-1]) < tuple(places[1]):
            places, strengths = np.roll(places[::-1], 1, axis=0), np.roll(strengths[::-1], 1)
        places, strengths = np.concatenate([places, places[:1]]), np.concatenate([strengths, strengths[:1]])
    elif tuple(places[-1]) < tuple(places[0]):
        places, strengths = places[::-1], strengths[::-1]
    return Chain(places, strengths)


def _pieces(points: EdgePoints, window: Window, width_px: int) -> Iterator[_Piece]:
    """Yield what of the chains lies in ``window``; rings that lie in it as a whole among them."""
    followers = _followers(points, window)
    rows, columns = points.pixels.T
    keys = (rows * width_px + columns).tolist()
    is_inside = (
        (rows >= window.row)
        & (rows < window.row + window.rows)
        & (columns >= window.column)
        & (columns < window.column + window.columns)
    ).tolist()
    links = followers.tolist()
    is_taken = [not inside for inside in is_inside]

    def is_end(point: int) -> bool:
        return any(other == NOWHERE or not is_inside[other] for other in links[point])

    def walk(start: int, came_from: int) -> tuple[list[int], int]:
        """Return the points from ``start`` on, and where the last one goes on."""
        way = [start]
        is_taken[start] = True
        here, before = start, came_from
        while True:
            ahead = _other(links[here], before)
            if ahead == NOWHERE or is_taken[ahead]:
                return way, ahead
            is_taken[ahead] = True
            way.append(ahead)
            before, here = here, ahead

    def piece(way: list[int], before: int, after: int) -> _Piece:
        ends = tuple(
            (keys[own], keys[beyond] if beyond != NOWHERE else NOWHERE)
            for own, beyond in ((way[0], before), (way[-1], after))
        )
        return _Piece(points.places[way], points.strengths[way], (ends[0], ends[1]))

    for point in range(len(keys)):
        if not is_taken[point] and is_end(point):
            before = next(other for other in links[point] if other == NOWHERE or not is_inside[other])
            way, after = walk(point, before)
            yield piece(way, before, after)
    for point in range(len(keys)):
        if not is_taken[point]:
            way, after = walk(point, links[point][0])
            yield piece(way, links[point][0], after)


def _other(pair: list[int], one: int) -> int:
    """Return the follower that is not ``one``."""
    return pair[1] if pair[0] == one else pair[0]


def _followers(points: EdgePoints, window: Window) -> NDArray[np.int64]:
    """Return for each point (n, 2) its followers on either side, NOWHERE for none."""
    nearest = _nearest(points, window)
    count = len(nearest)
    if not count:
        return nearest
    there = np.where(nearest == NOWHERE, 0, nearest)
    is_mutual = (nearest[there] == np.arange(count)[:, None, None]).any(axis=2) & (nearest != NOWHERE)
    return np.where(is_mutual, nearest, NOWHERE)


def _nearest(points: EdgePoints, window: Window) -> NDArray[np.int64]:
    """Return for each point (n, 2) the nearest on either side that goes the same way, NOWHERE if there is none."""
    count = len(points.pixels)
    border = 2 * LINK_REACH_PX
    rows = points.pixels[:, 0] - window.row + border
    columns = points.pixels[:, 1] - window.column + border
    index = np.full((window.rows + 2 * border, window.columns + 2 * border), NOWHERE, dtype=np.int64)
    index[rows, columns] = np.arange(count)
    along_rows, along_columns = -points.across[:, 1], points.across[:, 0]
    best = np.full((count, 2), NOWHERE, dtype=np.int64)
    best_cost = np.full((count, 2), np.inf)
    steps = range(-LINK_REACH_PX, LINK_REACH_PX + 1)
    for down, right in ((down, right) for down in steps for right in steps if (down, right) != (0, 0)):
        other = index[rows + down, columns + right]
        one = np.flatnonzero(other != NOWHERE)
        other = other[one]
        way = points.places[other] - points.places[one]
        alignment = points.across[one, 0] * points.across[other, 0] + points.across[one, 1] * points.across[other, 1]
        ahead = way[:, 0] * along_rows[one] + way[:, 1] * along_columns[one]
        aside = np.abs(way[:, 0] * points.across[one, 0] + way[:, 1] * points.across[one, 1])
        cost = np.abs(ahead) + SIDEWAYS_COST * aside
        side = (ahead < 0.0).astype(np.int64)
        is_better = (np.abs(alignment) > LEAST_ALIGNMENT) & (np.abs(ahead) > aside / 2.0)
        is_better &= cost < best_cost[one, side]
        one, side = one[is_better], side[is_better]
        best[one, side], best_cost[one, side] = other[is_better], cost[is_better]
    return best
