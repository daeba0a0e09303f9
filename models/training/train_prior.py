"""Train the educated start of the fast Deep Image Prior.

    python -m headland.models.training.train_prior DATA OUTPUT.npz --minutes 30

Sharp images are degraded by random sensors (PSF, noise, a wrong guess of the PSF) and the network learns to
undo that, after the projection onto the images that agree with the input: it only has to learn what the
projection cannot know.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...engine.forward_model import ForwardModel
from ...engine.noise import damping_for
from ...engine.psf import BicubicPsf, GaussianPsf, LanczosPsf, Psf
from ..dip.prior_network import PriorConfig, PriorNetwork, load_weights, save_weights
from .dead_leaves import dead_leaves
from .imagery import TrainingImage, load_images

logger = logging.getLogger(__name__)

LOG_EVERY_STEPS = 100
LARGEST_GRADIENT_NORM = 0.5


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a training run, besides the images."""

    minutes: float = 30.0
    batch: int = 16
    low_res_px: int = 32
    learning_rate: float = 4e-4
    averaging: float = 0.998
    share_of_scale_4: float = 0.6
    dead_leaves: int = 160
    dead_leaves_px: int = 256
    share_of_dead_leaves: float = 0.25
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Degraded:
    """A batch as the network gets it, beside the truth. Images are (n, 3, row, column)."""

    high_res: Tensor
    low_res: Tensor
    noise_sd: Tensor
    assumed: ForwardModel
    damping: Tensor
    scale: int

    def start(self) -> Tensor:
        """Return every low-res image enlarged and projected, (n, 3, H, W)."""
        return self.assumed.enlarge(self.low_res.flatten(0, 1), self.damping).reshape(self.high_res.shape)

    def projected(self, image: Tensor) -> Tensor:
        """Return ``image`` projected onto the images that agree with the input."""
        flat = self.assumed.project(image.flatten(0, 1), self.low_res.flatten(0, 1), self.damping)
        return flat.reshape(self.high_res.shape)


def training_images(data: Path, config: TrainingConfig) -> list[TrainingImage]:
    """Return the photographs of the training places and a share of drawn pictures."""
    photographs = load_images(data, held_out=False)
    share = config.share_of_dead_leaves
    weight = sum(image.weight for image in photographs) * share / (1.0 - share)
    rng = np.random.default_rng(config.seed)
    return [*photographs, *dead_leaves(config.dead_leaves, config.dead_leaves_px, weight, rng)]


def random_crops(images: Sequence[TrainingImage], count: int, size_px: int, rng: np.random.Generator) -> Tensor:
    """Return ``count`` crops (count, 3, size_px, size_px), flipped, turned and with other radiometry."""
    weights = np.array([image.weight for image in images])
    crops = []
    for index in rng.choice(len(images), count, p=weights / weights.sum()):
        image = images[index].pixels
        row = rng.integers(0, image.shape[1] - size_px + 1)
        column = rng.integers(0, image.shape[2] - size_px + 1)
        crop = np.rot90(image[:, row : row + size_px, column : column + size_px], int(rng.integers(4)), (1, 2))
        crop = crop[rng.permutation(crop.shape[0])[:3], :, :: rng.choice((1, -1))]
        low, high = np.percentile(crop, (1, 99))
        stretch = rng.uniform(0.5, 1.1) / max(float(high - low), 0.15)
        crops.append((crop - low) * stretch + rng.uniform(0.0, 0.15))
    return torch.from_numpy(np.ascontiguousarray(np.stack(crops), dtype=np.float32))


def random_psfs(rng: np.random.Generator) -> tuple[list[Psf], list[Psf]]:
    """Return the true PSFs of three bands and those that the user would assume."""
    kind = rng.random()
    if kind < 0.2:  # noqa: PLR2004
        return [LanczosPsf()] * 3, [LanczosPsf()] * 3
    if kind < 0.25:  # noqa: PLR2004
        return [BicubicPsf()] * 3, [BicubicPsf()] * 3
    mtf = rng.uniform(0.08, 0.45)
    assumed = np.clip(mtf + rng.normal(0.0, 0.02, 3), 0.05, 0.5)
    error = rng.normal(0.0, 0.06) if rng.random() < 0.5 else 0.0  # noqa: PLR2004
    true = np.clip(assumed + error, 0.05, 0.55)
    return [GaussianPsf(float(m)) for m in true], [GaussianPsf(float(m)) for m in assumed]


def degraded_batch(high_res: Tensor, scale: int, rng: np.random.Generator, noise: torch.Generator) -> Degraded:
    """Blur, decimate and add noise to ``high_res`` (n, 3, H, W), each image with a sensor of its own."""
    count, low_res_px, device = high_res.shape[0], high_res.shape[-1] // scale, high_res.device
    pairs = [random_psfs(rng) for _ in range(count)]
    size = (low_res_px, low_res_px)
    true = ForwardModel([psf for pair in pairs for psf in pair[0]], size, scale, device)
    assumed = ForwardModel([psf for pair in pairs for psf in pair[1]], size, scale, device)
    noise_sd = np.exp(rng.uniform(np.log(0.0007), np.log(0.03), count)).astype(np.float32)
    believed = noise_sd * np.exp(rng.normal(0.0, 0.3, count)).astype(np.float32)
    low_res = true.degrade(high_res.flatten(0, 1)).reshape(count, 3, *size)
    drawn = torch.randn(low_res.shape, generator=noise) * torch.from_numpy(noise_sd)[:, None, None, None]
    damping = torch.tensor([damping_for(float(sd)) for sd in np.repeat(believed, 3)], device=device)[:, None, None]
    told = torch.from_numpy(believed).to(device)[:, None, None, None]
    return Degraded(high_res, low_res + drawn.to(device), told, assumed, damping, scale)


def restored(network: PriorNetwork, batch: Degraded) -> Tensor:
    """Return the network's projected result for a batch."""
    start = batch.start()
    device = batch.high_res.device.type
    is_fast = device == "cuda" or torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
    with torch.autocast(device, torch.bfloat16, enabled=is_fast):
        corrected = network(start, batch.low_res, batch.noise_sd, batch.scale)
    return batch.projected(corrected.float())


def train(images: Sequence[TrainingImage], output: Path, config: TrainingConfig) -> PriorNetwork:
    """Train for ``config.minutes`` and leave the averaged weights in ``output``; go on from it if it exists."""
    rng = np.random.default_rng(config.seed)
    noise = torch.Generator().manual_seed(config.seed)
    torch.manual_seed(config.seed)
    network = (load_weights(output) if output.exists() else PriorNetwork(PriorConfig())).to(config.device)
    averaged = copy.deepcopy(network)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    began, step = time.monotonic(), 0
    ratios: list[float] = []
    while (elapsed := (time.monotonic() - began) / 60.0) < config.minutes:
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _rate_factor(step, elapsed / config.minutes)
        scale = 4 if rng.random() < config.share_of_scale_4 else 2
        high_res = random_crops(images, config.batch, config.low_res_px * scale, rng).to(config.device)
        ratios.append(_step(network, optimiser, degraded_batch(high_res, scale, rng, noise)))
        with torch.no_grad():
            for kept, trained in zip(averaged.parameters(), network.parameters(), strict=True):
                kept.lerp_(trained, 1.0 - config.averaging)
        step += 1
        if step % LOG_EVERY_STEPS == 0:
            mean = np.mean(ratios[-LOG_EVERY_STEPS:])
            logger.info("step %d, %.1f min, L1 against the enlarged image's %.4f", step, elapsed, mean)
            save_weights(averaged, output)
    save_weights(averaged, output)
    return averaged


def _rate_factor(step: int, progress: float) -> float:
    """A hundred steps of warming up, then half a cosine down to zero."""
    return min(1.0, (step + 1) / 100) * 0.5 * (1.0 + math.cos(math.pi * progress))


def _step(network: PriorNetwork, optimiser: torch.optim.Optimizer, batch: Degraded) -> float:
    """Make one step; return the loss against that of the enlarged image."""
    loss = (restored(network, batch) - batch.high_res).abs().mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT_NORM)
    optimiser.step()
    return float(loss.detach()) / float((batch.start() - batch.high_res).abs().mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the training from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of image folders, such as naip_farmland_1m")
    parser.add_argument("output", type=Path, help=".npz to write; if it exists, training goes on from it")
    parser.add_argument("--minutes", type=float, default=TrainingConfig.minutes)
    parser.add_argument("--seed", type=int, default=TrainingConfig.seed)
    parser.add_argument("--device", default=TrainingConfig.device, help="of torch: cpu or cuda")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = TrainingConfig(minutes=options.minutes, seed=options.seed, device=options.device)
    train(training_images(options.data, config), options.output, config)
    options.output.with_suffix(".json").write_text(json.dumps(asdict(config), indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
