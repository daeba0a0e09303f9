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

from ...engine.psf import BicubicPsf, LanczosPsf, Psf
from ..dip.prior_network import PriorConfig, PriorNetwork, load_weights, save_weights
from .dead_leaves import dead_leaves
from .image_bank import ImageBank, stretch_radiometry
from .imagery import TrainingImage, load_images
from .layout import use_channels_last
from .sensors import BANDS, Sensor, SensorBank, gaussians

logger = logging.getLogger(__name__)

LOG_EVERY_STEPS = 100
SAVE_EVERY_S = 30.0
LARGEST_GRADIENT_NORM = 0.5


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a training run, besides the images. ``sensors`` are drawn once for each scale factor."""

    minutes: float = 30.0
    batch: int = 16
    low_res_px: int = 32
    learning_rate: float = 4e-4
    averaging: float = 0.998
    share_of_scale_4: float = 0.6
    sensors: int = 400
    dead_leaves: int = 160
    dead_leaves_px: int = 256
    share_of_dead_leaves: float = 0.25
    seed: int = 0
    device: str = "cpu"


def training_images(data: Path, config: TrainingConfig) -> list[TrainingImage]:
    """Return the photographs of the training places and a share of drawn pictures."""
    photographs = load_images(data, held_out=False)
    share = config.share_of_dead_leaves
    weight = sum(image.weight for image in photographs) * share / (1.0 - share)
    rng = np.random.default_rng(config.seed)
    return [*photographs, *dead_leaves(config.dead_leaves, config.dead_leaves_px, weight, rng)]


def draw_any_sensor(rng: np.random.Generator) -> Sensor:
    """Draw a satellite's sensor, right or wrong about its blur, or a filter that shrinks pictures."""
    psfs, assumed = random_psfs(rng)
    noise_sd = math.exp(rng.uniform(math.log(0.0007), math.log(0.03)))
    return Sensor(psfs, assumed, noise_sd, noise_sd * math.exp(rng.normal(0.0, 0.3)), levels=1e5)


def random_psfs(rng: np.random.Generator) -> tuple[tuple[Psf, ...], tuple[Psf, ...]]:
    """Return the true PSFs of three bands and those that the user would assume."""
    kind = rng.random()
    if kind < 0.2:  # noqa: PLR2004
        return (LanczosPsf(),) * BANDS, (LanczosPsf(),) * BANDS
    if kind < 0.25:  # noqa: PLR2004
        return (BicubicPsf(),) * BANDS, (BicubicPsf(),) * BANDS
    assumed = np.clip(rng.uniform(0.08, 0.45) + rng.normal(0.0, 0.02, BANDS), 0.05, 0.5)
    error = rng.normal(0.0, 0.06) if rng.random() < 0.5 else 0.0  # noqa: PLR2004
    return gaussians(np.clip(assumed + error, 0.05, 0.55)), gaussians(assumed)


@dataclass(frozen=True)
class Example:
    """A batch as the network gets it, beside the truth. Images are (n, 3, row, column)."""

    high_res: Tensor
    low_res: Tensor
    start: Tensor
    sensors: SensorBank

    @classmethod
    def of(cls, high_res: Tensor, sensors: SensorBank, noise: torch.Generator) -> Example:
        """Degrade ``high_res`` and enlarge it again, without the network."""
        low_res = sensors.degrade(high_res, noise)
        return cls(high_res, low_res, sensors.forward_model.enlarge(low_res, sensors.damping), sensors)

    def restored(self, network: PriorNetwork) -> Tensor:
        """Return the network's projected result."""
        device = self.high_res.device.type
        is_fast = device == "cuda" or torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
        with torch.autocast(device, torch.bfloat16, enabled=is_fast):
            corrected = network(self.start, self.low_res, self.sensors.assumed_noise_sd, self.sensors.scale)
        return self.sensors.forward_model.project(corrected.float(), self.low_res, self.sensors.damping)


class Examples:
    """Draws batches.

    Args:
        images: the clean images.
        config: sizes, shares and the seed.
    """

    def __init__(self, images: Sequence[TrainingImage], config: TrainingConfig) -> None:
        self._config, self._rng = config, np.random.default_rng(config.seed)
        self._bank = ImageBank(images, config.device)
        self._noise = torch.Generator(config.device).manual_seed(config.seed)
        self._sensors = {scale: self._draw_sensors(scale) for scale in (2, 4)}

    def draw(self) -> Example:
        """Return the next batch."""
        config, rng = self._config, self._rng
        scale = 4 if rng.random() < config.share_of_scale_4 else 2
        crops = self._bank.draw(rng, config.batch, config.low_res_px * scale)
        sensors = self._sensors[scale].choose(rng.integers(config.sensors, size=config.batch))
        return Example.of(stretch_radiometry(rng, crops), sensors, self._noise)

    def _draw_sensors(self, scale: int) -> SensorBank:
        drawn = [draw_any_sensor(self._rng) for _ in range(self._config.sensors)]
        return SensorBank(drawn, self._config.low_res_px, scale, self._config.device)


def train(
    images: Sequence[TrainingImage], output: Path, config: TrainingConfig, shape: PriorConfig | None = None
) -> PriorNetwork:
    """Train for ``config.minutes`` and leave the averaged weights in ``output``; go on from it if it exists."""
    torch.manual_seed(config.seed)
    network = load_weights(output) if output.exists() else PriorNetwork(shape or PriorConfig())
    network = network.to(config.device)
    use_channels_last(network)
    averaged = copy.deepcopy(network)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    examples, began, saved_s, step = Examples(images, config), time.monotonic(), 0.0, 0
    ratios: list[Tensor] = []
    while (elapsed_s := time.monotonic() - began) < 60.0 * config.minutes:
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _rate_factor(step, elapsed_s / (60.0 * config.minutes))
        ratios.append(_step(network, optimiser, examples.draw()))
        with torch.no_grad():
            for kept, trained in zip(averaged.parameters(), network.parameters(), strict=True):
                kept.lerp_(trained, 1.0 - config.averaging)
        step += 1
        if step % LOG_EVERY_STEPS == 0:
            mean = float(torch.stack(ratios).mean())
            ratios.clear()
            logger.info("step %d, %.1f min, L1 against the enlarged image's %.4f", step, elapsed_s / 60.0, mean)
        if elapsed_s - saved_s > SAVE_EVERY_S:
            saved_s = elapsed_s
            save_weights(averaged, output)
    save_weights(averaged, output)
    return averaged


def _rate_factor(step: int, progress: float) -> float:
    """A hundred steps of warming up, then half a cosine down to zero."""
    return min(1.0, (step + 1) / 100) * 0.5 * (1.0 + math.cos(math.pi * progress))


def _step(network: PriorNetwork, optimiser: torch.optim.Optimizer, example: Example) -> Tensor:
    """Make one step; return the loss against that of the enlarged image, without waiting for the device."""
    loss = (example.restored(network) - example.high_res).abs().mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT_NORM)
    optimiser.step()
    return loss.detach() / (example.start - example.high_res).abs().mean()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the training from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of image folders, such as naip_farmland_1m")
    parser.add_argument("output", type=Path, help=".npz to write; if it exists, training goes on from it")
    parser.add_argument("--minutes", type=float, default=TrainingConfig.minutes)
    parser.add_argument("--seed", type=int, default=TrainingConfig.seed)
    parser.add_argument("--batch", type=int, default=TrainingConfig.batch)
    parser.add_argument("--low-res-px", type=int, default=TrainingConfig.low_res_px, help="rows and columns of a crop")
    parser.add_argument("--width", type=int, default=PriorConfig.width, help="of a new network")
    parser.add_argument("--blocks", type=int, default=PriorConfig.blocks, help="of a new network")
    parser.add_argument("--device", default=TrainingConfig.device, help="of torch: cpu or cuda")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = TrainingConfig(
        minutes=options.minutes,
        batch=options.batch,
        low_res_px=options.low_res_px,
        seed=options.seed,
        device=options.device,
    )
    shape = PriorConfig(width=options.width, blocks=options.blocks)
    train(training_images(options.data, config), options.output, config, shape)
    options.output.with_suffix(".json").write_text(json.dumps(asdict(config), indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
