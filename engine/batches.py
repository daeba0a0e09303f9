"""How many tiles of one size go through the stages together, and which.

A graphics card is idle for most of a single tile's time, and waits for the next one; the processor is not, and a stack
only takes memory there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from .tiling import TileWindow

MOST_TILES = 8
# Of the graphics memory that is free: the estimate is of the processor's, and the card's libraries want some for
# themselves.
SHARE_OF_MEMORY = 0.5


def tiles_at_once(device: torch.device, tile_bytes: float) -> int:
    """Return how many tiles that take ``tile_bytes`` each have room on the device at a time; 1 on the processor."""
    if device.type != "cuda":
        return 1
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return max(1, min(MOST_TILES, int(SHARE_OF_MEMORY * free_bytes / tile_bytes)))


def batches(tiles: Sequence[TileWindow], most: int) -> Iterator[tuple[TileWindow, ...]]:
    """Yield all tiles, up to ``most`` of one size at a time; in their order where it is one."""
    if most == 1:
        yield from ((tile,) for tile in tiles)
        return
    by_size: dict[tuple[int, int], list[TileWindow]] = {}
    for tile in tiles:
        by_size.setdefault(tile.size_px, []).append(tile)
    for alike in by_size.values():
        yield from (tuple(alike[start : start + most]) for start in range(0, len(alike), most))


def in_order_of(all_batches: Iterable[tuple[TileWindow, ...]]) -> tuple[TileWindow, ...]:
    """Return the tiles of batches, one after the other."""
    return tuple(tile for batch in all_batches for tile in batch)
