"""Tile by tile through the stages, or batch by batch: what is kept is taken up.

What runs out of memory is tried with fewer tiles at a time, then in smaller tiles.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat

from torch import Tensor

from .bands import band_groups
from .batches import batches, in_order_of
from .device import give_back_device_memory
from .memory import give_back_memory, is_out_of_memory
from .pictures import Outputs, Pictures
from .plan import Plan, Stage
from .progress import Progress
from .scene import Scene, Tile, stacked
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
# What the other stages build on; the anchor where it stands in for Deep Image Prior.
_FIRST_PICTURES = ("dip", "anchor")
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
        give_back_device_memory(scene.device)


@dataclass(frozen=True)
class _Part:
    """Some bands of a tile.

    Attributes:
        which: the tile's name for people.
        begin, end: the fractions of the job that are done before and after its batch.
    """

    window: TileWindow
    bands: slice
    which: str
    begin: float
    end: float


class _TileLoop:
    """Puts every tile through the stages and adds it to ``outputs`` with its blending weights, some bands at a time.

    Tiles of one size go together, as many as the plan says, and fewer once memory runs out. Once the job is to finish,
    the batch at hand is brought to its end in all of its bands; of the others those tiles are taken that lie in the
    cache, and the rest is made in a quick way.
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
        self._scene, self._plan, self._outputs, self._progress = scene, plan, outputs, progress
        self._begin = begin
        self._batches = tuple(batches(tiles, plan.tiles_at_once))
        self._tiles = in_order_of(self._batches)
        self._at_once = plan.tiles_at_once
        self._groups = band_groups(scene.bands)
        self._rest: Rest | None = None
        self._filled: set[TileWindow] = set()
        self._may_be_shortened = False

    def run(self) -> Stopped | None:
        """Fill the outputs; return what came of it if it is not what the whole job would have given."""
        number = 0
        for batch in self._batches:
            if self._progress.is_to_finish():
                self._stop(number)
            self._run_batch(number, batch)
            number += len(batch)
        is_early = bool(self._filled) or self._may_be_shortened
        return what_came(self._filled, self._tiles, self._rest) if is_early else None

    def _stop(self, number: int) -> None:
        """Make no tile from this one on by the method."""
        if self._rest is None:
            self._rest = choose_rest(self._tiles[number:], self._scene.bands)

    def _run_batch(self, number: int, batch: tuple[TileWindow, ...]) -> None:
        cache = self._plan.cache
        # A tile of which some bands are sharper than others would be of neither kind.
        may_be_kept = {
            window
            for window in batch
            if self._rest is None or cache.holds(self._scene, window, self._groups, self._outputs.count)
        }
        is_to_make = self._rest is None
        for parts in self._parts(number, batch):
            self._run_parts(number, parts, may_be_kept, is_to_make=is_to_make)
            # What the parts took is free only here, outside of the call.
            give_back_memory()

    def _run_parts(
        self, number: int, parts: Sequence[_Part], may_be_kept: Container[TileWindow], *, is_to_make: bool
    ) -> None:
        """Blend some bands of a batch's tiles, of which those that are not kept are made, or filled in a quick way."""
        is_on = self._plan.cache.is_on
        found = [self._kept(part) if is_on and part.window in may_be_kept else None for part in parts]
        if is_to_make:
            missing = [
                place for place, part in enumerate(parts) if found[place] is None and part.window not in self._filled
            ]
            made = self._made([parts[place] for place in missing]) if missing else []
            for place, pictures in zip(missing, made):
                found[place] = pictures
            if len(made) < len(missing):
                self._stop(number)
        for part, of_the_method in zip(parts, found):
            if of_the_method is None:
                self._filled.add(part.window)
            pictures = of_the_method or self._in_a_quick_way(part)
            with self._progress.timed("blend"):
                self._outputs.blend(self._scene, part.window, part.bands, pictures)

    def _parts(self, number: int, batch: tuple[TileWindow, ...]) -> Iterator[list[_Part]]:
        """Yield the tiles of a batch, of each group of bands."""
        groups = len(self._groups)
        parts = len(self._tiles) * groups
        for group, bands in enumerate(self._groups):
            edges = (number * groups + (group + end) * len(batch) for end in (0, 1))
            begin, end = (self._begin + (_END - self._begin) * edge / parts for edge in edges)
            yield [
                _Part(window, bands, f"tile {place} of {len(self._tiles)}", begin, end)
                for place, window in enumerate(batch, number + 1)
            ]

    def _kept(self, part: _Part) -> Pictures | None:
        """Return what an earlier run made of the part, if it is kept."""
        with self._progress.timed("cache"):
            stacked_pictures = self._plan.cache.find(self._scene, part.window, part.bands, self._outputs.count)
        if stacked_pictures is None:
            return None
        pictures = self._outputs.unstacked(stacked_pictures)
        self._progress.enter(f"Going on where it was, {part.which}", part.begin, part.end)
        self._plan.show(part.window, part.bands, pictures.result)
        return pictures

    def _made(self, parts: Sequence[_Part]) -> list[Pictures]:
        """Return what the method makes of the parts, and keep it.

        It is that of the first ones only if the job is to finish and memory ran out.
        """
        all_pictures = self._through_in_batches(parts)
        if self._progress.is_to_finish():
            # One that was ended early is not what the next run is to have.
            self._may_be_shortened = True
        elif self._plan.cache.is_on:
            with self._progress.timed("cache"):
                for part, pictures in zip(parts, all_pictures):
                    self._plan.cache.keep(self._scene, part.window, part.bands, pictures.stacked())
        return all_pictures

    def _through_in_batches(self, parts: Sequence[_Part]) -> list[Pictures]:
        """Return what the stages make of the parts, in halves and their halves where memory runs out for all."""
        made: list[Pictures] = []
        while len(made) < len(parts):
            some = parts[len(made) : len(made) + self._at_once]
            try:
                made += self._through(self._plan.stages, some)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if len(some) == 1:
                    # What is finished by then is worth more than the rest.
                    if self._progress.is_to_finish():
                        return made
                    raise
                self._at_once = len(some) // 2
            else:
                continue
            # Only here, past the handler, has the error let go of the tiles' arrays.
            self._progress.enter(
                "Going on with fewer tiles at a time, for lack of memory", some[0].begin, some[0].begin
            )
            give_back_device_memory(self._scene.device)
        return made

    def _in_a_quick_way(self, part: _Part) -> Pictures:
        stage = partial(fill, rest=self._rest, on_step=self._progress.step)
        (pictures,) = self._through((("rest", stage),), [part])
        return pictures

    def _through(self, stages: Sequence[tuple[str, Stage]], parts: Sequence[_Part]) -> list[Pictures]:
        """Return what the stages make of the parts, all at once."""
        first = parts[0]
        tile = stacked([self._scene.tile(part.window, part.bands) for part in parts])
        after_dip: Tile | None = None
        for position, (name, stage) in enumerate(stages):
            begin, end = (
                first.begin + (first.end - first.begin) * edge / len(stages) for edge in (position, position + 1)
            )
            self._progress.enter(f"{_PHASES[name]}, {first.which}", begin, end)
            with self._progress.timed(name):
                tile = stage(tile)
            for part, one in zip(parts, tile.unstacked()):
                if one.estimate is not None:
                    self._plan.show(part.window, part.bands, one.estimate)
            if name in _FIRST_PICTURES and self._outputs.count > 1:
                after_dip = tile
        before = repeat(None) if after_dip is None else after_dip.unstacked()
        return [self._pictures(one, early, dict(stages)) for one, early in zip(tile.unstacked(), before)]

    def _pictures(self, tile: Tile, after_dip: Tile | None, stages: dict[str, Stage]) -> Pictures:
        """Return what is wished for of a finished tile."""
        if tile.estimate is None:
            raise ValueError("No stage made an estimate.")
        dip = None if self._outputs.dip is None else self._dip_alone(tile, after_dip, stages.get("consistency"))
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
