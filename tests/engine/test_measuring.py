"""Noise, levels, holes and consistency are measured as they are."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from headland.engine.anchor import anchor
from headland.engine.bands import GROUP, band_groups, band_triples
from headland.engine.consistency import Compared, ConsistencyMeter
from headland.engine.forward_model import ForwardModel
from headland.engine.inpaint import fill_invalid
from headland.engine.levels import measure_band
from headland.engine.noise import damping_for, noise_sd
from headland.engine.psf import GaussianPsf
from headland.engine.scene import Scene
from headland.engine.tiling import plan_tiles

CPU = torch.device("cpu")


@pytest.mark.parametrize("sd", [0.002, 0.01, 0.05])
def test_noise_on_sloping_fields_is_measured_within_a_quarter(sd: float) -> None:
    rows, columns = np.mgrid[:128, :128] / 128.0
    fields = 0.3 + 0.2 * rows + 0.3 * (columns > 0.4)
    noisy = (fields + np.random.default_rng(0).normal(0.0, sd, fields.shape)).astype(np.float32)
    assert noise_sd(noisy, np.ones(noisy.shape, dtype=bool)) == pytest.approx(sd, rel=0.25)


def test_nodata_values_are_not_taken_for_noise() -> None:
    image = np.random.default_rng(0).normal(0.5, 0.01, (64, 64)).astype(np.float32)
    valid = np.ones(image.shape, dtype=bool)
    valid[::7] = False
    image[~valid] = -9999.0
    assert noise_sd(image, valid) == pytest.approx(0.01, rel=0.4)


def test_nothing_is_said_of_noise_where_no_neighbourhood_is_whole() -> None:
    image = np.random.default_rng(0).normal(0.5, 0.01, (64, 64))
    assert noise_sd(image, np.zeros(image.shape, dtype=bool)) is None
    assert noise_sd(image[:2], np.ones((2, 64), dtype=bool)) is None


@pytest.mark.parametrize("axis", [0, 1])
def test_noise_is_the_same_when_most_rows_or_columns_hold_no_data(axis: int) -> None:
    numbers = np.random.default_rng(0).normal(2000.0, 25.0, (1, 240, 240)).round().astype(np.int16)
    numbers += (np.arange(240) // 24 % 2 * 800).astype(np.int16)[None, :, None]
    valid = np.ones(numbers.shape, dtype=bool)
    np.moveaxis(valid, axis + 1, 0)[:160] = False
    scene = Scene.measure(numbers, valid, (0.25,), 4, CPU)
    assert scene.noise_in_digital_numbers[0] == pytest.approx(25.0, rel=0.2)


def sharpened_and_bicubic(numbers: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return the errors (RMSE, digital numbers) of the anchor and of a bicubic enlargement by four."""
    scene = Scene.measure(numbers, np.ones(numbers.shape, dtype=bool), (0.25,), 4, CPU)
    tile = scene.tile(plan_tiles(*scene.size_px)[0])
    enlarged = torch.nn.functional.interpolate(tile.low_res[None], scale_factor=4.0, mode="bicubic")[0]
    sharp = anchor(tile.low_res, tile.forward_model, tile.damping)
    sharp_rmse, bicubic_rmse = (
        float(np.sqrt(np.square(scene.digital(image) - truth).mean())) for image in (sharp, enlarged)
    )
    return sharp_rmse, bicubic_rmse


def seen(truth: np.ndarray, noise: float) -> np.ndarray:
    """Return what a sensor of MTF .25 makes of (1, H, W), before rounding."""
    size = (truth.shape[1] // 4, truth.shape[2] // 4)
    blurred = ForwardModel([GaussianPsf(0.25)], size, 4).degrade(torch.from_numpy(truth.astype(np.float32))).numpy()
    return blurred + np.random.default_rng(1).normal(0.0, noise, blurred.shape)


def test_few_grey_levels_are_not_taken_for_a_noiseless_image() -> None:
    truth = np.kron(np.random.default_rng(0).uniform(0.0, 7.0, (1, 16, 16)), np.ones((1, 16, 16)))
    sharp, bicubic = sharpened_and_bicubic(seen(truth, 0.0).round().astype(np.uint8), truth)
    assert sharp < 0.95 * bicubic


def test_a_small_island_in_a_plain_sea_is_sharpened() -> None:
    truth = np.full((1, 512, 512), 600.0)
    truth[:, 200:240, 260:300] = 2600.0
    sharp, bicubic = sharpened_and_bicubic(seen(truth, 12.0).round().astype(np.uint16), truth)
    assert sharp < 0.915 * bicubic


def test_nothing_but_noise_is_smoothed_and_not_stretched() -> None:
    truth = np.full((1, 256, 256), 2000.0)
    sharp, bicubic = sharpened_and_bicubic(seen(truth, 10.0).round().astype(np.uint16), truth)
    assert sharp < 0.4 * bicubic


def test_damping_grows_with_the_square_of_the_noise_and_is_never_zero() -> None:
    assert damping_for(0.006) == pytest.approx(0.003)
    assert damping_for(0.012) == pytest.approx(0.012)
    assert 0.0 < damping_for(0.0) < 1e-4


def test_levels_turn_back_into_the_same_digital_numbers() -> None:
    numbers = np.random.default_rng(0).integers(-200, 12000, (2, 40, 50)).astype(np.int16)
    scene = Scene.measure(numbers, np.ones(numbers.shape, dtype=bool), (0.25, 0.25), 2, CPU)
    assert np.allclose(scene.digital(scene.tile(plan_tiles(40, 50)[0]).low_res), numbers, atol=0.01)


def test_huge_offsets_do_not_cost_precision() -> None:
    numbers = np.random.default_rng(0).integers(2_000_000_000, 2_000_001_000, (1, 32, 32)).astype(np.int32)
    scene = Scene.measure(numbers, np.ones(numbers.shape, dtype=bool), (0.25,), 2, CPU)
    assert np.allclose(scene.digital(scene.tile(plan_tiles(32, 32)[0]).low_res), numbers, rtol=0.0, atol=0.01)


def test_a_constant_band_is_no_error() -> None:
    numbers = np.full((1, 20, 20), 7, dtype=np.uint8)
    scene = Scene.measure(numbers, np.ones(numbers.shape, dtype=bool), (0.25,), 4, CPU)
    assert np.allclose(scene.digital(scene.tile(plan_tiles(20, 20)[0]).low_res), 7.0)


def traced_peak(numbers: np.ndarray, valid: np.ndarray) -> int:
    """Return how many bytes measuring the first band takes."""
    tracemalloc.start()
    try:
        levels = measure_band(numbers, valid, 0)
        assert levels.has_valid_pixels
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(1, 60_000, 3_000), (1, 3_000, 60_000)])
def test_measuring_takes_no_more_memory_where_the_extent_is_huge(shape: tuple[int, int, int]) -> None:
    numbers = np.broadcast_to(np.random.default_rng(0).integers(0, 3000, shape[2]).astype(np.uint16), shape)
    assert traced_peak(numbers, np.broadcast_to(np.True_, shape)) < 300e6


def test_measuring_takes_no_more_memory_where_most_of_a_huge_extent_is_nodata() -> None:
    shape = (1, 20_001, 5_000)
    numbers = np.broadcast_to(np.random.default_rng(0).integers(0, 3000, shape[2]).astype(np.uint16), shape)
    valid = np.zeros(shape, bool)
    # Between two of the blocks that are looked at first.
    valid[0, 10, :] = True
    assert traced_peak(numbers, valid) < 300e6


def test_an_extent_without_any_valid_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="no valid pixel"):
        Scene.measure(np.zeros((2, 20, 20)), np.zeros((2, 20, 20), dtype=bool), (0.25, 0.25), 4, CPU)


def test_holes_are_filled_from_their_rims_and_valid_pixels_stay() -> None:
    image = np.arange(400, dtype=np.float32).reshape(1, 20, 20)
    valid = np.ones((1, 20, 20), dtype=bool)
    valid[:, 8:12, 8:12] = False
    filled = fill_invalid(np.where(valid, image, np.float32(-1e30)), valid)
    np.testing.assert_array_equal(filled[valid], image[valid])
    assert filled[~valid].min() > image[0, 6, 6]
    assert filled[~valid].max() < image[0, 13, 13]


def test_pixels_deep_inside_a_hole_get_the_mean() -> None:
    image = np.zeros((1, 4, 200), dtype=np.float32)
    image[..., 0] = 5.0
    valid = np.zeros((1, 4, 200), dtype=bool)
    valid[..., 0] = True
    np.testing.assert_allclose(fill_invalid(image, valid), 5.0)


def measured(degraded: torch.Tensor, low_res: torch.Tensor, step: int = 1) -> tuple[float, float | None, float | None]:
    """Return RMSE of the first band, spectral angle and shift, from so many bands at a time."""
    meter = ConsistencyMeter(low_res.shape[0])
    valid = np.ones(low_res.shape, dtype=bool)
    groups = [
        Compared(bands, degraded[bands].numpy(), low_res[bands].numpy(), valid[bands])
        for bands in (slice(start, min(start + step, len(low_res))) for start in range(0, len(low_res), step))
    ]
    meter.add(groups, valid[0])
    figures = meter.figures(np.ones(low_res.shape[0]))
    return figures.rmse[0], figures.spectral_angle_deg, figures.shift_px


def waves(down_px: float = 0.0, right_px: float = 0.0) -> torch.Tensor:
    """Two smooth bands (2, 80, 80) of a scene that lies this far beside its place."""
    rows, columns = torch.meshgrid(torch.arange(80.0) - down_px, torch.arange(80.0) - right_px, indexing="ij")
    return torch.stack([torch.sin(rows / 5) + torch.cos(columns / 7) + 3, torch.cos(rows / 6 + columns / 9) + 3])


def test_a_shifted_result_shows_its_shift() -> None:
    _, _, shift = measured(waves(0.03, -0.04), waves())
    assert shift == pytest.approx(0.05, rel=0.05)


def test_a_brighter_result_shows_in_rmse_and_not_in_the_angle() -> None:
    rmse, angle, _ = measured(waves() * 1.1, waves())
    assert rmse == pytest.approx(0.1 * float(waves()[0].square().mean().sqrt()), rel=1e-4)
    assert angle == pytest.approx(0.0, abs=1e-4)


def test_another_colour_shows_in_the_angle() -> None:
    scene = torch.stack([torch.ones(8, 8), torch.zeros(8, 8)])
    _, angle, _ = measured(torch.ones(2, 8, 8), scene)
    assert angle == pytest.approx(45.0, abs=1e-6)


@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("apart", [1e-6, 1e-2, 1.0])
def test_the_angle_is_that_between_whole_spectra_however_few_bands_are_seen_at_a_time(step: int, apart: float) -> None:
    rng = np.random.default_rng(0)
    one = torch.from_numpy(rng.uniform(100.0, 3000.0, (5, 8, 8)))
    other = 1.3 * one * (1.0 + apart * torch.from_numpy(rng.normal(size=one.shape)))
    # In Kahan's form, which keeps small angles exact.
    a, b = one / one.norm(dim=0), other / other.norm(dim=0)
    exact = torch.rad2deg(2.0 * torch.atan2((a - b).norm(dim=0), (a + b).norm(dim=0))).mean()
    assert measured(other, one, step)[1] == pytest.approx(float(exact), rel=1e-3)


@pytest.mark.parametrize("bands", range(1, 30))
def test_groups_of_bands_fall_into_the_same_triples_as_all_bands_together(bands: int) -> None:
    groups = band_groups(bands)
    assert max(group.stop - group.start for group in groups) <= GROUP + 2
    triples = [
        (tuple(group.start + index for index in triple.indices), triple.kept)
        for group in groups
        for triple in band_triples(group.stop - group.start)
    ]
    assert triples == [(triple.indices, triple.kept) for triple in band_triples(bands)]


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5, 13])
def test_every_band_is_kept_by_exactly_one_triple(bands: int) -> None:
    kept = [triple.indices[position] for triple in band_triples(bands) for position in triple.kept]
    assert kept == list(range(bands))


def test_a_fourth_band_is_restored_beside_its_neighbours() -> None:
    last = list(band_triples(4))[-1]
    assert last.indices == (1, 2, 3)
    assert last.kept == (2,)
