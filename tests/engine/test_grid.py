"""Window arithmetic: where the result's pixels lie follows from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headland.engine.grid import Grid, Window

NORTH_UP = Grid((443050.0, 10.0, 0.0, 4179260.0, 0.0, -10.0), 300, 200, "")
SOUTH_UP = Grid((100.0, 2.0, 0.0, 50.0, 0.0, 5.0), 40, 30, "")

steps = st.floats(1e-5, 1e4) | st.floats(-1e4, -1e-5)
grids = st.builds(
    lambda x, y, x_step, y_step, width, height: Grid((x, x_step, 0.0, y, 0.0, y_step), width, height, ""),
    st.floats(-1e7, 1e7),
    st.floats(-1e7, 1e7),
    steps,
    steps,
    st.integers(1, 30_000),
    st.integers(1, 30_000),
)
pixels = st.integers(0, 5000)
sizes = st.integers(1, 5000)
windows = st.builds(Window, pixels, pixels, sizes, sizes)


def test_bounds_are_the_outer_corners() -> None:
    assert NORTH_UP.bounds == (443050.0, 4177260.0, 446050.0, 4179260.0)
    assert SOUTH_UP.bounds == (100.0, 50.0, 180.0, 200.0)


def test_an_extent_along_pixel_borders_is_that_window() -> None:
    assert NORTH_UP.window_of((443100.0, 4179000.0, 443300.0, 4179200.0)) == Window(5, 6, 20, 20)
    assert SOUTH_UP.window_of((104.0, 60.0, 110.0, 65.0)) == Window(2, 2, 3, 1)


def test_every_pixel_that_the_extent_reaches_into_belongs_to_the_window() -> None:
    assert NORTH_UP.window_of((443109.0, 4179001.0, 443301.0, 4179199.0)) == Window(5, 6, 21, 20)


def test_rounding_errors_of_the_extent_add_no_pixels() -> None:
    off = 1e-6
    assert NORTH_UP.window_of((443100.0 - off, 4179000.0 - off, 443300.0 + off, 4179200.0 + off)) == Window(
        5, 6, 20, 20
    )


def test_an_extent_partly_outside_is_clipped() -> None:
    assert NORTH_UP.window_of((0.0, 4179160.0, 443150.0, 1e8)) == Window(0, 0, 10, 10)


@pytest.mark.parametrize(
    "bounds",
    [
        (0.0, 0.0, 10.0, 10.0),
        (446050.0, 4177260.0, 446100.0, 4179260.0),
        (443050.0, 4179260.0, 446050.0, 4179300.0),
        (1e300, 1e300, 1.1e300, 1.1e300),
    ],
    ids=["far away", "along the east side", "along the north side", "huge"],
)
def test_an_extent_that_does_not_touch_the_grid_has_no_window(bounds: tuple[float, float, float, float]) -> None:
    assert NORTH_UP.window_of(bounds) is None


def test_an_extent_inside_one_pixel_is_that_pixel() -> None:
    assert NORTH_UP.window_of((443054.0, 4179253.0, 443054.01, 4179253.01)) == Window(0, 0, 1, 1)


def test_bounds_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        NORTH_UP.window_of((float("nan"), 0.0, 1.0, 1.0))


def test_a_rotated_grid_says_so_and_has_no_windows() -> None:
    rotated = Grid((0.0, 1.0, 0.1, 0.0, 0.1, -1.0), 10, 10, "")
    assert rotated.is_rotated
    assert not NORTH_UP.is_rotated
    with pytest.raises(ValueError, match="rotated"):
        rotated.window_of((0.0, 0.0, 1.0, 1.0))


def test_a_part_starts_at_the_windows_corner() -> None:
    part = NORTH_UP.part(Window(5, 6, 20, 10))
    assert part.geotransform == (443100.0, 10.0, 0.0, 4179200.0, 0.0, -10.0)
    assert (part.width_px, part.height_px) == (20, 10)


def test_refining_divides_the_pixel_size() -> None:
    refined = SOUTH_UP.refined(4)
    assert refined.geotransform == (100.0, 0.5, 0.0, 50.0, 0.0, 1.25)
    assert (refined.width_px, refined.height_px) == (160, 120)


def test_a_window_needs_a_pixel() -> None:
    with pytest.raises(ValueError, match="0 x 3"):
        Window(0, 0, 0, 3)


@given(grids, st.sampled_from([2, 4]))
def test_refining_keeps_the_outer_corners_to_the_last_bit(grid: Grid, scale: int) -> None:
    assert grid.refined(scale).bounds == grid.bounds


extents = st.tuples(*[st.floats(-0.2, 1.2)] * 4)


@settings(max_examples=1000, deadline=None)
@given(grids, extents, st.sampled_from([2, 4]))
def test_the_results_outer_corners_are_the_windows_and_its_pixels_nest_in_the_sources(
    grid: Grid, extent: tuple[float, float, float, float], scale: int
) -> None:
    x_min, y_min, x_max, y_max = grid.bounds
    # Drawn from any corner to any other, also from right to left and beyond the raster.
    xs = sorted(x_min + part * (x_max - x_min) for part in extent[::2])
    ys = sorted(y_min + part * (y_max - y_min) for part in extent[1::2])
    window = grid.window_of((xs[0], ys[0], xs[1], ys[1]))
    if window is None:
        return
    result = grid.part(window).refined(scale)
    assert (result.width_px, result.height_px) == (window.width_px * scale, window.height_px * scale)
    for axis in (0, 1):
        # A billionth of a pixel, but for rasters whose pixels are so small that the coordinates themselves, as GDAL
        # keeps them, are not that fine.
        largest = max(abs(bound) for bound in grid.bounds[axis::2])
        tolerance = max(1e-9 * grid.pixel_size[axis], 4 * np.spacing(largest))
        corners, expected = result.bounds[axis::2], grid.bounds_of(window)[axis::2]
        assert np.abs(np.subtract(corners, expected)).max() <= tolerance
        # The pixels' size is exact, so every one of the result's borders that is due on one of the source's is there.
        assert result.geotransform[1 + 4 * axis] * scale == grid.geotransform[1 + 4 * axis]
    assert result.geotransform[2] == result.geotransform[4] == 0.0


@given(grids, st.data())
def test_the_bounds_of_a_window_give_that_window_back(grid: Grid, data: st.DataObject) -> None:
    column = data.draw(st.integers(0, grid.width_px - 1))
    row = data.draw(st.integers(0, grid.height_px - 1))
    width = data.draw(st.integers(1, grid.width_px - column))
    height = data.draw(st.integers(1, grid.height_px - row))
    window = Window(column, row, width, height)
    bounds = grid.bounds_of(window)
    # Where a pixel is smaller than what a float can tell apart there is nothing to hold.
    resolution = max(abs(bound) for bound in bounds) * 1e-12
    if min(grid.pixel_size) > resolution:
        assert grid.window_of(bounds) == window


@given(windows, windows)
def test_an_intersection_lies_in_both_and_does_not_depend_on_the_order(one: Window, other: Window) -> None:
    both = one.intersection(other)
    assert both == other.intersection(one)
    if both is not None:
        assert both.intersection(one) == both
        assert both.intersection(other) == both


@given(windows, st.integers(1, 6000))
def test_strips_cover_the_window_from_top_to_bottom(window: Window, height_px: int) -> None:
    row = window.row_px
    for strip in window.strips(height_px):
        assert (strip.column_px, strip.width_px, strip.row_px) == (window.column_px, window.width_px, row)
        assert strip.height_px <= height_px
        row += strip.height_px
    assert row == window.row_px + window.height_px
