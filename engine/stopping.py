"""Stop here, keep this: how the tiles are made that are left when a run ends early.

The tiles that are done stay as they are, and those that an earlier run left in the cache are taken; the rest of the
extent is made in a way that takes next to no time, and the report says which (:mod:`.stopped`).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .anchor import anchor
from .forward_model import ForwardModel
from .memory import is_out_of_memory
from .progress import OnStep, go_on
from .scene import Tile
from .stopped import Rest
from .tiling import plan_tiles

# The cores of the pieces that a tile of the rest is made in where memory does not suffice for all of it.
PIECE_CORE_PX = 56


def fill(tile: Tile, rest: Rest | None, on_step: OnStep) -> Tile:
    """Return the tile with a quick estimate that agrees with the input; ``rest`` is that of :class:`Stopped`.

    Where memory runs out, it is made in pieces.
    """
    on_step(0, 1)
    try:
        return replace(tile, estimate=_filled(tile, rest, on_step))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Only here, past the handler, has the error let go of the tile's arrays.
    return replace(tile, estimate=_filled_in_pieces(tile, rest, on_step))


def _filled(tile: Tile, rest: Rest | None, on_step: OnStep) -> Tensor:
    if rest is Rest.ANCHOR:
        return anchor(tile.low_res, tile.forward_model, tile.damping, on_step)
    return tile.forward_model.enlarge(tile.low_res, tile.damping)


def _filled_in_pieces(tile: Tile, rest: Rest | None, on_step: OnStep) -> Tensor:
    model = tile.forward_model
    bands, rows_px, columns_px = tile.low_res.shape
    filled = tile.low_res.new_zeros((bands, rows_px * model.scale, columns_px * model.scale))
    windows = plan_tiles(rows_px, columns_px, PIECE_CORE_PX)
    for number, window in enumerate(windows):
        on_step(number, len(windows))
        place = (slice(None), *window.slices)
        low_res, valid = tile.low_res[place], tile.valid[place]
        size_px = (low_res.shape[1], low_res.shape[2])
        piece_model = ForwardModel(model.psfs, size_px, model.scale, low_res.device)
        piece = replace(tile, low_res=low_res, valid=valid, forward_model=piece_model)
        weights = torch.from_numpy(window.blending_weights(model.scale)).to(filled.device)
        high_res_place = (slice(None), *window.high_res_slices(model.scale))
        filled[high_res_place] += _filled(piece, rest, go_on) * weights
    return filled
