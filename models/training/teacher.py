"""A teacher for a network that has a habit: what it draws itself, with upright and level lines alike.

Training turns and mirrors every image, and yet a network may come to prefer upright lines to level ones: either would
do for the loss, and one was there first. Turned on its diagonal, an image gets level lines where it got upright ones,
so in the mean of both ways each has half its strength. Once learned, that mean costs nothing; to compute it would take
twice the time.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..decrappify.network import Decrappify
from .losses import edge_distance


class EvenTeacher:
    """Keeps a copy of a network as it is now.

    Args:
        network: (batch, 3, row, column) to the same.
    """

    def __init__(self, network: Decrappify) -> None:
        self._network = copy.deepcopy(network).requires_grad_(requires_grad=False)

    @torch.no_grad()
    def __call__(self, enlarged: Tensor) -> Tensor:
        """Return the mean of what the network draws of images and of the same images turned on their diagonal."""
        turned = enlarged.mT.contiguous(memory_format=torch.channels_last)
        taught: Tensor = 0.5 * (self._network(enlarged).float() + self._network(turned).float().mT)
        return taught

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return self._network.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as the teacher that a checkpoint holds."""
        self._network.load_state_dict(state)


def distance_from_taught(image: Tensor, taught: Tensor) -> Tensor:
    """Return the L1 distance of pixels and of gradients from what was taught, (batch, 3, row, column) each."""
    return functional.l1_loss(image, taught) + edge_distance(image, taught)
