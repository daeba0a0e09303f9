"""Deep Image Prior from an educated start: a small trained network is the prior, the sensor's blur is fitted.

The published method fits the weights of a random network to one image, for hours. Here the weights come from
training, and what is fitted to the image is what training cannot know: how blurred this very image is. The blur
is chosen so that the network's restored image, blurred and decimated, explains the input best (a prior network and a
kernel optimised together: Ren et al., "Neural Blind Deconvolution Using Deep Priors", CVPR 2020, with the roles of
trained and fitted exchanged). It is found once for the whole extent, so nothing can differ from tile to tile.

Fitting the weights as well was tried, on ||A f - y||², on held-out low-res pixels, on coarser copies of the image and
on degraded copies of its own result: each lost more than it gained (docs/dip.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...models.dip.prior_network import PriorNetwork
from ..bands import TRIPLE, band_triples
from ..forward_model import ForwardModel
from ..noise import damping_for
from ..progress import OnStep, go_on
from ..scene import Scene, Tile

# The blur is found at this scale factor whatever the job's is: its wide gap between low-res and high-res is what
# shows a wrong blur. PSFs are in low-res pixels, so they hold at any scale factor.
FIT_SCALE = 4
# Candidates for the width of the PSFs, relative to the assumed ones; the same for all bands.
WIDTHS = np.linspace(0.5, 1.6, 12)
# While the blur is fitted, the network is told of more noise than there is: else it trusts its start, which already
# explains the image by the assumed blur.
FIT_NOISE = 4.0
# The edge of a patch sees pixels that the network does not.
PATCH_BORDER_PX = 4
# Of all places that stand out of the noise, those with more contrast than nine in ten count as if they had as much:
# else one very bright object, which may not even be blurred, would speak for the whole image.
CONTRAST_WINDOW_PX = 5
SMALLEST_CONTRAST = 8.0
FULL_CONTRAST_QUANTILE = 0.9


@dataclass(frozen=True)
class FitSettings:
    """How much effort is made.

    Attributes:
        rounds: how often the blur is fitted, restored with, and fitted again; 0 keeps the assumed one. Each
            round goes part of the way to the true blur where the assumed one is wrong, but beyond it where the scene
            itself is smooth, so there are few (docs/dip.md).
        patch_px, patches: low-res squares that the blur is fitted on, fewer where a small extent has no more.
        turns: how many of the eight flips and quarter turns each tile is restored in and averaged over.
    """

    rounds: int = 2
    patch_px: int = 96
    patches: int = 4
    turns: int = 1


class EducatedPrior:
    """Fits the blur of a scene, then is the stage that restores it tile by tile.

    ``on_step`` is called after each turn of each band triple of a tile; once it says so, no triple is turned again.
    """

    def __init__(self, network: PriorNetwork, settings: FitSettings, seed: int, on_step: OnStep = go_on) -> None:
        self._network = network
        self._settings = settings
        self._random = np.random.default_rng(seed)
        self._on_step = on_step

    def fit(self, scene: Scene, on_step: OnStep = go_on) -> Scene:
        """Return ``scene`` with PSFs as wide as its own image says.

        Args:
            on_step: called after each patch; once it says so, what is known by then decides.
        """
        # In a small scene several are the same.
        patches = sorted({self._random_patch(scene) for _ in range(self._settings.patches)})
        width, steps = 1.0, self._settings.rounds * len(patches)
        for fitting_round in range(self._settings.rounds):
            misfits = np.zeros(len(WIDTHS))
            for number, patch in enumerate(patches):
                misfits += self._misfits(scene, patch, width)
                if on_step(fitting_round * len(patches) + number + 1, steps):
                    return scene.blurred(best_width(misfits))
            width = best_width(misfits)
        return scene.blurred(width)

    def __call__(self, tile: Tile) -> Tile:
        """Return the tile with the network's projected result as its estimate."""
        with torch.inference_mode():
            estimate = self._restore(tile.low_res, tile.forward_model, tile.noise_sd, tile.damping, self._on_step)
            return replace(tile, estimate=tile.forward_model.project(estimate, tile.low_res, tile.damping))

    def _restore(
        self,
        low_res: Tensor,
        forward_model: ForwardModel,
        noise_sd: Tensor,
        damping: Tensor,
        on_step: OnStep = go_on,
    ) -> Tensor:
        """Return the network's image, not projected: (..., band, h, w) to (..., band, H, W)."""
        start = forward_model.enlarge(low_res, damping)
        restored = torch.empty_like(start)
        triples = list(band_triples(low_res.shape[-3]))
        for number, triple in enumerate(triples):
            indices = list(triple.indices)
            on_turn = partial(_on_turn, on_step, number, len(triples))
            # The network takes a stack, (tile, 3, row, column), of however many tiles.
            start_triple, low_res_triple = (
                image[..., indices, :, :].reshape(-1, TRIPLE, *image.shape[-2:]) for image in (start, low_res)
            )
            restored_triple = self._restore_triple(
                start_triple, low_res_triple, noise_sd[indices].mean(), forward_model.scale, on_turn
            )
            for kept in triple.kept:
                band = restored[..., triple.indices[kept], :, :]
                band.copy_(restored_triple[:, kept].reshape(band.shape))
        return restored

    def _restore_triple(self, start: Tensor, low_res: Tensor, noise_sd: Tensor, scale: int, on_turn: OnStep) -> Tensor:
        """Return the mean over the turns that were made: (tile, 3, h, w) to (tile, 3, H, W)."""
        noise, total = noise_sd.expand(len(low_res), 1, 1, 1), torch.zeros_like(start)
        for turn in range(self._settings.turns):
            turned = (_turned(image, turn) for image in (start, low_res))
            total += _turned_back(self._network(*turned, noise, scale), turn)
            if on_turn(turn + 1, self._settings.turns):
                return total / (turn + 1)
        return total / self._settings.turns

    def _random_patch(self, scene: Scene) -> tuple[int, int]:
        """Return the first row and column of a patch."""
        last_row, last_column = (max(0, length_px - self._settings.patch_px) for length_px in scene.size_px)
        return int(self._random.integers(0, last_row + 1)), int(self._random.integers(0, last_column + 1))

    def _misfits(self, scene: Scene, patch: tuple[int, int], width: float) -> np.ndarray:
        """Return, for each of WIDTHS, how badly it explains the patch as restored with ``width``."""
        low_res, valid = scene.read(*(slice(start, start + self._settings.patch_px) for start in patch))
        size = (low_res.shape[-2], low_res.shape[-1])
        noise_sd = torch.tensor(scene.noise_sd, device=scene.device)[:, None, None]
        inner = torch.zeros_like(valid)
        inner[..., PATCH_BORDER_PX:-PATCH_BORDER_PX, PATCH_BORDER_PX:-PATCH_BORDER_PX] = True
        inner &= valid
        with torch.inference_mode():
            damping = torch.tensor([damping_for(FIT_NOISE * sd) for sd in scene.noise_sd], device=scene.device)
            restored = self._restore(low_res, _model(scene, width, size), FIT_NOISE * noise_sd, damping[:, None, None])
            trust = inner * _trust(low_res / noise_sd, inner) / noise_sd
            differences = [
                (_model(scene, float(candidate), size).degrade(restored) - low_res) * trust for candidate in WIDTHS
            ]
        return np.array([float(difference.square().sum()) for difference in differences])


def best_width(misfits: np.ndarray) -> float:
    """Return the width with the least misfit, between the candidates where a parabola through three of them says so."""
    best = int(np.argmin(misfits))
    if not misfits.any() or best in (0, len(WIDTHS) - 1):
        return float(WIDTHS[best]) if misfits.any() else 1.0
    before, at, after = misfits[best - 1 : best + 2]
    return float(WIDTHS[best] + 0.5 * (WIDTHS[1] - WIDTHS[0]) * (before - after) / (before - 2.0 * at + after))


def _trust(image: Tensor, counted: Tensor) -> Tensor:
    """Return how much each pixel of ``image`` (band, h, w), in units of its noise, may say about the blur: 0 to 1."""
    highest, lowest = (
        sign * functional.max_pool2d(sign * image[None], CONTRAST_WINDOW_PX, 1, CONTRAST_WINDOW_PX // 2)[0]
        for sign in (1.0, -1.0)
    )
    contrast = highest - lowest
    outstanding = contrast[counted & (contrast > SMALLEST_CONTRAST)]
    if outstanding.numel() == 0:
        return torch.ones_like(contrast)
    return (outstanding.quantile(FULL_CONTRAST_QUANTILE) / contrast).clamp(max=1.0)


def _on_turn(on_step: OnStep, triple: int, triples: int, turn: int, turns: int) -> bool:
    return on_step(triple * turns + turn, triples * turns)


def _model(scene: Scene, width: float, size_px: tuple[int, int]) -> ForwardModel:
    return ForwardModel([psf.widened(width) for psf in scene.psfs], size_px, FIT_SCALE, scene.device)


def _turned(image: Tensor, turn: int) -> Tensor:
    """Return one of the eight flips and quarter turns of (..., row, column)."""
    image = image.flip(-1) if turn >= 4 else image  # noqa: PLR2004
    return image.rot90(turn % 4, (-2, -1))


def _turned_back(image: Tensor, turn: int) -> Tensor:
    image = image.rot90(-(turn % 4), (-2, -1))
    return image.flip(-1) if turn >= 4 else image  # noqa: PLR2004
