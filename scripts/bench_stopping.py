"""Does Deep Image Prior stop at the right time? Compares each tile's best number of rounds with the one it takes.

usage: bench_stopping.py DATA OUT.json [SCALE]

What is fitted to an image is its blur, in rounds (engine/dip/educated.py). Each held-out tile of farmland and land use
in DATA/highres is degraded as by three sensors and restored after 0, 1, 2 … rounds; *peak - stopped* is how much
better the best of these is than the one that the product takes. The anchor, which has no network, is measured beside.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from bench_sensors import ASSUMED_MTF, BORDER_PX, FULL_RANGE
from numpy.typing import NDArray

from headland.engine.anchor import anchor
from headland.engine.dip.educated import EducatedPrior
from headland.engine.forward_model import ForwardModel
from headland.engine.job import Preset
from headland.engine.pipeline import FIT_SETTINGS, PRIOR_WEIGHTS
from headland.engine.psf import GaussianPsf
from headland.engine.scene import Scene, Tile
from headland.engine.tiling import plan_tiles
from headland.models.dip.prior_network import PriorNetwork, load_weights
from headland.models.training.imagery import load_images

TILE_PX = 192
# Of each set, the pixels that are as near to Sentinel-2's enlarged by four as the set has them; cities chose the
# weights and are no judges.
SIDES_PX = {"naip_farmland_1m": 409, "ucmerced_0.3m": 204}
MOST_ROUNDS = 4
NOISE_SD = 0.003
TRUE_MTF = (0.15, 0.25, 0.35)

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Stopping:
    """One tile under one sensor.

    Attributes:
        psnr_db: after 0, 1, 2 … rounds.
        anchor_db: of the anchor.
        stopped: the number of rounds that the product takes.
    """

    psnr_db: tuple[float, ...]
    anchor_db: float
    stopped: int

    @property
    def peak_minus_stopped_db(self) -> float:
        """What stopping at another time would have brought."""
        return max(self.psnr_db) - self.psnr_db[self.stopped]


def main(arguments: list[str]) -> int:
    """Run the command line."""
    data, out = Path(arguments[0]), Path(arguments[1])
    scale = int(arguments[2]) if len(arguments) > 2 else 4  # noqa: PLR2004
    network = load_weights(PRIOR_WEIGHTS[Preset.FAST])
    tiles = list(held_out_tiles(data / "highres"))
    results = {
        mtf: [restored_in_rounds(tile, mtf, scale, network, seed) for seed, tile in enumerate(tiles)]
        for mtf in TRUE_MTF
    }
    out.write_text(json.dumps(results, indent=2, default=asdict) + "\n", encoding="utf-8")
    print(table(results, f"x{scale}, {len(tiles)} tiles, MTF at Nyquist assumed {ASSUMED_MTF}"))
    return 0


def held_out_tiles(highres: Path) -> Iterator[Image]:
    """Yield (3, TILE_PX, TILE_PX) tiles of places that no network has seen, none over another."""
    for image in load_images(highres, held_out=True):
        if image.pixels.shape[1] != SIDES_PX.get(image.image_set):
            continue
        starts = range(0, image.pixels.shape[1] - TILE_PX + 1, TILE_PX)
        for row in starts:
            for column in starts:
                yield image.pixels[:3, row : row + TILE_PX, column : column + TILE_PX]


def restored_in_rounds(truth: Image, mtf: float, scale: int, network: PriorNetwork, seed: int) -> Stopping:
    """Degrade a tile by a sensor of this MTF at Nyquist, and restore it after each number of rounds."""
    side_px = TILE_PX // scale
    low_res = ForwardModel([GaussianPsf(mtf)], (side_px, side_px), scale).degrade(torch.from_numpy(truth))
    low_res += NOISE_SD * torch.randn(low_res.shape, generator=torch.Generator().manual_seed(seed))
    numbers = (low_res.numpy() * FULL_RANGE).round().astype(np.int16)
    device = torch.device("cpu")
    scene = Scene.measure(numbers, np.ones(numbers.shape, dtype=bool), (ASSUMED_MTF,) * 3, scale, device)
    settings = FIT_SETTINGS[Preset.FAST]
    scores = []
    for rounds in range(MOST_ROUNDS + 1):
        prior = EducatedPrior(network, replace(settings, rounds=rounds), seed=0)
        fitted = prior.fit(scene)
        scores.append(psnr_db(fitted, prior(whole_tile(fitted)), truth))
    tile = whole_tile(scene)
    anchored = replace(tile, estimate=anchor(tile.low_res, tile.forward_model, tile.damping))
    return Stopping(tuple(scores), psnr_db(scene, anchored, truth), settings.rounds)


def whole_tile(scene: Scene) -> Tile:
    """Return the scene as its only tile."""
    (window,) = plan_tiles(*scene.size_px)
    return scene.tile(window)


def psnr_db(scene: Scene, tile: Tile, truth: Image) -> float:
    """Return how near a restored tile is to the truth, but for its edge."""
    if tile.estimate is None:
        raise ValueError("The method made no image.")
    error = (scene.digital(tile.estimate) / FULL_RANGE - truth)[:, BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    return float(-10.0 * np.log10(np.square(error).mean()))


def table(results: dict[float, list[Stopping]], title: str) -> str:
    """Return the figures as Markdown."""
    rounds = [f"{number} rounds" for number in range(MOST_ROUNDS + 1)]
    head = ["true MTF", "anchor", *rounds, "peak - stopped, mean", "worst", "tiles below the anchor"]
    lines = [f"{title}; PSNR in dB, mean", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for mtf, tiles in results.items():
        means = np.mean([tile.psnr_db for tile in tiles], axis=0)
        missed = [tile.peak_minus_stopped_db for tile in tiles]
        below = sum(tile.psnr_db[tile.stopped] < tile.anchor_db for tile in tiles)
        figures = [
            f"{np.mean([tile.anchor_db for tile in tiles]):.2f}",
            *(f"{mean:.2f}" for mean in means),
            f"{np.mean(missed):.2f}",
            f"{max(missed):.2f}",
            f"{below} of {len(tiles)}",
        ]
        lines.append(f"| {mtf} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
