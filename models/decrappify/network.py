"""The Decrappify network: a U-Net that restores an enlarged image of three bands.

The recipe is that of fast.ai's lesson 7 (2019): a ResNet encoder that knows ImageNet, a decoder of pixel
shuffles with ICNR initialisation and blur, and an output of the input's size. Three things differ: batch
normalisation is folded into the convolutions (so a tile's result does not depend on its neighbours in the batch),
the network predicts a residual on its input, and its last convolution starts at zero, so that an untrained
network is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

BANDS = 3
MULTIPLE_PX = 16

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class DecrappifyConfig:
    """Widths of the network.

    Attributes:
        eighth, quarter, half, full: channels of the decoder at 1/8, 1/4, 1/2 and full resolution.
        quarter_blocks, half_blocks, full_blocks: residual blocks of the decoder at 1/4, 1/2 and full resolution.
    """

    eighth: int = 128
    quarter: int = 96
    half: int = 64
    full: int = 24
    quarter_blocks: int = 2
    half_blocks: int = 4
    full_blocks: int = 1


class Decrappify(nn.Module):
    """Restores an enlarged image.

    Input and output are (batch, 3, row, column), values about 0 to 1, rows and columns multiples of 16.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, config: DecrappifyConfig | None = None) -> None:
        super().__init__()
        config = config or DecrappifyConfig()
        self.encoder = ResNetEncoder()
        self.up_to_eighth = Upsample(256, config.eighth)
        self.merge_eighth = _conv(config.eighth + 128, config.eighth)
        self.refine_eighth = ResidualBlock(config.eighth)
        self.up_to_quarter = Upsample(config.eighth, config.quarter)
        self.merge_quarter = _conv(config.quarter + 64, config.quarter)
        self.refine_quarter = _blocks(config.quarter, config.quarter_blocks)
        self.up_to_half = Upsample(config.quarter, config.half)
        self.merge_half = _conv(config.half + 64 + 4 * BANDS, config.half)
        self.refine_half = _blocks(config.half, config.half_blocks)
        self.up_to_full = Upsample(config.half, config.full)
        self.merge_full = _conv(config.full + BANDS, config.full)
        self.refine_full = _blocks(config.full, config.full_blocks)
        self.residual = nn.Conv2d(config.full, BANDS, 3, padding=1)
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(_bias(self.residual))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, BANDS, 1, 1), persistent=False)
        self.register_buffer("sd", torch.tensor(IMAGENET_SD).view(1, BANDS, 1, 1), persistent=False)

    def forward(self, enlarged: Tensor) -> Tensor:
        image = (enlarged - self.mean) / self.sd
        # h is the height, w the width of the input; channels in brackets
        half, quarter, eighth, sixteenth = self.encoder(image)  # h/2 [64], h/4 [64], h/8 [128], h/16 [256]
        x = torch.cat([self.up_to_eighth(sixteenth), eighth], dim=1)  # h/8 [128 + 128]
        x = self.refine_eighth(functional.relu(self.merge_eighth(x)))
        x = torch.cat([self.up_to_quarter(x), quarter], dim=1)  # h/4 [96 + 64]
        x = self.refine_quarter(functional.relu(self.merge_quarter(x)))
        # the input's own pixels join at half resolution, four to a channel group: cheap, and nothing is lost
        x = torch.cat([self.up_to_half(x), half, functional.pixel_unshuffle(image, 2)], dim=1)  # h/2 [64 + 64 + 12]
        x = self.refine_half(functional.relu(self.merge_half(x)))
        x = torch.cat([self.up_to_full(x), image], dim=1)  # h [24 + 3]
        x = self.refine_full(functional.relu(self.merge_full(x)))
        residual: Tensor = _binomial(self.residual(functional.relu(x)))
        return enlarged + residual

    def load_encoder(self, weights_file: Path) -> None:
        """Start the encoder from ImageNet weights (an .npz with torchvision's key names, batch norm folded).

        Raises:
            OSError: if the file cannot be read.
            KeyError, RuntimeError: if a convolution is missing or has another shape.
        """
        with np.load(weights_file) as archive:
            state = {name: torch.from_numpy(archive[name].astype(np.float32)) for name in self.encoder.state_dict()}
        self.encoder.load_state_dict(state)


class ResNetEncoder(nn.Module):
    """ResNet18 from conv1 to layer3 with batch normalisation folded into the convolutions.

    (batch, 3, h, w) → features at 1/2 [64], 1/4 [64], 1/8 [128] and 1/16 [256] of the size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(BANDS, 64, 7, stride=2, padding=3)
        self.layer1 = nn.Sequential(BasicBlock(64, 64), BasicBlock(64, 64))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, stride=2), BasicBlock(128, 128))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, stride=2), BasicBlock(256, 256))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        half = functional.relu(self.conv1(image))
        quarter = self.layer1(functional.max_pool2d(half, 3, stride=2, padding=1))
        eighth = self.layer2(quarter)
        return half, quarter, eighth, self.layer3(eighth)


class BasicBlock(nn.Module):
    """ResNet's block of two convolutions (names as torchvision's, so that its weights load)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride=stride))

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.conv2(functional.relu(self.conv1(x)))
        shortcut: Tensor = self.downsample(x)
        result: Tensor = functional.relu(changed + shortcut)
        return result


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; the second starts small, so that deep decoders train without statistics."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, channels)
        self.conv2 = _conv(channels, channels)
        with torch.no_grad():
            self.conv2.weight *= 0.2

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.conv2(functional.relu(self.conv1(x)))
        return x + changed


class Upsample(nn.Module):
    """Doubles rows and columns: 1×1 convolution, pixel shuffle, 3×3 blur.

    ICNR initialisation (Aitken et al. 2017) makes the four phases of the shuffle start equal, and the blur keeps
    them alike: together they take the checkerboard out.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 4 * channels_out, 1)
        one_phase = torch.empty(channels_out, channels_in, 1, 1)
        nn.init.kaiming_normal_(one_phase, nonlinearity="relu")
        with torch.no_grad():
            self.conv.weight.copy_(one_phase.repeat_interleave(4, dim=0))
        nn.init.zeros_(_bias(self.conv))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pixel_shuffle(functional.relu(self.conv(x)), 2)
        return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _binomial(image: Tensor) -> Tensor:
    """Blur with (1, 2, 1)/4 each way: a pattern that changes sign from pixel to pixel vanishes.

    No sensor shows detail that fine, but a loss on features rewards it as texture.
    """
    for sides in ((0, 1, 0, 1), (1, 0, 1, 0)):
        image = functional.avg_pool2d(functional.pad(image, sides), 2, stride=1)
    return image


def _conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(_bias(conv))
    return conv


def _bias(conv: nn.Conv2d) -> Tensor:
    if conv.bias is None:
        raise TypeError("Every convolution of Decrappify has a bias.")
    return conv.bias


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))
