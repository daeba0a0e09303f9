"""Tile by tile through the stages: what is kept is taken up, what runs out of memory is tried in smaller tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import torch
from torch import Tensor

from .array_file import Numbers, clear
from .bands import band_groups
from .memory import give_back_memory, is_out_of_memory
from .plan import Plan, Stage
from .progress import Progress
from .scene import Scene, Tile
from .stopping import Stopped, fill, stop_at
from .tiling import TileWindow

_PHASES = {
    "anchor": "Sharpening",
    "enlarge": "Enlarging",
    "dip": "Removing the pixels",
    "decrappify": "Restoring borders",
    "consistency": "Checking against the input",
    "rest": "Filling the rest",
}


def run_tiles(
    scene: Scene,
    tilings: Sequence[tuple[TileWindow, ...]],
    plan: Plan,
    output: Numbers,
    progress: Progress,
    done: float,
) -> tuple[tuple[TileWindow, ...], Stopped | None]:
    """Fill ``output`` tile by tile; return the tiles that it took, and what came of it if it was to finish early.

    Args:
        tilings: the extent in tiles, then in smaller and smaller ones for where memory runs out.
        done: the fraction of the job that is done before.
    """
    for tries_left, tiles in zip(range(len(tilings))[::-1], tilings, strict=True):
        try:
            stopped = _run_tiles(scene, tiles, plan, output, progress, done)
        except Exception as error:
            if not is_out_of_memory(error) or not tries_left:
                raise
        else:
            return tiles, stopped
        # Only here, past the handler, has the error let go of the tile's arrays.
        progress.enter("Going on with smaller tiles, for lack of memory", done, done)
        clear(output)
        if scene.device.type == "cuda":
            torch.cuda.empty_cache()
    raise AssertionError("The last try returns or raises.")


def _run_tiles(
    scene: Scene,
    tiles: tuple[TileWindow, ...],
    plan: Plan,
    output: Numbers,
    progress: Progress,
    done: float,
) -> Stopped | None:
    """Put every tile through the stages and add it to ``output`` with its blending weights, some bands at a time.

    Once the job is to finish, what is left is made in a quick way; return which tiles, None if it ran to its end.
    """
    stages, stopped = plan.stages, None
    groups = band_groups(scene.bands)
    parts = len(tiles) * len(groups)
    for part, (window, bands) in enumerate(product(tiles, groups)):
        number = part // len(groups)
        which = f"tile {number + 1} of {len(tiles)}"
        begin, end = (done + (0.98 - done) * edge / parts for edge in (part, part + 1))
        if stopped is None and progress.is_to_finish():
            stopped = stop_at(number, tiles, scene.bands)
            stages = (("rest", partial(fill, rest=stopped.rest, on_step=progress.step)),)
        estimate = _kept(scene, window, bands, plan, progress) if stopped is None else None
        if estimate is not None:
            progress.enter(f"Going on where it was, {which}", begin, end)
            plan.show(window, bands, estimate)
        else:
            show = partial(plan.show, window, bands)
            estimate = _estimate(scene.tile(window, bands), stages, progress, which, (begin, end), show)
            # One that was ended early is not what the next run is to have.
            if plan.cache.is_on and not progress.is_to_finish():
                with progress.timed("cache"):
                    plan.cache.keep(scene, window, bands, estimate)
        with progress.timed("blend"):
            _blend(scene, window, bands, estimate, output)
        del estimate
        give_back_memory()
    # Asked for in the last tile, it may have shortened that one.
    return stop_at(len(tiles), tiles, scene.bands) if stopped is None and progress.is_to_finish() else stopped


def _kept(scene: Scene, window: TileWindow, bands: slice, plan: Plan, progress: Progress) -> Tensor | None:
    """Return what an earlier run made of the tile, if it is kept."""
    if not plan.cache.is_on:
        return None
    with progress.timed("cache"):
        return plan.cache.find(scene, window, bands)


def _blend(scene: Scene, window: TileWindow, bands: slice, estimate: Tensor, output: Numbers) -> None:
    """Add ``bands`` of a tile to ``output``, one after the other: as digital numbers they take more room."""
    rows, columns = window.high_res_slices(scene.scale)
    weights = window.blending_weights(scene.scale)
    for band in range(*bands.indices(scene.bands)):
        one = slice(band, band + 1)
        weighted = scene.digital(estimate[band - bands.start][None], one) * weights
        output[one, rows, columns] += weighted.astype(output.dtype)


def _estimate(
    tile: Tile,
    stages: tuple[tuple[str, Stage], ...],
    progress: Progress,
    which: str,
    share: tuple[float, float],
    show: Callable[[Tensor], None],
) -> Tensor:
    """Return what the stages make of the tile, (band, H, W); ``which`` names it for people."""
    begin, end = share
    for position, (name, stage) in enumerate(stages):
        edges = (begin + (end - begin) * edge / len(stages) for edge in (position, position + 1))
        progress.enter(f"{_PHASES[name]}, {which}", *edges)
        with progress.timed(name):
            tile = stage(tile)
        if tile.estimate is not None:
            show(tile.estimate)
    if tile.estimate is None:
        raise ValueError("No stage made an estimate.")
    return tile.estimate
