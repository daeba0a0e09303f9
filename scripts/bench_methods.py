"""How good is each method? Degrades held-out aerial images like a sensor, enhances them, compares with the truth.

usage: bench_methods.py DATA OUT.json [SCALE]

DATA is the folder of image folders that training uses; only places that no network has seen are measured.
Every row is another sensor. None is named, so all methods start from the same assumed blur (MTF .25 at Nyquist).
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
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


@dataclass(frozen=True)
class Row:
    """One sensor: its true MTF at Nyquist, and its noise in a range of 0 to 1."""

    name: str
    mtf_at_nyquist: float
    noise_sd: float


ROWS = (
    Row("as assumed", 0.25, 0.003),
    Row("blurrier than assumed", 0.15, 0.003),
    Row("sharper than assumed", 0.35, 0.003),
    Row("noisy", 0.25, 0.01),
)


@dataclass(frozen=True)
class Score:
    """Means over the images; seconds are the median."""

    psnr_db: float
    rmse_over_noise: float
    seconds: float


def main(arguments: list[str]) -> int:
    """Run the command line."""
    data, out = Path(arguments[0]), Path(arguments[1])
    scale = int(arguments[2]) if len(arguments) > 2 else 4  # noqa: PLR2004
    images = [
        image.pixels[:3, :HIGH_RES_PX, :HIGH_RES_PX]
        for image in load_images(data, held_out=True)
        if image.image_set == IMAGE_SET and image.pixels.shape[1] == SIDE_PX
    ]
    results = {row.name: measure(images, row, scale) for row in ROWS}
    out.write_text(json.dumps(results, indent=2, default=asdict) + "\n", encoding="utf-8")
    print(table(results, scale, len(images)))
    return 0


def measure(images: list[NDArray[np.float32]], row: Row, scale: int) -> dict[str, Score]:
    """Return each method's score for one sensor."""
    scores = {}
    for name, method in (("bicubic", None), *((method.value, method) for method in Method)):
        runs = [one_run(image, row, scale, method, seed) for seed, image in enumerate(images)]
        psnr, misfit, seconds = zip(*runs, strict=True)
        scores[name] = Score(float(np.mean(psnr)), float(np.mean(misfit)), median(seconds))
    return scores


def one_run(
    truth: NDArray[np.float32], row: Row, scale: int, method: Method | None, seed: int
) -> tuple[float, float, float]:
    """Return PSNR in dB, RMSE over noise after degrading again (worst band), and seconds; None is bicubic."""
    size = (truth.shape[1] // scale, truth.shape[2] // scale)
    sensor = ForwardModel([GaussianPsf(row.mtf_at_nyquist)], size, scale)
    low_res = sensor.degrade(torch.from_numpy(truth))
    low_res += row.noise_sd * torch.randn(low_res.shape, generator=torch.Generator().manual_seed(seed))
    # As a sensor would deliver it: integers.
    numbers = (low_res.numpy() * 10000.0).round().astype(np.int16)
    began = time.perf_counter()
    if method is None:
        result, misfit = bicubic(numbers, scale), float("nan")
    else:
        job = Job(method, scale, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("red", "green", "blue"))
        result = np.zeros(truth.shape, dtype=np.float32)
        report = pipeline.enhance(
            job, numbers, np.ones(numbers.shape, dtype=bool), result, lambda _phase, _fraction: None, lambda: False
        )
        misfit = max(report["consistency"]["rmse_over_noise"])
    seconds = time.perf_counter() - began
    error = (result / 10000.0 - truth)[:, BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    return float(-10.0 * np.log10(np.square(error).mean())), misfit, seconds


def bicubic(numbers: NDArray[np.int16], scale: int) -> NDArray[np.float32]:
    """Return what QGIS's own cubic resampling would show."""
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(numbers.astype(np.float32))[None], scale_factor=scale, mode="bicubic", align_corners=False
    )
    return enlarged[0].numpy()


def table(results: dict[str, dict[str, Score]], scale: int, count: int) -> str:
    """Return the scores as Markdown."""
    methods = list(next(iter(results.values())))
    lines = [
        f"PSNR in dB at x{scale}, mean over {count} held-out places",
        "",
        "| sensor | " + " | ".join(methods) + " |",
        "|---|" + "---|" * len(methods),
    ]
    for name, scores in results.items():
        lines.append(f"| {name} | " + " | ".join(f"{scores[method].psnr_db:.2f}" for method in methods) + " |")
    first = next(iter(results.values()))
    lines.append("| seconds | " + " | ".join(f"{first[method].seconds:.1f}" for method in methods) + " |")
    lines.append(
        "| misfit over noise | " + " | ".join(f"{first[method].rmse_over_noise:.2f}" for method in methods) + " |"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
