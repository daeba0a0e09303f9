"""Run the engine on an accelerator and on the processor: do they draw the same picture, and how much faster is one?

usage: compare_devices.py OUT.json [--device cuda|mps] [--size-px 512] [--methods …]

The input is a drawn scene as Sentinel-2 would see it, four bands, enlarged by four. Each method runs twice on each
device; the second run's seconds count, without the first one's set-up. On a graphics card tiles of one size go through
the stages together; *one by one* is the same without that, and *batched - single* the largest difference between them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from headland.engine import batches
from headland.engine.forward_model import ForwardModel
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.engine.pipeline import enhance
from headland.engine.psf import GaussianPsf
from headland.models.training.dead_leaves import dead_leaves

BANDS = ("B02", "B03", "B04", "B08")
SCALE = 4
NOISE_SD = 0.003
DIGITAL_NUMBERS = 10000.0
METHODS = {
    "anchor": (Method.ANCHOR, Preset.FAST),
    "dip, fast": (Method.DIP, Preset.FAST),
    "dip, balanced": (Method.DIP, Preset.BALANCED),
    "chain": (Method.CHAIN, Preset.FAST),
}
HEAD = (
    *("method", "device", "tiles at once", "seconds", "one by one", "batched - single"),
    *("seconds, cpu", "ratio", "largest difference", "mean"),
)

Picture = NDArray[np.float32]


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cuda")
    parser.add_argument("--size-px", type=int, default=512, help="low-res rows and columns")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    options = parser.parse_args(arguments)
    low_res = drawn_scene(options.size_px)
    rows: dict[str, dict[str, Any]] = {}
    for name in options.methods:
        rows[name] = compare(name, low_res, Device(options.device))
        # After each: a borrowed machine may be gone before the last.
        results = {"size_px": options.size_px, "rows": rows}
        options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(table(options.size_px, rows) + "\n")
    return 0


def drawn_scene(size_px: int) -> NDArray[np.uint16]:
    """Return digital numbers (band, size, size) of shapes seen by Sentinel-2, with its noise."""
    rng = np.random.default_rng(0)
    image = dead_leaves(1, size_px * SCALE, 1.0, rng)[0].pixels
    high_res = torch.from_numpy(np.concatenate([image, image[:1]])[: len(BANDS)])
    model = ForwardModel([GaussianPsf(0.25)] * len(BANDS), (size_px, size_px), SCALE)
    seen = np.asarray(model.degrade(high_res)) + rng.normal(0.0, NOISE_SD, (len(BANDS), size_px, size_px))
    return np.asarray((seen * 0.5 + 0.1).clip(0.0, 1.0) * DIGITAL_NUMBERS).round().astype(np.uint16)


def compare(name: str, low_res: NDArray[np.uint16], device: Device) -> dict[str, Any]:
    """Return both devices' seconds and by how much their pictures differ, in digital numbers of 10000."""
    there, there_s, report = run(name, low_res, device)
    with mock.patch.object(batches, "MOST_TILES", 1):
        single, single_s, _ = run(name, low_res, device)
    here, here_s, _ = run(name, low_res, Device.CPU)
    difference = np.abs(there - here)
    return {
        "device": report["device"],
        "providers": [model["provider"] for model in report["models"] if "provider" in model],
        "tiles_at_once": report["tiles_at_once"],
        "seconds": there_s,
        "single_seconds": single_s,
        "batched_less_single": float(np.abs(there - single).max()),
        "cpu_seconds": here_s,
        "largest_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
    }


def run(name: str, low_res: NDArray[np.uint16], device: Device) -> tuple[Picture, float, dict[str, Any]]:
    """Return the picture, the seconds of the second run and the report."""
    method, preset = METHODS[name]
    job = Job(method, SCALE, preset, device, 0, Sensor.AUTO, BANDS, pixel_size_m=(10.0, 10.0))
    for _ in range(2):
        output = np.zeros((len(BANDS), *(SCALE * side for side in low_res.shape[1:])), dtype=np.float32)
        began = time.perf_counter()
        report = enhance(job, low_res, np.ones(low_res.shape, dtype=bool), output, lambda *_: None, lambda: False)
        seconds = time.perf_counter() - began
    return output, seconds, report


def table(size_px: int, rows: dict[str, dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    lines = [
        f"{size_px} x {size_px} pixels, {len(BANDS)} bands, x{SCALE}; differences in digital numbers of 10000",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---" * len(HEAD) + "|",
    ]
    for name, row in rows.items():
        where = ", ".join([row["device"], *row["providers"]])
        lines.append(
            f"| {name} | {where} | {row['tiles_at_once']} | {row['seconds']:.3g} | {row['single_seconds']:.3g} | "
            f"{row['batched_less_single']:.3g} | {row['cpu_seconds']:.3g} | "
            f"{row['cpu_seconds'] / row['seconds']:.1f} | {row['largest_difference']:.3g} | "
            f"{row['mean_difference']:.3g} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
