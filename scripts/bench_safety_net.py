"""Does the safety net hold, and does it stay out of the way? Asks held-out pixels of sound and of spoilt cases.

usage: bench_safety_net.py DATA OUT.json [SCALE] [--cities]

Before Deep Image Prior is used, pixels that it has not seen are asked whether the anchor would be better
(engine/dip/held_out.py). Each tile of the held-out farmland and land use in DATA/highres is degraded as by three
sensors and restored by both; then images are spoilt and the network is broken in several ways, for some of the tiles.
For each case: how far Deep Image Prior is ahead of the anchor in truth, what the held-out pixels say, and what comes of
choosing by them. The threshold was chosen on --cities, which are not reported.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from bench_sensors import ASSUMED_MTF, FULL_RANGE
from bench_stopping import NOISE_SD, TILE_PX, TRUE_MTF, held_out_tiles, psnr_db, whole_tile
from numpy.typing import NDArray
from torch.nn import functional

from headland.engine.anchor import anchor
from headland.engine.dip.educated import EducatedPrior
from headland.engine.dip.held_out import HeldOut, hold_out
from headland.engine.forward_model import ForwardModel
from headland.engine.job import Method, Preset
from headland.engine.pipeline import FIT_SETTINGS, PRIOR_WEIGHTS
from headland.engine.psf import GaussianPsf
from headland.engine.scene import Scene
from headland.models.dip.prior_network import PriorNetwork, load_weights
from headland.models.training.imagery import load_images

CITIES = "naip_urban_0.6m"
# Of all tiles, for the spoilt cases: enough to see whether they are caught.
SPOILT_TILES = 4

Image = NDArray[np.float32]
Spoil = Callable[[Image, np.random.Generator], Image]


@dataclass(frozen=True)
class Case:
    """What is asked: by default a sound image through the sensor that is assumed.

    Attributes:
        break_network: changes the network's weights in place.
        spoil_truth: what is on the ground instead, (3, H, W).
        spoil_low_res: what becomes of the measured image, (3, h, w).
    """

    name: str
    mtf: float = ASSUMED_MTF
    noise_sd: float = NOISE_SD
    break_network: Callable[[PriorNetwork], None] | None = None
    spoil_truth: Spoil | None = None
    spoil_low_res: Spoil | None = None


@dataclass(frozen=True)
class Answer:
    """One tile of a case: PSNR of both methods in dB, and what the held-out pixels say."""

    dip_db: float
    anchor_db: float
    held_out: HeldOut


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("scale", type=int, nargs="?", default=4)
    parser.add_argument("--cities", action="store_true", help="the places that the threshold was chosen on")
    options = parser.parse_args(arguments)
    tiles = list((city_tiles if options.cities else held_out_tiles)(options.data / "highres"))
    network = load_weights(PRIOR_WEIGHTS[Preset.FAST])
    results = {}
    for case in CASES:
        some = tiles if case in SOUND_CASES else tiles[:: len(tiles) // SPOILT_TILES]
        results[case.name] = [asked(case, tile, options.scale, network, seed) for seed, tile in enumerate(some)]
        sys.stderr.write(row(case.name, results[case.name]) + "\n")
        options.out.write_text(json.dumps(results, indent=2, default=asdict) + "\n", encoding="utf-8")
    sys.stdout.write(table(results, f"x{options.scale}, MTF at Nyquist assumed {ASSUMED_MTF}") + "\n")
    return 0


def city_tiles(highres: Path) -> Iterator[Image]:
    """Yield (3, TILE_PX, TILE_PX) tiles of the held-out cities."""
    for image in load_images(highres, held_out=True):
        if image.image_set == CITIES:
            rows, columns = (range(0, length - TILE_PX + 1, TILE_PX) for length in image.pixels.shape[1:])
            yield from (
                image.pixels[:3, row : row + TILE_PX, column : column + TILE_PX] for row in rows for column in columns
            )


def asked(case: Case, ground: Image, scale: int, network: PriorNetwork, seed: int) -> Answer:
    """Restore a tile of the case by both methods, and ask its held-out pixels."""
    random = np.random.default_rng(seed)
    truth = case.spoil_truth(ground, random) if case.spoil_truth else ground
    scene = seen(case, truth, scale, random)
    if case.break_network:
        network = copy.deepcopy(network)
        torch.manual_seed(seed)
        with torch.no_grad():
            case.break_network(network)
    prior = EducatedPrior(network, FIT_SETTINGS[Preset.FAST], seed=0)
    answer = hold_out(scene, prior, seed=0)
    if answer is None:
        raise ValueError("The tile is too small to hold out pixels of.")
    fitted, tile = prior.fit(scene), whole_tile(scene)
    anchored = replace(tile, estimate=anchor(tile.low_res, tile.forward_model, tile.damping))
    return Answer(
        psnr_db(fitted, prior(whole_tile(fitted)), truth),
        psnr_db(scene, anchored, truth),
        answer,
    )


def seen(case: Case, truth: Image, scale: int, random: np.random.Generator) -> Scene:
    """Return the scene as the case's sensor delivers it."""
    size_px = (truth.shape[1] // scale, truth.shape[2] // scale)
    low_res = ForwardModel([GaussianPsf(case.mtf)], size_px, scale).degrade(torch.from_numpy(truth)).numpy()
    low_res += case.noise_sd * random.standard_normal(low_res.shape).astype(np.float32)
    if case.spoil_low_res:
        low_res = case.spoil_low_res(low_res, random)
    numbers = (low_res * FULL_RANGE).clip(-30000, 30000).round().astype(np.int16)
    valid = np.ones(numbers.shape, dtype=bool)
    return Scene.measure(numbers, valid, (ASSUMED_MTF,) * 3, scale, torch.device("cpu"))


def table(results: dict[str, list[Answer]], title: str) -> str:
    """Return the figures as Markdown."""
    head = ["case", "tiles", "ahead of the anchor", "least", "held-out pixels say", "least", "anchor taken", "gain"]
    lines = [f"{title}; dB, mean", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(row(name, answers) for name, answers in results.items())])


def row(name: str, answers: Sequence[Answer]) -> str:
    """Return a line of the table; the gain is that of choosing over Deep Image Prior always."""
    ahead, said = (
        np.array(values)
        for values in zip(
            *((answer.dip_db - answer.anchor_db, answer.held_out.gain_db) for answer in answers), strict=True
        )
    )
    taken = np.array([answer.held_out.chosen is Method.ANCHOR for answer in answers])
    gain = np.where(taken, -ahead, 0.0)
    before = [_in_db(value) for value in (ahead.mean(), ahead.min(), said.mean(), said.min())]
    cells = (name, str(len(answers)), *before, str(taken.sum()), _in_db(gain.mean()))
    return "| " + " | ".join(cells) + " |"


def _in_db(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "no number"


def _scaled_corrections(factor: float) -> Callable[[PriorNetwork], None]:
    def change(network: PriorNetwork) -> None:
        for weights in network.tails.parameters():
            weights.mul_(factor)

    return change


def _disturbed(network: PriorNetwork) -> None:
    for weights in network.parameters():
        if weights.numel() > 1:
            weights.add_(weights.std() * torch.randn_like(weights))


def _shuffled(network: PriorNetwork) -> None:
    for tail in network.tails.values():
        weights = tail.get_parameter("weight")
        weights.copy_(weights.flatten()[torch.randperm(weights.numel())].view_as(weights))


def _one_wrong(network: PriorNetwork) -> None:
    next(network.body.parameters()).view(-1)[777] = 60.0


def _no_numbers(network: PriorNetwork) -> None:
    next(network.body.parameters()).view(-1)[0] = torch.nan


def _plain(truth: Image, _random: np.random.Generator) -> Image:
    return np.full_like(truth, 0.2)


def _low_contrast(truth: Image, _random: np.random.Generator) -> Image:
    return 0.5 + 0.01 * (truth - 0.5)


def _smooth(truth: Image, _random: np.random.Generator) -> Image:
    kernel = torch.exp(-torch.arange(-12, 13).square() / 32.0)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    image = functional.pad(torch.from_numpy(truth)[None], (12, 12, 12, 12), mode="reflect")
    image = functional.conv2d(functional.conv2d(image, kernel, groups=3), kernel.mT, groups=3)
    return image[0].numpy()


def _strokes(truth: Image, random: np.random.Generator) -> Image:
    drawn = np.full_like(truth, 0.9)
    for row, column, length in random.integers((0, 0, 4), (TILE_PX, TILE_PX, 20), (250, 3)):
        drawn[:, row : row + 2, column : column + length] = 0.1
        drawn[:, column : column + length, row : row + 2] = 0.1
    return drawn


def _striped(strength: float) -> Spoil:
    def spoil(low_res: Image, random: np.random.Generator) -> Image:
        return low_res + (strength * random.standard_normal((3, 1, low_res.shape[2]))).astype(np.float32)

    return spoil


def _with_dead_pixels(low_res: Image, random: np.random.Generator) -> Image:
    return np.where(random.random(low_res.shape[1:]) < 0.02, random.choice([0.0, 1.0], low_res.shape[1:]), low_res)  # noqa: PLR2004


def _with_lost_rows(low_res: Image, _random: np.random.Generator) -> Image:
    low_res[:, ::7] = 0.0
    return low_res


SOUND_CASES = tuple(Case(f"true MTF {mtf}", mtf) for mtf in TRUE_MTF)
CASES = (
    *SOUND_CASES,
    Case("noise of sd .01", noise_sd=0.01),
    Case("noise of sd .03", noise_sd=0.03),
    Case("noise of sd .1", noise_sd=0.1),
    Case("noise of sd .3", noise_sd=0.3),
    Case("plain, nothing but noise", spoil_truth=_plain),
    Case("a hundredth of the contrast", noise_sd=0.0001, spoil_truth=_low_contrast),
    Case("smooth", spoil_truth=_smooth),
    Case("black strokes on white", spoil_truth=_strokes),
    Case("stripes of sd .05", spoil_low_res=_striped(0.05)),
    Case("stripes of sd .2", spoil_low_res=_striped(0.2)),
    Case("one pixel in fifty dead", spoil_low_res=_with_dead_pixels),
    Case("every seventh row lost", spoil_low_res=_with_lost_rows),
    Case("network: no corrections", break_network=_scaled_corrections(0.0)),
    Case("network: corrections twice", break_network=_scaled_corrections(2.0)),
    Case("network: corrections four times", break_network=_scaled_corrections(4.0)),
    Case("network: corrections of the wrong sign", break_network=_scaled_corrections(-1.0)),
    Case("network: weights disturbed", break_network=_disturbed),
    Case("network: last layer shuffled", break_network=_shuffled),
    Case("network: one weight wrong", break_network=_one_wrong),
    Case("network: not a number", break_network=_no_numbers),
)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
