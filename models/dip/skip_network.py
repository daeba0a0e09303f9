"""The published network of Deep Image Prior: an hourglass with narrow skip connections.

Ulyanov, Vedaldi, Lempitsky, "Deep Image Prior" (CVPR 2018), with the settings of its super-resolution
experiment: five scales, 128 channels down and up, 4 in each skip. For three bands it has 2,217,831 weights,
as the original has.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class SkipConfig:
    """Shape of the network."""

    input_channels: int = 32
    bands: int = 3
    width: int = 128
    skip_width: int = 4
    depth: int = 5


class SkipNetwork(nn.Module):
    """Map a noise tensor (1, input_channels, H, W) to an image (1, bands, H, W) in 0 to 1, at any size."""

    def __init__(self, config: SkipConfig) -> None:
        super().__init__()
        self.config = config
        self.hourglass = Hourglass(config.input_channels, config, config.depth)
        self.draw = nn.Sequential(nn.Conv2d(config.width, config.bands, 1), nn.Sigmoid())

    def forward(self, noise: Tensor) -> Tensor:
        image: Tensor = self.draw(self.hourglass(noise))
        return image


class Hourglass(nn.Module):
    """One scale of the network and, inside it, all coarser ones."""

    def __init__(self, channels: int, config: SkipConfig, depth: int) -> None:
        super().__init__()
        width = config.width
        self.skip = normalised_convolution(channels, config.skip_width, 1)
        self.down = nn.Sequential(
            normalised_convolution(channels, width, 3, stride=2), normalised_convolution(width, width, 3)
        )
        self.deeper = Hourglass(width, config, depth - 1) if depth > 1 else nn.Identity()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.merge = nn.Sequential(
            nn.BatchNorm2d(config.skip_width + width),
            normalised_convolution(config.skip_width + width, width, 3),
            normalised_convolution(width, width, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        coarse = self.up(self.deeper(self.down(features)))
        # An odd size comes back from the stride and the enlargement one pixel larger.
        coarse = coarse[..., : features.shape[-2], : features.shape[-1]]
        merged: Tensor = self.merge(torch.cat([self.skip(features), coarse], dim=1))
        return merged


def normalised_convolution(channels: int, width: int, kernel_px: int, stride: int = 1) -> nn.Sequential:
    """Convolution with reflected edges, batch normalisation, leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel_px, stride, padding=kernel_px // 2, padding_mode="reflect"),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(0.2),
    )
