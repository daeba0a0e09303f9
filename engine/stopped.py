"""What a run gives that ends early: which tiles are made as the method has it, and how the rest is made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Optional

from .tiling import TileWindow

# Low-res pixels times bands up to which the rest is made by the anchor, which costs about as much as the fast Deep
# Image Prior: two seconds on one core at a scale factor of four.
MOST_FOR_ANCHOR_PX = 1 << 18


class Rest(str, Enum):
    """How the tiles are made that are not done."""

    ANCHOR = "anchor"
    ENLARGED = "enlarged"


@dataclass(frozen=True)
class Stopped:
    """What a run that ended early is made of.

    Attributes:
        share_done: how much of the area went through the stages of its method, in this run or in the earlier one whose
            tiles it took, from 0 to 1. Deep Image Prior may have had fewer turns or iterations in the tile at hand.
        rest: what all else is; None where there is nothing else.
    """

    share_done: float
    rest: Optional[Rest]


def choose_rest(left: Sequence[TileWindow], bands: int) -> Rest:
    """Return how to make the tiles that are left, as if none of them were in the cache."""
    left_px = sum(_core_area_px(tile) for tile in left)
    return Rest.ANCHOR if left_px * bands <= MOST_FOR_ANCHOR_PX else Rest.ENLARGED


def what_came(filled: Collection[TileWindow], tiles: Sequence[TileWindow], rest: Optional[Rest]) -> Stopped:
    """Return what a run gives whose ``filled`` tiles were made as the ``rest``."""
    if not filled:
        return Stopped(1.0, None)
    filled_px, all_px = (sum(_core_area_px(tile) for tile in some) for some in (filled, tiles))
    return Stopped(1.0 - filled_px / all_px, rest)


def _core_area_px(tile: TileWindow) -> int:
    return (tile.rows.core_stop - tile.rows.core_start) * (tile.columns.core_stop - tile.columns.core_start)
