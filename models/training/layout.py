"""How weights lie in memory."""

from __future__ import annotations

import torch
from torch import nn

KERNEL_AXES = 4


def use_channels_last(network: nn.Module) -> None:
    """Lay the kernels out as fast convolutions want them, in place; checkpoints do not depend on it."""
    for parameter in network.parameters():
        if parameter.dim() == KERNEL_AXES:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
