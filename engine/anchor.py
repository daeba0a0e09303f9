"""The anchor: a sharper image without any network, in closed form and total variation.

Rounds of a shrinking total-variation step and a projection onto the images that agree with the input. It is
the instant preview and the floor that every network has to beat.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .anchor_settings import FIRST_WEIGHT, ROUNDS, TV_STEP_SIZE, TV_STEPS, WEIGHT_DECAY
from .forward_model import ForwardModel
from .progress import OnStep, go_on


def anchor(low_res: Tensor, forward_model: ForwardModel, damping: float | Tensor, on_step: OnStep = go_on) -> Tensor:
    """Return the anchor of ``low_res``: (..., band, h, w) in a range of about 0 to 1, to (..., band, H, W).

    ``damping`` is that of :meth:`ForwardModel.pseudo_inverse`: the noise level decides it. ``on_step`` is called after
    each round and may raise to stop; all rounds together are too short to end early.
    """
    high_res = forward_model.enlarge(low_res, damping)
    dual = torch.zeros((2, *high_res.shape), device=high_res.device)
    for k in range(ROUNDS):
        high_res = total_variation_step(high_res, FIRST_WEIGHT * WEIGHT_DECAY**k, dual)
        high_res = forward_model.project(high_res, low_res, damping)
        on_step(k + 1, ROUNDS)
    return high_res


def total_variation_step(image: Tensor, weight: float, dual: Tensor, steps: int = TV_STEPS) -> Tensor:
    """Return argmin over u of |u - image|²/2 + weight TV(u).

    TV couples the bands (vectorial total variation, Bresson and Chan 2008), so borders fall in the same place
    in every band. Chambolle's dual projection (2004).

    Args:
        image: (..., band, H, W).
        weight: in the image's own units.
        dual: (2, ..., band, H, W), zeros or that of an earlier call; changed in place, to go on from.
    """
    # Memory traffic is all of the cost, so every array is written in place.
    scaled, divergence, gradient = image / weight, torch.empty_like(image), torch.zeros_like(dual)
    norm = torch.empty_like(image[..., :1, :, :])
    for _ in range(steps):
        _write_gradient(_write_divergence(dual, divergence).sub_(scaled), gradient)
        # One norm over both directions and all bands: that is what couples the bands.
        norm.zero_()
        for direction in gradient:
            for band in direction.split(1, dim=-3):
                norm.addcmul_(band, band)
        dual.add_(gradient, alpha=TV_STEP_SIZE).div_(norm.sqrt_().mul_(TV_STEP_SIZE).add_(1.0))
    return image - weight * _write_divergence(dual, divergence)


def _write_gradient(image: Tensor, gradient: Tensor) -> None:
    """Forward differences, (..., H, W) to (2, ..., H, W); the far edges keep the zeros that they must hold."""
    torch.sub(image[..., 1:, :], image[..., :-1, :], out=gradient[0, ..., :-1, :])
    torch.sub(image[..., :, 1:], image[..., :, :-1], out=gradient[1, ..., :, :-1])


def _write_divergence(field: Tensor, divergence: Tensor) -> Tensor:
    """The negative adjoint of the gradient: (2, ..., H, W), zero at the far edges, to (..., H, W)."""
    down, right = field[0], field[1]
    torch.add(down, right, out=divergence)
    divergence[..., 1:, :] -= down[..., :-1, :]
    divergence[..., :, 1:] -= right[..., :, :-1]
    return divergence
