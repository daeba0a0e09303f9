"""Where four fields meet, two lines may each turn a corner instead of crossing: they get a node in common.

Such corners point at each other across a gap of less than a low-res pixel. The two sides of a track that bends point
the same way, and stay apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .line import Line, Node, direction_at

# In low-res pixels: how far corners that point at each other may be apart, and over how much of the line each is seen.
REACH_PX = 1.0
LEG_PX = 1.5
# Twice the sine of half the least turn, which is 40 degrees.
LEAST_TURN = 0.68


@dataclass(frozen=True)
class _Corner:
    """A vertex at which a line turns; ``apex`` points out of the corner."""

    line: int
    vertex: int
    place: NDArray[np.float64]
    apex: NDArray[np.float64]

    def points_at(self, other: _Corner) -> bool:
        return float(self.apex @ (other.place - self.place)) > 0.0


def crossed(lines: Sequence[Line], scale: int) -> list[Line]:
    """Return the lines, with those that nearly cross split at a node in common."""
    reach_px = REACH_PX * scale
    corners = [corner for number, line in enumerate(lines) for corner in _corners(number, line, LEG_PX * scale)]
    nodes: dict[int, dict[int, Node]] = defaultdict(dict)
    for _, one, other in sorted(_pairs(corners, reach_px), key=lambda pair: pair[:3]):
        pair = corners[one], corners[other]
        is_taken = any(
            math.dist(corner.place, node) <= 2.0 * reach_px for corner in pair for node in nodes[corner.line].values()
        )
        if not is_taken:
            row, column = ((pair[0].place + pair[1].place) / 2.0).tolist()
            for corner in pair:
                nodes[corner.line][corner.vertex] = (row, column)
    return [part for number, line in enumerate(lines) for part in _split(line, nodes[number])]


def _corners(number: int, line: Line, leg_px: float) -> Iterator[_Corner]:
    # What ends near by has its node there.
    away_px = np.minimum(line.traced_px - line.traced_px[0], line.traced_px[-1] - line.traced_px)
    for vertex in np.flatnonzero(away_px > 2.0 * leg_px).tolist():
        place = line.places[vertex]
        apex = direction_at(line.places[vertex::-1], leg_px) + direction_at(line.places[vertex:], leg_px)
        if math.hypot(*apex) >= LEAST_TURN:
            yield _Corner(number, vertex, place, apex)


def _pairs(corners: Sequence[_Corner], reach_px: float) -> Iterator[tuple[float, int, int]]:
    """Yield how far corners that point at each other are apart, and their numbers."""
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, corner in enumerate(corners):
        row, column = (int(part // reach_px) for part in corner.place)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                for other in cells.get((row + down, column + right), ()):
                    distance = math.dist(corner.place, corners[other].place)
                    # Of one line only what comes near itself again.
                    is_apart = corners[other].line != corner.line or corner.vertex - corners[other].vertex > 1
                    if is_apart and distance <= reach_px and _is_crossing(corner, corners[other]):
                        yield distance, other, number
        cells[row, column].append(number)


def _is_crossing(one: _Corner, other: _Corner) -> bool:
    return one.points_at(other) and other.points_at(one)


def _split(line: Line, nodes: dict[int, Node]) -> list[Line]:
    """Return the line in its parts, with some vertices moved to the nodes between them."""
    places = line.places.copy()
    for vertex, node in nodes.items():
        places[vertex] = node
    return replace(line, places=places).split(sorted(nodes))
