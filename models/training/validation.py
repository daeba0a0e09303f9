"""Look at the network on places that training never sees: figures for the log, a loss curve and a sheet of samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..decrappify.network import Decrappify
from .degradation import Batch, Enlargement, Enlarger, centre, load_priors, make_batch
from .imagery import Pixels, TrainingImage, load_images
from .perceptual import SqueezeNetDistance
from .sensors import SensorBank, sentinel_like

PATCH_PX = 160
SHEET_ROWS = 6
LOG_FILE = "log.jsonl"


@dataclass(frozen=True)
class Validation:
    """Held-out batches by name, and where the pictures go."""

    batches: dict[str, Batch]
    squeezenet: SqueezeNetDistance
    folder: Path

    @classmethod
    def load(cls, data_folder: Path, folder: Path, prior_folder: Path) -> Validation:
        """Cut the held-out patches and degrade them with the fixed sensor."""
        targets = held_out_patches(load_images(data_folder / "highres", held_out=True))
        noise, priors = torch.Generator().manual_seed(7), load_priors(prior_folder)
        sensors = {
            scale: SensorBank([sentinel_like()], targets.shape[-1] // scale, scale).choose(np.zeros(len(targets), int))
            for scale in (4, 2)
        }
        batches = {
            f"{how.value}_x{scale}": make_batch(targets, bank, how, noise, Enlarger(priors))
            for scale, bank in sensors.items()
            for how in (Enlargement.BICUBIC, Enlargement.ANCHOR, *priors)
        }
        squeezenet = SqueezeNetDistance(data_folder / "weights" / "squeezenet1_1_fp16.npz")
        return cls(batches, squeezenet, folder)

    def __call__(self, network: Decrappify) -> dict[str, Any]:
        """Write the pictures and return the figures."""
        pictures: dict[str, Tensor] = {}
        for name in ("bicubic_x4", "prior_x4"):
            batch = self.batches[name]
            pictures |= {name: centre(batch.enlarged), f"{name}, restored": restore(network, batch)}
        pictures["high-res"] = centre(batch.target)
        sheet(pictures).save(self.folder / "samples.png")
        loss_curve(self.folder / LOG_FILE, self.folder / "loss.png")
        return self.figures(network)

    def figures(self, network: Decrappify) -> dict[str, Any]:
        """Return for each batch the PSNR (dB) and the SqueezeNet distance of the network's input and of its result."""
        figures: dict[str, Any] = {}
        for name, batch in self.batches.items():
            target, fed, result = centre(batch.target), centre(batch.enlarged), restore(network, batch)
            figures[name] = {
                "psnr": [psnr_db(fed, target), psnr_db(result, target)],
                "squeezenet": [self._distance(fed, target), self._distance(result, target)],
            }
        return figures

    def _distance(self, image: Tensor, target: Tensor) -> float:
        return round(float(self.squeezenet(image, target).mean()), 5)


@torch.no_grad()
def restore(network: Decrappify, batch: Batch) -> Tensor:
    """Return what the engine would: the network's result after the consistency step, without the margin."""
    return batch.project(network(centre(batch.enlarged)))


def held_out_patches(images: list[TrainingImage]) -> Tensor:
    """Return (patch, 3, row, column): the middle of the larger version of each farmland scene, and of a few others."""
    by_name: dict[str, Pixels] = {}
    for image in images:
        if min(image.pixels.shape[1:]) >= PATCH_PX:
            by_name.setdefault(f"{image.image_set}/{image.name}", image.pixels)
    farmland = [pixels for name, pixels in by_name.items() if name.startswith("naip_farmland")]
    others = [pixels for name, pixels in by_name.items() if not name.startswith("naip_farmland")]
    chosen = farmland + others[:: max(1, len(others) // 6)][:6]
    return torch.stack([torch.from_numpy(_middle(pixels)) for pixels in chosen])


def psnr_db(image: Tensor, target: Tensor) -> float:
    """Mean over the images of (batch, band, row, column) of the PSNR for a range of 1."""
    errors = (image.clamp(0.0, 1.0) - target.clamp(0.0, 1.0)).square().mean(dim=(1, 2, 3))
    return round(float((-10.0 * errors.clamp_min(1e-10).log10()).mean()), 3)


def sheet(pictures: dict[str, Tensor], zoom: int = 2) -> Image.Image:
    """Lay (batch, 3, row, column) images side by side, a column each, titled; a row a patch."""
    columns = []
    for title, images in pictures.items():
        rows = torch.cat(list(images[:SHEET_ROWS]), dim=1).clamp(0.0, 1.0)
        values = (rows * 255.0).round().to(torch.uint8).permute(1, 2, 0).numpy()
        picture = Image.fromarray(values).resize(
            (values.shape[1] * zoom, values.shape[0] * zoom), Image.Resampling.NEAREST
        )
        column = Image.new("RGB", (picture.width + 4, picture.height + 16), "white")
        column.paste(picture, (0, 16))
        ImageDraw.Draw(column).text((2, 2), title, fill="black")
        columns.append(np.asarray(column))
    return Image.fromarray(np.concatenate(columns, axis=1))


def loss_curve(log_file: Path, picture_file: Path, size_px: tuple[int, int] = (900, 400)) -> None:
    """Draw the loss (running mean, logarithmic) over the steps of a log."""
    if not log_file.exists():
        return
    lines = [json.loads(line) for line in log_file.read_text(encoding="utf-8").splitlines()]
    values = np.array([line["total"] for line in lines if "total" in line])
    if values.size < 2:  # noqa: PLR2004, a line has two ends
        return
    window = max(1, values.size // 60)
    smooth = np.log(np.convolve(values, np.ones(window) / window, mode="valid"))
    width, height = size_px
    x = np.linspace(40, width - 10, smooth.size)
    y = 20 + (height - 50) * (smooth.max() - smooth) / max(float(np.ptp(smooth)), 1e-9)
    picture = Image.new("RGB", size_px, "white")
    draw = ImageDraw.Draw(picture)
    draw.line(list(zip(x.tolist(), y.tolist())), fill=(20, 90, 60), width=2)
    draw.text(
        (44, 4), f"loss, mean of {window} steps: {np.exp(smooth[0]):.3f} to {np.exp(smooth[-1]):.3f}", fill="black"
    )
    draw.text((width - 120, height - 18), f"{values.size} steps", fill="black")
    picture.save(picture_file)


def _middle(pixels: Pixels) -> Pixels:
    row, column = ((length - PATCH_PX) // 2 for length in pixels.shape[1:])
    return np.ascontiguousarray(pixels[:3, row : row + PATCH_PX, column : column + PATCH_PX])
