"""Small tiles: what is to be seen where an extent has several takes little time then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headland.engine import tiling
from headland.engine.tiling import TileWindow


def plan_small_tiles(
    monkeypatch: pytest.MonkeyPatch, core_px: int | Callable[[int], int]
) -> list[tuple[TileWindow, ...]]:
    """Let the pipeline cut its extents into tiles of another size; return the cuttings, which are added as they come.

    Args:
        core_px: how long the sides of the cores are, or what makes that of the length that was asked for.
    """
    plan_tiles = tiling.plan_tiles
    cuttings: list[tuple[TileWindow, ...]] = []

    def plan(rows_px: int, columns_px: int, largest_core_px: int, margin_px: int) -> tuple[TileWindow, ...]:
        core = core_px(largest_core_px) if callable(core_px) else core_px
        cuttings.append(plan_tiles(rows_px, columns_px, core, margin_px))
        return cuttings[-1]

    monkeypatch.setattr(tiling, "plan_tiles", plan)
    return cuttings
