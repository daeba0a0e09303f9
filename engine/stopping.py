"""Stop here, keep this: what a run gives that ends early.

The tiles that are done stay as they are; the rest of the extent is made in a way that takes next to no time, and the
report says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from .anchor import anchor
from .progress import OnStep
from .scene import Tile
from .tiling import TileWindow

# Low-res pixels times bands up to which the rest is made by the anchor, which costs about as much as the fast Deep
# Image Prior: two seconds on one core at a scale factor of four.
MOST_FOR_ANCHOR_PX = 1 << 18


class Rest(str, Enum):
    """How the tiles that were not begun are made."""

    ANCHOR = "anchor"
    ENLARGED = "enlarged"


@dataclass(frozen=True)
class Stopped:
    """What a run that ended early is made of.

    Attributes:
        share_done: how much of the area went through the stages of its method, from 0 to 1. Deep Image Prior may have
            had fewer turns or iterations in the last tile of it.
        rest: what all else is; None where there is nothing else.
    """

    share_done: float
    rest: Rest | None


def stop_at(number: int, tiles: Sequence[TileWindow], bands: int) -> Stopped:
    """Return what a run gives whose first ``number`` tiles are done."""
    areas_px = [_core_area_px(tile) for tile in tiles]
    left_px = sum(areas_px[number:])
    if not left_px:
        return Stopped(1.0, None)
    rest = Rest.ANCHOR if left_px * bands <= MOST_FOR_ANCHOR_PX else Rest.ENLARGED
    return Stopped(1.0 - left_px / sum(areas_px), rest)


def fill(tile: Tile, rest: Rest | None, on_step: OnStep) -> Tile:
    """Return the tile with a quick estimate that agrees with the input; ``rest`` is that of :class:`Stopped`."""
    if rest is Rest.ANCHOR:
        return replace(tile, estimate=anchor(tile.low_res, tile.forward_model, tile.damping, on_step))
    on_step(0, 1)
    return replace(tile, estimate=tile.forward_model.enlarge(tile.low_res, tile.damping))


def _core_area_px(tile: TileWindow) -> int:
    return (tile.rows.core_stop - tile.rows.core_start) * (tile.columns.core_stop - tile.columns.core_start)
