"""How good is each method, and on which sensor? Degrades images nothing was trained on, enhances them, compares.

usage: bench_sensors.py DATA OUT.json [SCALE]

DATA holds highres/ (the training folders; only places that no network has seen are measured) and, if there are real
scenes to be degraded, scenes/ (GeoTIFF). Each row is another sensor. No sensor is named, so every method starts from
the same assumed blur (MTF .25 at Nyquist); "network" is Deep Image Prior's trained network without the fit of the blur.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Optional

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

from headland.engine import pipeline
from headland.engine.forward_model import ForwardModel
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.engine.psf import GaussianPsf
from headland.models.training.imagery import load_images

IMAGE_SET = "naip_farmland_1m"
# NAIP averaged to 2.5 m, as fine as Sentinel-2 enlarged by four.
SIDE_PX = 409
HIGH_RES_PX = 384
BORDER_PX = 16
ASSUMED_MTF = 0.25
SCENES = {"Sentinel-2": "s2_l1c_virginia_10m.tif", "Landsat 7": "landsat7_olinda_30m.tif"}
PLACES_A_SCENE = 6
# Digital numbers in which the range 0 to 1 is handed to the engine, as a sensor would.
FULL_RANGE = 10000.0

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One sensor: what it looks at, its true MTF at Nyquist, and its noise in a range of 0 to 1."""

    name: str
    places: str
    mtf_at_nyquist: float
    noise_sd: float


ROWS = (
    Row("farmland, blur as assumed", "farmland", 0.25, 0.003),
    Row("farmland, blurrier (MTF .15)", "farmland", 0.15, 0.003),
    Row("farmland, sharper (MTF .35)", "farmland", 0.35, 0.003),
    Row("farmland, noisy (sd .01)", "farmland", 0.25, 0.01),
    Row("Sentinel-2 scene, degraded", "Sentinel-2", 0.25, 0.003),
    Row("Landsat 7 scene, degraded (MTF .35)", "Landsat 7", 0.35, 0.004),
)


@dataclass(frozen=True)
class Contender:
    """A column: a method of Headland, or None for bicubic; ``named`` tells it the assumed blur for certain."""

    name: str
    method: Optional[Method]
    named: bool = False


CONTENDERS = (
    Contender("bicubic", None),
    Contender("anchor", Method.ANCHOR),
    Contender("network", Method.DIP, named=True),
    Contender("dip", Method.DIP),
    Contender("decrappify", Method.DECRAPPIFY),
    Contender("chain", Method.CHAIN),
)


@dataclass(frozen=True)
class Score:
    """Means over the places; seconds are the median.

    Attributes:
        rmse_over_noise: of the result, degraded again by the blur that the method worked with, worst band.
        mtf_at_nyquist: that blur; not a number for bicubic.
    """

    psnr_db: float
    rmse_over_noise: float
    mtf_at_nyquist: float
    seconds: float


def main(arguments: list[str]) -> int:
    """Run the command line."""
    data, out = Path(arguments[0]), Path(arguments[1])
    scale = int(arguments[2]) if len(arguments) > 2 else 4  # noqa: PLR2004
    places = {"farmland": farmland(data / "highres")}
    places |= {name: list(scene_places(data / "scenes" / file)) for name, file in SCENES.items()}
    results = {row.name: measure(places[row.places], row, scale) for row in ROWS if places[row.places]}
    out.write_text(json.dumps(results, indent=2, default=asdict) + "\n", encoding="utf-8")
    counts = ", ".join(f"{name} {len(images)}" for name, images in places.items())
    print(table(results, f"PSNR in dB at x{scale}, mean over the places ({counts})"))
    return 0


def farmland(highres: Path) -> list[Image]:
    """Return the held-out aerial images of farmland, (3, row, column)."""
    return [
        image.pixels[:3, :HIGH_RES_PX, :HIGH_RES_PX]
        for image in load_images(highres, held_out=True)
        if image.image_set == IMAGE_SET and image.pixels.shape[1] == SIDE_PX
    ]


def scene_places(path: Path) -> Iterator[Image]:
    """Yield places of a scene without nodata, evenly spread, stretched to about 0 to 1; none if it is not there."""
    if not path.exists():
        return
    scene = tifffile.imread(path)
    bands = scene if scene.shape[0] < scene.shape[-1] else np.moveaxis(scene, -1, 0)
    bands = bands[:3].astype(np.float32)
    side = min(HIGH_RES_PX, *(length // 32 * 32 for length in bands.shape[1:]))
    corners = [(row, column) for row in _starts(bands.shape[1], side) for column in _starts(bands.shape[2], side)]
    crops = [bands[:, row : row + side, column : column + side] for row, column in corners]
    whole = [crop for crop in crops if (crop > 0).all()]
    for crop in whole[:: max(1, len(whole) // PLACES_A_SCENE)][:PLACES_A_SCENE]:
        low, high = np.percentile(crop, (0.1, 99.9))
        yield ((crop - low) / (high - low) * 0.8 + 0.1).astype(np.float32)


def _starts(length: int, side: int) -> range:
    return range(0, length - side + 1, side)


def measure(images: list[Image], row: Row, scale: int) -> dict[str, Score]:
    """Return each contender's score for one sensor."""
    scores = {}
    for contender in CONTENDERS:
        runs = [one_run(image, row, scale, contender, seed) for seed, image in enumerate(images)]
        psnr, misfit, mtf, seconds = zip(*runs, strict=True)
        scores[contender.name] = Score(
            float(np.mean(psnr)), float(np.mean(misfit)), float(np.mean(mtf)), median(seconds)
        )
    return scores


def one_run(truth: Image, row: Row, scale: int, contender: Contender, seed: int) -> tuple[float, float, float, float]:
    """Return PSNR in dB, RMSE over noise after degrading again (worst band), the MTF worked with, and seconds."""
    size = (truth.shape[1] // scale, truth.shape[2] // scale)
    sensor = ForwardModel([GaussianPsf(row.mtf_at_nyquist)], size, scale)
    low_res = sensor.degrade(torch.from_numpy(truth))
    low_res += row.noise_sd * torch.randn(low_res.shape, generator=torch.Generator().manual_seed(seed))
    # As a sensor would deliver it: integers.
    numbers = (low_res.numpy() * FULL_RANGE).round().astype(np.int16)
    began = time.perf_counter()
    if contender.method is None:
        result, misfit, mtf = bicubic(numbers, scale), float("nan"), float("nan")
    else:
        job = _job(contender, contender.method, scale)
        result = np.zeros(truth.shape, dtype=np.float32)
        report = pipeline.enhance(
            job, numbers, np.ones(numbers.shape, dtype=bool), result, lambda _phase, _fraction: None, lambda: False
        )
        misfit, mtf = max(report["consistency"]["rmse_over_noise"]), report["mtf_at_nyquist"][0]
    seconds = time.perf_counter() - began
    error = (result / FULL_RANGE - truth)[:, BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    return float(-10.0 * np.log10(np.square(error).mean())), misfit, mtf, seconds


def _job(contender: Contender, method: Method, scale: int) -> Job:
    sensor, mtf = (Sensor.CUSTOM, ASSUMED_MTF) if contender.named else (Sensor.AUTO, None)
    return Job(method, scale, Preset.FAST, Device.CPU, 0, sensor, ("red", "green", "blue"), mtf_at_nyquist=mtf)


def bicubic(numbers: NDArray[np.int16], scale: int) -> Image:
    """Return what QGIS's own cubic resampling would show."""
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(numbers.astype(np.float32))[None], scale_factor=scale, mode="bicubic", align_corners=False
    )
    return enlarged[0].numpy()


def table(results: dict[str, dict[str, Score]], title: str) -> str:
    """Return the scores as Markdown."""
    names = [contender.name for contender in CONTENDERS]
    lines = [title, "", "| sensor | " + " | ".join(names) + " | MTF fitted |", "|---|" + "---|" * (len(names) + 1)]
    for row, scores in results.items():
        figures = [f"{scores[name].psnr_db:.2f}" for name in names]
        lines.append(f"| {row} | " + " | ".join(figures) + f" | {scores['dip'].mtf_at_nyquist:.3f} |")
    first = next(iter(results.values()))
    lines.append("| seconds | " + " | ".join(f"{first[name].seconds:.1f}" for name in names) + " | |")
    misfits = [f"{first[name].rmse_over_noise:.2f}" for name in names]
    lines.append("| misfit over noise | " + " | ".join(misfits) + " | |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
