"""Are traced borders better on an enhanced image? Precision and recall against outlines drawn by hand, by method.

usage: bench_borders.py DATA OUT.json [--scale 2|4] [--fit]

DATA holds highres/ (the training folders). Held-out farmland is degraded and restored as in bench_quality.py; each
image's borders are traced as the product traces them, with nothing tuned to these places. Precision is the share of the
traced length that lies within a tolerance of a drawn outline, recall the share of the drawn outlines within it of a
traced line, over all places together; half a low-res pixel and a whole one.

With --fit the places are those of training, and what is printed are the weights for engine/borders/likelihood.py: a
logistic regression of whether a traced line is a drawn one, over the lines of all methods.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import field_borders
import numpy as np
from bench_quality import FARMLAND_FACTOR, FULL_RANGE, HIGH_RES, Place, degrade, held_out_places, place_of
from bench_sensors import IMAGE_SET
from numpy.typing import NDArray
from restorations import CONSISTENT_METHODS, Restorer, measured
from scipy.ndimage import distance_transform_edt

from headland.engine.border_file import BorderLines
from headland.engine.borders.likelihood import features
from headland.engine.borders.line import Line
from headland.engine.borders.network import joined
from headland.engine.borders.picture import Picture
from headland.engine.borders.trace import followed, trace_borders, usual_strength
from headland.engine.progress import go_on
from headland.engine.scene import Scene
from headland.models.training.imagery import ImageSet, load_images

METHODS = ("bicubic", "anchor", "dip", "chain", HIGH_RES)
TOLERANCES = {"half": 0.5, "whole": 1.0}
"""In low-res pixels."""
# What is left of the traced lines at these strengths.
STRENGTHS = (0.0, 0.4, 0.5, 0.6)
SPACING_PX = 0.5
NEWTON_STEPS = 30

Values = NDArray[np.float64]


@dataclass
class Lengths:
    """What was traced and drawn in all places, in points and pixels, and how much of it the other is near to."""

    traced: float = 0.0
    correct: float = 0.0
    drawn: float = 0.0
    reached: float = 0.0

    def scores(self) -> dict[str, float]:
        """Return precision, recall, and their harmonic mean F."""
        precision, recall = self.correct / max(self.traced, 1.0), self.reached / max(self.drawn, 1.0)
        return {
            "precision": precision,
            "recall": recall,
            "f": 2.0 * precision * recall / max(precision + recall, 1e-12),
        }


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with highres/")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--scale", type=int, choices=(2, 4), default=4)
    parser.add_argument("--fit", action="store_true", help="print weights fitted on training places")
    options = parser.parse_args(arguments)
    restorer = Restorer(options.scale)
    if options.fit:
        print(json.dumps(fit(training_places(options.data / "highres", options.scale), restorer, options.scale)))
        return 0
    places = [place for place in held_out_places(options.data / "highres", options.scale) if place.outlines]
    results = {
        "scale": options.scale,
        "places": [place.name for place in places],
        "rows": rows(places, restorer, options.scale),
    }
    options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))
    return 0


def training_places(highres: Path, scale: int) -> list[Place]:
    """Return all farmland that is not held out."""
    sets = (ImageSet(IMAGE_SET, (FARMLAND_FACTOR,), 1.0),)
    return [
        place_of(image, highres, FARMLAND_FACTOR, scale) for image in load_images(highres, held_out=False, sets=sets)
    ]


def rows(places: Sequence[Place], restorer: Restorer, scale: int) -> list[dict[str, Any]]:
    """Return the scores of each method and least strength, over all places together."""
    lengths = {(method, least, name): Lengths() for method in METHODS for least in STRENGTHS for name in TOLERANCES}
    lines = dict.fromkeys(((method, least) for method in METHODS for least in STRENGTHS), 0)
    for place, method, scene, image in restored(places, restorer, scale):
        traced = trace_borders(scene, image, go_on)
        drawn = field_borders.draw_outlines(place.outlines, (image.shape[1], image.shape[2]))
        for least in STRENGTHS:
            lines[method, least] += int((traced.strengths >= least).sum())
            for name, tolerance in TOLERANCES.items():
                compare(traced, least, drawn, tolerance * scale, lengths[method, least, name])
    return [
        {
            "method": method,
            "least_strength": least,
            "lines": lines[method, least],
            "length_px": lengths[method, least, "half"].traced * SPACING_PX,
            **{name: lengths[method, least, name].scores() for name in TOLERANCES},
        }
        for method in METHODS
        for least in STRENGTHS
    ]


def restored(
    places: Sequence[Place], restorer: Restorer, scale: int
) -> Iterator[tuple[Place, str, Scene, NDArray[np.float32]]]:
    """Yield each place as each method restores it: the scene as the sensor saw it, and the image in digital numbers."""
    for seed, place in enumerate(places):
        numbers = degrade(place.truth, scale, seed).numbers
        scene, images = measured(numbers, scale), restorer(numbers)
        for method in METHODS:
            if method == HIGH_RES:
                yield place, method, scene, place.truth * np.float32(FULL_RANGE)
            else:
                image = images[method]
                yield place, method, scene, image.consistent if method in CONSISTENT_METHODS else image.plain


def compare(
    traced: BorderLines, least_strength: float, drawn: NDArray[np.bool_], tolerance_px: float, lengths: Lengths
) -> None:
    """Add to ``lengths`` how the lines of at least that strength and the drawn outlines (row, column) agree."""
    chosen = [traced.line(number) for number in np.flatnonzero(traced.strengths >= least_strength)]
    points = np.concatenate([np.zeros((0, 2)), *(walked(line[:, ::-1] - 0.5) for line in chosen)])
    points = points[field_borders.is_inside(points, drawn.shape)]
    rows_px, columns_px = np.rint(points).astype(int).T
    found = np.zeros(drawn.shape, dtype=bool)
    found[rows_px, columns_px] = True
    lengths.traced += len(points)
    lengths.correct += float((distance_transform_edt(~drawn)[rows_px, columns_px] <= tolerance_px).sum())
    lengths.drawn += float(drawn.sum())
    if len(points):
        lengths.reached += float((distance_transform_edt(~found)[drawn] <= tolerance_px).sum())


def walked(line: Values) -> Values:
    """Return evenly spaced points along a line (n, 2)."""
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    stops = np.arange(SPACING_PX / 2.0, travelled[-1], SPACING_PX)
    return np.stack([np.interp(stops, travelled, line[:, axis]) for axis in (0, 1)], axis=1)


def table(results: dict[str, Any]) -> str:
    """Return the rows as Markdown."""
    lines = [
        f"x{results['scale']}, {len(results['places'])} places",
        "",
        "| traced in | strength from | lines | length (px) | precision, half px | recall | F | whole px | recall | F |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        scores = " | ".join(f"{row[name][key]:.3f}" for name in TOLERANCES for key in ("precision", "recall", "f"))
        least = f"{row['least_strength']:.1f}" if row["least_strength"] else "all"
        lines.append(f"| {row['method']} | {least} | {row['lines']} | {row['length_px']:.0f} | {scores} |")
    return "\n".join(lines)


def fit(places: Sequence[Place], restorer: Restorer, scale: int) -> dict[str, float]:
    """Return the weights of a logistic regression over all lines that can be followed in images of the methods."""
    inputs, shares, weights = [], [], []
    for place, method, scene, image in restored(places, restorer, scale):
        if method == HIGH_RES:
            continue
        picture = Picture(scene, image)
        usual = usual_strength(scene, picture)
        off_px = distance_transform_edt(~field_borders.draw_outlines(place.outlines, picture.size_px))
        for line in joined(followed(picture, usual, go_on, lambda _line: True), scale):
            share, points = _share_drawn(line, off_px, scale / 2.0)
            if share is not None:
                inputs.append((1.0, *features(line, usual, scale)))
                shares.append(share)
                weights.append(points)
    return dict(
        zip(
            ("BIAS", "UNUSUAL", "STRAIGHT"),
            _regression(*map(np.array, (inputs, shares, weights))),
            strict=True,
        )
    )


def _share_drawn(line: Line, off_px: Values, tolerance_px: float) -> tuple[Optional[float], int]:
    """Return how much of a line lies near a drawn outline, None if it is not in the frame, and of how many points."""
    points = walked(line.places)
    points = points[field_borders.is_inside(points, off_px.shape)]
    if not len(points):
        return None, 0
    rows_px, columns_px = np.rint(points).astype(int).T
    return float((off_px[rows_px, columns_px] <= tolerance_px).mean()), len(points)


def _regression(inputs: Values, shares: Values, weights: Values) -> list[float]:
    found = np.zeros(inputs.shape[1])
    weights = weights / weights.mean()
    for _ in range(NEWTON_STEPS):
        expected = 1.0 / (1.0 + np.exp(-inputs @ found))
        slope = inputs.T @ (weights * (shares - expected))
        bend = (inputs * (weights * expected * (1.0 - expected))[:, None]).T @ inputs
        found += np.linalg.solve(bend, slope)
    return [round(float(weight), 3) for weight in found]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
