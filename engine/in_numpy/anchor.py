"""The anchor with numpy alone: the method of :mod:`..anchor`, which see, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..anchor_settings import FIRST_WEIGHT, ROUNDS, TV_STEP_SIZE, TV_STEPS, WEIGHT_DECAY
from ..progress import OnStep, go_on
from .forward_model import ArrayForwardModel
from .product import Image


def anchor(
    low_res: Image, forward_model: ArrayForwardModel, dampings: Sequence[float], on_step: OnStep = go_on
) -> Image:
    """Return the anchor of ``low_res``: (band, h, w) in a range of about 0 to 1, to (band, H, W).

    ``on_step`` is called after each round and may raise to stop.
    """
    high_res = forward_model.enlarge(low_res, dampings)
    step = TotalVariationStep(high_res.shape)
    for k in range(ROUNDS):
        high_res = step(high_res, FIRST_WEIGHT * WEIGHT_DECAY**k)
        high_res = forward_model.project(high_res, low_res, dampings)
        on_step(k + 1, ROUNDS)
    return high_res


class TotalVariationStep:
    """argmin over u of |u - image|²/2 + weight TV(u), for images (band, H, W) that change little from call to call.

    Vectorial total variation and Chambolle's dual projection, as :func:`..anchor.total_variation_step`; the dual field
    goes on from the last call.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        # Memory traffic is all of the cost, so every array is written in place.
        self.dual = np.zeros((2, *shape), dtype=np.float32)
        self._gradient = np.zeros((2, *shape), dtype=np.float32)
        self._divergence, self._scaled = np.empty((2, *shape), dtype=np.float32)
        self._norm, self._square = np.empty((2, *shape[1:]), dtype=np.float32)

    def __call__(self, image: Image, weight: float, steps: int = TV_STEPS) -> Image:
        """Return the image after ``steps`` steps; ``weight`` is in the image's own units."""
        dual, gradient, divergence = self.dual, self._gradient, self._divergence
        np.multiply(image, np.float32(1.0 / weight), out=self._scaled)
        for _ in range(steps):
            _write_divergence(dual, divergence)
            divergence -= self._scaled
            # What follows is linear in it up to the norm, which is to be of the scaled gradient too.
            divergence *= np.float32(TV_STEP_SIZE)
            _write_gradient(divergence, gradient)
            dual += gradient
            dual *= self._shrinking(gradient)
        _write_divergence(dual, divergence)
        denoised: Image = divergence * np.float32(-weight)
        denoised += image
        return denoised

    def _shrinking(self, gradient: Image) -> NDArray[np.float32]:
        """Return 1 / (1 + |gradient|), (H, W): one norm over both directions and all bands couples the bands."""
        norm: Image = self._norm
        norm[:] = 0.0
        for direction in gradient:
            for band in direction:
                np.multiply(band, band, out=self._square)
                norm += self._square
        np.sqrt(norm, out=norm)
        norm += np.float32(1.0)
        np.reciprocal(norm, out=norm)
        return norm


def _write_gradient(image: Image, gradient: Image) -> None:
    """Forward differences, (band, H, W) to (2, band, H, W); the far edges keep the zeros that they must hold."""
    np.subtract(image[:, 1:, :], image[:, :-1, :], out=gradient[0, :, :-1, :])
    np.subtract(image[:, :, 1:], image[:, :, :-1], out=gradient[1, :, :, :-1])


def _write_divergence(field: Image, divergence: Image) -> None:
    """The negative adjoint of the gradient: (2, band, H, W), zero at the far edges, to (band, H, W)."""
    down, right = field
    np.add(down, right, out=divergence)
    divergence[:, 1:, :] -= down[:, :-1, :]
    divergence[:, :, 1:] -= right[:, :, :-1]
