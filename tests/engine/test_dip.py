"""Deep Image Prior: the published one is the published one; the educated one fits any scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headland.engine.dip import reference
from headland.engine.dip.educated import WIDTHS, EducatedPrior, FitSettings, best_width
from headland.engine.dip.reference import ReferenceSettings, fit_reference
from headland.engine.forward_model import ForwardModel
from headland.engine.job import Preset
from headland.engine.pipeline import PRIOR_WEIGHTS
from headland.engine.psf import GaussianPsf
from headland.engine.scene import Scene
from headland.engine.tiling import plan_tiles
from headland.models.dip.prior_network import PriorConfig, PriorNetwork, load_weights, save_weights
from headland.models.dip.skip_network import SkipConfig, SkipNetwork

SHORT = FitSettings(rounds=2, patch_px=24, patches=1)


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


def test_the_published_settings_are_the_published_ones() -> None:
    assert ReferenceSettings() == ReferenceSettings(
        iterations=2000,
        learning_rate=0.01,
        noise_channels=32,
        noise_scale=0.1,
        noise_jitter_sd=0.03,
        averaging=0.0,
    )
    assert SkipConfig() == SkipConfig(input_channels=32, bands=3, width=128, skip_width=4, depth=5)


def test_the_published_network_is_built_of_the_published_parts() -> None:
    parts = list(SkipNetwork(SkipConfig()).modules())
    convolutions = [part for part in parts if isinstance(part, torch.nn.Conv2d)]
    slopes = {part.negative_slope for part in parts if isinstance(part, torch.nn.LeakyReLU)}
    assert slopes == {0.2}
    assert {part.mode for part in parts if isinstance(part, torch.nn.Upsample)} == {"bilinear"}
    assert {part.padding_mode for part in convolutions if part.kernel_size == (3, 3)} == {"reflect"}
    assert sum(part.stride == (2, 2) for part in convolutions) == 5
    assert isinstance(parts[-1], torch.nn.Sigmoid)


def test_the_published_network_sees_jittered_noise_and_learns_at_the_published_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[torch.Tensor] = []
    rates: list[float] = []

    class Spy(SkipNetwork):
        def forward(self, noise: torch.Tensor) -> torch.Tensor:
            seen.append(noise)
            return super().forward(noise)

    class SpyAdam(torch.optim.Adam):
        def __init__(self, parameters: object, lr: float, **settings: bool) -> None:
            rates.append(lr)
            super().__init__(parameters, lr=lr, **settings)

    monkeypatch.setattr(reference, "SkipNetwork", Spy)
    monkeypatch.setattr(torch.optim, "Adam", SpyAdam)
    fitted_to_a_ramp(ReferenceSettings(iterations=3))
    first, second, third = seen
    assert rates == [0.01]
    assert first.shape == (1, 32, 24, 24)
    # Uniform from 0 to .1, with a jitter of its own at every step.
    assert float(first.mean()) == pytest.approx(0.05, abs=0.003)
    for earlier, later in ((first, second), (second, third)):
        assert float((later - earlier).std()) == pytest.approx(0.03 * 2**0.5, rel=0.05)


def fitted_to_a_ramp(settings: ReferenceSettings) -> torch.Tensor:
    """Return what the published method makes of a small ramp."""
    model = ForwardModel([GaussianPsf(0.25)], (12, 12), 2)
    low_res = torch.linspace(0.1, 0.8, 144).reshape(1, 12, 12)
    valid = torch.ones(1, 12, 12, dtype=torch.bool)
    return fit_reference(low_res, valid, model, settings, torch.Generator().manual_seed(1))


def test_averaging_mixes_the_iterates() -> None:
    first, second = (fitted_to_a_ramp(ReferenceSettings(iterations=count)) for count in (1, 2))
    averaged = fitted_to_a_ramp(ReferenceSettings(iterations=2, averaging=0.75))
    assert torch.allclose(averaged, 0.75 * first + 0.25 * second, atol=1e-5)
    assert not torch.allclose(averaged, second, atol=1e-3)


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
    prior = EducatedPrior(small_network(), SHORT, seed=0)
    scene = prior.fit(scene_of(bands, scale=scale))
    tile = prior(scene.tile(plan_tiles(30, 37)[0]))
    assert tile.estimate is not None
    assert tile.estimate.shape == (bands, 30 * scale, 37 * scale)
    assert bool(torch.isfinite(tile.estimate).all())


def test_its_result_agrees_with_the_input() -> None:
    scene = scene_of(3)
    tile = EducatedPrior(small_network(), SHORT, seed=0)(scene.tile(plan_tiles(30, 37)[0]))
    assert tile.estimate is not None
    difference = tile.forward_model.degrade(tile.estimate) - tile.low_res
    assert float((difference.square().mean(dim=(1, 2)).sqrt() / tile.noise_sd[:, 0, 0]).amax()) < 1.2


def farmland_seen_through(mtf: float, *, assumed: float, scale: int, bright_px: int = 0) -> Scene:
    """Rectangular fields as a sensor of ``mtf`` at Nyquist sees them, taken for one of ``assumed``.

    ``bright_px`` is the side of a square in them that outshines all and is not blurred at all.
    """
    rng = np.random.default_rng(2)
    truth = np.full((3, 384, 384), 800.0)
    for _ in range(60):
        top, left = rng.integers(0, 360, 2)
        height, width = rng.integers(16, 90, 2)
        truth[:, top : top + height, left : left + width] = rng.uniform(300, 3000, (3, 1, 1))
    low_res = ForwardModel([GaussianPsf(mtf)], (96, 96), 4).degrade(torch.from_numpy(truth).float()).numpy()
    numbers = (low_res + rng.normal(0, 6, low_res.shape)).round().astype(np.uint16)
    numbers[:, 40 : 40 + bright_px, 50 : 50 + bright_px] = 12000
    return Scene.measure(numbers, np.ones(numbers.shape, dtype=bool), (assumed,) * 3, scale, torch.device("cpu"))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("mtf", [0.15, 0.25, 0.4])
def test_the_blur_of_an_image_is_found_whatever_was_assumed(mtf: float, scale: int) -> None:
    scene = farmland_seen_through(mtf, assumed=0.25, scale=scale)
    fitted = EducatedPrior(load_weights(PRIOR_WEIGHTS[Preset.FAST]), FitSettings(), seed=0).fit(scene)
    assert fitted.psfs[0].sigma_px == pytest.approx(GaussianPsf(mtf).sigma_px, rel=0.12)


@pytest.mark.parametrize("bright_px", [1, 3, 8])
def test_one_bright_object_does_not_speak_for_the_whole_image(bright_px: int) -> None:
    prior = load_weights(PRIOR_WEIGHTS[Preset.FAST])
    plain, outshone = (
        EducatedPrior(prior, FitSettings(), seed=0).fit(
            farmland_seen_through(0.15, assumed=0.25, scale=4, bright_px=side_px)
        )
        for side_px in (0, bright_px)
    )
    assert outshone.psfs[0].sigma_px == pytest.approx(plain.psfs[0].sigma_px, rel=0.15)


def test_each_place_of_a_small_scene_is_measured_once_a_round() -> None:
    steps: list[tuple[int, int]] = []
    settings = FitSettings(rounds=2, patch_px=24, patches=6)

    def keep(step: int, all_steps: int) -> bool:
        steps.append((step, all_steps))
        return False

    EducatedPrior(small_network(), settings, seed=0).fit(scene_of(3, 24, 24), keep)
    assert steps == [(1, 2), (2, 2)]
    steps.clear()
    # Two places: the patch may begin in either of two columns.
    EducatedPrior(small_network(), settings, seed=0).fit(scene_of(3, 24, 25), keep)
    assert len(steps) == 4


def test_a_fit_that_is_to_finish_keeps_what_it_knows_by_then() -> None:
    scene, prior = farmland_seen_through(0.4, assumed=0.25, scale=4), load_weights(PRIOR_WEIGHTS[Preset.FAST])
    asked: list[int] = []
    early = EducatedPrior(prior, FitSettings(), seed=0).fit(scene, lambda step, _steps: asked.append(step) or True)
    assert asked == [1]
    assert early.psfs[0].mtf_at_nyquist > 0.3


def test_the_fit_leaves_the_scene_alone_and_reports_its_steps() -> None:
    scene, steps = scene_of(3), []
    EducatedPrior(small_network(), SHORT, seed=0).fit(scene, lambda step, all_steps: steps.append((step, all_steps)))
    assert scene.psfs == (GaussianPsf(0.25),) * 3
    assert steps == [(1, 2), (2, 2)]


def test_a_scene_without_any_structure_keeps_its_assumed_blur() -> None:
    numbers = np.full((1, 24, 24), 9, dtype=np.uint8)
    scene = Scene.measure(numbers, np.ones(numbers.shape, dtype=bool), (0.25,), 4, torch.device("cpu"))
    fitted = EducatedPrior(load_weights(PRIOR_WEIGHTS[Preset.FAST]), FitSettings(), seed=0).fit(scene)
    assert 0.01 < fitted.psfs[0].mtf_at_nyquist < 0.99


def test_the_width_between_two_candidates_is_found() -> None:
    assert best_width((WIDTHS - 1.03) ** 2 + 0.5) == pytest.approx(1.03)
    assert best_width(WIDTHS) == WIDTHS[0]
    assert best_width(np.zeros(len(WIDTHS))) == 1.0


def test_the_same_seed_gives_the_same_fit() -> None:
    scene = scene_of(4, 150, 150)
    first, again = (EducatedPrior(small_network(), SHORT, seed=3).fit(scene) for _ in range(2))
    assert first.psfs == again.psfs


def test_restoring_in_eight_turns_treats_a_turned_image_alike() -> None:
    scene = scene_of(3, 30, 30)
    tile = scene.tile(plan_tiles(30, 30)[0])
    prior = EducatedPrior(small_network(), FitSettings(turns=8), seed=0)
    straight = prior(tile).estimate
    turned = prior(replace(tile, low_res=tile.low_res.rot90(1, (1, 2)))).estimate
    assert straight is not None
    assert turned is not None
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
