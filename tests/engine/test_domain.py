"""What is no picture of land is doubted, each kind by its name; what is one is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from headland.engine.domain import Doubt, find_doubts, measure_domain

SCENE = Path(__file__).resolve().parents[1] / "data" / "s2_farmland_virginia.tif"
RNG_SEED = 5

Image = NDArray[np.float64]


@pytest.fixture(scope="module")
def land() -> Image:
    """The real Sentinel-2 crop, (4, 300, 300)."""
    return np.moveaxis(tifffile.imread(SCENE), -1, 0).astype(np.float64)


def doubts(image: Image) -> set[Doubt]:
    return set(find_doubts(image, np.ones(image.shape, dtype=bool)))


def surface(size_px: int, steepness: float) -> Image:
    """Draw a fractal surface: the power of its waves falls with their frequency to that power."""
    waves = np.hypot(*np.meshgrid(np.fft.fftfreq(size_px), np.fft.fftfreq(size_px)))
    waves[0, 0] = 1.0
    noise = np.random.default_rng(RNG_SEED).normal(size=(size_px, size_px))
    heights = np.fft.ifft2(np.fft.fft2(noise) * waves ** (-steepness / 2.0)).real
    return np.asarray((heights - heights.mean()) / heights.std())[None]


@pytest.mark.parametrize("bands", [slice(0, 1), slice(0, 3), slice(0, 4)])
def test_land_seen_by_a_satellite_raises_no_doubt(land: Image, bands: slice) -> None:
    assert doubts(land[bands]) == set()
    assert doubts(land[bands, :40, :50]) == set()


def test_land_in_eight_bits_raises_no_doubt(land: Image) -> None:
    low, high = np.percentile(land, (1, 99), axis=(1, 2), keepdims=True)
    assert doubts(np.clip((land - low) / (high - low) * 255.0, 0, 255).round()) == set()


def test_an_image_of_one_value_is_flat() -> None:
    assert doubts(np.full((3, 90, 90), 7.0)) == {Doubt.FLAT}


def test_open_water_is_flat() -> None:
    water = 200.0 + np.random.default_rng(RNG_SEED).normal(0.0, 4.0, (3, 200, 200))
    assert doubts(water.round()) == {Doubt.FLAT}


def test_clouds_are_bright(land: Image) -> None:
    cover = np.zeros(land.shape[1:])
    cover[40:120, 60:160] = 1.0
    cover = ndimage.gaussian_filter(cover, 8.0)
    assert doubts(land * (1.0 - cover) + cover * 6000.0) == {Doubt.BRIGHT}


def test_a_field_that_is_bright_in_one_band_alone_is_no_cloud(land: Image) -> None:
    bright = land.copy()
    bright[3, 40:120, 60:160] = 9000.0 + 400.0 * np.random.default_rng(RNG_SEED).normal(size=(80, 100))
    assert Doubt.BRIGHT not in doubts(bright)


def test_what_is_cut_off_at_the_top_is_saturated(land: Image) -> None:
    assert doubts(np.minimum(land, np.percentile(land, 90, axis=(1, 2), keepdims=True))) == {Doubt.SATURATED}


@pytest.mark.parametrize("looks", [1, 4, 10])
def test_radar_is_speckled_in_intensities_and_in_decibels(land: Image, looks: int) -> None:
    speckle = np.random.default_rng(RNG_SEED).gamma(looks, 1.0 / looks, land[:1].shape)
    assert Doubt.SPECKLED in doubts(land[:1] * speckle)
    assert Doubt.SPECKLED in doubts(10.0 * np.log10(land[:1] * speckle / 10_000.0))


def test_noise_as_strong_as_a_poor_sensor_has_it_is_no_speckle(land: Image) -> None:
    noise = np.random.default_rng(RNG_SEED).normal(0.0, 100.0, land.shape)
    assert doubts(land + noise) == set()


@pytest.mark.parametrize("image", [surface(300, 4.0) * 80.0 + 300.0, (surface(300, 4.5) * 90.0 + 900.0).round()])
def test_an_elevation_model_is_smooth(image: Image) -> None:
    assert Doubt.SMOOTH in doubts(image)


def test_a_map_of_classes_is_classified(land: Image) -> None:
    classes = np.digitize(ndimage.gaussian_filter(land[3], 2.0), [1000, 2000, 2500, 3000]).astype(np.float64)
    assert doubts(classes[None]) == {Doubt.CLASSIFIED}


@pytest.mark.parametrize(("times", "order"), [(1.5, 3), (2.0, 2), (2.0, 3), (4.0, 3)])
def test_an_image_enlarged_by_splines_is_enlarged(land: Image, times: float, order: int) -> None:
    part = land[:, :150, :150]
    enlarged = np.stack([ndimage.zoom(band, times, order=order) for band in part])
    assert Doubt.ENLARGED in doubts(enlarged.round())


@pytest.mark.parametrize("times", [2.0, 4.0])
def test_an_image_enlarged_by_straight_lines_is_smoother_than_land_is(land: Image, times: float) -> None:
    enlarged = np.stack([ndimage.zoom(band, times, order=1) for band in land[:, :150, :150]])
    assert doubts(enlarged.round()) & {Doubt.SMOOTH, Doubt.ENLARGED}


def test_an_image_whose_pixels_are_repeated_is_enlarged(land: Image) -> None:
    assert Doubt.ENLARGED in doubts(land.repeat(2, axis=1).repeat(2, axis=2))


def test_nodata_says_nothing(land: Image) -> None:
    valid = np.ones(land.shape, dtype=bool)
    valid[:, :, 170:] = False
    image = np.where(valid, land, -9999.0)
    assert find_doubts(image, valid) == ()
    assert find_doubts(image, np.zeros(land.shape, dtype=bool)) == ()
    assert measure_domain(image, np.zeros(land.shape, dtype=bool)) is None


def test_a_few_pixels_are_not_judged() -> None:
    assert doubts(np.full((1, 4, 5), 7.0)) == set()


def test_bands_with_holes_of_their_own_are_judged_all_the_same(land: Image) -> None:
    valid = np.ones(land.shape, dtype=bool)
    valid[1, 50:90, 50:90] = False
    assert find_doubts(land, valid) == ()
