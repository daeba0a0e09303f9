"""Deep Image Prior from an educated start: a small trained network is fitted on to this very extent.

One set of weights serves the whole extent, so there is nothing that could differ from tile to tile, and the
fit costs the same for any extent. Fitting a trained network to ||A f - y||² alone gains nothing (the data term
says nothing about what A removes). What is fitted instead is that the network must recover this scene: its own
result, flipped, turned and shifted by fractions of a low-res pixel, is degraded again by the same sensor and has
to be found again (equivariant imaging: Chen, Tachella, Davies 2021), while the result agrees with the input.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...models.dip.prior_network import PriorNetwork
from ..bands import BandTriple, band_triples
from ..forward_model import ForwardModel
from ..scene import Scene, Tile


@dataclass(frozen=True)
class FitSettings:
    """How much effort the fit makes.

    Attributes:
        steps: optimisation steps; 0 takes the educated start as it is.
        patch_px: side of the square low-res patches that are fitted.
        patches: patches a step.
        averaging: of the weights over the steps (exponential).
        data_weight: of the agreement with the input, beside the recovery term.
        turns: how many of the eight flips and quarter turns each tile is restored in and averaged over.
    """

    steps: int = 24
    learning_rate: float = 5e-5
    patch_px: int = 48
    patches: int = 4
    averaging: float = 0.9
    data_weight: float = 0.1
    turns: int = 1


class EducatedPrior:
    """The stage: fit once on the scene, then restore tile by tile."""

    def __init__(self, start: PriorNetwork, scene: Scene, settings: FitSettings, seed: int) -> None:
        self._network = copy.deepcopy(start).to(scene.device)
        self._scene = scene
        self._settings = settings
        self._triples = tuple(band_triples(scene.bands))
        self._random = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)

    def fit(self, on_step: Callable[[int, int], None] = lambda _step, _steps: None) -> None:
        """Fit the network to the scene. ``on_step`` gets (steps done, steps in all) and may raise to stop."""
        settings = self._settings
        if not settings.steps:
            return
        averaged = copy.deepcopy(self._network)
        optimiser = torch.optim.Adam(self._network.parameters(), lr=settings.learning_rate)
        for step in range(settings.steps):
            optimiser.zero_grad(set_to_none=True)
            loss = self._loss(self._random_patches())
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                for kept, fitted in zip(averaged.parameters(), self._network.parameters(), strict=True):
                    kept.lerp_(fitted, 1.0 - settings.averaging)
            on_step(step + 1, settings.steps)
        self._network = averaged

    def __call__(self, tile: Tile) -> Tile:
        """Return the tile with the network's projected result as its estimate."""
        estimate = torch.zeros(
            (tile.low_res.shape[0], *(side * self._scene.scale for side in tile.low_res.shape[-2:])),
            device=tile.low_res.device,
        )
        with torch.inference_mode():
            start = tile.forward_model.enlarge(tile.low_res, tile.damping)
            for triple in self._triples:
                restored = self._restore_triple(start, tile, triple)
                for kept in triple.kept:
                    estimate[triple.indices[kept]] = restored[kept]
            return replace(tile, estimate=tile.forward_model.project(estimate, tile.low_res, tile.damping))

    def _restore_triple(self, start: Tensor, tile: Tile, triple: BandTriple) -> Tensor:
        indices = list(triple.indices)
        noise = tile.noise_sd[indices].mean().reshape(1, 1, 1, 1)
        total = torch.zeros_like(start[indices])
        turns = range(self._settings.turns)
        for turn in turns:
            turned_start, turned_low_res = _turned(start[indices], turn), _turned(tile.low_res[indices], turn)
            restored = self._network(turned_start[None], turned_low_res[None], noise, self._scene.scale)[0]
            total += _turned_back(restored, turn)
        return total / len(turns)

    def _random_patches(self) -> _Patches:
        """Read patches of the scene, each of one band triple: (n, 3, p, p)."""
        rows_px, columns_px = self._scene.size_px
        height, width = (min(self._settings.patch_px, side) for side in (rows_px, columns_px))
        low_res, valid = [], []
        bands: list[int] = []
        for _ in range(self._settings.patches):
            row = int(self._random.integers(0, rows_px - height + 1))
            column = int(self._random.integers(0, columns_px - width + 1))
            triple = self._triples[int(self._random.integers(len(self._triples)))]
            values, good = self._scene.read(slice(row, row + height), slice(column, column + width))
            low_res.append(values[list(triple.indices)])
            valid.append(good[list(triple.indices)])
            bands.extend(triple.indices)
        psfs = [self._scene.psfs[band] for band in bands]
        model = ForwardModel(psfs, (height, width), self._scene.scale, self._scene.device)
        noise = torch.tensor([self._scene.noise_sd[band] for band in bands], device=self._scene.device)
        damping = self._scene.damping[bands]
        return _Patches(torch.stack(low_res), torch.stack(valid), model, noise.reshape(-1, 3, 1, 1), damping)

    def _loss(self, patches: _Patches) -> Tensor:
        restored = patches.restore(self._network, patches.low_res)
        data = ((patches.degrade(restored) - patches.low_res) * patches.valid).square() / patches.noise_sd.square()
        # The scene to be found again counts as given: else the network would learn to blur it.
        scene = self._moved(patches.project(restored, patches.low_res).detach())
        noise = torch.randn(patches.low_res.shape, generator=self._generator).to(scene.device) * patches.noise_sd
        seen = patches.degrade(scene) + noise
        found = patches.project(patches.restore(self._network, seen), seen)
        border = self._scene.scale * 4
        recovery = (found - scene)[..., border:-border, border:-border].abs().mean() / patches.noise_sd.mean()
        return recovery + self._settings.data_weight * data.mean()

    def _moved(self, high_res: Tensor) -> Tensor:
        """Shift by up to half a low-res pixel and flip: other phases of the same scene."""
        scale = self._scene.scale
        shifts = [int(shift) for shift in self._random.integers(0, scale, 2)]
        moved = torch.roll(high_res, shifts, dims=(-2, -1))
        for axis in (-2, -1):
            if self._random.random() < 0.5:  # noqa: PLR2004
                moved = moved.flip(axis)
        return moved


@dataclass(frozen=True)
class _Patches:
    """Patches to fit: images are (n, 3, p, p); the forward model has n x 3 bands."""

    low_res: Tensor
    valid: Tensor
    forward_model: ForwardModel
    noise_sd: Tensor
    damping: Tensor

    def restore(self, network: PriorNetwork, low_res: Tensor) -> Tensor:
        scale = self.forward_model.scale
        start = self.forward_model.enlarge(low_res.flatten(0, 1), self.damping)
        start = start.reshape(*low_res.shape[:2], *start.shape[-2:])
        restored: Tensor = network(start, low_res, self.noise_sd.mean(dim=1, keepdim=True), scale)
        return restored

    def degrade(self, high_res: Tensor) -> Tensor:
        return self.forward_model.degrade(high_res.flatten(0, 1)).reshape(self.low_res.shape)

    def project(self, high_res: Tensor, low_res: Tensor) -> Tensor:
        flat = self.forward_model.project(high_res.flatten(0, 1), low_res.flatten(0, 1), self.damping)
        return flat.reshape(high_res.shape)


def _turned(image: Tensor, turn: int) -> Tensor:
    """Return one of the eight flips and quarter turns of (..., row, column)."""
    image = image.flip(-1) if turn >= 4 else image  # noqa: PLR2004
    return image.rot90(turn % 4, (-2, -1))


def _turned_back(image: Tensor, turn: int) -> Tensor:
    image = image.rot90(-(turn % 4), (-2, -1))
    return image.flip(-1) if turn >= 4 else image  # noqa: PLR2004
