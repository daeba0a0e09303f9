"""Perceptual distances: VGG16 features to train by, SqueezeNet features to measure by.

VGG16 (Simonyan and Zisserman 2014; Oxford's weights, CC-BY 4.0) is a loss only: nothing of it is shipped. SqueezeNet
1.1 never takes part in training, so it tells an improvement from an adaptation to VGG.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

VGG_MEANS_BGR = (103.939, 116.779, 123.68)
SQUEEZENET_MEANS_BGR = (104.0, 117.0, 123.0)

# VGG16's convolutions by their index in torchvision's `features`, blocks apart by pooling.
VGG_BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))

# Mean activation at the end of each block over clean training crops: a relative difference weighs alike everywhere.
VGG_MEAN_ACTIVATIONS = (133.0, 142.0, 80.0, 4.5, 0.13)


class VggLoss(nn.Module):
    """Weighted distance of VGG16 features at the ends of its blocks, before each pooling.

    Their L1 distance, relative to the mean activation, and the distance of their directions: features scaled to unit
    length over the channels, mean squared difference, as in LPIPS without learned weights (Zhang et al. 2018). The
    first is about strong borders; the second counts faint ones as much. Inputs are (batch, 3, row, column) in 0 to 1;
    the result is a scalar.

    Args:
        weights_file: an .npz with torchvision's key names (BGR input).
        weights: block number (1 to 5) to weight; blocks after the last one are not computed.
        direction_weight: weight of the distance of directions, relative to the L1 distance.
        gram_weight: weight of the L1 distance of Gram matrices (texture statistics) at the same places.
    """

    def __init__(
        self,
        weights_file: Path,
        weights: Mapping[int, float],
        direction_weight: float = 0.0,
        gram_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self._weights = dict(weights)
        self._direction_weight = direction_weight
        self._gram_weight = gram_weight
        self._convolutions = nn.ModuleDict()
        with np.load(weights_file) as archive:
            for index in (i for block in VGG_BLOCKS[: max(weights, default=0)] for i in block):
                kernel = torch.from_numpy(archive[f"features.{index}.weight"].astype(np.float32))
                bias = torch.from_numpy(archive[f"features.{index}.bias"].astype(np.float32))
                self._convolutions[str(index)] = _fixed_convolution(kernel, bias)

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = list(self.features(target))
        loss = torch.zeros((), device=image.device)
        for block, (found, want) in enumerate(zip(self.features(image), wanted), start=1):
            if weight := self._weights.get(block, 0.0):
                distance = self._distance(found.float(), want.float(), VGG_MEAN_ACTIVATIONS[block - 1])
                loss = loss + weight * distance
        return loss

    def _distance(self, found: Tensor, want: Tensor, mean_activation: float) -> Tensor:
        distance = functional.l1_loss(found, want) / mean_activation
        if self._direction_weight:
            directions = (_unit(found) - _unit(want)).square().sum(dim=1).mean()
            distance = distance + self._direction_weight * directions
        if self._gram_weight:
            grams = functional.l1_loss(_gram(found), _gram(want)) / mean_activation**2
            distance = distance + self._gram_weight * grams
        return distance

    def features(self, image: Tensor) -> Iterator[Tensor]:
        """Yield the activations at the end of each block."""
        x = _to_bgr(image, VGG_MEANS_BGR).contiguous(memory_format=torch.channels_last)
        for block, indices in enumerate(VGG_BLOCKS[: max(self._weights, default=0)]):
            if block:
                # VGG's own max-pooling aliases, and a network that is trained by it draws a grid to please it; a
                # blurred average does not (Hénaff and Simoncelli 2016).
                x = functional.avg_pool2d(x, 4, stride=2, padding=1)
            for index in indices:
                x = functional.relu(self._convolutions[str(index)](x))
            yield x


class SqueezeNetDistance(nn.Module):
    """Distance of SqueezeNet 1.1 features after conv1 and each fire module.

    As LPIPS without learned weights (Zhang et al. 2018): features scaled to unit length over the channels, mean squared
    difference, averaged over the layers. Inputs (batch, 3, row, column) in 0 to 1; the result is one number an image.
    """

    def __init__(self, weights_file: Path) -> None:
        super().__init__()
        self._convolutions = nn.ModuleDict()
        names = ["conv1"] + [
            f"fire{n}/{part}" for n in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3")
        ]
        with np.load(weights_file) as archive:
            for name in names:
                kernel = torch.from_numpy(archive[f"{name}.weight"].astype(np.float32)).permute(3, 2, 0, 1)
                bias = torch.from_numpy(archive[f"{name}.bias"].astype(np.float32))
                convolution = _fixed_convolution(kernel.contiguous(), bias)
                if name == "conv1":
                    convolution.stride, convolution.padding = (2, 2), (0, 0)
                self._convolutions[name] = convolution

    @torch.no_grad()
    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        layers = [
            (_unit(found) - _unit(want)).square().sum(dim=1).mean(dim=(-2, -1))
            for found, want in zip(self.features(image), self.features(target))
        ]
        return torch.stack(layers).mean(dim=0)

    def features(self, image: Tensor) -> Iterator[Tensor]:
        """Yield the activations after conv1 and each fire module."""
        x = functional.relu(self._convolutions["conv1"](_to_bgr(image, SQUEEZENET_MEANS_BGR)))
        yield x
        for n in range(2, 10):
            if n in {2, 4, 6}:
                x = functional.max_pool2d(x, 3, stride=2, ceil_mode=True)
            squeezed = functional.relu(self._convolutions[f"fire{n}/squeeze1x1"](x))
            parts = [self._convolutions[f"fire{n}/expand{size}"](squeezed) for size in ("1x1", "3x3")]
            x = functional.relu(torch.cat(parts, dim=1))
            yield x


def _fixed_convolution(kernel: Tensor, bias: Tensor) -> nn.Conv2d:
    out_channels, in_channels, size, _ = kernel.shape
    convolution = nn.Conv2d(in_channels, out_channels, size, padding=size // 2)
    convolution.load_state_dict({"weight": kernel, "bias": bias})
    convolution.requires_grad_(requires_grad=False)
    convolution.weight.data = convolution.weight.data.contiguous(memory_format=torch.channels_last)
    return convolution


def _to_bgr(image: Tensor, means: tuple[float, float, float]) -> Tensor:
    return 255.0 * image.flip(1) - torch.tensor(means, device=image.device).view(1, 3, 1, 1)


def _gram(features: Tensor) -> Tensor:
    flat = features.flatten(2)
    return flat @ flat.mT / flat.shape[-1]


def _unit(features: Tensor) -> Tensor:
    return functional.normalize(features, dim=1, eps=1e-8)
