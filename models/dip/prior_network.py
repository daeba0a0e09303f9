"""The trained low-res-space network that the fast Deep Image Prior takes as its prior; its weights are not fitted.

It works on the low-res grid and only its last layer draws high-res pixels (sub-pixel convolution, Shi et al.
2016), so one step costs a hundredth of the published network's. It does not map noise to an image: it
corrects the projected bicubic enlargement of the input, so the PSF enters through the forward model and one set of
weights serves every PSF.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

NOISE_UNIT = 0.01


@dataclass(frozen=True)
class PriorConfig:
    """Shape of the network. ``scales`` lists the scale factors it has a head and a tail for."""

    bands: int = 3
    width: int = 64
    blocks: int = 7
    scales: tuple[int, ...] = (2, 4)


class PriorNetwork(nn.Module):
    """Correct an enlarged image: shared body, one head and one tail a scale factor.

    Input and output are band triples in a range of about 0 to 1.
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        self.heads = nn.ModuleDict()
        self.tails = nn.ModuleDict()
        for scale in config.scales:
            high_res_bands = config.bands * scale * scale
            self.heads[str(scale)] = nn.Conv2d(high_res_bands + config.bands + 1, config.width, 3, padding=1)
            tail = nn.Conv2d(config.width, high_res_bands, 3, padding=1)
            nn.init.zeros_(tail.weight)
            nn.init.zeros_(tail.bias if tail.bias is not None else tail.weight)
            self.tails[str(scale)] = tail
        self.body = nn.Sequential(*(ResidualBlock(config.width) for _ in range(config.blocks)))

    @property
    def reach_px(self) -> int:
        """How far, in low-res pixels, an input pixel can touch the output."""
        return 2 * self.config.blocks + 2

    def forward(self, start: Tensor, low_res: Tensor, noise_sd: Tensor, scale: int) -> Tensor:
        """Return the corrected image.

        Args:
            start: the enlarged and projected image, (n, 3, H, W).
            low_res: (n, 3, h, w) with H = h x scale.
            noise_sd: standard deviation of the noise in ``low_res``, (n, 1, 1, 1).
        """
        folded = functional.pixel_unshuffle(start, scale)  # (n, 3, H, W) -> (n, 3 scale², h, w)
        noise = (noise_sd / NOISE_UNIT).expand(-1, 1, *low_res.shape[-2:])
        features = self.heads[str(scale)](torch.cat([folded, low_res, noise], dim=1))
        features = features + self.body(features)
        corrected: Tensor = start + functional.pixel_shuffle(self.tails[str(scale)](features), scale)
        return corrected


class ResidualBlock(nn.Module):
    """Two convolutions and a skip, without normalisation (Lim et al. 2017, EDSR)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.second(functional.relu(self.first(features)))
        return result


def save_weights(network: PriorNetwork, path: Path) -> None:
    """Write the weights as half-precision arrays in one .npz, the configuration with them."""
    arrays = {name: value.detach().cpu().numpy().astype(np.float16) for name, value in network.state_dict().items()}
    config = {f"config.{key}": np.asarray(value) for key, value in asdict(network.config).items()}
    np.savez_compressed(path, allow_pickle=False, **arrays, **config)


def load_weights(path: Path) -> PriorNetwork:
    """Return the network that ``path`` holds.

    Raises:
        ValueError: if the file does not hold one.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        config = PriorConfig(
            bands=int(arrays.pop("config.bands")),
            width=int(arrays.pop("config.width")),
            blocks=int(arrays.pop("config.blocks")),
            scales=tuple(int(scale) for scale in arrays.pop("config.scales")),
        )
        network = PriorNetwork(config)
        network.load_state_dict({name: torch.from_numpy(value.astype(np.float32)) for name, value in arrays.items()})
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path.name} does not hold the weights of a prior network: {error}") from error
    return network
