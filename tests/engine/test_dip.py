"""Deep Image Prior: the published one is the published one; the educated one fits any scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from headland.engine.dip.educated import EducatedPrior, FitSettings
from headland.engine.dip.reference import ReferenceSettings, fit_reference
from headland.engine.forward_model import ForwardModel
from headland.engine.psf import GaussianPsf
from headland.engine.scene import Scene
from headland.engine.tiling import plan_tiles
from headland.models.dip.prior_network import PriorConfig, PriorNetwork, load_weights, save_weights
from headland.models.dip.skip_network import SkipConfig, SkipNetwork

SHORT = FitSettings(steps=3, patch_px=16, patches=1)


def scene_of(bands: int, rows_px: int = 30, columns_px: int = 37, scale: int = 2) -> Scene:
    """A scene of smooth random fields."""
    rng = np.random.default_rng(bands)
    numbers = rng.integers(500, 3000, (bands, rows_px // 5 + 1, columns_px // 5 + 1)).repeat(5, 1).repeat(5, 2)
    numbers = numbers[:, :rows_px, :columns_px].astype(np.uint16)
    return Scene.measure(numbers, np.ones(numbers.shape, dtype=bool), (0.25,) * bands, scale, torch.device("cpu"))


def small_network(seed: int = 0) -> PriorNetwork:
    """An untrained network whose corrections are not zero."""
    torch.manual_seed(seed)
    network = PriorNetwork(PriorConfig(width=8, blocks=1))
    for tail in network.tails.values():
        torch.nn.init.normal_(tail.weight, std=0.01)
    return network


def test_the_published_network_has_the_published_number_of_weights() -> None:
    assert sum(weights.numel() for weights in SkipNetwork(SkipConfig()).parameters()) == 2_217_831


@pytest.mark.parametrize("size", [(32, 64), (37, 51)])
@pytest.mark.parametrize("bands", [1, 4])
def test_the_published_network_draws_any_size_and_band_count(size: tuple[int, int], bands: int) -> None:
    network = SkipNetwork(SkipConfig(input_channels=4, bands=bands, width=8, skip_width=2, depth=3))
    image = network(torch.rand(1, 4, *size))
    assert image.shape == (1, bands, *size)
    assert 0.0 <= float(image.detach().amin()) <= float(image.detach().amax()) <= 1.0


def test_reference_comes_closer_to_its_input_and_repeats_with_its_seed() -> None:
    model = ForwardModel([GaussianPsf(0.25)], (12, 17), 2)
    low_res = model.degrade(scene_of(1, 24, 34).tile(plan_tiles(24, 34)[0]).low_res)
    valid = torch.ones(low_res.shape, dtype=torch.bool)

    def misfit(iterations: int) -> tuple[float, torch.Tensor]:
        settings = ReferenceSettings(iterations=iterations)
        image = fit_reference(low_res, valid, model, settings, torch.Generator().manual_seed(5))
        return float((model.degrade(image) - low_res).square().mean()), image

    (early, first), (late, _), (_, again) = misfit(2), misfit(15), misfit(2)
    assert late < 0.5 * early
    assert torch.equal(first, again)


def test_reference_ignores_invalid_pixels() -> None:
    model = ForwardModel([GaussianPsf(0.25)], (12, 12), 2)
    valid = torch.ones(1, 12, 12, dtype=torch.bool)
    valid[:, 4:8, 4:8] = False
    low_res = torch.full((1, 12, 12), 0.5)
    low_res[:, 0] = 0.4

    def fitted(hole: float) -> torch.Tensor:
        holed = torch.where(valid, low_res, torch.full_like(low_res, hole))
        return fit_reference(holed, valid, model, ReferenceSettings(iterations=3), torch.Generator().manual_seed(1))

    assert torch.equal(fitted(0.4), fitted(0.5))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 13])
def test_the_educated_prior_takes_any_number_of_bands(bands: int, scale: int) -> None:
    scene = scene_of(bands, scale=scale)
    prior = EducatedPrior(small_network(), scene, SHORT, seed=0)
    prior.fit()
    tile = prior(scene.tile(plan_tiles(30, 37)[0]))
    assert tile.estimate is not None
    assert tile.estimate.shape == (bands, 30 * scale, 37 * scale)
    assert bool(torch.isfinite(tile.estimate).all())


def test_its_result_agrees_with_the_input() -> None:
    scene = scene_of(3)
    prior = EducatedPrior(small_network(), scene, SHORT, seed=0)
    prior.fit()
    tile = prior(scene.tile(plan_tiles(30, 37)[0]))
    assert tile.estimate is not None
    difference = tile.forward_model.degrade(tile.estimate) - tile.low_res
    assert float((difference.square().mean(dim=(1, 2)).sqrt() / tile.noise_sd[:, 0, 0]).amax()) < 1.2


def test_the_fit_changes_the_network_and_leaves_the_start_alone() -> None:
    scene, start = scene_of(3), small_network()
    before = [weights.clone() for weights in start.parameters()]
    unfitted = EducatedPrior(start, scene, FitSettings(steps=0), seed=0)
    fitted = EducatedPrior(start, scene, SHORT, seed=0)
    fitted.fit()
    tile = scene.tile(plan_tiles(30, 37)[0])
    assert not torch.equal(unfitted(tile).estimate, fitted(tile).estimate)
    assert all(torch.equal(a, b) for a, b in zip(before, start.parameters(), strict=True))


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others() -> None:
    scene = scene_of(4)
    tile = scene.tile(plan_tiles(30, 37)[0])

    def result(seed: int) -> torch.Tensor:
        prior = EducatedPrior(small_network(), scene, SHORT, seed)
        prior.fit()
        estimate = prior(tile).estimate
        assert estimate is not None
        return estimate

    assert torch.equal(result(1), result(1))
    assert not torch.equal(result(1), result(2))


def test_restoring_in_eight_turns_treats_a_turned_image_alike() -> None:
    scene = scene_of(3, 30, 30)
    tile = scene.tile(plan_tiles(30, 30)[0])
    prior = EducatedPrior(small_network(), scene, FitSettings(steps=0, turns=8), seed=0)
    turned = prior._restore_triple(
        tile.forward_model.enlarge(tile.low_res, tile.damping).rot90(1, (1, 2)),
        type(tile)(tile.low_res.rot90(1, (1, 2)), tile.valid, tile.forward_model, tile.noise_sd, tile.damping),
        prior._triples[0],
    )
    straight = prior._restore_triple(tile.forward_model.enlarge(tile.low_res, tile.damping), tile, prior._triples[0])
    assert torch.allclose(turned, straight.rot90(1, (1, 2)), atol=1e-5)


def test_weights_survive_being_saved(tmp_path: Path) -> None:
    network = small_network()
    save_weights(network, tmp_path / "weights.npz")
    loaded = load_weights(tmp_path / "weights.npz")
    assert loaded.config == network.config
    for kept, original in zip(loaded.parameters(), network.parameters(), strict=True):
        assert torch.allclose(kept, original, atol=1e-3)


def test_a_file_without_weights_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "weights.npz").write_bytes(b"not an archive")
    with pytest.raises(ValueError, match="does not hold the weights"):
        load_weights(tmp_path / "weights.npz")
