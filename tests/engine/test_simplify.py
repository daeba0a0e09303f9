"""A simplified line stays within its tolerance, and keeps its ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from headland.engine.borders.simplify import distances_to, kept_vertices

coordinates = st.floats(-1000.0, 1000.0)
lines = st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=40).map(np.array)


@given(lines, st.floats(0.0, 50.0))
def test_no_vertex_lies_farther_away_than_the_tolerance(line: NDArray[np.float64], tolerance: float) -> None:
    kept = kept_vertices(line, tolerance)
    assert (kept[0], kept[-1]) == (0, len(line) - 1)
    assert (np.diff(kept) > 0).all()
    for first, last in zip(kept[:-1], kept[1:], strict=True):
        between = line[first + 1 : last]
        if len(between):
            assert distances_to(between, line[first], line[last]).max() <= tolerance


@given(lines)
def test_without_a_tolerance_nothing_is_lost_but_what_lies_between(line: NDArray[np.float64]) -> None:
    kept = kept_vertices(line, 0.0)
    for first, last in zip(kept[:-1], kept[1:], strict=True):
        for vertex in line[first + 1 : last]:
            assert distances_to(vertex[None], line[first], line[last])[0] == 0.0


def test_a_noisy_straight_line_needs_two_vertices_and_a_corner_a_third() -> None:
    along = np.linspace(0.0, 20.0, 50)
    wobble = 0.2 * np.sin(along * 7.0)
    straight = np.column_stack([along, wobble])
    assert kept_vertices(straight, 0.5).tolist() == [0, 49]
    bent = np.concatenate([straight, np.column_stack([20.0 + wobble[1:], along[1:]])])
    assert len(kept_vertices(bent, 0.5)) == 3


def test_a_ring_does_not_collapse() -> None:
    angles = np.linspace(0.0, 2.0 * np.pi, 60)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    ring[-1] = ring[0]
    assert len(kept_vertices(ring, 0.1)) > 6
    assert len(kept_vertices(ring, 100.0)) == 3


@pytest.mark.parametrize("place", [(3.0, 4.0), (-3.0, 4.0)])
def test_the_distance_is_to_the_segment_and_not_to_the_line_through_it(place: tuple[float, float]) -> None:
    begin, end = np.array([0.0, 0.0]), np.array([0.0, -10.0])
    assert distances_to(np.array([place]), begin, end)[0] == pytest.approx(5.0)
    assert distances_to(np.array([place]), begin, begin)[0] == pytest.approx(5.0)
