"""Tiles cover the extent, and their blended results leave no seam."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headland.engine.tiling import BLEND_PX, LARGEST_CORE_PX, MARGIN_PX, margin_for, plan_tiles

# Decrappify's network halves its image four times.
STRIDE_PX = 16


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 260), columns=st.integers(1, 260), core=st.integers(32, 300), scale=st.sampled_from((1, 2, 4))
)
def test_blending_weights_sum_to_one_at_every_pixel(rows: int, columns: int, core: int, scale: int) -> None:
    total = np.zeros((rows * scale, columns * scale))
    for tile in plan_tiles(rows, columns, core):
        total[tile.high_res_slices(scale)] += tile.blending_weights(scale)
    assert np.allclose(total, 1.0, atol=1e-6)


@settings(deadline=None)
@given(rows=st.integers(1, 2000), columns=st.integers(1, 2000))
def test_cores_cover_the_extent_once(rows: int, columns: int) -> None:
    count = np.zeros((rows, columns), dtype=np.uint8)
    for tile in plan_tiles(rows, columns):
        core_rows, core_columns = tile.core_slices
        count[tile.slices][core_rows, core_columns] += 1
    assert (count == 1).all()


@settings(deadline=None)
@given(rows=st.integers(1, 2000), core=st.integers(32, 300), scale=st.sampled_from((2, 4)))
def test_every_tile_begins_where_the_network_would_begin_in_the_whole(rows: int, core: int, scale: int) -> None:
    for tile in plan_tiles(rows, rows, core, margin_for(64, scale)):
        assert all(place.start % STRIDE_PX == 0 for place in tile.high_res_slices(scale))


@settings(deadline=None)
@given(rows=st.integers(1, 5000), core=st.integers(32, LARGEST_CORE_PX))
def test_no_core_is_larger_than_asked_for(rows: int, core: int) -> None:
    for tile in plan_tiles(rows, 1, core):
        assert 0 < tile.rows.core_stop - tile.rows.core_start <= core


def test_a_tile_inside_the_extent_has_its_whole_margin() -> None:
    tiles = plan_tiles(900, 900, 224)
    inner = next(tile for tile in tiles if tile.rows.core_start > 0 and tile.columns.core_stop < 900)
    assert inner.rows.core_start - inner.rows.start == MARGIN_PX
    assert inner.columns.stop - inner.columns.core_stop == MARGIN_PX


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("context_px", [1, 16, 64, 65, 300])
def test_every_pixel_that_is_used_has_the_context_that_the_network_needs(context_px: int, scale: int) -> None:
    tile = plan_tiles(1792, 8, 224, margin_for(context_px, scale))[1]
    used = np.flatnonzero(tile.blending_weights(scale)[:, 0])
    length_px = (tile.rows.stop - tile.rows.start) * scale
    assert used[0] >= context_px
    assert length_px - 1 - used[-1] >= context_px


def test_no_weight_falls_on_the_outer_half_of_a_margin() -> None:
    tile = plan_tiles(448, 224, 224)[0]
    weights = tile.blending_weights(4)[:, 0]
    assert weights[0] == 1.0
    assert (weights[-(MARGIN_PX // 2) * 4 :] == 0.0).all()


@pytest.mark.parametrize("scale", [2, 4])
def test_one_tile_gives_way_to_the_next_gradually(scale: int) -> None:
    weights = plan_tiles(448, 224, 224)[0].blending_weights(scale)[:, 0].astype(float)
    falling = -np.diff(weights)
    assert falling.min() >= 0.0
    # Sixteen low-res pixels from one to the other, in steps of equal height.
    assert falling.max() == pytest.approx(1 / (16 * scale), rel=1e-3)
    assert BLEND_PX * 2 <= MARGIN_PX
