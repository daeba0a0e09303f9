"""The small network that predicts how wrong each high-res pixel is, and the file that holds it.

Like the prior's network it works on the low-res grid and only its last layer draws high-res pixels, so that it costs a
fraction of what it judges. It sees one band at a time, and only ratios to the band's own local contrast: what it says
does not depend on the units of the image.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

HIGH_RES_CHANNELS, SIGNED_CHANNELS = 5, 3
"""How many images the network sees on each grid; the first of the high-res ones change their sign with the image's."""
LOW_RES_CHANNELS = 11
WIDTH = 40
COVERAGES = (0.5, 0.8, 0.9, 0.95)
"""The shares of pixels for which factors are kept."""


class ErrorNetwork(nn.Module):
    """Three convolutions on the low-res grid, for one scale factor."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(
            nn.Conv2d(HIGH_RES_CHANNELS * scale * scale + LOW_RES_CHANNELS, WIDTH, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(WIDTH, scale * scale, 3, padding=1),
        )

    def forward(self, high_res: Tensor, low_res: Tensor) -> Tensor:
        """Return the logarithm of the expected error over the local contrast, (n, 1, H, W).

        Args:
            high_res: (n, HIGH_RES_CHANNELS, H, W).
            low_res: (n, LOW_RES_CHANNELS, h, w).
        """
        folded = functional.pixel_unshuffle(high_res, self.scale)  # (n, C, H, W) -> (n, C scale², h, w)
        result: Tensor = functional.pixel_shuffle(self.layers(torch.cat([folded, low_res], dim=1)), self.scale)
        return result


@dataclass(frozen=True)
class Calibrated:
    """A network and what it is worth.

    Attributes:
        network: for one scale factor.
        factors: by method, how many times the expected error the bound is, one for each of COVERAGES.
    """

    network: ErrorNetwork
    factors: Mapping[str, tuple[float, ...]]


def save_calibrated(calibrated: Mapping[int, Calibrated], path: Path) -> None:
    """Write the networks of all scale factors, as half-precision arrays in one .npz, with their factors."""
    arrays: dict[str, np.ndarray] = {}
    for scale, one in calibrated.items():
        for name, value in one.network.state_dict().items():
            arrays[f"x{scale}.network.{name}"] = value.detach().cpu().numpy().astype(np.float16)
        for method, factors in one.factors.items():
            arrays[f"x{scale}.factors.{method}"] = np.array(factors)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def load_calibrated(path: Path, scale: int) -> Calibrated:
    """Return what ``path`` holds for ``scale``.

    Raises:
        ValueError: if the file is missing or damaged, or holds nothing for that scale factor.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if name.startswith(f"x{scale}.")}
        network = ErrorNetwork(scale)
        weights = _below(arrays, f"x{scale}.network.")
        network.load_state_dict({name: torch.from_numpy(value.astype(np.float32)) for name, value in weights.items()})
        factors = {name: _factors(value) for name, value in _below(arrays, f"x{scale}.factors.").items()}
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"The file {path} does not hold the confidence network for a scale factor of {scale}; install Headland "
            "again."
        ) from error
    return Calibrated(network.eval(), factors)


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name[len(prefix) :]: value for name, value in arrays.items() if name.startswith(prefix)}


def _factors(values: np.ndarray) -> tuple[float, ...]:
    if values.shape != (len(COVERAGES),) or not (np.isfinite(values).all() and (np.diff(values) >= 0).all()):
        raise ValueError("The factors are not one for each coverage, in rising order.")
    return tuple(float(value) for value in values)
