"""The whole method at a glance: which stages a job runs, in which order, over which tiles.

normalise > fit the sensor's blur > for each tile: anchor or Deep Image Prior > Decrappify > consistency > blend >
denormalise

The fast Deep Image Prior takes a trained network as its prior: what is fitted to the image is the blur, not the
network's weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..models.card import CardError, file_sha256
from ..models.dip.prior_network import PriorNetwork, load_weights
from .anchor import anchor
from .array_file import Numbers, clear
from .bands import band_groups
from .consistency import ConsistencyMeter
from .decrappify import Decrappify, OnnxModel
from .device import choose_device, describe
from .dip.educated import EducatedPrior, FitSettings
from .dip.reference import ReferenceSettings, fit_reference
from .job import Job, Method, Preset
from .memory import give_back_memory, is_out_of_memory
from .model_file import model_file
from .preview import Preview
from .progress import BadInput, OnStep, Progress, ReportProgress
from .scene import EVERY_BAND, Scene, Tile
from .sensors import is_known, mtf_at_nyquist
from .sharpness import SharpnessMeter
from .stopping import Stopped, fill, stop_at
from .tile_cache import TileCache
from .tiling import LARGEST_CORE_PX, MARGIN_PX, TileWindow, margin_for, plan_tiles

MODELS_FOLDER = Path(__file__).resolve().parent.parent / "models"
PRIOR_WEIGHTS = {
    Preset.FAST: MODELS_FOLDER / "dip" / "prior.npz",
    Preset.BALANCED: MODELS_FOLDER / "dip" / "large_prior.npz",
}

FIT_SETTINGS = {
    Preset.FAST: FitSettings(),
    Preset.BALANCED: FitSettings(patches=12, turns=8),
}
REFERENCE_SETTINGS = ReferenceSettings()
# The published network holds the features of the whole tile for its gradient: 128 low-res pixels a side, margin
# included, take 2.7 GB at a scale factor of four.
REFERENCE_CORE_PX = 80

# Tiles of 28 pixels and their margins are the smallest: who has no memory for those has none for anything.
MOST_HALVINGS = 3

# What share of the work fitting is, for the progress bar, when there is but one tile.
FIT_SHARE = 0.2

Stage = Callable[[Tile], Tile]


@dataclass(frozen=True)
class Plan:
    """What a job does.

    Attributes:
        stages: in their order, with the word that the report and the progress use for each.
        fit: what is fitted to the whole extent before.
        models: name, SHA-256 and, where there is one, provider of every model file used.
        settings: of Deep Image Prior, for the report.
        show: told of some bands of each tile, (band, H, W), as they leave a stage.
        cache: where finished tiles are kept and taken from.
    """

    stages: tuple[tuple[str, Stage], ...]
    fit: Callable[[Scene, OnStep], Scene] | None = None
    models: tuple[dict[str, str], ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    largest_core_px: int = LARGEST_CORE_PX
    margin_px: int = MARGIN_PX
    show: Callable[[TileWindow, slice, Tensor], None] = lambda *_: None
    cache: TileCache = field(default_factory=TileCache)


def enhance(  # noqa: PLR0913, the worker's side of the job folder and of the protocol
    job: Job,
    low_res: Numbers,
    valid: Numbers,
    output: Numbers,
    report_progress: ReportProgress,
    is_cancelled: Callable[[], bool],
    *,
    is_to_finish: Callable[[], bool] = lambda: False,
    preview: Preview | None = None,
) -> dict[str, Any]:
    """Run ``job`` and fill ``output``; return the worker's part of the report.

    Args:
        low_res: (band, row, column), digital numbers; like the others an array in memory or in a file.
        valid: (band, row, column), True = valid.
        output: (band, row x scale, column x scale), zeros, filled with digital numbers.
        report_progress: gets a short sentence and the fraction done.
        is_to_finish: once true, the tile at hand is brought to its end with what Deep Image Prior has, and all others
            are made in a quick way (:mod:`.stopping`); the report's ``stopped`` says so.
        preview: draws what is done so far.

    Raises:
        BadInput: if the input cannot be enhanced.
        Cancelled: soon after ``is_cancelled`` turns true.
    """
    progress = Progress(report_progress, is_cancelled, is_to_finish)
    torch.manual_seed(job.seed)
    device = choose_device(job.device)
    if device.type != "cpu":
        # The processor repeats itself anyway, and the switch costs it more than a second of imports.
        torch.use_deterministic_algorithms(True, warn_only=True)
    progress.enter("Measuring the input", 0.0, 0.0)
    mtf = mtf_at_nyquist(job.sensor, job.band_names, job.pixel_size_m, job.mtf_at_nyquist)
    with progress.timed("measure"):
        try:
            scene = Scene.measure(low_res, valid, mtf, job.scale, device)
        except ValueError as error:
            raise BadInput(str(error)) from error
    plan = _plan(job, scene.device, progress)
    if preview is not None:
        progress.enter("Drawing a first picture", 0.0, 0.0)
        with progress.timed("preview"):
            preview.begin(scene, progress.step)
        plan = replace(plan, show=preview.show)
    fit_share = 0.0
    if plan.fit is not None:
        fit_share = FIT_SHARE / len(plan_tiles(*scene.size_px, plan.largest_core_px, plan.margin_px))
        progress.enter("Fitting the blur", 0.0, fit_share)
        with progress.timed("dip fit"):
            scene = plan.fit(scene, progress.step)
    output_bytes = math.prod(output.shape) * output.dtype.itemsize
    plan = replace(plan, cache=TileCache.of(job, plan.settings, plan.models, device, output_bytes))
    tiles, stopped = _run_in_memory(scene, plan, output, progress, fit_share)
    with progress.timed("consistency"):
        figures, times_sharper = _judge(scene, tiles, output, progress)
    return {
        "models": list(plan.models),
        **({"dip": plan.settings} if plan.settings else {}),
        "device": describe(device),
        "tiles": len(tiles),
        **({"stopped": asdict(stopped)} if stopped else {}),
        "tiles_from_cache": sum(plan.cache.is_found(window, band_groups(scene.bands)) for window in tiles),
        "mtf_at_nyquist": [psf.mtf_at_nyquist for psf in scene.psfs],
        "mtf_assumed": list(mtf),
        "noise_sd": scene.noise_in_digital_numbers.tolist(),
        "consistency": figures,
        "edges_times_sharper": times_sharper,
        "seconds": {stage: round(seconds, 3) for stage, seconds in progress.seconds.items()},
    }


def _plan(job: Job, device: torch.device, progress: Progress) -> Plan:
    """Choose the stages of the job's method."""
    plan = _enlarging(job, device, progress)
    if job.method in (Method.CHAIN, Method.DECRAPPIFY):
        plan = _with_decrappify(plan, job, device, progress)
    if job.method is not Method.ANCHOR:
        plan = replace(plan, stages=(*plan.stages, ("consistency", _project)))
    return plan


def _enlarging(job: Job, device: torch.device, progress: Progress) -> Plan:
    """Choose what makes the first high-res image."""
    if job.method is Method.ANCHOR:
        return Plan((("anchor", partial(_anchor, progress=progress)),))
    if job.method is Method.DECRAPPIFY:
        return Plan((("enlarge", _bicubic),))
    if job.preset is Preset.REFERENCE:
        stage = partial(_reference, seed=job.seed, progress=progress)
        return Plan((("dip", stage),), settings=asdict(REFERENCE_SETTINGS), largest_core_px=REFERENCE_CORE_PX)
    network, model = _trained_prior(PRIOR_WEIGHTS[job.preset], device)
    settings = FIT_SETTINGS[job.preset]
    prior = EducatedPrior(network, settings, job.seed, progress.step)
    # Of a known sensor the blur is known. To fit it all the same loses where the scene itself is smooth: that looks
    # like more blur.
    fit = None if is_known(job.sensor, job.band_names, job.pixel_size_m) else prior.fit
    return Plan((("dip", prior),), fit, (model,), asdict(settings))


def _trained_prior(path: Path, device: torch.device) -> tuple[PriorNetwork, dict[str, str]]:
    """Return the network and its entry in the report's list of models."""
    try:
        return load_weights(path).to(device), {"name": path.name, "sha256": file_sha256(path)}
    except (OSError, ValueError) as error:
        raise BadInput(f"The model file {path} is missing or damaged; install Headland again.") from error


def _with_decrappify(plan: Plan, job: Job, device: torch.device, progress: Progress) -> Plan:
    try:
        model = OnnxModel.load(model_file(job.model), job.scale, device)
    except CardError as error:
        raise BadInput(str(error)) from error
    entry = {"name": model.card.model_file.name, "sha256": model.card.sha256, "provider": model.provider}
    return replace(
        plan,
        stages=(*plan.stages, ("decrappify", Decrappify(model, progress.step))),
        models=(*plan.models, entry),
        margin_px=max(plan.margin_px, margin_for(model.card.margin_px, job.scale)),
    )


def _anchor(tile: Tile, progress: Progress) -> Tile:
    estimate = anchor(tile.low_res, tile.forward_model, tile.damping, progress.step)
    return replace(tile, estimate=estimate)


def _bicubic(tile: Tile) -> Tile:
    enlarged = functional.interpolate(
        tile.low_res[None], scale_factor=float(tile.forward_model.scale), mode="bicubic", align_corners=False
    )
    return replace(tile, estimate=enlarged[0])


def _reference(tile: Tile, seed: int, progress: Progress) -> Tile:
    estimate = fit_reference(
        tile.low_res,
        tile.valid,
        tile.forward_model,
        REFERENCE_SETTINGS,
        torch.Generator().manual_seed(seed),
        progress.step,
    )
    return replace(tile, estimate=estimate)


def _project(tile: Tile) -> Tile:
    """Bring the estimate back to what the sensor measured: only detail that A cannot see may be added."""
    if tile.estimate is None:
        raise ValueError("There is no estimate to project.")
    return replace(tile, estimate=tile.forward_model.project(tile.estimate, tile.low_res, tile.damping))


_PHASES = {
    "anchor": "Sharpening",
    "enlarge": "Enlarging",
    "dip": "Removing the pixels",
    "decrappify": "Restoring borders",
    "consistency": "Checking against the input",
    "rest": "Filling the rest",
}


def _run_in_memory(
    scene: Scene, plan: Plan, output: Numbers, progress: Progress, done: float
) -> tuple[tuple[TileWindow, ...], Stopped | None]:
    """Fill ``output`` tile by tile, in smaller tiles where memory runs out.

    Return the tiles that it took, and what came of it if it was to finish early.
    """
    core_px = plan.largest_core_px
    for halvings_left in range(MOST_HALVINGS, -1, -1):
        tiles = plan_tiles(*scene.size_px, core_px, plan.margin_px)
        try:
            stopped = _run_tiles(scene, tiles, plan, output, progress, done)
        except Exception as error:
            if not is_out_of_memory(error) or not halvings_left:
                raise
        else:
            return tiles, stopped
        # Only here, past the handler, has the error let go of the tile's arrays.
        progress.enter("Going on with smaller tiles, for lack of memory", done, done)
        clear(output)
        core_px //= 2
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


def _judge(
    scene: Scene, tiles: tuple[TileWindow, ...], output: Numbers, progress: Progress
) -> tuple[dict[str, Any], float | None]:
    """Degrade the blended result again and compare it with the input; and see how much steeper its edges are."""
    meter, sharpness = ConsistencyMeter(scene.bands), SharpnessMeter()
    progress.enter("Comparing the result with the input", 0.98, 1.0)
    for number, window in enumerate(tiles):
        progress.step(number, len(tiles))
        groups = [_compared(scene, window, bands, output, sharpness) for bands in band_groups(scene.bands)]
        meter.add(*(torch.cat(part) for part in zip(*groups, strict=True)))
    return asdict(meter.figures(scene.noise_in_digital_numbers)), sharpness.times_sharper()


def _compared(
    scene: Scene, window: TileWindow, bands: slice, output: Numbers, sharpness: SharpnessMeter
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the core of a tile's result as the sensor would see it, what it saw, and where that is valid."""
    tile = scene.tile(window, bands)
    rows, columns = window.high_res_slices(scene.scale)
    result = torch.from_numpy(scene.levels(output[bands, rows, columns].astype(np.float64), bands)).to(scene.device)
    sharpness.add(result, tile.low_res, tile.valid, window.core_slices)
    degraded = tile.forward_model.degrade(result)
    core = (EVERY_BAND, *window.core_slices)
    seen, measured = (torch.from_numpy(scene.digital(levels[core], bands)) for levels in (degraded, tile.low_res))
    return seen, measured, tile.valid[core].cpu()
