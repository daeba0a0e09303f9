"""The prior's training degrades by many sensors, lowers its loss, and goes on from what it left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from headland.engine.psf import GaussianPsf
from headland.models.dip.prior_network import PriorConfig, PriorNetwork, load_weights, save_weights
from headland.models.training.imagery import TrainingImage
from headland.models.training.train_prior import Examples, TrainingConfig, draw_any_sensor, random_psfs, train

CONFIG = TrainingConfig(minutes=0.02, batch=2, low_res_px=16, sensors=6)


@pytest.fixture
def images() -> list[TrainingImage]:
    fields = np.random.default_rng(3).random((3, 12, 12), dtype=np.float32).repeat(8, axis=1).repeat(8, axis=2)
    return [TrainingImage("drawn", "fields", fields, 1.0)]


def weights(path: Path) -> torch.Tensor:
    return torch.cat([value.flatten() for value in load_weights(path).state_dict().values()])


def test_it_trains_the_tail_and_goes_on_from_the_file(images: list[TrainingImage], tmp_path: Path) -> None:
    output = tmp_path / "prior.npz"
    torch.manual_seed(0)
    save_weights(PriorNetwork(PriorConfig(width=8, blocks=1)), output)
    untrained = weights(output)
    # Averaged weights move by a share of each step; few steps are made here.
    config = replace(CONFIG, averaging=0.5)
    assert train(images, output, config).config == PriorConfig(width=8, blocks=1)
    trained = weights(output)
    assert not torch.equal(trained, untrained)
    train(images, output, replace(config, seed=1))
    assert not torch.equal(weights(output), trained)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_batch_starts_from_images_that_agree_with_the_input_better_than_an_enlargement_does(
    images: list[TrainingImage], scale: int
) -> None:
    config = replace(CONFIG, batch=6, share_of_scale_4=float(scale == 4))
    example = Examples(images, config).draw()
    low_res = example.low_res
    assert low_res.shape == (6, 3, 16, 16)
    enlarged = functional.interpolate(low_res, scale_factor=scale, mode="bicubic", align_corners=False)

    def misfit(image: torch.Tensor) -> float:
        return float((example.sensors.forward_model.degrade(image) - low_res).square().mean())

    assert misfit(example.start) < 0.5 * misfit(enlarged)
    untrained = example.restored(PriorNetwork(PriorConfig(width=8, blocks=1)))
    assert misfit(untrained) <= misfit(example.start)


def test_a_new_network_has_the_asked_shape(images: list[TrainingImage], tmp_path: Path) -> None:
    shape = PriorConfig(width=12, blocks=2)
    train(images, tmp_path / "prior.npz", CONFIG, shape)
    assert load_weights(tmp_path / "prior.npz").config == shape


def test_sensors_are_of_every_kind_and_half_of_the_gaussian_ones_are_assumed_wrongly() -> None:
    drawn = [random_psfs(np.random.default_rng(seed)) for seed in range(200)]
    gaussian = [(true, assumed) for true, assumed in drawn if isinstance(true[0], GaussianPsf)]
    wrong = sum(true != assumed for true, assumed in gaussian)
    assert 130 < len(gaussian) < 170
    assert 0.3 < wrong / len(gaussian) < 0.7


def test_the_noise_is_drawn_over_its_whole_range_and_estimated_a_little_wrongly() -> None:
    sensors = [draw_any_sensor(np.random.default_rng(seed)) for seed in range(200)]
    drawn = np.array([sensor.noise_sd for sensor in sensors])
    assert drawn.min() < 0.001
    assert drawn.max() > 0.02
    errors = np.log([sensor.assumed_noise_sd for sensor in sensors] / drawn)
    assert 0.2 < errors.std() < 0.4
