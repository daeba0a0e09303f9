"""Compare the local power spectra of two images: lines that are not there, and texture that is missing.

Losses on pixels and on features are low for a network that draws faint parallel lines wherever it cannot know the
texture: some features of a wood are met, and which way the lines run is left to chance. In the power spectrum such
lines stand out, as all of their power lies in one direction, where the truth's is spread.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

WINDOW_PX = 32
STEP_PX = 16
POOLED_WINDOWS = 3
"""Rows and columns of windows whose power is averaged: that of a single one is mostly chance."""
WAVELENGTHS_PX = (7.0, 4.5, 3.2, 2.2)
"""Between two of them lies a ring of frequencies. What is coarser, the sensor measures."""
SECTORS = 8
"""Directions of waves over half a turn; the first is centred on upright lines, the fifth on level ones."""
FLOOR_SD = 0.001
"""Of white noise, in a range of 0 to 1: its power is added everywhere, for what is fainter is nobody's pattern."""


def spectrum_distances(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much fine power is gathered in directions where the target's is not, and how much is missing.

    Both are means over places, rings and sectors of differences of logarithms, one side each, 0 for equal images. The
    first compares shares of a ring's power, so lines count that are fainter than the texture they stand for; but for a
    little, it does not mind texture that is missing, which is what the second is for.

    Args:
        image, target: (batch, band, row, column) in 0 to 1.

    Raises:
        ValueError: if an image is smaller than WINDOW_PX a side.
    """
    if min(image.shape[-2:]) < WINDOW_PX:
        raise ValueError(f"Local power spectra need crops of at least {WINDOW_PX} pixels a side.")
    found, wanted = _local_power(image), _local_power(target)
    lines = functional.relu(_log_share(found) - _log_share(wanted)).mean()
    missing = functional.relu(wanted.log() - found.log()).mean()
    return lines, missing


def _log_share(power: Tensor) -> Tensor:
    return (power / power.mean(dim=-3, keepdim=True)).log()


def _local_power(image: Tensor) -> Tensor:
    """(batch, band, row, column) to (batch, ring, sector, place, place): mean power of all bands, never 0."""
    windows = image.unfold(2, WINDOW_PX, STEP_PX).unfold(3, WINDOW_PX, STEP_PX)
    taper = _taper(image.device)
    spectra = torch.fft.rfft2((windows - windows.mean(dim=(-2, -1), keepdim=True)) * taper)
    power = (spectra.real.square() + spectra.imag.square()).mean(dim=1).flatten(-2) @ _cells(image.device)
    power = power.movedim(-1, 1) + FLOOR_SD**2 * taper.square().sum()
    pooled = functional.avg_pool2d(power, [min(POOLED_WINDOWS, count) for count in power.shape[-2:]], stride=1)
    by_sector: Tensor = pooled.unflatten(1, (-1, SECTORS))
    return by_sector


@lru_cache
def _taper(device: torch.device) -> Tensor:
    # Made under inference_mode, as measuring scripts run, it could not be used in training.
    with torch.inference_mode(mode=False):
        profile = torch.hann_window(WINDOW_PX, device=device)
        taper: Tensor = profile[:, None] * profile
        return taper


@lru_cache
def _cells(device: torch.device) -> Tensor:
    """Return the matrix that averages a window's frequencies by ring and sector: (frequency, ring x sector)."""
    with torch.inference_mode(mode=False):
        rows, columns = torch.fft.fftfreq(WINDOW_PX)[:, None], torch.fft.rfftfreq(WINDOW_PX)[None, :]
        # rfft2 leaves out one of each pair of equal frequencies but in the first column: there each counts half.
        weight = torch.where(columns == 0.0, 0.5, 1.0).expand(WINDOW_PX, -1).flatten()
        turn = torch.atan2(rows, columns).flatten() / math.pi
        sector = (turn * SECTORS).round().long() % SECTORS
        edges = 1.0 / torch.tensor(WAVELENGTHS_PX)
        ring = torch.bucketize(torch.hypot(rows, columns).flatten(), edges, right=True) - 1
        cell = torch.where((ring >= 0) & (ring < len(edges) - 1), ring * SECTORS + sector, -1)
        cells = weight[:, None] * (cell[:, None] == torch.arange((len(edges) - 1) * SECTORS))
        averaging: Tensor = (cells / cells.sum(dim=0)).to(device)
        return averaging
