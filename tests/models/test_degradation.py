"""The degraded pairs: what the sensor sees is centred, fair to constants and repeatable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from headland.models.dip.prior_network import PriorConfig, PriorNetwork
from headland.models.training.degradation import (
    MARGIN_PX,
    CropSampler,
    Enlargement,
    Enlarger,
    Sensor,
    centre,
    compress,
    degrade,
    draw_sensor,
    make_batch,
    sentinel_like,
)
from headland.models.training.imagery import TrainingImage

ENLARGER = Enlarger(PriorNetwork(PriorConfig(width=8, blocks=1)))


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quiet(scale: int) -> Sensor:
    return replace(sentinel_like(scale), noise_sd=0.0, levels=1e7)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_constant_stays_that_constant(scale: int) -> None:
    low_res = degrade(torch.full((1, 3, 64, 64), 0.37), quiet(scale), noise())
    assert low_res.shape == (1, 3, 64 // scale, 64 // scale)
    assert torch.allclose(low_res, torch.full_like(low_res, 0.37), atol=1e-5)


def test_compression_keeps_what_is_larger_than_its_step_and_drops_fine_detail_below_it() -> None:
    image = torch.rand(2, 3, 16, 24, generator=noise())
    assert torch.allclose(compress(image, 1e-6), image, atol=1e-5)
    field = torch.zeros(1, 1, 16, 16)
    field[..., 8:] = 0.5
    hatch = 0.01 * (1 - 2 * (torch.arange(16) % 2)) * torch.ones(1, 1, 16, 16)
    compressed = compress(field + hatch, 0.05)
    assert float((compressed - field).abs().max()) < 0.03
    assert float(compressed[..., :5].diff(dim=-1).abs().max()) < 0.001, "the hatch is gone"
    assert float((compressed[..., 12] - compressed[..., 4]).min()) > 0.45, "the border is not"


def test_some_sensors_compress_and_some_do_not() -> None:
    steps = [draw_sensor(np.random.default_rng(seed), 4).wavelet_step for seed in range(40)]
    assert 5 < sum(step > 0 for step in steps) < 35


@pytest.mark.parametrize("scale", [2, 4])
def test_a_block_of_high_res_pixels_is_seen_centred_on_its_low_res_pixel(scale: int) -> None:
    image = torch.zeros(1, 3, 16 * scale, 16 * scale)
    image[..., 8 * scale : 9 * scale, 5 * scale : 6 * scale] = 1.0
    seen = degrade(image, quiet(scale), noise())[0, 0]
    assert (seen == seen.max()).nonzero().tolist() == [[8, 5]]
    assert torch.allclose(seen[8, 4], seen[8, 6], atol=1e-5)
    assert torch.allclose(seen[7, 5], seen[9, 5], atol=1e-5)


def test_a_shift_moves_the_band_by_as_much() -> None:
    image = torch.zeros(1, 3, 64, 64)
    image[..., 32:36, 32:36] = 1.0
    sensor = replace(quiet(4), shift_px=((0.0, 0.25), (0.0, 0.0), (0.25, 0.0)))
    seen = degrade(image, sensor, noise())[0]
    position = torch.arange(16.0)
    columns = (seen.sum(dim=1) * position).sum(dim=1) / seen.sum(dim=(1, 2))
    rows = (seen.sum(dim=2) * position).sum(dim=1) / seen.sum(dim=(1, 2))
    # looking to the right, the sensor sees things further left
    assert columns.tolist() == pytest.approx([7.75, 8.0, 8.0], abs=5e-3)
    assert rows.tolist() == pytest.approx([8.0, 8.0, 7.75], abs=5e-3)


def test_noise_has_the_asked_strength_and_grows_with_the_signal() -> None:
    sensor = replace(quiet(2), noise_sd=0.01)
    middle = degrade(torch.full((8, 3, 128, 128), 0.5), sensor, noise())
    dark = degrade(torch.zeros(8, 3, 128, 128), sensor, noise())
    assert float(middle.std()) == pytest.approx(0.01, rel=0.03)
    assert float(dark.std()) < 0.8 * float(middle.std())


@pytest.mark.parametrize("how", list(Enlargement))
@pytest.mark.parametrize("scale", [2, 4])
def test_what_the_network_is_fed_has_high_res_size_and_resembles_the_target(how: Enlargement, scale: int) -> None:
    column = torch.linspace(0.2, 0.8, 96)
    targets = column.expand(2, 3, 96, 96).clone()
    targets[..., 40:60] += 0.1
    batch = make_batch(targets, sentinel_like(scale), how, noise(), ENLARGER)
    assert batch.enlarged.shape == targets.shape
    assert float((centre(batch.enlarged) - centre(targets)).abs().mean()) < 0.02


def test_without_prior_weights_the_prior_cannot_enlarge() -> None:
    with pytest.raises(ValueError, match="trained weights are needed"):
        make_batch(torch.rand(1, 3, 64, 64), sentinel_like(4), Enlargement.PRIOR, noise(), Enlarger())


def test_the_consistency_step_keeps_a_consistent_image_and_repairs_another() -> None:
    targets = torch.rand(1, 3, 96, 96, generator=noise(4)) * 0.1 + 0.4
    sensor = replace(quiet(4), assumed_noise_sd=1e-5)
    batch = make_batch(targets, sensor, Enlargement.ANCHOR, noise(), ENLARGER)
    kept = batch.project(centre(batch.enlarged))
    assert torch.allclose(kept, centre(batch.enlarged), atol=2e-3)
    repaired = batch.project(centre(batch.enlarged) + 0.1)
    inner = slice(24, -24)
    assert torch.allclose(repaired[..., inner, inner], kept[..., inner, inner], atol=2e-2)


def test_drawn_sensors_are_plausible_and_follow_the_seed() -> None:
    sensors = [draw_sensor(np.random.default_rng(seed), 4) for seed in range(50)]
    assert sensors[3] == draw_sensor(np.random.default_rng(3), 4)
    assert all(0.05 <= mtf <= 0.5 for sensor in sensors for mtf in sensor.mtf_at_nyquist)
    assert any(sensor.mtf_at_nyquist != sensor.assumed_mtf for sensor in sensors)


def test_crops_have_three_bands_a_fair_range_and_follow_the_seed() -> None:
    pixels = np.random.default_rng(0).random((4, 100, 90), dtype=np.float32)
    sampler = CropSampler([TrainingImage("set", "name", pixels, 1.0)])
    crops = sampler.draw(np.random.default_rng(8), 6, 48 + 2 * MARGIN_PX)
    assert crops.shape == (6, 3, 80, 80)
    assert float(crops.min()) > -1.0
    assert float(crops.max()) < 2.0
    assert torch.equal(crops, sampler.draw(np.random.default_rng(8), 6, 80))


def test_a_crop_larger_than_every_image_gives_a_sentence() -> None:
    sampler = CropSampler([TrainingImage("set", "name", np.zeros((3, 20, 90), dtype=np.float32), 1.0)])
    with pytest.raises(ValueError, match="smaller crop size"):
        sampler.draw(np.random.default_rng(0), 1, 32)
