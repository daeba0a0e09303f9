"""Areas of zeros: found wherever a whole square is 0, with all that is connected to it, and nothing else."""

from __future__ import annotations

import tracemalloc
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headland.engine import zero_areas
from headland.engine.array_file import new_array
from headland.engine.zero_areas import AREA, SMALLEST_SIDE_PX, ZERO, find_zero_areas, make_invalid


def areas_of(numbers: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where ``numbers`` (band, row, column) have areas of zeros, (row, column)."""
    marks = np.zeros((1, *numbers.shape[1:]), np.uint8)
    found_px = find_zero_areas(numbers, marks, lambda: None)
    is_area: NDArray[np.bool_] = marks[0] == AREA
    assert found_px == is_area.sum()
    assert not (is_area & (numbers != 0).any(axis=0)).any()
    return is_area


def areas_by_hand(is_zero: NDArray[np.bool_], side_px: int) -> NDArray[np.bool_]:
    """Return the same of zeros (row, column), pixel by pixel."""
    rows, columns = is_zero.shape
    is_area = np.zeros_like(is_zero)
    for row in range(rows - side_px + 1):
        for column in range(columns - side_px + 1):
            square = (slice(row, row + side_px), slice(column, column + side_px))
            is_area[square] |= is_zero[square].all()
    waiting = deque(map(tuple, np.argwhere(is_area)))
    while waiting:
        row, column = waiting.popleft()
        for place in ((row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)):
            if 0 <= place[0] < rows and 0 <= place[1] < columns and is_zero[place] and not is_area[place]:
                is_area[place] = True
                waiting.append(place)
    return is_area


@settings(deadline=None, max_examples=300)
@given(
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    seed=st.integers(0, 10_000),
    density=st.sampled_from([0.4, 0.6, 0.8, 0.95]),
    strip_px=st.sampled_from([1, 20, 1000]),
)
def test_any_pattern_of_zeros_has_the_areas_that_are_found_pixel_by_pixel(
    size: tuple[int, int], seed: int, density: float, strip_px: int
) -> None:
    is_zero = np.random.default_rng(seed).uniform(size=size) < density
    with pytest.MonkeyPatch.context() as changes:
        changes.setattr(zero_areas, "SMALLEST_SIDE_PX", 3)
        changes.setattr(zero_areas, "STRIP_PX", strip_px)
        np.testing.assert_array_equal(areas_of((~is_zero)[np.newaxis] * 7), areas_by_hand(is_zero, 3))


def test_a_square_is_an_area_and_one_that_lacks_a_pixel_is_none() -> None:
    numbers = np.full((1, 40, 40), 9, np.uint16)
    numbers[0, 5 : 5 + SMALLEST_SIDE_PX, 7 : 7 + SMALLEST_SIDE_PX] = 0
    assert areas_of(numbers).sum() == SMALLEST_SIDE_PX**2
    numbers[0, 12, 12] = 1
    assert not areas_of(numbers).any()


def test_a_pixel_belongs_to_an_area_only_if_every_band_is_0() -> None:
    numbers = np.zeros((3, 40, 40), np.int16)
    numbers[:, 30:] = 500
    numbers[2, :, 25:] = -3
    expected = np.zeros((40, 40), bool)
    expected[:30, :25] = True
    np.testing.assert_array_equal(areas_of(numbers), expected)


def test_an_area_winds_as_far_as_it_is_connected() -> None:
    numbers = np.full((1, 120, 90), 9, np.uint16)
    numbers[0, :20, :20] = 0
    # There and back again, one pixel wide, and over a corner at the end.
    for turn, row in enumerate(range(22, 118, 4)):
        numbers[0, row, 1:89] = 0
        numbers[0, row : row + 5, 88 if turn % 2 == 0 else 1] = 0
    numbers[0, 20:23, 1] = 0
    is_zero = numbers[0] == 0
    np.testing.assert_array_equal(areas_of(numbers), is_zero)


def test_what_is_zero_and_no_area_is_marked_as_that_and_stays_valid() -> None:
    numbers = np.full((2, 40, 40), 9, np.uint8)
    numbers[:, :20] = 0
    numbers[:, 30:33, 30:33] = 0
    marks, valid = np.zeros((1, 40, 40), np.uint8), np.ones((2, 40, 40), bool)
    find_zero_areas(numbers, marks, lambda: None)
    assert (marks[0, 30:33, 30:33] == ZERO).all()
    make_invalid(marks, valid)
    expected = np.ones((2, 40, 40), bool)
    expected[:, :20] = False
    np.testing.assert_array_equal(valid, expected)


def test_what_is_invalid_already_stays_so() -> None:
    valid = np.ones((1, 40, 40), bool)
    valid[0, 30, 30] = False
    marks = np.zeros((1, 40, 40), np.uint8)
    marks[0, :20] = AREA
    make_invalid(marks, valid)
    assert (~valid).sum() == 20 * 40 + 1


def test_an_extent_of_a_hundred_strips_takes_the_memory_of_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, columns = 3200, 512
    monkeypatch.setattr(zero_areas, "STRIP_PX", 32 * columns)
    numbers = new_array(tmp_path / "numbers.npy", np.dtype(np.uint16), (3, rows, columns))
    marks = new_array(tmp_path / "marks.npy", np.dtype(np.uint8), (1, rows, columns))
    valid = new_array(tmp_path / "valid.npy", np.dtype(np.bool_), (3, rows, columns))
    with numbers, marks, valid:
        numbers[:, rows // 2 :, 100:] = 7
        tracemalloc.start()
        try:
            assert find_zero_areas(numbers, marks, lambda: None) == rows * columns - rows // 2 * (columns - 100)
            make_invalid(marks, valid)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak_bytes < 20 * zero_areas.STRIP_PX


def test_the_search_can_be_ended_on_its_way() -> None:
    class Ended(Exception):
        pass

    def end() -> None:
        raise Ended

    with pytest.raises(Ended):
        find_zero_areas(np.zeros((1, 40, 40), np.uint16), np.zeros((1, 40, 40), np.uint8), end)


def test_a_maze_of_zeros_is_given_up_after_some_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    is_zero = np.random.default_rng(0).uniform(size=(400, 400)) < 0.42
    is_zero[190:210, 190:210] = True
    sweeps = []
    real_sweep = zero_areas._sweep

    def counted(*arguments: Any, **options: Any) -> int:
        sweeps.append(options["is_downwards"])
        return real_sweep(*arguments, **options)

    monkeypatch.setattr(zero_areas, "_sweep", counted)
    assert areas_of((~is_zero)[np.newaxis] * 7)[190:210, 190:210].all()
    assert len(sweeps) == zero_areas.MOST_SWEEPS
