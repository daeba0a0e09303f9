"""Deep Image Prior by its author's protocol: quality, consistency and cost of every method, in one run.

usage: bench_dip.py IMAGES OUT.json [--scale 2|4|8] [--methods …] [--reference-iterations N] [--device cpu|cuda]

IMAGES is a folder of pictures, such as Set5. Beside OUT.json a plot is left, of quality against time. The published
method takes hours, so only its first iterations are run unless REFERENCE_ITERATIONS asks for all; its whole time is
then extrapolated, and the table says so. See image_quality.py for the protocol.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from image_quality import Pair, Pixels, bicubic, psnr_y_db, read_pair, ssim_y
from matplotlib.figure import Figure
from torch.utils.flop_counter import FlopCounterMode

from headland.engine.anchor import anchor
from headland.engine.device import describe
from headland.engine.dip.educated import EducatedPrior
from headland.engine.dip.reference import ReferenceSettings, fit_reference
from headland.engine.forward_model import ForwardModel
from headland.engine.job import Preset
from headland.engine.noise import damping_for
from headland.engine.pipeline import FIT_SETTINGS, PRIOR_WEIGHTS
from headland.engine.psf import LanczosPsf
from headland.engine.scene import Tile
from headland.models.dip.prior_network import load_weights

METHODS = ("bicubic", "anchor", "fast", "balanced", "reference")
ENDINGS = {".png", ".bmp", ".tif", ".tiff", ".jpg"}
# Rounding to 8 bits is the only noise.
ROUNDING_SD = 1.0 / 255.0 / np.sqrt(12.0)
PUBLISHED_ITERATIONS = {2: 2000, 4: 2000, 8: 4000}
PUBLISHED_JITTER_SD = {2: 0.03, 4: 0.03, 8: 0.05}
# The trained network enlarges by two and by four.
PASSES = {2: (2,), 4: (4,), 8: (4, 2)}
REPEATS = 3


@dataclass(frozen=True)
class Score:
    """One method on one image.

    Attributes:
        consistency_rmse: of the result, reduced again, against the low-res image, in 8-bit steps.
        seconds: of the whole method; of three runs the least, where a run is short.
        iteration_s: of one iteration, where there are some.
        multiply_adds: of the whole method, convolutions and matrix products, forward and backward.
        iterations: how many were run; less than the method asks for if the time is extrapolated.
    """

    psnr_y: float
    ssim_y: float
    consistency_rmse: float
    seconds: float
    iteration_s: Optional[float] = None
    multiply_adds: Optional[float] = None
    iterations: Optional[int] = None


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of pictures")
    parser.add_argument("out", type=Path, help="JSON file to write; the plot goes beside it")
    parser.add_argument("--scale", type=int, choices=(2, 4, 8), default=4)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--reference-iterations", type=int, default=3, help="at least 2; how many are really run")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(arguments)
    paths = sorted(path for path in options.images.iterdir() if path.suffix.lower() in ENDINGS)
    if not paths:
        parser.error(f"there is no picture in {options.images}")
    pairs = [read_pair(path, options.scale) for path in paths]
    runners = _runners(options.scale, options.reference_iterations, torch.device(options.device))
    scores: dict[str, dict[str, Score]] = {name: {} for name in options.methods}
    for pair in pairs:
        for name, by_image in scores.items():
            by_image[pair.name] = runners[name](pair)
            print(f"{pair.name}: {name} {by_image[pair.name].psnr_y:.2f} dB", file=sys.stderr)
    whole = options.reference_iterations >= PUBLISHED_ITERATIONS[options.scale]
    results = summary(scores, options.scale, reference_is_whole=whole)
    results["device"] = describe(torch.device(options.device))
    options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    plot(results, options.out.with_suffix(".png"))
    print(table(results))
    return 0


def _runners(scale: int, reference_iterations: int, device: torch.device) -> dict[str, Callable[[Pair], Score]]:
    """Return for each method what runs it on one image."""

    def simple(method: Callable[[Pair], Pixels]) -> Callable[[Pair], Score]:
        return lambda pair: _score(pair, scale, *_timed(lambda: method(pair)))

    runners = {
        "bicubic": simple(lambda pair: bicubic(pair.low_res, scale)),
        "anchor": simple(lambda pair: _anchor(pair, scale, device)),
        "reference": lambda pair: _reference(pair, scale, reference_iterations, device),
    }
    for preset in (Preset.FAST, Preset.BALANCED):
        prior = EducatedPrior(load_weights(PRIOR_WEIGHTS[preset]).to(device), FIT_SETTINGS[preset], seed=0)
        runners[preset.value] = simple(lambda pair, prior=prior: _educated(pair, scale, prior, device))
    return runners


def _tile(pixels: Pixels, scale: int, device: torch.device | str = "cpu") -> Tile:
    """Return what the engine's stages get of (3, h, w); the kernel is known here, so none is fitted."""
    low_res = torch.from_numpy(pixels).to(device)
    bands = low_res.shape[0]
    model = ForwardModel([LanczosPsf()] * bands, (low_res.shape[1], low_res.shape[2]), scale, device)
    noise = torch.full((bands, 1, 1), float(ROUNDING_SD), device=device)
    return Tile(
        low_res, torch.ones_like(low_res, dtype=torch.bool), model, noise, noise * 0.0 + damping_for(ROUNDING_SD)
    )


def _anchor(pair: Pair, scale: int, device: torch.device) -> Pixels:
    tile = _tile(pair.low_res, scale, device)
    return np.asarray(anchor(tile.low_res, tile.forward_model, tile.damping).cpu())


def _educated(pair: Pair, scale: int, prior: EducatedPrior, device: torch.device) -> Pixels:
    """Enlarge in as many passes as the network's scale factors ask for, then agree with the input as a whole."""
    image = pair.low_res
    for factor in PASSES[scale]:
        estimate = prior(_tile(image, factor, device)).estimate
        if estimate is None:
            raise ValueError("Deep Image Prior made no estimate.")
        image = np.asarray(estimate.cpu())
    tile = _tile(pair.low_res, scale, device)
    return np.asarray(tile.forward_model.project(torch.from_numpy(image).to(device), tile.low_res, tile.damping).cpu())


def _reference(pair: Pair, scale: int, iterations: int, device: torch.device) -> Score:
    """Run some iterations of the published method and say what all of them would take."""
    tile = _tile(pair.low_res, scale, device)
    settings = ReferenceSettings(iterations=iterations, noise_jitter_sd=PUBLISHED_JITTER_SD[scale])
    ends: list[float] = []

    def on_step(*_: int) -> bool:
        if device.type == "cuda":
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
        return False

    def fit(settings: ReferenceSettings) -> Pixels:
        generator = torch.Generator().manual_seed(0)
        image = fit_reference(
            tile.low_res,
            tile.valid,
            tile.forward_model,
            settings,
            generator,
            on_step,
        )
        return np.asarray(image.cpu())

    image = fit(settings)
    # The first iteration also finds the fastest convolutions and allocates.
    iteration_s = float(np.median(np.diff(ends)))
    one = _multiply_adds(lambda: fit(replace(settings, iterations=1)))
    published = PUBLISHED_ITERATIONS[scale]
    seconds, cost = iteration_s * published, None if one is None else one * published
    return replace(_score(pair, scale, image, seconds, cost), iteration_s=iteration_s, iterations=iterations)


def _score(pair: Pair, scale: int, image: Pixels, seconds: float, multiply_adds: Optional[float]) -> Score:
    reduced = _tile(pair.low_res, scale).forward_model.degrade(torch.from_numpy(np.clip(image, 0.0, 1.0)))
    rmse = float(np.sqrt(np.square(np.asarray(reduced) - pair.low_res).mean())) * 255.0
    return Score(
        psnr_y_db(image, pair.high_res), ssim_y(image, pair.high_res), rmse, seconds, multiply_adds=multiply_adds
    )


def _timed(method: Callable[[], Pixels]) -> tuple[Pixels, float, Optional[float]]:
    """Return the image, the least seconds of some runs, and the multiply-adds."""
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        image = method()
        seconds.append(time.perf_counter() - began)
    return image, min(seconds), _multiply_adds(method)


def _multiply_adds(method: Callable[[], Any]) -> Optional[float]:
    """Count them in torch's convolutions and matrix products; None if there are none."""
    with FlopCounterMode(display=False) as counter:
        method()
    # torch counts a multiplication and an addition as two.
    return counter.get_total_flops() / 2.0 or None


def summary(scores: dict[str, dict[str, Score]], scale: int, *, reference_is_whole: bool) -> dict[str, Any]:
    """Return means over the images, ratios to the published method's time, and every image's scores."""
    methods: dict[str, Any] = {}
    for name, by_image in scores.items():
        rows = list(by_image.values())
        methods[name] = {
            field: _mean([getattr(row, field) for row in rows])
            for field in ("psnr_y", "ssim_y", "consistency_rmse", "seconds", "iteration_s", "multiply_adds")
        }
        methods[name]["images"] = {image: asdict(score) for image, score in by_image.items()}
    if "reference" in methods:
        whole_s = methods["reference"]["seconds"]
        for figures in methods.values():
            figures["ratio_to_reference"] = whole_s / figures["seconds"]
        methods["reference"]["is_whole"] = reference_is_whole
    return {"scale": scale, "methods": methods}


def _mean(values: Sequence[Optional[float]]) -> Optional[float]:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def table(results: dict[str, Any]) -> str:
    """Return the means as Markdown."""
    lines = [
        f"x{results['scale']}, {results['device']}",
        "",
        (
            "| method | PSNR-Y (dB) | SSIM-Y | misfit (8-bit steps) | seconds | reference's time over this |"
            " multiply-adds (G) | s an iteration |"
        ),
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in results["methods"].items():
        ratio, cost, iteration = (row.get(key) for key in ("ratio_to_reference", "multiply_adds", "iteration_s"))
        cells = (
            name,
            f"{row['psnr_y']:.2f}",
            f"{row['ssim_y']:.4f}",
            f"{row['consistency_rmse']:.2f}",
            f"{row['seconds']:.3g}",
            "" if ratio is None else f"{ratio:,.0f}",
            "" if cost is None else f"{cost / 1e9:,.1f}",
            "" if iteration is None else f"{iteration:.3g}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    reference = results["methods"].get("reference")
    if reference is not None and not reference["is_whole"]:
        run = min(image["iterations"] for image in reference["images"].values())
        lines += [
            "",
            (
                f"reference was run for {run} of {PUBLISHED_ITERATIONS[results['scale']]} iterations: its seconds and "
                "multiply-adds are extrapolated, and its quality is not the finished one's."
            ),
        ]
    return "\n".join(lines)


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw quality against time; an unfinished reference has no quality to draw."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for name, row in results["methods"].items():
        if name == "reference" and not row["is_whole"]:
            axes.axvline(row["seconds"], linestyle=":", color="grey", label="reference, extrapolated")
            continue
        axes.plot(row["seconds"], row["psnr_y"], "o")
        axes.annotate(name, (row["seconds"], row["psnr_y"]), xytext=(6, 4), textcoords="offset points")
    axes.set_xscale("log")
    axes.set_xlabel("seconds an image")
    axes.set_ylabel("PSNR-Y (dB)")
    axes.margins(0.15)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
