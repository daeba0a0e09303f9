"""The whole method at a glance: which stages a job runs, in which order, over which tiles.

normalise > doubt that it is a picture of land > ask held-out pixels whether the anchor is better > fit the sensor's
blur > for each tile: anchor or Deep Image Prior > Decrappify > consistency > how far off it may be > blend >
denormalise; then compare with the input > trace borders

The fast Deep Image Prior takes a trained network as its prior: what is fitted to the image is the blur, not the
network's weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..models.card import CardError, file_sha256
from ..models.dip.prior_network import PriorNetwork, load_weights
from .anchor import anchor
from .array_file import Numbers
from .bands import band_groups
from .batches import tiles_at_once
from .border_file import BorderLines
from .borders.trace import trace_borders
from .confidence import CONFIDENCE_WEIGHTS, Confidence
from .decrappify import Decrappify, OnnxModel
from .device import choose_device, describe, give_back_device_memory
from .dip.educated import EducatedPrior, FitSettings
from .dip.held_out import hold_out
from .dip.reference import ReferenceSettings, fit_reference
from .domain import find_doubts
from .estimate import tile_bytes
from .job import Device, Job, Method, Preset, can_end_early
from .judge import judge
from .memory import is_out_of_memory
from .model_file import model_file
from .pictures import Outputs, uncertain_share
from .plan import Plan
from .preview import Preview
from .progress import BadInput, Progress, ReportProgress
from .scene import Scene, Tile
from .sensors import is_known, mtf_at_nyquist
from .sketch import sketch
from .tile_cache import TileCache
from .tile_loop import run_tiles
from .tiling import TileWindow, margin_for, tilings

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

# An area is uncertain where its bands may be off, on average, by more than this part of their usual range of values:
# about as much as neighbouring fields differ.
UNCERTAIN = 0.25

# From which fraction of the job to which other it is compared with the input, traced, and asked what is uncertain.
_END_SHARES = ((0.98, 0.985), (0.985, 0.995), (0.995, 1.0))

# What share of the work asking held-out pixels and fitting are, for the progress bar, when there is but one tile.
_HELD_OUT_PROGRESS = 0.05
_FIT_PROGRESS = 0.2


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
    on_borders: Callable[[BorderLines], None] = lambda _lines: None,
    dip_output: Numbers | None = None,
    bound_output: Numbers | None = None,
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
        dip_output: for Deep Image Prior's own picture, on which Decrappify built, shaped as ``output``; None where it
            is not wished for.
        bound_output: for what the error stays below in nine pixels of ten, shaped as ``output``; as above.
        on_borders: given the borders that were traced, if the job asks for them.

    Raises:
        BadInput: if the input cannot be enhanced.
        Cancelled: soon after ``is_cancelled`` turns true.
    """
    progress = Progress(report_progress, is_cancelled, is_to_finish if can_end_early(job.method) else lambda: False)
    outputs = Outputs(output, dip_output, bound_output)
    run = partial(_enhanced, outputs=outputs, progress=progress, preview=preview, on_borders=on_borders)
    device = choose_device(job.device)
    try:
        return run(job, device, low_res, valid)
    except Exception as error:
        if device.type == "cpu" or not is_out_of_memory(error):
            raise
    # Only here, past the handler, has the error let go of what was on the card.
    progress.enter("Going on with the processor, for lack of graphics memory", 0.0, 0.0)
    outputs.clear()
    give_back_device_memory(device)
    report = run(replace(job, device=Device.CPU), torch.device("cpu"), low_res, valid)
    return {**report, "left_graphics_card": True}


def _enhanced(  # noqa: PLR0913, as above
    job: Job,
    device: torch.device,
    low_res: Numbers,
    valid: Numbers,
    *,
    outputs: Outputs,
    progress: Progress,
    preview: Preview | None,
    on_borders: Callable[[BorderLines], None],
) -> dict[str, Any]:
    """Run the job on ``device``; the arguments are those of :func:`enhance`."""
    torch.manual_seed(job.seed)
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
        extras: dict[str, Any] = {"doubts": [doubt.value for doubt in find_doubts(low_res, valid)]}
    plan = _plan(job, device, progress)
    if preview is not None:
        progress.enter("Drawing a first picture", 0.0, 0.0)
        with progress.timed("preview"):
            preview.begin(scene, partial(sketch, scene, on_step=progress.step))
        plan = replace(plan, show=partial(_show, preview))
    cuttings = tilings(*scene.size_px, plan.largest_core_px, plan.margin_px)
    tiles = next(cuttings)
    done = 0.0
    if plan.hold_out is not None:
        done = _HELD_OUT_PROGRESS / len(tiles)
        progress.enter("Asking held-out pixels", 0.0, done)
        with progress.timed("held out"):
            held_out = plan.hold_out(scene, progress.step)
        if held_out is not None:
            extras["held_out"] = held_out.figures
            plan = _with_chosen(plan, held_out.chosen, progress)
    extras.update({"dip": plan.settings} if plan.settings else {})
    if plan.fit is not None:
        begun, done = done, done + _FIT_PROGRESS / len(tiles)
        progress.enter("Fitting the blur", begun, done)
        with progress.timed("dip fit"):
            scene = plan.fit(scene, progress.step)
    output_bytes = outputs.count * math.prod(outputs.result.shape) * outputs.result.dtype.itemsize
    plan = replace(plan, cache=TileCache.of(job, plan.settings, plan.models, device, output_bytes))
    tiles, stopped = run_tiles(scene, tiles, cuttings, plan, outputs, progress, done)
    extras.update({"stopped": asdict(stopped)} if stopped else {})
    progress.enter("Comparing the result with the input", *_END_SHARES[0])
    with progress.timed("consistency"):
        figures, times_sharper = judge(scene, tiles, outputs.result, progress)
    if job.traces_borders:
        extras["borders"] = _traced(scene, outputs.result, progress, on_borders)
    if outputs.bound is not None:
        extras.update(_uncertainty(scene, outputs.bound, progress))
    return {
        "models": list(plan.models),
        "device": describe(device),
        "tiles": len(tiles),
        "tiles_at_once": plan.tiles_at_once,
        "tiles_from_cache": sum(plan.cache.is_found(window, band_groups(scene.bands)) for window in tiles),
        "mtf_at_nyquist": [psf.mtf_at_nyquist for psf in scene.psfs],
        "mtf_assumed": list(mtf),
        "noise_sd": scene.noise_in_digital_numbers.tolist(),
        "consistency": asdict(figures),
        "edges_times_sharper": times_sharper,
        **extras,
        "seconds": {stage: round(seconds, 3) for stage, seconds in progress.seconds.items()},
    }


def _with_chosen(plan: Plan, chosen: Method, progress: Progress) -> Plan:
    """Return the plan with the anchor in Deep Image Prior's place, if that was chosen."""
    if chosen is Method.DIP:
        return plan
    stand_in = ("anchor", partial(_anchor, progress=progress))
    stages = tuple(stand_in if name == "dip" else (name, stage) for name, stage in plan.stages)
    unused = {path.name for path in (*PRIOR_WEIGHTS.values(), CONFIDENCE_WEIGHTS)}
    models = tuple(model for model in plan.models if model["name"] not in unused)
    # A network that is not to be trusted must not fit the blur, and how far off the anchor is nobody has measured.
    return replace(
        plan, stages=stages, fit=None, models=models, settings={"replaced_by": chosen.value}, confidence=None
    )


def _uncertainty(scene: Scene, bound: Numbers, progress: Progress) -> dict[str, Any]:
    """Return how much of the area is uncertain, and from what bound on, in digital numbers of each band."""
    progress.enter("Adding up what is uncertain", *_END_SHARES[2])
    with progress.timed("confidence"):
        share = uncertain_share(scene, bound, UNCERTAIN, progress.step)
    return {"uncertain_share": share, "uncertain_from": [UNCERTAIN / gain for gain in scene.normalisation.gains]}


def _traced(
    scene: Scene, output: Numbers, progress: Progress, on_borders: Callable[[BorderLines], None]
) -> dict[str, int]:
    progress.enter("Tracing field borders", *_END_SHARES[1])
    with progress.timed("borders"):
        borders = trace_borders(scene, output, progress.step)
    on_borders(borders)
    return {"lines": len(borders)}


def _plan(job: Job, device: torch.device, progress: Progress) -> Plan:
    """Choose the stages of the job's method."""
    plan = _enlarging(job, device, progress)
    if job.method in (Method.CHAIN, Method.DECRAPPIFY):
        plan = _with_decrappify(plan, job, device, progress)
    if job.method not in (Method.ANCHOR, Method.BICUBIC):
        plan = replace(plan, stages=(*plan.stages, ("consistency", project)))
    if job.maps_confidence:
        plan = _with_confidence(plan, job, device)
    if job.preset is Preset.REFERENCE:
        # The published method is fitted to one tile.
        return plan
    largest_px = (plan.largest_core_px + 2 * plan.margin_px) ** 2
    return replace(plan, tiles_at_once=tiles_at_once(device, tile_bytes(job, largest_px)))


def _with_confidence(plan: Plan, job: Job, device: torch.device) -> Plan:
    try:
        confidence = Confidence(job.scale, job.method, device)
    except (OSError, ValueError) as error:
        raise BadInput(f"The model file {CONFIDENCE_WEIGHTS} is missing or damaged; install Headland again.") from error
    entry = {"name": CONFIDENCE_WEIGHTS.name, "sha256": file_sha256(CONFIDENCE_WEIGHTS)}
    return replace(plan, confidence=confidence, models=(*plan.models, entry))


def _enlarging(job: Job, device: torch.device, progress: Progress) -> Plan:
    """Choose what makes the first high-res image."""
    if job.method is Method.ANCHOR:
        return Plan((("anchor", partial(_anchor, progress=progress)),))
    if job.method in (Method.DECRAPPIFY, Method.BICUBIC):
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
    # The stage tells of its turns, the question of its squares.
    silent_prior = EducatedPrior(network, settings, job.seed)
    return Plan(
        (("dip", prior),),
        lambda scene, on_step: hold_out(scene, silent_prior, job.seed, on_step),
        fit,
        (model,),
        asdict(settings),
    )


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


def _show(preview: Preview, window: TileWindow, bands: slice, estimate: Tensor) -> None:
    preview.show(window, bands, estimate.cpu().numpy())


def _anchor(tile: Tile, progress: Progress) -> Tile:
    estimate = anchor(tile.low_res, tile.forward_model, tile.damping, progress.step)
    return replace(tile, estimate=estimate)


def _bicubic(tile: Tile) -> Tile:
    shape, scale = tile.low_res.shape, float(tile.forward_model.scale)
    flat = tile.low_res.reshape(1, -1, *shape[-2:])
    enlarged = functional.interpolate(flat, scale_factor=scale, mode="bicubic", align_corners=False)
    return replace(tile, estimate=enlarged.reshape(*shape[:-2], *enlarged.shape[-2:]))


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


def project(tile: Tile) -> Tile:
    """Bring the estimate back to what the sensor measured: only detail that A cannot see may be added."""
    if tile.estimate is None:
        raise ValueError("There is no estimate to project.")
    return replace(tile, estimate=tile.forward_model.project(tile.estimate, tile.low_res, tile.damping))
