"""Fit the network that predicts errors, then find the factors that turn its predictions into bounds.

    python -m headland.models.training.calibrate_confidence DATA OUTPUT.npz --steps 2400

The network is fitted to places that the other networks were trained on, seen by random sensors of which the engine is
often wrong about the blur. Its loss, log s + |error| / s, is least where s is the mean error of all pixels that look
alike. Then, on held-out places, the factors are found: a given share of all errors lies below factor x s. Both scale
factors go into one file. What it is worth on places that had no part in it, scripts/bench_confidence.py tells, which
also has the places that all of this was chosen by.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...engine.confidence import error_channels, tile_confidence
from ...engine.job import CONFIDENCE_METHODS
from ..confidence.error_network import COVERAGES, SIGNED_CHANNELS, Calibrated, ErrorNetwork, save_calibrated
from .imagery import TrainingImage
from .judged_places import FARMLAND, NOISE_SD, Enhancer, JudgedTile, Part, draw_misjudged_sensor, places
from .sensors import BANDS

logger = logging.getLogger(__name__)

SCALES = (4, 2)
# Farmland is rarer than the others and seen by several sensors.
SENSORS_A_PLACE = {Part.FIT: {FARMLAND: 12}, Part.FACTORS: {FARMLAND: 7}}
# It is fitted to more noise than is asked about, for at the end of what a network has seen it ranks worst.
NOISE_RANGE_SD = {Part.FIT: (0.0008, 0.02), Part.FACTORS: NOISE_SD}
PLACE_PX = {Part.FIT: 192, Part.FACTORS: 256}
BORDER_PX = 4
"""Low-res pixels at each side that do not count: there the place ends, and the networks with it."""
CROP_PX = 24
BATCH = 24
LEARNING_RATE = 2e-3
PIXELS_A_TILE = 20_000


@dataclass(frozen=True)
class Example:
    """One band of a place: what the network sees (C, H, W) and (c, h, w), in half precision, and what it should say.

    Attributes:
        error_ratio: (H, W), |error| over the local contrast.
        weight: how often it is drawn.
    """

    high_res: Tensor
    low_res: Tensor
    error_ratio: Tensor
    weight: float


def judged(
    images: Sequence[TrainingImage], part: Part, scale: int, seed: int
) -> Iterator[tuple[TrainingImage, JudgedTile, str]]:
    """Yield the places of a part as random sensors see them and each method enhances them."""
    rng, enhance = np.random.default_rng(seed), Enhancer(scale)
    for image in images:
        for _ in range(SENSORS_A_PLACE[part].get(image.image_set, 1)):
            bands = rng.permutation(image.pixels.shape[0])[:BANDS]
            truth = _random_square(image.pixels[bands], PLACE_PX[part], rng)
            made = enhance(
                truth, draw_misjudged_sensor(rng, NOISE_RANGE_SD[part]), int(rng.integers(2**31)), CONFIDENCE_METHODS
            )
            yield from ((image, tile, method.value) for method, tile in made.items())


def _random_square(truth: np.ndarray, largest_px: int, rng: np.random.Generator) -> np.ndarray:
    """Return a part of a place (3, H, W), ``largest_px`` a side where it is larger."""
    side = min(largest_px, truth.shape[-1])
    row, column = (int(rng.integers(0, truth.shape[-1] - side + 1)) for _ in range(2))
    return np.ascontiguousarray(truth[:, row : row + side, column : column + side])


def examples(images: Sequence[TrainingImage], scale: int, seed: int) -> list[Example]:
    """Return what the network is fitted to; each set of places is drawn from as often as any other."""
    found: list[tuple[str, Example]] = []
    for image, judged_tile, _method in judged(images, Part.FIT, scale, seed):
        with torch.inference_mode():
            for error, seen in zip(judged_tile.error, error_channels(judged_tile.tile, judged_tile.dip)):
                arrays = (seen.high_res, seen.low_res, error / seen.contrast)
                high_res, low_res, error_ratio = (array.half() for array in arrays)
                found.append((image.image_set, Example(high_res, low_res, error_ratio, 1.0)))
    area = {name: sum(one.error_ratio.numel() for other, one in found if other == name) for name, _ in found}
    return [
        Example(one.high_res, one.low_res, one.error_ratio, one.error_ratio.numel() / area[name]) for name, one in found
    ]


def fit(found: Sequence[Example], scale: int, steps: int, seed: int) -> ErrorNetwork:
    """Return a network fitted in so many steps."""
    torch.manual_seed(seed)
    rng, network = np.random.default_rng(seed), ErrorNetwork(scale)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    shares = np.array([one.weight for one in found]) / sum(one.weight for one in found)
    losses: list[float] = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        drawn = [_crop(found[one], scale, rng) for one in rng.choice(len(found), BATCH, p=shares)]
        high_res, low_res, ratio = (torch.stack(arrays) for arrays in zip(*drawn))
        expected = network(high_res, low_res)[:, 0]
        loss = (expected + ratio * torch.exp(-expected)).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        if (step + 1) % 200 == 0:
            logger.info("x%d, step %d: loss %.4f", scale, step + 1, np.mean(losses[-200:]))
    return network.eval()


def factors(
    network: ErrorNetwork, images: Sequence[TrainingImage], scale: int, seed: int
) -> dict[str, tuple[float, ...]]:
    """Return for each method the factors of COVERAGES, each set of places counting as much as any other."""
    rng = np.random.default_rng(seed)
    ratios: dict[str, dict[str, list[np.ndarray]]] = {}
    for image, judged_tile, method in judged(images, Part.FACTORS, scale, seed):
        expected = tile_confidence(judged_tile.tile, judged_tile.dip, Calibrated(network, {}))
        inner = slice(BORDER_PX * scale, -BORDER_PX * scale)
        ratio = (judged_tile.error / expected)[:, inner, inner].flatten().numpy()
        ratios.setdefault(method, {}).setdefault(image.image_set, []).append(rng.choice(ratio, PIXELS_A_TILE))
    return {method: quantiles(list(sets.values())) for method, sets in ratios.items()}


def quantiles(sets: Sequence[Sequence[np.ndarray]]) -> tuple[float, ...]:
    """Return the quantiles of COVERAGES of ratios: by set, by tile, (PIXELS_A_TILE,) each; all sets weigh the same."""
    values = np.concatenate([np.concatenate(one) for one in sets])
    weights = np.concatenate([np.full(len(one) * PIXELS_A_TILE, 1.0 / len(one)) for one in sets])
    order = np.argsort(values)
    shares = np.cumsum(weights[order]) / weights.sum()
    return tuple(float(values[order][np.searchsorted(shares, coverage)]) for coverage in COVERAGES)


def _crop(one: Example, scale: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return a crop, turned, mirrored and as likely as not negative: all of these are as likely in the world."""
    rows, columns = one.low_res.shape[-2:]
    size = CROP_PX
    row, column = (int(rng.integers(BORDER_PX, side - BORDER_PX - size + 1)) for side in (rows, columns))
    low_res = one.low_res[:, row : row + size, column : column + size].float()
    window = (slice(row * scale, (row + size) * scale), slice(column * scale, (column + size) * scale))
    high_res, ratio = one.high_res[(slice(None), *window)].float(), one.error_ratio[window].float()
    turns, mirrored, sign = int(rng.integers(4)), rng.random() < 0.5, float(rng.choice((-1.0, 1.0)))  # noqa: PLR2004
    high_res = torch.cat([high_res[:SIGNED_CHANNELS] * sign, high_res[SIGNED_CHANNELS:]])
    turned = [image.rot90(turns, (-2, -1)) for image in (high_res, low_res, ratio)]
    if mirrored:
        turned = [image.flip(-1) for image in turned]
    return turned[0], turned[1], turned[2]


def calibrate(highres: Path, steps: int, seed: int, scales: Sequence[int] = SCALES) -> Mapping[int, Calibrated]:
    """Fit and calibrate for each scale factor."""
    done: dict[int, Calibrated] = {}
    fitted_to, held_out = (list(places(highres, part)) for part in (Part.FIT, Part.FACTORS))
    for scale in scales:
        found = examples(fitted_to, scale, seed)
        logger.info("x%d: %d examples", scale, len(found))
        network = fit(found, scale, steps, seed)
        del found
        done[scale] = Calibrated(network, factors(network, held_out, scale, seed + 1))
        logger.info("x%d: factors %s", scale, done[scale].factors)
    return done


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the calibration from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with highres/")
    parser.add_argument("output", type=Path, help=".npz to write")
    parser.add_argument("--steps", type=int, default=2400, help="of fitting, for each scale factor")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    save_calibrated(calibrate(options.data / "highres", options.steps, options.seed), options.output)


if __name__ == "__main__":
    main()
