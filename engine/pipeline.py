"""The whole method at a glance: which stages a job runs, in which order, over which tiles.

normalise > for each tile: anchor or Deep Image Prior > Decrappify > consistency > blend > denormalise
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ..models.card import CardError
from ..models.dip.prior_network import load_weights
from .anchor import anchor
from .consistency import ConsistencyMeter
from .decrappify import Decrappify, OnnxModel
from .device import choose_device, describe
from .dip.educated import EducatedPrior, FitSettings
from .dip.reference import ReferenceSettings, fit_reference
from .job import Job, Method, Preset, Sensor
from .scene import Scene, Tile
from .sensors import mtf_at_nyquist
from .tiling import TileWindow, plan_tiles

MODELS_FOLDER = Path(__file__).resolve().parent.parent / "models"
PRIOR_WEIGHTS = MODELS_FOLDER / "dip" / "prior.npz"
DECRAPPIFY_MODEL = MODELS_FOLDER / "decrappify" / "decrappify.onnx"

FIT_SETTINGS = {
    Preset.FAST: FitSettings(),
    Preset.BALANCED: FitSettings(patches=12, turns=8),
}

# What share of the work fitting is, for the progress bar, when there is but one tile.
FIT_SHARE = 0.2

ReportProgress = Callable[[str, float], None]
Stage = Callable[[Tile], Tile]


class Cancelled(Exception):
    """The user asked to stop."""


class BadInput(ValueError):
    """The job cannot be done with this input; the message says why and what to do."""


@dataclass
class Progress:
    """Tells phase and fraction, stops a cancelled job, and keeps the time of each stage."""

    report: ReportProgress
    is_cancelled: Callable[[], bool]
    seconds: dict[str, float] = field(default_factory=dict)

    def tell(self, phase: str, fraction: float) -> None:
        """Say where the job is. Raises Cancelled if it is to end."""
        self.check_cancelled()
        self.report(phase, fraction)

    def check_cancelled(self) -> None:
        """Raise Cancelled if the job is to end."""
        if self.is_cancelled():
            raise Cancelled

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time spent inside to that of ``stage``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began


@dataclass(frozen=True)
class Plan:
    """The stages in their order, with the word that the report and the progress use for each."""

    fit: Callable[[Scene, Callable[[int, int], None]], Scene] | None
    stages: tuple[tuple[str, Stage], ...]
    report: dict[str, Any]


def enhance(
    job: Job,
    low_res: NDArray[np.generic],
    valid: NDArray[np.bool_],
    output: NDArray[np.floating[Any]],
    report_progress: ReportProgress,
    is_cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Run ``job`` and fill ``output``; return the worker's part of the report.

    Args:
        low_res: (band, row, column), digital numbers.
        valid: (band, row, column), True = valid.
        output: (band, row x scale, column x scale), zeros, filled with digital numbers.
        report_progress: gets a short sentence and the fraction done.

    Raises:
        BadInput: if the input cannot be enhanced.
        Cancelled: soon after ``is_cancelled`` turns true.
    """
    progress = Progress(report_progress, is_cancelled)
    torch.manual_seed(job.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    device = choose_device(job.device)
    progress.tell("Measuring the input", 0.0)
    mtf = mtf_at_nyquist(job.sensor, job.band_names, job.pixel_size_m, job.mtf_at_nyquist)
    with progress.timed("measure"):
        try:
            scene = Scene.measure(low_res, valid, mtf, job.scale, device)
        except ValueError as error:
            raise BadInput(str(error)) from error
    plan = _plan(job, scene, progress)
    tiles = plan_tiles(*scene.size_px)
    fit_share = 0.0
    if plan.fit is not None:
        fit_share = FIT_SHARE / len(tiles)
        with progress.timed("dip fit"):
            scene = plan.fit(scene, partial(_tell_step, progress, fit_share))
    _run_tiles(scene, tiles, plan, output, progress, fit_share)
    with progress.timed("consistency"):
        figures = _judge(scene, tiles, output, progress)
    return {
        **plan.report,
        "device": describe(device),
        "mtf_at_nyquist": [psf.mtf_at_nyquist for psf in scene.psfs],
        "mtf_assumed": list(mtf),
        "noise_sd": scene.noise_in_digital_numbers.tolist(),
        "consistency": figures,
        "seconds": {stage: round(seconds, 3) for stage, seconds in progress.seconds.items()},
    }


def _plan(job: Job, scene: Scene, progress: Progress) -> Plan:
    """Choose the stages of the job's method."""
    stages: list[tuple[str, Stage]] = []
    report: dict[str, Any] = {}
    fit = None
    if job.method is Method.ANCHOR:
        stages.append(("anchor", lambda tile: _anchor(tile, progress)))
    elif job.method is Method.DECRAPPIFY:
        stages.append(("enlarge", _bicubic))
    elif job.preset is Preset.REFERENCE:
        stages.append(("dip", lambda tile: _reference(tile, job.seed, progress)))
        report["dip"] = asdict(ReferenceSettings())
    else:
        settings = FIT_SETTINGS[job.preset]
        prior = EducatedPrior(load_weights(PRIOR_WEIGHTS).to(scene.device), settings, job.seed)
        # Whoever names the sensor knows its blur.
        fit = prior.fit if job.sensor is Sensor.AUTO else None
        stages.append(("dip", prior))
        report["dip"] = asdict(settings)
    if job.method in (Method.CHAIN, Method.DECRAPPIFY):
        try:
            model = OnnxModel.load(DECRAPPIFY_MODEL, scene.device)
        except CardError as error:
            raise BadInput(str(error)) from error
        stages.append(("decrappify", Decrappify(model)))
        report["model"] = {"name": DECRAPPIFY_MODEL.name, "sha256": model.card.sha256, "provider": model.provider}
    if job.method is not Method.ANCHOR:
        stages.append(("consistency", _project))
    return Plan(fit, tuple(stages), report)


def _anchor(tile: Tile, progress: Progress) -> Tile:
    estimate = anchor(tile.low_res, tile.forward_model, tile.damping, progress.check_cancelled)
    return replace(tile, estimate=estimate)


def _bicubic(tile: Tile) -> Tile:
    enlarged = functional.interpolate(
        tile.low_res[None], scale_factor=float(tile.forward_model.scale), mode="bicubic", align_corners=False
    )
    return replace(tile, estimate=enlarged[0])


def _reference(tile: Tile, seed: int, progress: Progress) -> Tile:
    generator = torch.Generator().manual_seed(seed)
    estimate = fit_reference(
        tile.low_res,
        tile.valid,
        tile.forward_model,
        ReferenceSettings(),
        generator,
        lambda _step, _steps: progress.check_cancelled(),
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
}


def _run_tiles(
    scene: Scene,
    tiles: tuple[TileWindow, ...],
    plan: Plan,
    output: NDArray[np.floating[Any]],
    progress: Progress,
    done: float,
) -> None:
    """Put every tile through the stages and add it to ``output`` with its blending weights."""
    for number, window in enumerate(tiles):
        tile = scene.tile(window)
        for position, (name, stage) in enumerate(plan.stages):
            share = (number + position / len(plan.stages)) / len(tiles)
            progress.tell(f"{_PHASES[name]}, tile {number + 1} of {len(tiles)}", done + (0.98 - done) * share)
            with progress.timed(name):
                tile = stage(tile)
        if tile.estimate is None:
            raise ValueError("No stage made an estimate.")
        rows, columns = window.high_res_slices(scene.scale)
        weighted = scene.digital(tile.estimate) * window.blending_weights(scene.scale)
        output[:, rows, columns] += weighted.astype(output.dtype)


def _judge(
    scene: Scene, tiles: tuple[TileWindow, ...], output: NDArray[np.floating[Any]], progress: Progress
) -> dict[str, Any]:
    """Degrade the blended result again and compare it with the input."""
    meter = ConsistencyMeter(scene.bands)
    for number, window in enumerate(tiles):
        progress.tell("Comparing the result with the input", 0.98 + 0.02 * number / len(tiles))
        tile = scene.tile(window)
        rows, columns = window.high_res_slices(scene.scale)
        result = torch.from_numpy(scene.levels(np.array(output[:, rows, columns], dtype=np.float64)))
        degraded = scene.digital(tile.forward_model.degrade(result.to(scene.device)))
        measured = scene.digital(tile.low_res)
        core = (slice(None), *window.core_slices)
        meter.add(torch.from_numpy(degraded[core]), torch.from_numpy(measured[core]), tile.valid[core].cpu())
    return asdict(meter.figures(scene.noise_in_digital_numbers))


def _tell_step(progress: Progress, share: float, step: int, steps: int) -> None:
    progress.tell(f"Fitting the prior, step {step} of {steps}", share * step / steps)
