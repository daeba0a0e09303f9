"""The anchor is sharper than an interpolation and still agrees with its input."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from headland.engine.anchor import anchor, total_variation_step
from headland.engine.forward_model import ForwardModel
from headland.engine.psf import GaussianPsf


def fields(size_px: int) -> torch.Tensor:
    """Three bands of rectangular fields (3, size_px, size_px)."""
    generator = torch.Generator().manual_seed(3)
    image = torch.full((3, size_px, size_px), 0.3)
    for _ in range(12):
        top, left = (int(v) for v in torch.randint(0, size_px - 16, (2,), generator=generator))
        height, width = (int(v) for v in torch.randint(12, 40, (2,), generator=generator))
        image[:, top : top + height, left : left + width] = torch.rand(3, 1, 1, generator=generator) * 0.8 + 0.1
    return image


@pytest.mark.parametrize("scale", [2, 4])
def test_it_comes_closer_to_the_truth_than_bicubic(scale: int) -> None:
    truth = fields(96)
    model = ForwardModel([GaussianPsf(0.25)] * 3, (96 // scale, 96 // scale), scale)
    low_res = model.degrade(truth)
    bicubic = functional.interpolate(low_res[None], scale_factor=scale, mode="bicubic")[0]
    error = (anchor(low_res, model, damping=0.001) - truth).square().mean()
    assert error < 0.65 * (bicubic - truth).square().mean()


def test_degraded_again_it_is_the_input() -> None:
    model = ForwardModel([GaussianPsf(0.25)] * 3, (24, 24), 4)
    low_res = model.degrade(fields(96))
    assert torch.allclose(model.degrade(anchor(low_res, model, damping=1e-5)), low_res, atol=5e-3)


def test_a_constant_image_stays_as_it_is() -> None:
    model = ForwardModel([GaussianPsf(0.25)], (17, 19), 4)
    sharpened = anchor(torch.full((1, 17, 19), 0.4), model, damping=1e-5)
    assert torch.allclose(sharpened, torch.full((1, 68, 76), 0.4), atol=1e-3)


def test_it_stops_when_asked_to() -> None:
    rounds: list[int] = []

    def stop(done: int, _in_all: int) -> bool:
        rounds.append(done)
        raise InterruptedError

    model = ForwardModel([GaussianPsf(0.25)], (8, 8), 4)
    with pytest.raises(InterruptedError):
        anchor(torch.rand(1, 8, 8), model, 0.003, stop)
    assert rounds == [1]


def test_one_norm_over_directions_and_bands_bounds_the_dual_field() -> None:
    # That is what couples the bands: each for itself they could reach this bound three times over.
    dual = torch.zeros(2, 3, 32, 32)
    total_variation_step(10.0 * torch.rand(3, 32, 32), 0.05, dual, steps=50)
    norm = dual.square().sum(dim=(0, 1)).sqrt()
    assert 0.9 < float(norm.max()) <= 1.0 + 1e-5


def test_the_total_variation_step_lowers_total_variation_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    image = fields(64) + 0.05 * torch.randn(3, 64, 64)
    smooth = total_variation_step(image, 0.05, torch.zeros(2, 3, 64, 64), steps=30)

    def variation(u: torch.Tensor) -> float:
        return float(u.diff(dim=-1).abs().sum() + u.diff(dim=-2).abs().sum())

    assert variation(smooth) < 0.6 * variation(image)
    assert float(smooth.mean()) == pytest.approx(float(image.mean()), abs=1e-4)
