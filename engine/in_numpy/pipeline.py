"""The two methods that need numpy alone, over the tiles of any extent: the anchor, and bicubic enlargement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Optional

import numpy as np

from ..array_file import Numbers, clear
from ..bands import band_groups
from ..domain import find_doubts
from ..job import METHODS_WITHOUT_ENGINE, Job, Method, can_end_early
from ..judge import judge
from ..measured_extent import MeasuredExtent, measure_extent
from ..preview import Preview
from ..progress import BadInput, Progress, ReportProgress
from ..sensors import mtf_at_nyquist
from ..stopped import Rest, Stopped, what_came
from ..tiling import TileWindow, tilings
from .anchor import anchor
from .enlargement import enlarge_bicubically
from .forward_model import ArrayForwardModel
from .product import Image

DEVICE = "cpu"
_STAGES = {Method.ANCHOR: "anchor", Method.BICUBIC: "enlarge"}
_PHASES = {
    "anchor": "Sharpening",
    "enlarge": "Enlarging",
    "rest": "Filling the rest",
}
# The fraction of the job that is done when all tiles are.
_TILES_END = 0.98


def enhance(  # noqa: PLR0913, PLR0917, as the worker's pipeline
    job: Job,
    low_res: Numbers,
    valid: Numbers,
    output: Numbers,
    report_progress: ReportProgress,
    is_cancelled: Callable[[], bool],
    is_to_finish: Callable[[], bool] = lambda: False,
    preview: Optional[Preview] = None,
) -> dict[str, Any]:
    """Run ``job`` and fill ``output``; return the report, of the same shape as the worker's.

    Args and Raises: as :func:`..pipeline.enhance`, which see.
    """
    if job.method not in METHODS_WITHOUT_ENGINE:
        raise BadInput(f"The method {job.method.value} needs the engine; set it up, or choose anchor or bicubic.")
    progress = Progress(report_progress, is_cancelled, is_to_finish if can_end_early(job.method) else lambda: False)
    progress.enter("Measuring the input", 0.0, 0.0)
    mtf = mtf_at_nyquist(job.sensor, job.band_names, job.pixel_size_m, job.mtf_at_nyquist)
    with progress.timed("measure"):
        try:
            extent = measure_extent(low_res, valid, mtf, job.scale)
        except ValueError as error:
            raise BadInput(str(error)) from error
        doubts = [doubt.value for doubt in find_doubts(low_res, valid)]
    if preview is not None:
        progress.enter("Drawing a first picture", 0.0, 0.0)
        with progress.timed("preview"):
            preview.begin(extent, partial(_sketch, extent, job.method))
    tiles, stopped = _run_tiles(_Work(job.method, extent, output, progress, preview))
    progress.enter("Comparing the result with the input", _TILES_END, 1.0)
    with progress.timed("consistency"):
        figures, times_sharper = judge(extent, tiles, output, progress)
    return {
        "models": [],
        "device": DEVICE,
        "tiles": len(tiles),
        "tiles_at_once": 1,
        "tiles_from_cache": 0,
        "mtf_at_nyquist": list(mtf),
        "mtf_assumed": list(mtf),
        "noise_sd": extent.noise_in_digital_numbers.tolist(),
        "consistency": asdict(figures),
        "edges_times_sharper": times_sharper,
        "doubts": doubts,
        **({"stopped": asdict(stopped)} if stopped else {}),
        "seconds": {stage: round(seconds, 3) for stage, seconds in progress.seconds.items()},
    }


@dataclass(frozen=True)
class _Work:
    """What every tile needs."""

    method: Method
    extent: MeasuredExtent
    output: Numbers
    progress: Progress
    preview: Optional[Preview]


def _run_tiles(work: _Work) -> tuple[tuple[TileWindow, ...], Optional[Stopped]]:
    """Fill the output; return the tiles that it took, smaller ones where memory ran out, and what came of stopping."""
    cuttings = tuple(tilings(*work.extent.size_px))
    for tiles in cuttings:
        try:
            filled = _fill_with(tiles, work)
        except MemoryError:
            if tiles is cuttings[-1]:
                raise
        else:
            return tiles, what_came(filled, tiles, Rest.ENLARGED) if filled else None
        work.progress.enter("Going on with smaller tiles, for lack of memory", 0.0, 0.0)
        clear(work.output)
    raise AssertionError("the last size either works or raises")


def _fill_with(tiles: Sequence[TileWindow], work: _Work) -> list[TileWindow]:
    """Add every tile to the output with its blending weights; return those that were only enlarged, to finish early."""
    groups, filled = band_groups(work.extent.bands), []
    for number, window in enumerate(tiles):
        # Asked once a tile, for bands of two kinds would be of neither.
        is_filled = work.progress.is_to_finish()
        stage = "rest" if is_filled else _STAGES[work.method]
        for part, bands in enumerate(groups):
            parts, done = len(tiles) * len(groups), number * len(groups) + part
            share = (_TILES_END * done / parts, _TILES_END * (done + 1) / parts)
            work.progress.enter(f"{_PHASES[stage]}, tile {number + 1} of {len(tiles)}", *share)
            with work.progress.timed(stage):
                estimate = _estimate(work, window, bands, is_filled=is_filled)
            if work.preview is not None:
                work.preview.show(window, bands, estimate)
            with work.progress.timed("blend"):
                _blend(work, window, bands, estimate)
        if is_filled:
            filled.append(window)
    return filled


def _estimate(work: _Work, window: TileWindow, bands: slice, *, is_filled: bool) -> Image:
    """Return some bands of a tile, (band, H, W), in levels."""
    extent = work.extent
    low_res, _valid = extent.pixels(*window.slices, bands)
    if work.method is Method.BICUBIC:
        return enlarge_bicubically(low_res, extent.scale)
    model = ArrayForwardModel(extent.psfs[bands], (low_res.shape[1], low_res.shape[2]), extent.scale)
    if is_filled:
        return model.enlarge(low_res, extent.dampings[bands])
    return anchor(low_res, model, extent.dampings[bands], work.progress.step)


def _blend(work: _Work, window: TileWindow, bands: slice, estimate: Image) -> None:
    rows, columns = window.high_res_slices(work.extent.scale)
    weights = window.blending_weights(work.extent.scale)
    # One after the other: digital numbers take more room.
    for position, band in enumerate(range(bands.start, bands.stop)):
        one = slice(band, band + 1)
        weighted = work.extent.numbers(estimate[position : position + 1], one) * weights
        work.output[one, rows, columns] += weighted.astype(work.output.dtype)


def _sketch(extent: MeasuredExtent, method: Method, bands: Sequence[int], factor: int) -> Image:
    """Return the whole extent in a way that takes a tenth of the anchor's time; see :data:`..preview.Sketch`."""
    every = slice(None)
    sketches = []
    for band in bands:
        one = slice(band, band + 1)
        low_res, _valid = extent.pixels(every, every, one)
        if method is Method.BICUBIC:
            sketches.append(enlarge_bicubically(low_res, factor))
        else:
            model = ArrayForwardModel(extent.psfs[one], extent.size_px, factor)
            sketches.append(model.enlarge(low_res, extent.dampings[one]))
    return np.concatenate(sketches)
