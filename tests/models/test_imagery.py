"""Training images: averaged exactly, split by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headland.models.training.imagery import area_average, is_held_out, load_images

NAMES = {
    "naip_farmland_1m": ("41.201467--92.079428.png", "41.273419--91.377732.png"),
    "naip_urban_0.6m": ("chico_2018_11.tif", "chico_2020_17.tif", "riverside_2016_1.tif", "eureka_2018_3.tif"),
    "ucmerced_0.3m": ("agricultural03.webp", "agricultural86.webp", "river84.webp", "river85.webp"),
}


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for folder, names in NAMES.items():
        (tmp_path / folder).mkdir()
        bands = 4 if folder == "naip_urban_0.6m" else 3
        for name in names:
            values = rng.integers(1, 255, (60, 80, bands), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / folder / name)
    return tmp_path


def places(data_folder: Path, *, held_out: bool) -> set[tuple[str, str]]:
    return {(image.image_set, image.name) for image in load_images(data_folder, held_out=held_out)}


def test_no_place_is_on_both_sides_and_none_is_lost(data_folder: Path) -> None:
    training, held_out = places(data_folder, held_out=False), places(data_folder, held_out=True)
    assert not training & held_out
    assert len(training | held_out) == sum(len(names) for names in NAMES.values())


def test_cities_are_held_out_whole() -> None:
    assert all(is_held_out("naip_urban_0.6m", f"riverside_{year}_{n}") for year in (2016, 2020) for n in range(40))
    assert not any(is_held_out("naip_urban_0.6m", f"chico_{year}_{n}") for year in (2016, 2020) for n in range(40))


def test_every_factor_of_a_held_out_scene_is_held_out(data_folder: Path) -> None:
    images = load_images(data_folder, held_out=True)
    sizes = {image.pixels.shape[1:] for image in images if image.name == "41.201467--92.079428"}
    assert sizes == {(30, 40), (24, 32), (15, 20)}


def test_sets_are_drawn_by_their_weights_whatever_their_number_of_files(data_folder: Path) -> None:
    images = load_images(data_folder, held_out=False)
    farmland = sum(image.weight for image in images if image.image_set == "naip_farmland_1m")
    assert farmland == pytest.approx(5.0)


def test_near_infrared_stays_and_values_are_0_to_1(data_folder: Path) -> None:
    images = load_images(data_folder, held_out=False)
    assert {image.pixels.shape[0] for image in images if image.image_set == "naip_urban_0.6m"} == {4}
    assert all(image.pixels.min() >= 0.0 and image.pixels.max() <= 1.0 for image in images)


def test_a_folder_without_images_gives_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="No image was found"):
        load_images(tmp_path, held_out=False)


def test_averaging_by_a_whole_factor_is_the_mean_of_each_square() -> None:
    pixels = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    expected = pixels.reshape(1, 2, 2, 3, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(area_average(pixels, 2.0), expected, rtol=1e-6)


def test_averaging_by_a_fraction_shares_the_pixel_between() -> None:
    pixels = np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]] * 5], dtype=np.float32)
    # 2.5 pixels each: (1 + 2 + 3/2) / 2.5 and (3/2 + 4 + 5) / 2.5
    np.testing.assert_allclose(area_average(pixels, 2.5)[0, 0], [1.8, 4.2], rtol=1e-6)


def test_averaging_keeps_a_constant() -> None:
    np.testing.assert_allclose(area_average(np.full((3, 50, 70), 0.3, dtype=np.float32), 1.25), 0.3, rtol=1e-5)
