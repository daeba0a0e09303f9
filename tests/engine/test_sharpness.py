"""The measure of sharpness is one for an image that is only enlarged, and tells how much steeper edges are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from headland.engine.sharpness import SharpnessMeter

SCALE = 4


def fields(noise: float = 0.0) -> Tensor:
    """High-res levels of square fields."""
    rng = np.random.default_rng(1)
    blocks = rng.uniform(0.1, 0.9, (3, 8, 8)).repeat(24, 1).repeat(24, 2)
    return torch.tensor(blocks + rng.normal(0, noise, blocks.shape), dtype=torch.float32)


def low_res_of(image: Tensor) -> Tensor:
    return functional.avg_pool2d(image, SCALE)


def enlarged(low_res: Tensor) -> Tensor:
    return functional.interpolate(low_res[None], scale_factor=float(SCALE), mode="bicubic", align_corners=False)[0]


def sharper(result: Tensor, low_res: Tensor, valid: Tensor | None = None) -> float | None:
    meter = SharpnessMeter()
    valid = torch.ones(low_res.shape, dtype=torch.bool) if valid is None else valid
    core = (slice(0, low_res.shape[1]), slice(0, low_res.shape[2]))
    meter.add(result.numpy(), low_res.numpy(), valid.numpy(), core)
    return meter.times_sharper()


def test_an_image_that_is_only_enlarged_is_not_sharper() -> None:
    low_res = low_res_of(fields(0.01))
    assert sharper(enlarged(low_res), low_res) == pytest.approx(1.0)


def test_a_soft_image_is_less_sharp_and_a_true_one_sharper() -> None:
    truth = fields()
    low_res = low_res_of(truth)
    soft = functional.avg_pool2d(enlarged(low_res), 9, 1, 4)
    assert sharper(soft, low_res) < 0.8
    assert sharper(truth, low_res) > 1.7


def test_edges_twice_as_steep_are_twice_as_sharp() -> None:
    ramp = torch.arange(64, dtype=torch.float32)
    gentle, steep = ((1.0 / (1.0 + torch.exp(-(ramp - 31.5) / width))).expand(1, 64, 64) for width in (2.4, 1.2))
    ratio = sharper(steep, low_res_of(gentle))
    assert ratio == pytest.approx(2.0, rel=0.15)


def test_more_contrast_in_calm_places_does_not_count() -> None:
    truth = fields()
    low_res = low_res_of(truth)
    stripes = torch.zeros_like(truth)
    stripes[:, 10:14:2, 10:14] = 0.5
    assert sharper(truth + stripes, low_res) == pytest.approx(sharper(truth, low_res), rel=0.01)


def test_what_is_not_valid_does_not_count() -> None:
    truth = fields()
    low_res = low_res_of(truth)
    valid = torch.ones(low_res.shape, dtype=torch.bool)
    valid[1, :20] = False
    spoiled = truth.clone()
    spoiled[:, : 19 * SCALE] = torch.rand(spoiled[:, : 19 * SCALE].shape)
    assert sharper(spoiled, low_res, valid) == pytest.approx(sharper(truth, low_res, valid))


def test_tiles_add_up() -> None:
    truth = fields(0.01)
    low_res = low_res_of(truth)
    valid = torch.ones(low_res.shape, dtype=torch.bool)
    meter = SharpnessMeter()
    for rows in (slice(0, 24), slice(24, 48)):
        meter.add(truth.numpy(), low_res.numpy(), valid.numpy(), (rows, slice(0, 48)))
    assert meter.times_sharper() == pytest.approx(sharper(truth, low_res), rel=0.05)


def test_where_there_are_no_edges_there_is_no_number() -> None:
    flat = torch.full((1, 32, 32), 0.5)
    assert sharper(flat, low_res_of(flat)) is None
    image = fields()
    nothing = torch.zeros((3, 48, 48), dtype=torch.bool)
    assert sharper(image, low_res_of(image), nothing) is None
