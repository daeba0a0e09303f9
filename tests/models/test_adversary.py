"""The adversary learns to tell restored images from clean ones, and makes the restoring network pay for it."""

from __future__ import annotations

import torch
from torch.nn import functional

from headland.models.training.adversary import Adversary


def blurred(image: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(functional.pad(image, (1, 1, 1, 1), mode="reflect"), 3, stride=1)


def learned(steps: int) -> tuple[Adversary, list[float], torch.Tensor]:
    torch.manual_seed(0)
    adversary, clean = Adversary(learning_rate=1e-3), torch.rand(4, 3, 32, 32)
    losses = [float(adversary.learn(blurred(clean), clean, blurred(clean))) for _ in range(steps)]
    return adversary, losses, clean


def test_it_learns_to_tell_blurred_images_from_clean_ones() -> None:
    _, losses, _ = learned(12)
    assert losses[-1] < 0.7 * losses[0]


def test_what_it_can_tell_costs_more_than_what_it_cannot() -> None:
    adversary, _, clean = learned(12)
    enlarged = blurred(clean)
    blame = adversary.loss(enlarged, clean, enlarged)
    assert float(adversary.loss(clean, clean, enlarged)) < 0.8 * float(blame)
    image = enlarged.clone().requires_grad_()
    adversary.loss(image, clean, enlarged).backward()
    assert image.grad is not None
    assert float(image.grad.abs().max()) > 0.0


def test_it_goes_on_from_what_it_left() -> None:
    adversary, _, clean = learned(3)
    other = Adversary(learning_rate=1e-3)
    other.load_state_dict(adversary.state_dict())
    first, second = (float(each.learn(blurred(clean), clean, blurred(clean))) for each in (adversary, other))
    assert first == second
