"""May one compute with a result? NDVI and band ratios against the source's.

usage: bench_radiometry.py OUT.json [--data DATA]

A result, rounded as in the file, is degraded by the sensor's blur, and its indices are held against the source's, in
units of the noise that the engine measured there. Then both are averaged over squares, as one would in QGIS: a square's
mean of the sharper picture is not what the sensor saw of it, for the sensor sees beyond its pixel. On the crop in
tests/data, and on places of the scenes in DATA/scenes; what single pixels are worth (single_pixels.py), where these
have the bands of Sentinel-2 at 10 m.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiometry import Difference, block_means, difference, rms
from radiometry_pictures import METHODS, PICTURES, SENTINEL_2, Picture, degraded, enhanced, places_of
from single_pixels import worth_of_single_pixels, worth_table

from headland.engine.job import Method

SCALES = (2, 4)
AVERAGED_OVER_PX = (1, 5)
"""Sides of the squares that are averaged over, in source pixels."""
LARGEST_RMS_OVER_NOISE, LARGEST_BIAS_OVER_NOISE = 1.0, 0.1


@dataclass(frozen=True)
class Agreement:
    """One index of one picture, or the mean over its places.

    Attributes:
        degraded: the result as the sensor would see it, against the source.
        averaged: root mean square difference of the index of squares' means, by their side in source pixels.
    """

    degraded: Difference
    averaged: dict[int, float]


Agreements = dict[str, dict[str, Agreement]]


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--data", type=Path, help="folder with scenes/; else the crop alone")
    options = parser.parse_args(arguments)
    places = {picture: list(places_of(picture, options.data)) for picture in PICTURES}
    found = {picture.name: agreements(picture, each) for picture, each in places.items() if each}
    print(agreement_table(found), bars(found), sep="\n\n")
    worth = {
        picture.name: {scale: worth_of_single_pixels(each, scale) for scale in SCALES}
        for picture, each in places.items()
        if each and picture.bands == SENTINEL_2.bands
    }
    for name, by_scale in worth.items():
        print(f"\nSingle pixels of {name}", worth_table(by_scale), sep="\n\n")
    content = {"agreement": found, "single_pixels": worth}
    options.out.write_text(json.dumps(content, indent=2, default=asdict) + "\n", encoding="utf-8")
    return 0


def agreements(picture: Picture, places: Sequence[NDArray[Any]]) -> Agreements:
    """Return how far results agree with their sources, by method with its scale, and index."""
    found = {}
    for scale in SCALES:
        for method in METHODS:
            each = [agreement(place, picture, method, scale) for place in places]
            found[f"{method.value} ×{scale}"] = {
                index.name: _mean([one[index.name] for one in each]) for index in picture.indices
            }
    return found


def agreement(numbers: NDArray[Any], picture: Picture, method: Method, scale: int) -> dict[str, Agreement]:
    """Return how far the result of one place (band, row, column) agrees with it, by index."""
    source = numbers.astype(np.float64)
    result, report = enhanced(numbers, picture, method, scale)
    seen, noise_sd = degraded(result, report["mtf_at_nyquist"], scale), np.array(report["noise_sd"])
    return {
        index.name: Agreement(
            difference(index, seen, source, noise_sd),
            {
                side: rms(index.of(block_means(result, side * scale)) - index.of(block_means(source, side)))
                for side in AVERAGED_OVER_PX
            },
        )
        for index in picture.indices
    }


def _mean(found: Sequence[Agreement]) -> Agreement:
    figures = {
        field.name: float(np.mean([getattr(one.degraded, field.name) for one in found])) for field in fields(Difference)
    }
    averaged = {side: float(np.mean([one.averaged[side] for one in found])) for side in AVERAGED_OVER_PX}
    return Agreement(Difference(**figures), averaged)


def agreement_table(found: dict[str, Agreements]) -> str:
    """Return it as Markdown."""
    squares = [f"averaged over {side} × {side} px" for side in AVERAGED_OVER_PX]
    head = ["picture", "method", "index", "bias / noise", "RMS / noise", "within 2 × noise", "RMS", *squares]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for picture, by_method in found.items():
        for method, by_index in by_method.items():
            for index, one in by_index.items():
                cells = [
                    picture,
                    method,
                    index,
                    f"{one.degraded.bias_over_noise:+.3f}",
                    f"{one.degraded.rms_over_noise:.2f}",
                    f"{one.degraded.share_within_2:.1%}",
                    f"{one.degraded.rms:.4f}",
                    *(f"{one.averaged[side]:.4f}" for side in AVERAGED_OVER_PX),
                ]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bars(found: dict[str, Agreements]) -> str:
    """Return which results agree within the noise, as Markdown: the worst index of each."""
    lines = []
    for picture, by_method in found.items():
        for method, by_index in by_method.items():
            name, worst = max(by_index.items(), key=lambda item: item[1].degraded.rms_over_noise)
            bias = max(abs(one.degraded.bias_over_noise) for one in by_index.values())
            is_met = worst.degraded.rms_over_noise <= LARGEST_RMS_OVER_NOISE and bias <= LARGEST_BIAS_OVER_NOISE
            verdict = "met" if is_met else "**missed**"
            lines.append(
                f"- {verdict}: {picture}, {method}: RMS {worst.degraded.rms_over_noise:.2f} of the noise ({name}): at "
                f"most 1; bias {bias:.3f} of it: at most .1"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
