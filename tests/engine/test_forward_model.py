"""The forward model is what the sensor does, and its inverse undoes what can be undone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headland.engine.forward_model import ForwardModel
from headland.engine.job import LARGEST_MTF, SMALLEST_MTF
from headland.engine.psf import BicubicPsf, GaussianPsf, LanczosPsf, Psf

PSFS = (GaussianPsf(0.25), GaussianPsf(0.08), GaussianPsf(0.9), LanczosPsf(3), LanczosPsf(2), BicubicPsf())
sizes = st.tuples(st.integers(1, 23), st.integers(1, 23))


@settings(max_examples=40, deadline=None)
@given(size=sizes, scale=st.sampled_from((2, 3, 4, 8)), psf=st.sampled_from(PSFS), seed=st.integers(0, 999))
def test_the_adjoint_is_the_transpose_of_a(size: tuple[int, int], scale: int, psf: Psf, seed: int) -> None:
    torch.manual_seed(seed)
    model = ForwardModel([psf, GaussianPsf(0.3)], size, scale)
    high_res = torch.randn(2, size[0] * scale, size[1] * scale)
    low_res = torch.randn(2, *size)
    in_low_res = (model.degrade(high_res) * low_res).sum()
    in_high_res = (high_res * model.adjoint(low_res)).sum()
    assert torch.isclose(in_low_res, in_high_res, rtol=1e-4, atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(size=sizes, scale=st.sampled_from((2, 3, 4, 8)), psf=st.sampled_from(PSFS))
def test_a_constant_image_stays_constant_up_to_its_edges(size: tuple[int, int], scale: int, psf: Psf) -> None:
    model = ForwardModel([psf], size, scale)
    degraded = model.degrade(torch.full((1, size[0] * scale, size[1] * scale), 0.7))
    assert torch.allclose(degraded, torch.full((1, *size), 0.7), atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("psf", PSFS)
def test_a_block_the_size_of_a_low_res_pixel_lands_centred_on_it(scale: int, psf: Psf) -> None:
    model = ForwardModel([psf], (9, 9), scale)
    high_res = torch.zeros(1, 9 * scale, 9 * scale)
    high_res[:, 4 * scale : 5 * scale, 4 * scale : 5 * scale] = 1.0
    seen = model.degrade(high_res)[0].double()
    rows, columns = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
    assert float((seen * rows).sum() / seen.sum()) == pytest.approx(4.0, abs=1e-4)
    assert float((seen * columns).sum() / seen.sum()) == pytest.approx(4.0, abs=1e-4)
    assert seen.argmax() == 4 * 9 + 4


def test_the_gaussian_passes_its_mtf_at_the_nyquist_frequency() -> None:
    scale, count = 8, 64
    model = ForwardModel([GaussianPsf(0.25)], (count, count), scale)
    position = (torch.arange(count * scale) + 0.5) / scale
    # Its extremes fall on the centres of the low-res pixels.
    wave = torch.cos(torch.pi * (position - 0.5))
    seen = model.degrade(wave.expand(1, count * scale, -1))[0, 32, 16:48]
    assert float(seen.abs().mean()) == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize(
    ("psf", "resampling"), [(LanczosPsf(3), Image.Resampling.LANCZOS), (BicubicPsf(), Image.Resampling.BICUBIC)]
)
def test_benchmark_psfs_shrink_images_as_pil_does(scale: int, psf: Psf, resampling: Image.Resampling) -> None:
    high_res = np.random.default_rng(0).random((12 * scale, 17 * scale), dtype=np.float32)
    expected = np.asarray(Image.fromarray(high_res).resize((17, 12), resampling))
    seen = ForwardModel([psf], (12, 17), scale).degrade(torch.from_numpy(high_res)[None])[0]
    assert np.allclose(seen.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_projection_makes_any_image_agree_with_the_input(scale: int) -> None:
    torch.manual_seed(0)
    model = ForwardModel([GaussianPsf(0.25), GaussianPsf(0.3)], (20, 31), scale)
    low_res = torch.rand(2, 20, 31)
    projected = model.project(torch.rand(2, 20 * scale, 31 * scale), low_res, damping=0.0)
    assert torch.allclose(model.degrade(projected), low_res, atol=2e-3)


def test_damping_trades_agreement_for_less_amplified_noise() -> None:
    torch.manual_seed(0)
    model = ForwardModel([GaussianPsf(0.25)], (32, 32), 4)
    noise = torch.randn(1, 32, 32)
    energies = [float(model.pseudo_inverse(noise, damping).square().mean()) for damping in (0.0, 0.003, 0.02, 0.2)]
    assert energies == sorted(energies, reverse=True)


@pytest.mark.parametrize("mtf", [0.0, 1.0, -0.2, 1.4, float("nan")])
def test_an_mtf_outside_zero_to_one_is_refused(mtf: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        GaussianPsf(mtf)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("mtf", [SMALLEST_MTF, LARGEST_MTF])
def test_every_mtf_that_a_job_may_have_gives_a_model_that_can_be_inverted(mtf: float, scale: int) -> None:
    model = ForwardModel([GaussianPsf(mtf)], (24, 24), scale)
    low_res = torch.rand(1, 24, 24, generator=torch.Generator().manual_seed(1))
    enlarged = model.enlarge(low_res, damping=0.003)
    assert bool(torch.isfinite(enlarged).all())
    # No wild amplification either.
    assert float(enlarged.abs().max()) < 5.0


@pytest.mark.parametrize("mtfs", [(0.1, 0.4), (0.25, 0.25)])
def test_a_stacked_model_gives_each_band_of_each_image_its_own_psf(mtfs: tuple[float, float]) -> None:
    model = ForwardModel([GaussianPsf(mtf) for mtf in mtfs], (8, 8), 2)
    order = np.array([[1, 1], [0, 1], [1, 0]])
    images = torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    stacked = model.stacked(order)
    for image, bands, degraded in zip(images, order, stacked.degrade(images), strict=True):
        alone = ForwardModel([GaussianPsf(mtfs[band]) for band in bands], (8, 8), 2)
        assert torch.allclose(degraded, alone.degrade(image), atol=1e-6)
    again = stacked.degrade(stacked.project(torch.zeros_like(images), torch.ones(3, 2, 8, 8), 0.0))
    assert torch.allclose(again, torch.ones_like(again), atol=1e-4)
