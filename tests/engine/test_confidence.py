"""The expected error is high where the result is wrong, known where the input is, and the same however it is tiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from torch import Tensor

from headland.engine import confidence
from headland.engine.confidence import Confidence, window_mean
from headland.engine.dip.educated import EducatedPrior, FitSettings
from headland.engine.forward_model import ForwardModel
from headland.engine.job import Method, Preset
from headland.engine.pipeline import PRIOR_WEIGHTS
from headland.engine.psf import GaussianPsf
from headland.engine.scene import Scene, Tile
from headland.engine.tiling import TileWindow, plan_tiles
from headland.models.dip.prior_network import load_weights

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

CPU = torch.device("cpu")
MTF = 0.25
SCALE = 4
SIZE_PX = 48
SCENE = Path(__file__).resolve().parents[1] / "data" / "s2_farmland_virginia.tif"

Image = NDArray[np.float64]


@pytest.fixture(scope="module")
def prior() -> EducatedPrior:
    return EducatedPrior(load_weights(PRIOR_WEIGHTS[Preset.FAST]), FitSettings(), seed=0)


@pytest.fixture(scope="module")
def drawn() -> Image:
    """A high-res scene (3, H, W) in digital numbers: plain fields in one half, narrow strips across in the other."""
    side = SIZE_PX * SCALE
    rows, columns = np.mgrid[:side, :side]
    fields = 2000.0 + 600.0 * ((rows + columns // 3) // 64 % 2)
    strips = 1000.0 * np.sin((rows * 0.9 + columns * 0.4) / 1.6) * (columns > side // 2)
    return np.stack([fields + strips, 0.8 * fields + 0.7 * strips, 1.2 * fields])


def seen(truth: Image, seed: int = 1) -> NDArray[np.float64]:
    """What a sensor makes of the truth, noise included."""
    model = ForwardModel([GaussianPsf(MTF)], (truth.shape[1] // SCALE, truth.shape[2] // SCALE), SCALE)
    low_res = model.degrade(torch.from_numpy(truth).float()).double().numpy()
    noisy: NDArray[np.float64] = low_res + np.random.default_rng(seed).normal(0.0, 8.0, low_res.shape)
    return noisy


def measured(numbers: NDArray[np.float64], valid: NDArray[np.bool_] | None = None) -> Scene:
    known = np.ones(numbers.shape, dtype=bool) if valid is None else valid
    return Scene.measure(numbers, known, [MTF] * len(numbers), SCALE, CPU)


def expected_of(scene: Scene, prior: EducatedPrior, window: TileWindow | None = None) -> tuple[Tile, Tensor]:
    """Return a tile as Deep Image Prior leaves it, and its expected error."""
    tile = prior(scene.tile(window or plan_tiles(*scene.size_px, 1000)[0]))
    assert tile.estimate is not None
    return tile, Confidence(SCALE, Method.DIP)(tile, tile.estimate).expected


def test_more_error_is_expected_where_the_result_differs_more_from_the_truth(
    drawn: Image, prior: EducatedPrior
) -> None:
    scene = measured(seen(drawn))
    tile, expected = expected_of(scene, prior)
    assert tile.estimate is not None
    error = np.abs(scene.digital(tile.estimate) - drawn)
    inner = (slice(None), slice(16, -16), slice(16, -16))
    predicted, error = scene.digital_difference(expected)[inner], error[inner]
    worst, best = error > np.quantile(error, 0.9), error < np.quantile(error, 0.5)
    assert predicted[worst].mean() > 2.0 * predicted[best].mean()
    assert np.corrcoef(predicted.ravel(), error.ravel())[0, 1] > 0.3


def test_every_expected_error_is_a_positive_number(drawn: Image, prior: EducatedPrior) -> None:
    _, expected = expected_of(measured(seen(drawn)), prior)
    assert bool(torch.isfinite(expected).all())
    assert bool((expected > 0.0).all())


def test_a_plain_field_has_a_finite_error_too(prior: EducatedPrior) -> None:
    _, expected = expected_of(measured(np.full((3, 32, 32), 500.0)), prior)
    assert bool(torch.isfinite(expected).all())
    assert bool((expected > 0.0).all())


def test_what_is_nodata_stays_unknown(drawn: Image, prior: EducatedPrior) -> None:
    numbers = seen(drawn)
    valid = np.ones(numbers.shape, dtype=bool)
    valid[1, 10:20, 5:9] = False
    numbers[~valid] = -9999.0
    _, expected = expected_of(measured(numbers, valid), prior)
    hole = ~valid.repeat(SCALE, axis=1).repeat(SCALE, axis=2)
    assert bool((torch.isnan(expected).numpy() == hole).all())


def test_an_image_in_other_units_has_the_same_errors_in_those_units(drawn: Image, prior: EducatedPrior) -> None:
    numbers = seen(drawn)
    errors = []
    for factor in (1.0, 0.01):
        scene = measured(numbers * factor + 3.0)
        _, expected = expected_of(scene, prior)
        errors.append(scene.digital_difference(expected) / factor)
    np.testing.assert_allclose(errors[1], errors[0], rtol=0.02)


def test_the_same_tile_has_the_same_errors_again(drawn: Image, prior: EducatedPrior) -> None:
    numbers = seen(drawn)
    (_, first), (_, second) = (expected_of(measured(numbers), prior) for _ in range(2))
    assert bool((first == second).all())


def test_one_tile_and_many_have_the_same_errors(prior: EducatedPrior) -> None:
    scene = measured(np.moveaxis(tifffile.imread(SCENE), -1, 0)[:3, :128, :64].astype(np.float64))
    _, whole = expected_of(scene, prior)
    tiles = plan_tiles(*scene.size_px, 64)
    assert len(tiles) == 2
    blended = torch.zeros_like(whole)
    for window in tiles:
        _, expected = expected_of(scene, prior, window)
        blended[(slice(None), *window.high_res_slices(SCALE))] += expected * torch.from_numpy(
            window.blending_weights(SCALE)
        )
    assert float((blended / whole - 1.0).abs().max()) < 0.02
    assert float((blended / whole - 1.0).abs().mean()) < 1e-4


def test_the_bound_is_wider_the_more_pixels_it_is_to_hold_for() -> None:
    judge = Confidence(SCALE, Method.CHAIN)
    factors = [judge.factor(share) for share in (0.5, 0.8, 0.9, 0.95)]
    assert factors == sorted(factors)
    # Half of all errors are less than their mean.
    assert 0.4 < factors[0] < 1.0 < factors[2]


def test_the_bound_holds_for_about_as_many_pixels_as_it_says_on_a_real_scene_degraded(prior: EducatedPrior) -> None:
    truth = np.moveaxis(tifffile.imread(SCENE), -1, 0)[:3, :256, :256].astype(np.float64)
    scene = measured(seen(truth))
    tile = prior(scene.tile(plan_tiles(*scene.size_px)[0]))
    assert tile.estimate is not None
    bound = Confidence(SCALE, Method.DIP)(tile, tile.estimate).bound
    error = np.abs(scene.digital(tile.estimate) - truth)
    held = error <= scene.digital_difference(bound)
    assert 0.84 < held[:, 16:-16, 16:-16].mean() < 0.96


@pytest.mark.parametrize("window_px", [3, 5, 7, 15, 25])
def test_a_mean_is_that_of_all_pixels_of_its_window_and_the_edge_goes_on_outside(window_px: int) -> None:
    image = np.random.default_rng(3).normal(size=(2, 20, 33))
    reach = window_px // 2
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (window_px, window_px), axis=(1, 2))
    found = window_mean(torch.from_numpy(image), window_px).numpy()
    np.testing.assert_allclose(found, windows.mean(axis=(-2, -1)), atol=1e-12)


@pytest.mark.parametrize("method", [Method.ANCHOR, Method.DECRAPPIFY])
def test_without_deep_image_prior_nothing_is_predicted(method: Method) -> None:
    with pytest.raises(ValueError, match="does not run Deep Image Prior"):
        Confidence(SCALE, method)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", None])
def test_a_damaged_or_missing_file_of_parameters_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "confidence.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"confidence\.npz does not hold .* install Headland again"):
        Confidence(SCALE, Method.CHAIN, path=path)


def test_a_file_that_was_cut_short_is_named(tmp_path: Path) -> None:
    whole = confidence.CONFIDENCE_WEIGHTS.read_bytes()
    path = tmp_path / "confidence.npz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="install Headland again"):
        Confidence(SCALE, Method.CHAIN, path=path)


def test_a_tile_without_an_estimate_is_refused(prior: EducatedPrior, drawn: Image) -> None:
    tile, expected = expected_of(measured(seen(drawn)), prior)
    with pytest.raises(ValueError, match="no estimate"):
        Confidence(SCALE, Method.DIP)(replace(tile, estimate=None), expected)
