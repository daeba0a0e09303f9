"""What Decrappify is trained by: each part of the loss, and their sum as a recipe weighs them."""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn import functional

from .perceptual import VggLoss
from .recipe import Recipe
from .spectrum import spectrum_distances

GRID_PX = 8
"""Period of the pattern that the loss looks for: the coarsest shuffles of the decoder that a crop holds often."""


class Losses:
    """Compares what the network restored with the truth.

    Args:
        recipe: the weights.
        vgg_loss: the perceptual loss.
    """

    def __init__(self, recipe: Recipe, vgg_loss: VggLoss) -> None:
        self._recipe, self._vgg_loss = recipe, vgg_loss

    def __call__(self, restored: Tensor, consistent: Tensor, target: Tensor, step: int) -> dict[str, Tensor]:
        """Return the weighted sum as "total", and its parts.

        Args:
            restored, consistent: before and after the consistency step, (batch, 3, row, column).
            target: the truth.
            step: its number; what is drawn follows from it and the seed.
        """
        recipe = self._recipe
        pixel, raw = functional.l1_loss(consistent, target), functional.l1_loss(restored, target)
        edge, grid = edge_distance(consistent, target), grid_strength(restored - target)
        # Another corner at every step: no pattern may fit the places where VGG pools.
        row, column = np.random.default_rng([recipe.seed, step, 1]).integers(0, 2 * GRID_PX, 2)
        vgg = self._vgg_loss(consistent[..., row:, column:], target[..., row:, column:])
        total = recipe.pixel_weight * pixel + recipe.raw_pixel_weight * raw + vgg
        total = total + recipe.edge_weight * edge + recipe.grid_weight * grid
        parts = {"pixel": pixel, "raw_pixel": raw, "edge": edge, "grid": grid, "vgg": vgg}
        if recipe.lines_weight or recipe.missing_weight:
            lines, missing = spectrum_distances(consistent, target)
            total = total + recipe.lines_weight * lines + recipe.missing_weight * missing
            parts |= {"lines": lines, "missing": missing}
        return {"total": total, **parts}


def edge_distance(image: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of the gradients of (batch, band, row, column), by forward differences."""
    error = image - target
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def grid_strength(error: Tensor) -> Tensor:
    """Return how much of an error (batch, band, row, column) repeats every eight pixels: 0 for one without a grid.

    Networks that draw pixels by shuffling, trained by features, tend to a pattern that stands still on the pixel grid.
    Whatever an image holds averages out over its repeats; such a pattern does not.
    """
    batch, bands, height, width = error.shape
    rows, columns = height // GRID_PX, width // GRID_PX
    cells = error[..., : rows * GRID_PX, : columns * GRID_PX].reshape(batch, bands, rows, GRID_PX, columns, GRID_PX)
    pattern = cells.mean(dim=(2, 4))
    return (pattern - pattern.mean(dim=(2, 3), keepdim=True)).abs().mean()
