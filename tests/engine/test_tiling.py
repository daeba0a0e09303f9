"""Tiles cover the extent, and their blended results leave no seam."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headland.engine.tiling import MARGIN_PX, plan_tiles


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


def test_a_tile_inside_the_extent_has_its_whole_margin() -> None:
    tiles = plan_tiles(900, 900, 224)
    inner = next(tile for tile in tiles if tile.rows.core_start > 0 and tile.columns.core_stop < 900)
    assert inner.rows.core_start - inner.rows.start == MARGIN_PX
    assert inner.columns.stop - inner.columns.core_stop == MARGIN_PX


def test_no_weight_falls_on_the_outer_half_of_a_margin() -> None:
    tile = plan_tiles(448, 224, 224)[0]
    weights = tile.blending_weights(4)[:, 0]
    assert weights[0] == 1.0
    assert (weights[-(MARGIN_PX // 2) * 4 :] == 0.0).all()
