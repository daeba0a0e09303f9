"""A traced line: few vertices, and how strong the border is along it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .chains import Chain
from .simplify import kept_vertices

Values = NDArray[np.float64]
# A place as a key: ends with the same are one node.
Node = tuple[float, float]


def steps_px(places: Values) -> Values:
    """Return how long each segment between places (n, 2) is, (n - 1,)."""
    lengths: Values = np.sqrt((np.diff(places, axis=0) ** 2).sum(axis=1))
    return lengths


def direction_at(places: Values, reach_px: float) -> Values:
    """Return the unit vector in which a line leaves at its first vertex (n, 2)."""
    travelled = np.concatenate([[0.0], np.cumsum(steps_px(places))])
    reach_px = min(reach_px, float(travelled[-1]))
    inner = np.array([np.interp(reach_px, travelled, places[:, axis]) for axis in (0, 1)])
    way = places[0] - inner
    direction: Values = way / max(float(np.sqrt(way @ way)), 1e-12)
    return direction


@dataclass(frozen=True, order=True)
class VertexOnSegment:
    """A vertex to be added to a line: on which segment, which share of that lies before, and where."""

    segment: int
    share: float
    place: Node


@dataclass(frozen=True)
class Line:
    """A line between two nodes.

    Attributes:
        places: (n, 2), row and column of the vertices, with pixel centres at whole numbers.
        traced_px: (n,), how much of the border was followed up to each vertex.
        sums: (n,), the strength up to each vertex, summed along what was followed.
    """

    places: Values
    traced_px: Values
    sums: Values

    @classmethod
    def of(cls, chain: Chain, tolerance_px: float) -> Line:
        """Return the chain with fewer vertices."""
        steps = steps_px(chain.places)
        means = (chain.strengths[1:] + chain.strengths[:-1]) / 2.0
        traced_px, sums = (np.concatenate([[0.0], np.cumsum(part)]) for part in (steps, steps * means))
        return cls(chain.places, traced_px, sums).simplified(tolerance_px)

    @property
    def begin(self) -> Node:
        """Where it begins."""
        return float(self.places[0, 0]), float(self.places[0, 1])

    @property
    def end(self) -> Node:
        """Where it ends."""
        return float(self.places[-1, 0]), float(self.places[-1, 1])

    @property
    def is_ring(self) -> bool:
        """Whether it ends where it begins."""
        return self.begin == self.end

    @property
    def length_px(self) -> float:
        """How long it is."""
        return float(steps_px(self.places).sum())

    @property
    def strength(self) -> float:
        """The mean along what was followed of it; 0 if nothing was."""
        traced_px = float(self.traced_px[-1] - self.traced_px[0])
        return float(self.sums[-1] - self.sums[0]) / traced_px if traced_px > 0.0 else 0.0

    def simplified(self, tolerance_px: float) -> Line:
        """Return it with fewer vertices, none farther away than the tolerance; both ends stay."""
        return self.part(kept_vertices(self.places, tolerance_px))

    def part(self, vertices: NDArray[np.int64] | slice) -> Line:
        """Return it with some of its vertices."""
        return Line(self.places[vertices], self.traced_px[vertices], self.sums[vertices])

    def reversed(self) -> Line:
        """Return it the other way round."""
        return Line(self.places[::-1], self.traced_px[-1] - self.traced_px[::-1], self.sums[-1] - self.sums[::-1])

    def followed_by(self, other: Line) -> Line:
        """Return both as one; the other begins where this one ends."""
        return Line(
            np.concatenate([self.places, other.places[1:]]),
            np.concatenate([self.traced_px, self.traced_px[-1] + other.traced_px[1:] - other.traced_px[0]]),
            np.concatenate([self.sums, self.sums[-1] + other.sums[1:] - other.sums[0]]),
        )

    def extended(self, node: Node, *, at_begin: bool) -> Line:
        """Return it with one more vertex at one end; what leads there was not followed."""
        if at_begin:
            return self.reversed().extended(node, at_begin=False).reversed()
        return Line(
            np.concatenate([self.places, [node]]),
            np.concatenate([self.traced_px, self.traced_px[-1:]]),
            np.concatenate([self.sums, self.sums[-1:]]),
        )

    def with_vertices(self, wished: list[VertexOnSegment]) -> tuple[Line, list[int]]:
        """Return it with more vertices, and their indices in it."""
        table, rows, splits, done = self._table, [], [], 0
        for vertex in sorted(wished):
            before, after = table[vertex.segment : vertex.segment + 2, 2:]
            rows += [
                *table[done : vertex.segment + 1],
                np.array([*vertex.place, *before + vertex.share * (after - before)]),
            ]
            splits.append(len(rows) - 1)
            done = vertex.segment + 1
        places, traced_px, sums = np.split(np.stack([*rows, *table[done:]]), (2, 3), axis=1)
        return Line(places, traced_px[:, 0], sums[:, 0]), splits

    def split(self, vertices: list[int]) -> list[Line]:
        """Return its parts between some of its vertices."""
        edges = [0, *vertices, len(self.places) - 1]
        return [self.part(slice(first, last + 1)) for first, last in itertools.pairwise(edges) if last > first]

    @property
    def _table(self) -> Values:
        return np.column_stack([self.places, self.traced_px, self.sums])
