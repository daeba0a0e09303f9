"""Is the predicted error worth trusting? How far bounds hold and errors are ranked where nothing was calibrated.

usage: bench_confidence.py DATA OUT.json [--scale 2|4] [--part report|validation] [--parameters FILE.npz]

DATA holds highres/ and scenes/. Each row is another sensor over places that had no part in calibrating; by the part
"validation" choices are made, "report" is for the figures. Each place is a tile of the product: what the chain, or Deep
Image Prior alone, makes of it is compared with the truth. Coverage is the share of pixels (of all three bands) whose
error lies below the bound, mean over the places, and for each place. AUSE (sparsification.py) is that of each place,
mean over the places, beside that of scores that need no calibrating.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from confidence_places import Image, judged_places
from sparsification import ause

from headland.engine.anchor import anchor
from headland.engine.confidence import Confidence, image_gradient
from headland.engine.job import CONFIDENCE_METHODS, Method, Preset
from headland.engine.sensors import LANDSAT_MTF
from headland.models.confidence.error_network import COVERAGES
from headland.models.training.calibrate_confidence import BORDER_PX
from headland.models.training.judged_places import Enhancer, JudgedTile, Part
from headland.models.training.sensors import BANDS, Sensor, gaussians

PREDICTED, GRADIENT = "predicted error", "gradient"
LARGEST_AUSE_RATIO = 0.8
COVERAGE_BAR = (0.88, 0.92)


@dataclass(frozen=True)
class Row:
    """One sensor: what it looks at, its true and its assumed MTF at Nyquist, its noise in a range of 0 to 1.

    Where ``fits_blur``, nobody names the sensor, and the engine goes on from what it assumes to what the image says.
    """

    name: str
    places: str
    mtf: float = 0.25
    assumed_mtf: float = 0.25
    noise_sd: float = 0.003
    preset: Preset = Preset.FAST
    fits_blur: bool = False


ROWS = {
    Part.VALIDATION: (
        Row("farmland", "farmland"),
        Row("farmland, blurrier than assumed (MTF .17)", "farmland", mtf=0.17),
        Row("farmland, sharper than assumed (MTF .33)", "farmland", mtf=0.33),
        Row("farmland, blurrier (MTF .17), blur fitted", "farmland", mtf=0.17, fits_blur=True),
        Row("farmland, sharper (MTF .33), blur fitted", "farmland", mtf=0.33, fits_blur=True),
        Row("farmland, noisy (sd .007)", "farmland", noise_sd=0.007),
        Row("farmland, noisy (sd .012)", "farmland", noise_sd=0.012),
        Row("cities", "cities"),
        Row("land uses of UC Merced", "land uses"),
        Row("Sentinel-2 scene, degraded", "Sentinel-2"),
        Row("Landsat 7 scene, degraded (MTF .35)", "Landsat 7", mtf=0.35, assumed_mtf=LANDSAT_MTF, noise_sd=0.004),
    ),
    Part.REPORT: (
        Row("farmland", "farmland"),
        Row("farmland, blurrier than assumed (MTF .15)", "farmland", mtf=0.15),
        Row("farmland, sharper than assumed (MTF .35)", "farmland", mtf=0.35),
        Row("farmland, blurrier (MTF .15), blur fitted", "farmland", mtf=0.15, fits_blur=True),
        Row("farmland, sharper (MTF .35), blur fitted", "farmland", mtf=0.35, fits_blur=True),
        Row("farmland, noisy (sd .01)", "farmland", noise_sd=0.01),
        Row("farmland, preset balanced", "farmland", preset=Preset.BALANCED),
        Row("land uses of UC Merced", "land uses"),
        Row("Sentinel-2 scene, degraded", "Sentinel-2"),
        Row("Landsat 7 scene, degraded (MTF .35)", "Landsat 7", mtf=0.35, assumed_mtf=LANDSAT_MTF, noise_sd=0.004),
    ),
}


@dataclass(frozen=True)
class Figures:
    """One place, or the mean over a row's.

    Attributes:
        coverage: by nominal coverage.
        ause: by score.
        error: mean |error| in levels.
        predicted: mean of what was predicted.
    """

    coverage: dict[str, float]
    ause: dict[str, float]
    error: float
    predicted: float


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with highres/ and scenes/")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--scale", type=int, choices=(2, 4), default=4)
    parser.add_argument("--part", choices=[part.value for part in ROWS], default=Part.REPORT.value)
    parser.add_argument("--parameters", type=Path, help="an .npz of calibrate_confidence.py; else the shipped one")
    options = parser.parse_args(arguments)
    part = Part(options.part)
    try:
        truths = judged_places(options.data, part)
    except FileNotFoundError as error:
        parser.error(str(error))
    judge = {method: Confidence(options.scale, method, path=options.parameters) for method in CONFIDENCE_METHODS}
    results: dict[str, dict[str, list[Figures]]] = {}
    for row in ROWS[part]:
        results[row.name] = measure(truths[row.places], row, options.scale, judge)
        print(f"{row.name} is measured", file=sys.stderr)
    options.out.write_text(json.dumps(results, indent=2, default=asdict) + "\n", encoding="utf-8")
    for method in CONFIDENCE_METHODS:
        rows = {name: by_method[method.value] for name, by_method in results.items() if by_method}
        print(f"x{options.scale}, {method.value}", table(rows), bars(rows), sep="\n\n", end="\n\n")
    return 0


def measure(truths: Sequence[Image], row: Row, scale: int, judge: dict[Method, Confidence]) -> dict[str, list[Figures]]:
    """Return each method's figures, place by place."""
    psfs, assumed = (gaussians(np.full(BANDS, mtf)) for mtf in (row.mtf, row.assumed_mtf))
    sensor = Sensor(psfs, assumed, row.noise_sd, row.noise_sd)
    enhance = Enhancer(scale, row.preset, fits_blur=row.fits_blur)
    found: dict[str, list[Figures]] = {}
    for seed, truth in enumerate(truths):
        made = enhance(truth, sensor, seed, CONFIDENCE_METHODS)
        anchored = _anchored(made[Method.DIP])
        for method, judged in made.items():
            found.setdefault(method.value, []).append(figures(judged, judge[method], anchored))
    return found


def _anchored(judged: JudgedTile) -> torch.Tensor:
    """Return what the anchor makes of a place, (3, H, W); it takes long, and is the same for every method."""
    with torch.inference_mode():
        return anchor(judged.tile.low_res, judged.tile.forward_model, judged.tile.damping)


def figures(judged: JudgedTile, confidence: Confidence, anchored: torch.Tensor) -> Figures:
    """Return what the prediction is worth at one place."""
    border_px = BORDER_PX * judged.tile.forward_model.scale
    inner = (slice(None), slice(border_px, -border_px), slice(border_px, -border_px))
    expected = confidence(judged.tile, judged.dip).expected
    error = judged.error[inner].flatten().numpy()
    predicted = expected[inner].flatten().numpy()
    coverage = {f"{share:.0%}": float(np.mean(error <= predicted * confidence.factor(share))) for share in COVERAGES}
    scores = {PREDICTED: expected} | dict(single_scores(judged, anchored))
    ranking = {name: ause(score[inner].flatten().numpy(), error) for name, score in scores.items()}
    return Figures(coverage, ranking, float(error.mean()), float(predicted.mean()))


def single_scores(judged: JudgedTile, anchored: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what one would look at without calibrating, each (3, H, W) in levels."""
    tile = judged.tile
    if tile.estimate is None:
        raise ValueError("Nothing was made of the tile.")
    with torch.inference_mode():
        yield GRADIENT, image_gradient(tile.estimate)
        yield "gradient, smoothed", _smoothed(image_gradient(tile.estimate))
        yield "DIP - anchor", (judged.dip - anchored).abs()
        yield "result - DIP", (tile.estimate - judged.dip).abs()
        yield "added to the measured", (tile.estimate - tile.forward_model.enlarge(tile.low_res, tile.damping)).abs()


def _smoothed(image: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(image[None], 3, 1, 1)[0]


def mean(found: Sequence[Figures]) -> Figures:
    """Return the mean over places."""
    return Figures(
        {share: float(np.mean([one.coverage[share] for one in found])) for share in found[0].coverage},
        {name: float(np.mean([one.ause[name] for one in found])) for name in found[0].ause},
        float(np.mean([one.error for one in found])),
        float(np.mean([one.predicted for one in found])),
    )


def table(rows: dict[str, list[Figures]]) -> str:
    """Return the rows as Markdown."""
    first = next(iter(rows.values()))[0]
    shares, scores = list(first.coverage), list(first.ause)
    head = ["sensor", "places", *shares, "90% by place", *(f"AUSE {name}" for name in scores), "ratio to gradient"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, found in rows.items():
        one = mean(found)
        by_place = [each.coverage["90%"] for each in found]
        cells = [
            name,
            str(len(found)),
            *(f"{one.coverage[share]:.3f}" for share in shares),
            f"{min(by_place):.2f}–{max(by_place):.2f}",
            *(f"{one.ause[score]:.3f}" for score in scores),
            f"{one.ause[PREDICTED] / one.ause[GRADIENT]:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bars(rows: dict[str, list[Figures]]) -> str:
    """Return which aims are met, row by row, as Markdown."""
    low, high = COVERAGE_BAR
    lines = []
    for name, found in rows.items():
        one = mean(found)
        ratio, coverage = one.ause[PREDICTED] / one.ause[GRADIENT], one.coverage["90%"]
        lines.append(f"- {_met(ratio <= LARGEST_AUSE_RATIO)}: {name}: AUSE {ratio:.2f} of the gradient's: at most .8")
        lines.append(f"- {_met(low <= coverage <= high)}: {name}: 90 % bound holds for {coverage:.1%}: 88 to 92 %")
    return "\n".join(lines)


def _met(is_met: bool) -> str:
    return "met" if is_met else "**missed**"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
