"""One may compute with a result as far as is promised: its indices, degraded, are the source's to within the noise."""

from __future__ import annotations

import json
from pathlib import Path

import bench_radiometry
import numpy as np
import pytest
import single_pixels
from radiometry import Index, block_means, difference
from radiometry_pictures import METHODS, PICTURES, places_of

from headland.engine.job import Method

NDVI, RATIO = Index("NDVI", (1, 0), is_normalised=True), Index("NIR/red", (1, 0))
NOISE_SD = np.array([12.0, 20.0])


def land(rows_px: int = 60, columns_px: int = 80) -> np.ndarray:
    """Red and near infrared (band, row, column) in digital numbers, from bare to green."""
    green = np.random.default_rng(0).uniform(0.0, 1.0, (rows_px, columns_px))
    return np.stack([1500.0 - 1000.0 * green, 2000.0 + 2500.0 * green])


@pytest.mark.parametrize("index", [NDVI, RATIO], ids=lambda index: index.name)
def test_noise_moves_an_index_as_far_as_is_foretold(index: Index) -> None:
    rng, truth = np.random.default_rng(1), land()
    noisy = truth + NOISE_SD[:, None, None] * rng.standard_normal(truth.shape)
    found = difference(index, noisy, truth, NOISE_SD)
    assert found.rms_over_noise == pytest.approx(1.0, abs=0.03)
    assert found.bias_over_noise == pytest.approx(0.0, abs=0.05)
    assert found.share_within_2 == pytest.approx(0.954, abs=0.01)


def test_a_band_that_is_off_by_its_noise_shows_as_bias() -> None:
    brighter = land() + np.array([0.0, 20.0])[:, None, None]
    assert difference(NDVI, brighter, land(), NOISE_SD).bias_over_noise > 0.3


def test_pixels_without_a_value_do_not_count_and_a_picture_of_none_is_an_error() -> None:
    dark = land()
    dark[:, :30] = 0.0
    assert difference(NDVI, dark, dark, NOISE_SD).rms_over_noise == 0.0
    with pytest.raises(ValueError, match="no value anywhere"):
        difference(NDVI, np.zeros((2, 4, 4)), np.zeros((2, 4, 4)), NOISE_SD)


def test_block_means_leave_out_what_fills_no_square() -> None:
    assert block_means(np.arange(15.0).reshape(1, 3, 5), 2).tolist() == [[[3.0, 5.0]]]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.value)
def test_ndvi_and_ratios_of_the_real_crop_come_back_to_within_the_noise(method: Method, scale: int) -> None:
    (crop,) = places_of(PICTURES[0], None)
    for name, one in bench_radiometry.agreement(crop[:, 150:246, 60:156], PICTURES[0], method, scale).items():
        assert one.degraded.rms_over_noise <= bench_radiometry.LARGEST_RMS_OVER_NOISE, name
        assert abs(one.degraded.bias_over_noise) <= bench_radiometry.LARGEST_BIAS_OVER_NOISE, name
        assert one.degraded.share_within_2 > 0.97, name
        # A square of the sharper picture is not what the sensor saw of it.
        assert one.averaged[1] > one.degraded.rms, name


@pytest.mark.slow
def test_one_run_leaves_every_figure_and_says_which_bars_are_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_radiometry, "METHODS", (Method.ANCHOR,))
    monkeypatch.setattr(single_pixels, "METHODS", ())
    out = tmp_path / "radiometry.json"
    assert bench_radiometry.main([str(out)]) == 0
    content = json.loads(out.read_text())
    found = content["agreement"]["the crop"]
    assert set(found) == {"anchor ×2", "anchor ×4"}
    assert found["anchor ×4"]["NDVI"]["degraded"]["rms_over_noise"] < 1.0
    printed = capsys.readouterr().out
    assert "| the crop | anchor ×2 | NDVI |" in printed
    assert printed.count("- met: the crop") == 2
    assert content["single_pixels"]["the crop"]["4"]["truth"][0]["ndvi_rms"] == 0.0
    assert "| ×2 | bicubic |" in printed
