"""Images are measured as the literature does."""

from __future__ import annotations

from pathlib import Path

import image_quality
import numpy as np
import pytest
from PIL import Image


def picture(height: int, width: int) -> np.ndarray:
    """Smooth colours, (row, column, 3), 8 bits."""
    rows, columns = np.mgrid[:height, :width]
    red = 127 + 100 * np.sin(rows / 9.0)
    green = 127 + 100 * np.cos(columns / 7.0)
    return np.stack([red, green, (red + green) / 2], axis=2).astype(np.uint8)


def levels(pixels: np.ndarray) -> np.ndarray:
    return np.moveaxis(pixels.astype(np.float32) / 255.0, -1, 0)


def test_the_middle_of_an_image_is_taken_in_multiples_of_32_pixels(tmp_path: Path) -> None:
    pixels = picture(103, 70)
    Image.fromarray(pixels).save(tmp_path / "field.png")
    pair = image_quality.read_pair(tmp_path / "field.png", 4)
    assert pair.name == "field"
    np.testing.assert_array_equal(pair.high_res, levels(pixels[3:99, 3:67]))
    assert pair.low_res.shape == (3, 24, 16)


def test_an_error_of_one_grey_step_everywhere_gives_the_psnr_of_its_luma() -> None:
    truth = levels(picture(64, 64))
    # A step of one in all colours is 219/255 of a step in luma, which spans 16 to 235.
    expected = 20.0 * np.log10(255.0 * 255.0 / 219.0)
    assert image_quality.psnr_y_db(truth + 1.0 / 255.0, truth) == pytest.approx(expected, abs=1e-3)


def test_errors_in_the_outer_four_pixels_do_not_count() -> None:
    truth = levels(picture(64, 64))
    framed = truth.copy()
    framed[:, :4], framed[:, :, -4:] = 0.0, 1.0
    assert image_quality.ssim_y(framed, truth) == pytest.approx(1.0)
    framed[:, 4] = 0.0
    assert image_quality.ssim_y(framed, truth) < 0.999


def test_blur_lowers_similarity_and_psnr() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3))
    truth = levels(noise)
    blurred = (truth + np.roll(truth, 1, axis=2)) / 2
    assert image_quality.ssim_y(blurred, truth) < 0.9
    assert image_quality.psnr_y_db(blurred, truth) < 20.0
