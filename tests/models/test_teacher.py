"""The teacher has no direction of its own, and does not learn."""

from __future__ import annotations

import pytest
import torch

from headland.models.decrappify.network import Decrappify
from headland.models.training.teacher import EvenTeacher


@pytest.fixture
def network() -> Decrappify:
    torch.manual_seed(5)
    network = Decrappify().requires_grad_(requires_grad=False)
    torch.nn.init.normal_(network.residual.weight, std=0.05)
    return network


def test_it_draws_the_same_whichever_way_the_image_lies(network: Decrappify) -> None:
    image = torch.rand(1, 3, 32, 32)
    teacher = EvenTeacher(network)
    assert not torch.allclose(network(image.mT), network(image).mT, atol=1e-3)
    assert torch.allclose(teacher(image.mT), teacher(image).mT, atol=1e-6)


def test_it_stays_what_it_was_while_the_network_learns(network: Decrappify) -> None:
    image = torch.rand(1, 3, 32, 32)
    teacher = EvenTeacher(network)
    before = teacher(image)
    network.residual.weight.mul_(2.0)
    assert torch.equal(teacher(image), before)
