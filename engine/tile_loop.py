"""Tile by tile through the stages: what is kept is taken up, what runs out of memory is tried in smaller tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .bands import band_groups
from .memory import give_back_memory, is_out_of_memory
from .pictures import Outputs, Pictures
from .plan import Plan, Stage
from .progress import Progress
from .scene import Scene, Tile
from .stopped import Rest, Stopped, choose_rest, what_came
from .stopping import fill
from .tiling import TileWindow

_PHASES = {
    "anchor": "Sharpening",
    "enlarge": "Enlarging",
    "dip": "Removing the pixels",
    "decrappify": "Restoring borders",
    "consistency": "Checking against the input",
    "rest": "Filling the rest",
}
# The fraction of the job that is done when all tiles are.
_END = 0.98


def run_tiles(  # noqa: PLR0913, PLR0917, what the job is and where it is
    scene: Scene,
    tiles: tuple[TileWindow, ...],
    smaller_tiles: Iterator[tuple[TileWindow, ...]],
    plan: Plan,
    outputs: Outputs,
    progress: Progress,
    done: float,
) -> tuple[tuple[TileWindow, ...], Stopped | None]:
    """Fill ``outputs`` tile by tile; return the tiles that it took, and what came of it if it was to finish early.

    Args:
        tiles: the extent in tiles.
        smaller_tiles: the same in smaller and smaller ones, for where memory runs out.
        done: the fraction of the job that is done before.
    """
    while True:
        try:
            stopped = _TileLoop(scene, tiles, plan, outputs, progress, done).run()
        except Exception as error:
            smaller = next(smaller_tiles, None) if is_out_of_memory(error) else None
            if smaller is None:
                raise
            tiles = smaller
        else:
            return tiles, stopped
        # Only here, past the handler, has the error let go of the tile's arrays.
        progress.enter("Going on with smaller tiles, for lack of memory", done, done)
        outputs.clear()
        if scene.device.type == "cuda":
            torch.cuda.empty_cache()


@dataclass(frozen=True)
class _Part:
    """Some bands of a tile.

    Attributes:
        which: the tile's name for people.
        begin, end: the fractions of the job that are done before and after.
    """

    window: TileWindow
    bands: slice
    which: str
    begin: float
    end: float


class _TileLoop:
    """Puts every tile through the stages and adds it to ``outputs`` with its blending weights, some bands at a time.

    Once the job is to finish, the tile at hand is brought to its end in all of its bands; of the others those are taken
    that lie in the cache, and the rest is made in a quick way.
    """

    def __init__(
        self,
        scene: Scene,
        tiles: tuple[TileWindow, ...],
        plan: Plan,
        outputs: Outputs,
        progress: Progress,
        begin: float,
    ) -> None:
        self._scene, self._tiles, self._plan, self._outputs, self._progress = scene, tiles, plan, outputs, progress
        self._begin = begin
        self._groups = band_groups(scene.bands)
        self._rest: Rest | None = None
        self._filled: list[TileWindow] = []
        self._may_be_shortened = False

    def run(self) -> Stopped | None:
        """Fill the outputs; return what came of it if it is not what the whole job would have given."""
        for number, window in enumerate(self._tiles):
            if self._progress.is_to_finish():
                self._stop(number)
            self._run_tile(number, window)
        is_early = bool(self._filled) or self._may_be_shortened
        return what_came(self._filled, self._tiles, self._rest) if is_early else None

    def _stop(self, number: int) -> None:
        """Make no tile from this one on by the method."""
        if self._rest is None:
            self._rest = choose_rest(self._tiles[number:], self._scene.bands)

    def _run_tile(self, number: int, window: TileWindow) -> None:
        cache = self._plan.cache
        # A tile of which some bands are sharper than others would be of neither kind.
        may_be_kept = self._rest is None or cache.holds(self._scene, window, self._groups, self._outputs.count)
        is_filled = False
        for part in self._parts(number, window):
            pictures = self._kept(part) if cache.is_on and may_be_kept else None
            if pictures is None and self._rest is None:
                pictures = self._made(part)
                if pictures is None:
                    self._stop(number)
            if pictures is None:
                is_filled = True
                stage = partial(fill, rest=self._rest, on_step=self._progress.step)
                pictures = self._through((("rest", stage),), part)
            with self._progress.timed("blend"):
                self._outputs.blend(self._scene, window, part.bands, pictures)
            del pictures
            give_back_memory()
        if is_filled:
            self._filled.append(window)

    def _parts(self, number: int, window: TileWindow) -> Iterator[_Part]:
        which = f"tile {number + 1} of {len(self._tiles)}"
        parts = len(self._tiles) * len(self._groups)
        for part, bands in enumerate(self._groups, number * len(self._groups)):
            begin, end = (self._begin + (_END - self._begin) * edge / parts for edge in (part, part + 1))
            yield _Part(window, bands, which, begin, end)

    def _kept(self, part: _Part) -> Pictures | None:
        """Return what an earlier run made of the part, if it is kept."""
        with self._progress.timed("cache"):
            stacked = self._plan.cache.find(self._scene, part.window, part.bands, self._outputs.count)
        if stacked is None:
            return None
        pictures = self._outputs.unstacked(stacked)
        self._progress.enter(f"Going on where it was, {part.which}", part.begin, part.end)
        self._plan.show(part.window, part.bands, pictures.result)
        return pictures

    def _made(self, part: _Part) -> Pictures | None:
        """Return what the method makes of the part, and keep it; None if the job is to finish and memory ran out."""
        try:
            pictures = self._through(self._plan.stages, part)
        except Exception as error:
            # What is finished by then is worth more than this tile.
            if self._progress.is_to_finish() and is_out_of_memory(error):
                return None
            raise
        if self._progress.is_to_finish():
            # One that was ended early is not what the next run is to have.
            self._may_be_shortened = True
        elif self._plan.cache.is_on:
            with self._progress.timed("cache"):
                self._plan.cache.keep(self._scene, part.window, part.bands, pictures.stacked())
        return pictures

    def _through(self, stages: Sequence[tuple[str, Stage]], part: _Part) -> Pictures:
        """Return what the stages make of the part."""
        tile = self._scene.tile(part.window, part.bands)
        after_dip: Tile | None = None
        for position, (name, stage) in enumerate(stages):
            begin, end = (
                part.begin + (part.end - part.begin) * edge / len(stages) for edge in (position, position + 1)
            )
            self._progress.enter(f"{_PHASES[name]}, {part.which}", begin, end)
            with self._progress.timed(name):
                tile = stage(tile)
            if tile.estimate is not None:
                self._plan.show(part.window, part.bands, tile.estimate)
            if name == "dip" and self._outputs.count > 1:
                after_dip = tile
        if tile.estimate is None:
            raise ValueError("No stage made an estimate.")
        dip = None if self._outputs.dip is None else self._dip_alone(tile, after_dip, dict(stages).get("consistency"))
        bound = None if self._outputs.bound is None else self._bound(tile, after_dip)
        return Pictures(tile.estimate, dip, bound)

    def _dip_alone(self, tile: Tile, after_dip: Tile | None, consistency: Stage | None) -> Tensor | None:
        """Return what Deep Image Prior alone gives of a finished tile, as its own method ends it."""
        if after_dip is None or consistency is None:
            # Where the rest is made in a quick way, there is no other picture of it.
            return tile.estimate
        with self._progress.timed("consistency"):
            return consistency(after_dip).estimate

    def _bound(self, tile: Tile, after_dip: Tile | None) -> Tensor:
        """Return what the error of a finished tile stays below in nine pixels of ten, 0 where the input is invalid."""
        dip = None if after_dip is None else after_dip.estimate
        # To finish early leaves out turns, where there are several.
        is_cut_short = self._progress.is_to_finish() and self._plan.settings.get("turns", 1) > 1
        if dip is not None and self._plan.confidence is not None and not is_cut_short:
            with self._progress.timed("confidence"):
                return self._plan.confidence(tile, dip).bound.nan_to_num(nan=0.0)
        # Nobody has measured how far off the quick way is, or a tile that was cut short: as far as the band's range is
        # wide.
        scale = tile.forward_model.scale
        valid = tile.valid.to(tile.low_res.dtype)
        return valid.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
