"""The degraded pairs: what the sensor sees is centred, fair to constants and repeatable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from headland.engine.psf import GaussianPsf, LanczosPsf
from headland.models.dip.prior_network import PriorConfig, PriorNetwork
from headland.models.training.degradation import MARGIN_PX, Enlargement, Enlarger, centre, make_batch
from headland.models.training.image_bank import ImageBank, jitter_radiometry, stretch_radiometry
from headland.models.training.imagery import TrainingImage
from headland.models.training.sensors import Sensor, SensorBank, compress, draw_sensor, gaussians, sentinel_like

ENLARGER = Enlarger(
    {
        Enlargement.PRIOR: PriorNetwork(PriorConfig(width=8, blocks=1)),
        Enlargement.LARGE_PRIOR: PriorNetwork(PriorConfig(width=16, blocks=2)),
    }
)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quiet() -> Sensor:
    return replace(sentinel_like(), noise_sd=0.0, levels=1e7)


def bank(target: torch.Tensor, scale: int, *sensors: Sensor) -> SensorBank:
    """For each image the sensor in its place, or the only one."""
    all_sensors = SensorBank(sensors, target.shape[-1] // scale, scale)
    return all_sensors.choose(np.arange(len(target)) % len(sensors))


def degrade(target: torch.Tensor, scale: int, *sensors: Sensor) -> torch.Tensor:
    return bank(target, scale, *sensors).degrade(target, noise())


@pytest.mark.parametrize("scale", [2, 4])
def test_a_constant_stays_that_constant(scale: int) -> None:
    low_res = degrade(torch.full((1, 3, 64, 64), 0.37), scale, quiet())
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
    steps = [draw_sensor(np.random.default_rng(seed)).wavelet_step for seed in range(40)]
    assert 5 < sum(step > 0 for step in steps) < 35


@pytest.mark.parametrize("scale", [2, 4])
def test_a_block_of_high_res_pixels_is_seen_centred_on_its_low_res_pixel(scale: int) -> None:
    image = torch.zeros(1, 3, 16 * scale, 16 * scale)
    image[..., 8 * scale : 9 * scale, 5 * scale : 6 * scale] = 1.0
    seen = degrade(image, scale, quiet())[0, 0]
    assert (seen == seen.max()).nonzero().tolist() == [[8, 5]]
    assert torch.allclose(seen[8, 4], seen[8, 6], atol=1e-5)
    assert torch.allclose(seen[7, 5], seen[9, 5], atol=1e-5)


def test_a_shift_moves_the_band_by_as_much() -> None:
    image = torch.zeros(1, 3, 64, 64)
    image[..., 32:36, 32:36] = 1.0
    sensor = replace(quiet(), shift_px=((0.0, 0.25), (0.0, 0.0), (0.25, 0.0)))
    seen = degrade(image, 4, sensor)[0]
    position = torch.arange(16.0)
    columns = (seen.sum(dim=1) * position).sum(dim=1) / seen.sum(dim=(1, 2))
    rows = (seen.sum(dim=2) * position).sum(dim=1) / seen.sum(dim=(1, 2))
    # looking to the right, the sensor sees things further left
    assert columns.tolist() == pytest.approx([7.75, 8.0, 8.0], abs=5e-3)
    assert rows.tolist() == pytest.approx([8.0, 8.0, 7.75], abs=5e-3)


def test_noise_has_the_asked_strength_and_grows_with_the_signal() -> None:
    sensor = replace(quiet(), noise_sd=0.01)
    middle = degrade(torch.full((8, 3, 128, 128), 0.5), 2, sensor)
    dark = degrade(torch.zeros(8, 3, 128, 128), 2, sensor)
    assert float(middle.std()) == pytest.approx(0.01, rel=0.03)
    assert float(dark.std()) < 0.8 * float(middle.std())


@pytest.mark.parametrize("how", list(Enlargement))
@pytest.mark.parametrize("scale", [2, 4])
def test_what_the_network_is_fed_has_high_res_size_and_resembles_the_target(how: Enlargement, scale: int) -> None:
    column = torch.linspace(0.2, 0.8, 96)
    targets = column.expand(2, 3, 96, 96).clone()
    targets[..., 40:60] += 0.1
    batch = make_batch(targets, bank(targets, scale, sentinel_like()), how, noise(), ENLARGER)
    assert batch.enlarged.shape == targets.shape
    assert float((centre(batch.enlarged) - centre(targets)).abs().mean()) < 0.02


def test_without_prior_weights_the_prior_cannot_enlarge() -> None:
    targets = torch.rand(1, 3, 64, 64)
    with pytest.raises(ValueError, match="trained weights are needed"):
        make_batch(targets, bank(targets, 4, sentinel_like()), Enlargement.PRIOR, noise(), Enlarger())


def test_the_consistency_step_keeps_a_consistent_image_and_repairs_another() -> None:
    targets = torch.rand(1, 3, 96, 96, generator=noise(4)) * 0.1 + 0.4
    sensor = replace(quiet(), assumed_noise_sd=1e-5)
    batch = make_batch(targets, bank(targets, 4, sensor), Enlargement.ANCHOR, noise(), ENLARGER)
    kept = batch.project(centre(batch.enlarged))
    assert torch.allclose(kept, centre(batch.enlarged), atol=2e-3)
    repaired = batch.project(centre(batch.enlarged) + 0.1)
    inner = slice(24, -24)
    assert torch.allclose(repaired[..., inner, inner], kept[..., inner, inner], atol=2e-2)


def test_drawn_sensors_are_plausible_and_follow_the_seed() -> None:
    sensors = [draw_sensor(np.random.default_rng(seed)) for seed in range(50)]
    assert sensors[3] == draw_sensor(np.random.default_rng(3))
    drawn = [(sensor.psfs, sensor.assumed_psfs) for sensor in sensors]
    assert all(0.05 <= psf.mtf_at_nyquist <= 0.5 for psfs, _ in drawn for psf in psfs if isinstance(psf, GaussianPsf))
    assert any(psfs != assumed for psfs, assumed in drawn)


def test_each_image_of_a_batch_has_a_sensor_of_its_own() -> None:
    image = torch.rand(1, 3, 64, 64, generator=noise(3))
    sharp, soft = (replace(quiet(), psfs=gaussians(np.full(3, mtf))) for mtf in (0.4, 0.1))
    together = degrade(image.expand(3, -1, -1, -1), 4, soft, sharp)
    assert torch.allclose(together[0], degrade(image, 4, soft)[0], atol=1e-6)
    assert torch.allclose(together[1], degrade(image, 4, sharp)[0], atol=1e-6)
    assert torch.equal(together[2], together[0])


def test_the_engine_is_told_of_the_sensor_that_it_takes_each_image_for() -> None:
    image = torch.rand(2, 3, 64, 64, generator=noise(3))
    sensors = [replace(quiet(), assumed_psfs=gaussians(np.full(3, mtf))) for mtf in (0.4, 0.1)]
    assumed = bank(image, 4, *sensors).forward_model.degrade(image)
    for number, sensor in enumerate(sensors):
        alone = degrade(image, 4, replace(sensor, psfs=sensor.assumed_psfs))
        assert torch.allclose(assumed[number], alone[number], atol=1e-5)


def test_only_a_gaussian_can_be_shifted() -> None:
    sensor = replace(quiet(), psfs=(LanczosPsf(),) * 3, shift_px=((0.1, 0.0),) * 3)
    with pytest.raises(TypeError, match="Only a Gaussian"):
        degrade(torch.zeros(1, 3, 64, 64), 4, sensor)


def image_bank(*pixels: np.ndarray) -> ImageBank:
    return ImageBank([TrainingImage("set", "name", each.astype(np.float32), 1.0) for each in pixels])


def test_crops_are_pieces_of_the_images_turned_and_mirrored() -> None:
    images = [np.random.default_rng(n).random((3 + n, 40, 30 + n)) for n in range(2)]
    crops = image_bank(*images).draw(np.random.default_rng(8), 30, 16, shuffled_share=0.0).numpy()
    orientations = set()
    for crop in crops:
        found = [
            (number, turn, mirrored)
            for number, image in enumerate(images)
            for turn in range(4)
            for mirrored in (False, True)
            for upright in [np.rot90(crop[:, :, ::-1] if mirrored else crop, turn, (1, 2))]
            for row, column in zip(*np.nonzero(np.isclose(image[0], upright[0, 0, 0])), strict=True)
            if image[:3, row : row + 16, column : column + 16].shape == upright.shape
            and np.allclose(image[:3, row : row + 16, column : column + 16], upright)
        ]
        assert len(found) == 1
        orientations.add(found[0])
    assert len({(turn, mirrored) for _, turn, mirrored in orientations}) == 8
    assert {number for number, _, _ in orientations} == {0, 1}


def test_shuffled_crops_take_any_three_bands_once() -> None:
    levels = np.arange(5)[:, None, None] * np.ones((5, 20, 20))
    crops = image_bank(levels).draw(np.random.default_rng(0), 60, 16)
    drawn = {tuple(crop[:, 0, 0].tolist()) for crop in crops}
    assert all(len(set(bands)) == 3 for bands in drawn)
    assert len(drawn) > 25


def test_crops_have_a_fair_range_after_the_jitter_and_follow_the_seed() -> None:
    bank = image_bank(np.random.default_rng(0).random((4, 100, 90)))

    def draw() -> torch.Tensor:
        rng = np.random.default_rng(8)
        return jitter_radiometry(rng, bank.draw(rng, 60, 48 + 2 * MARGIN_PX))

    crops = draw()
    assert crops.shape == (60, 3, 80, 80)
    assert float(crops.min()) > -1.0
    assert float(crops.max()) < 2.0
    assert torch.equal(crops, draw())
    alone = [bool(torch.equal(crop[0], crop[2])) for crop in crops]
    assert 0 < sum(alone) < 15, "some crops show one band alone"


def test_stretched_crops_fill_about_the_range_of_the_engines_normalisation() -> None:
    crops = 0.4 + 0.2 * torch.rand(40, 3, 60, 60, generator=noise())
    stretched = stretch_radiometry(np.random.default_rng(1), crops)
    spans = stretched.flatten(1).amax(dim=1) - stretched.flatten(1).amin(dim=1)
    assert float(stretched.min()) > -0.05
    assert 0.45 < float(spans.min()) < float(spans.max()) < 1.2


def test_a_crop_larger_than_every_image_gives_a_sentence() -> None:
    with pytest.raises(ValueError, match="smaller crop size"):
        image_bank(np.zeros((3, 20, 90))).draw(np.random.default_rng(0), 1, 32)
