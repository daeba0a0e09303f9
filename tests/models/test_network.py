"""The Decrappify network: identity at the start, any size, no memory of other images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from headland.models.decrappify.network import MULTIPLE_PX, Decrappify


@pytest.fixture
def trained() -> Decrappify:
    """A network whose last convolution is not zero, as after training."""
    torch.manual_seed(3)
    network = Decrappify()
    torch.nn.init.normal_(network.residual.weight, std=0.02)
    return network.eval()


def test_untrained_network_is_the_identity() -> None:
    image = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        assert torch.equal(Decrappify()(image), image)


@torch.no_grad()
def test_a_hatch_of_single_pixels_cannot_be_drawn(trained: Decrappify, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, columns = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    hatch = (1.0 - 2.0 * ((rows + columns) % 2)).expand(1, 3, 48, 48)
    stripes = (1.0 - 2.0 * (rows % 2)).expand(1, 3, 48, 48)
    image = torch.full((1, 3, 48, 48), 0.5)
    for pattern in (hatch, stripes):
        monkeypatch.setattr(trained.residual, "forward", lambda _features, pattern=pattern: pattern)
        torch.testing.assert_close(trained(image)[..., 1:-1, 1:-1], image[..., 1:-1, 1:-1])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 2), (7, 7)])
@torch.no_grad()
def test_every_multiple_of_16_comes_back_in_its_own_size(trained: Decrappify, size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, size[0] * MULTIPLE_PX, size[1] * MULTIPLE_PX)
    assert trained(image).shape == image.shape


@torch.no_grad()
def test_an_image_is_restored_alike_alone_and_in_a_batch(trained: Decrappify) -> None:
    images = torch.rand(3, 3, 64, 64)
    images[1] *= 5.0
    alone = trained(images[:1])
    assert torch.allclose(trained(images)[:1], alone, atol=1e-5)


@torch.no_grad()
def test_a_far_change_does_not_reach_the_middle_by_more_than_the_margin_allows(trained: Decrappify) -> None:
    image = torch.rand(1, 3, 512, 64)
    changed = image.clone()
    changed[..., :16, :] = 0.0
    assert torch.equal(trained(image)[..., 400:, :], trained(changed)[..., 400:, :])


def test_the_network_stays_within_its_budget_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in Decrappify().parameters()) <= 4_500_000


def test_the_encoder_takes_folded_resnet_weights_by_torchvisions_names(tmp_path: Path) -> None:
    given = {name: value.numpy().astype(np.float16) for name, value in Decrappify().encoder.state_dict().items()}
    assert {"conv1.weight", "layer2.0.downsample.0.weight", "layer3.1.conv2.bias"} <= set(given)
    np.savez(tmp_path / "resnet.npz", **given)
    network = Decrappify()
    network.load_encoder(tmp_path / "resnet.npz")
    for name, value in network.encoder.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), given[name].astype(np.float32))


def test_upsampling_starts_without_a_checkerboard() -> None:
    network = Decrappify()
    with torch.no_grad():
        enlarged = network.up_to_half(torch.full((1, 96, 8, 8), 0.5))
    assert torch.allclose(enlarged, enlarged[..., :1, :1].expand_as(enlarged), atol=1e-5)
