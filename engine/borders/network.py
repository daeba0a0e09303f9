"""Lines that end near others are led on to them, so that borders meet in shared nodes, as snapping and tracing need it.

Where two borders meet, the stronger one's colours drown the end of the weaker: it stops a pixel or two before. Each
free end looks ahead (:mod:`.gaps`); what it meets is split there. Then loose ends and crumbs that are too short to be
borders go, and what no longer branches becomes one line again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Optional, Union

from ..progress import OnStep, go_on
from .gaps import Aim, GapFinder
from .line import Line, Node, VertexOnSegment

# All in low-res pixels. How near an end or a node must be to be taken instead of another place on a line.
NODE_REACH_PX = 1.0
# What is loose at one end must be so long, and at both ends or closed in itself so long.
SHORTEST_LOOSE_PX = 4.0
SHORTEST_ALONE_PX = 8.0
# What a crumb was loose on may be loose itself once that is gone.
TIDYING_ROUNDS = 2

# How often it is told how far the joining is.
LINES_A_STEP = 500

# Two ends at a node: those of lines that go on in each other, or of a ring.
_TWO = 2


@dataclass(frozen=True)
class _End:
    line: int
    at_begin: bool


def joined(lines: Iterable[Line], scale: int, on_step: OnStep = go_on) -> list[Line]:
    """Return the lines led on to each other where they end near by, from node to node.

    Args:
        lines: in any order; the same lines give the same result.
    """
    joints = _Joints(_in_order(lines), NODE_REACH_PX * scale)
    joints.lead_on(GapFinder(joints.lines, scale), on_step)
    return _merged(joints.parts())


def tidied(lines: Sequence[Line], scale: int) -> list[Line]:
    """Return the lines without loose ends and crumbs, those that no longer branch as one, from top to bottom."""
    merged = _merged(lines)
    for _ in range(TIDYING_ROUNDS):
        merged = _merged(_without_crumbs(merged, scale))
    return _in_order(merged)


def _in_order(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line.places.ravel().tolist())


class _Joints:
    """Where lines are led to, and where they are split for that."""

    def __init__(self, lines: list[Line], reach_px: float) -> None:
        self.lines = lines
        self._reach_px = reach_px
        self._led: dict[_End, Node] = {}
        self._nodes: dict[int, list[VertexOnSegment]] = defaultdict(list)

    def lead_on(self, finder: GapFinder, on_step: OnStep) -> None:
        """Lead free ends to what is ahead of them, the nearest first."""
        aims = []
        for number, line in enumerate(self.lines):
            if number % LINES_A_STEP == 0:
                on_step(number, len(self.lines))
            for at_begin in () if line.is_ring else (True, False):
                aim = finder.best_aim(number, at_begin=at_begin)
                if aim is not None:
                    aims.append((aim.cost, number, at_begin, aim))
        for _, number, at_begin, aim in sorted(aims, key=lambda entry: entry[:3]):
            self._lead(_End(number, at_begin), aim)

    def parts(self) -> list[Line]:
        """Return the lines as far as they were led, split at their nodes."""
        parts = []
        for number, line in enumerate(self.lines):
            whole, splits = line.with_vertices(self._nodes[number])
            pieces = whole.split(splits)
            if line.is_ring and len(pieces) > 1:
                # It began where it happened to be topmost.
                pieces = [pieces[-1].followed_by(pieces[0]), *pieces[1:-1]]
            for at_begin, piece in ((True, 0), (False, -1)):
                end = _End(number, at_begin)
                node = self._led.get(end, self._place_of(end))
                if node != self._place_of(end):
                    pieces[piece] = pieces[piece].extended(node, at_begin=at_begin)
            parts += pieces
        return [line for line in parts if line.length_px > 0.0]

    def _lead(self, end: _End, aim: Aim) -> None:
        if end in self._led:
            return
        near = self._near(aim)
        if isinstance(near, _End):
            # Where two ends meet, one is led to the other, which needs nothing more.
            node = self._led.setdefault(near, self._place_of(near))
        elif near is None:
            node = aim.node
            self._nodes[aim.line].append(VertexOnSegment(aim.segment, aim.share, node))
        else:
            node = near
        self._led[end] = node

    def _near(self, aim: Aim) -> Optional[Union[_End, Node]]:
        """Return the end or the node of the line that is aimed at which is near enough to be taken instead."""
        near: list[tuple[float, Union[_End, Node]]] = [
            (math.dist(vertex.place, aim.node), vertex.place) for vertex in self._nodes[aim.line]
        ]
        if not self.lines[aim.line].is_ring:
            ends = (_End(aim.line, at_begin) for at_begin in (True, False))
            near += [(math.dist(self._place_of(end), aim.node), end) for end in ends]
        distance, best = min(near, key=lambda entry: entry[0], default=(math.inf, None))
        return best if distance <= self._reach_px else None

    def _place_of(self, end: _End) -> Node:
        line = self.lines[end.line]
        return line.begin if end.at_begin else line.end


def _by_node(lines: Iterable[Line]) -> dict[Node, list[_End]]:
    """Return which lines begin or end at each node."""
    found: dict[Node, list[_End]] = defaultdict(list)
    for number, line in enumerate(lines):
        found[line.begin].append(_End(number, at_begin=True))
        found[line.end].append(_End(number, at_begin=False))
    return found


def _without_crumbs(lines: Sequence[Line], scale: int) -> list[Line]:
    """Return the lines without those that are too short for what they are."""
    by_node = _by_node(lines)

    def is_kept(line: Line) -> bool:
        if line.is_ring and len(by_node[line.begin]) == _TWO:
            return line.length_px >= SHORTEST_ALONE_PX * scale
        loose_ends = sum(len(by_node[node]) == 1 for node in (line.begin, line.end))
        return line.length_px >= (0.0, SHORTEST_LOOSE_PX, SHORTEST_ALONE_PX)[loose_ends] * scale

    return [line for line in lines if is_kept(line)]


def _merged(lines: Sequence[Line]) -> list[Line]:
    """Return the lines, those that meet at a node with no third as one."""
    by_node = _by_node(lines)
    is_done = [False] * len(lines)

    def following(end: _End) -> Optional[_End]:
        """Return the end that alone meets this one, if it is another line's that is not taken yet."""
        line = lines[end.line]
        there = by_node[line.begin if end.at_begin else line.end]
        if len(there) != _TWO:
            return None
        other = there[0] if there[1] == end else there[1]
        return None if is_done[other.line] else other

    def run(end: _End) -> Iterator[_End]:
        """Yield the ends at which the lines are entered that follow on ``end``."""
        entered = following(end)
        while entered is not None:
            is_done[entered.line] = True
            yield entered
            entered = following(_End(entered.line, not entered.at_begin))

    result = []
    for number, line in enumerate(lines):
        if is_done[number]:
            continue
        is_done[number] = True
        whole = line
        for at_begin in (False, True):
            whole = whole.reversed() if at_begin else whole
            for entered in run(_End(number, at_begin)):
                other = lines[entered.line]
                whole = whole.followed_by(other if entered.at_begin else other.reversed())
        result.append(whole)
    return result
