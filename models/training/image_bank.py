"""Clean crops, all of a batch cut at once: on an accelerator a loop over crops would take longer than the step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .imagery import TrainingImage
from .sensors import BANDS

SINGLE_BAND_SHARE = 0.06
"""Share of crops with three times the same band: the engine shows a lone band so."""


class ImageBank:
    """The training images in the memory of a device.

    Args:
        images: each is drawn from by its weight.
        device: of torch.
    """

    def __init__(self, images: Sequence[TrainingImage], device: torch.device | str = "cpu") -> None:
        pixels = [torch.from_numpy(np.ascontiguousarray(image.pixels)).flatten() for image in images]
        self._pixels = torch.cat(pixels).to(device)
        self._first = np.cumsum([0, *(len(each) for each in pixels[:-1])])
        self._shapes = np.array([image.pixels.shape for image in images])
        self._weights = np.array([image.weight for image in images])

    def draw(self, rng: np.random.Generator, count: int, size_px: int, *, shuffled_share: float = 1.0) -> Tensor:
        """Return crops (count, 3, size_px, size_px), turned and mirrored, of three of an image's bands.

        Images smaller than the crop are left out.

        Args:
            shuffled_share: of the crops, how many have their bands in another order, or others than the first three.

        Raises:
            ValueError: if every image is too small.
        """
        weights = np.where(self._shapes[:, 1:].min(axis=1) >= size_px, self._weights, 0.0)
        if not weights.any():
            raise ValueError(f"No training image has {size_px} pixels on both sides; use a smaller crop size.")
        chosen = rng.choice(len(weights), count, p=weights / weights.sum())
        bands, rows, columns = self._shapes[chosen].T
        corner_row, corner_column = rng.integers(rows - size_px + 1), rng.integers(columns - size_px + 1)
        # A crop is an affine walk through the flat array: its steps downwards and rightwards say how it is turned.
        down, right = columns.copy(), np.ones(count, dtype=np.int64)
        start = self._first[chosen] + corner_row * columns + corner_column
        for step in (down, right):
            mirrored = rng.random(count) < 0.5  # noqa: PLR2004, a fair coin
            start += np.where(mirrored, (size_px - 1) * step, 0)
            step[mirrored] *= -1
        turned = rng.random(count) < 0.5  # noqa: PLR2004
        down, right = np.where(turned, right, down), np.where(turned, down, right)
        order = rng.random((count, int(bands.max())))
        order[np.arange(order.shape[1]) >= bands[:, None]] = np.inf
        kept = rng.random(count) >= shuffled_share
        drawn = np.where(kept[:, None], np.arange(BANDS), order.argsort(axis=1)[:, :BANDS])
        starts = start[:, None] + drawn * (rows * columns)[:, None]
        return self._pixels[self._index(starts, down, right, size_px)]

    def _index(self, starts: NDArray[np.int64], down: NDArray[np.int64], right: NDArray[np.int64], size: int) -> Tensor:
        """Return where in the flat array each pixel lies: (count, 3, size, size)."""
        device = self._pixels.device
        walk = torch.arange(size, device=device)
        first, rows, columns = (torch.from_numpy(each).to(device) for each in (starts, down, right))
        offsets = rows[:, None, None] * walk[:, None] + columns[:, None, None] * walk
        return first[:, :, None, None] + offsets[:, None]


def jitter_radiometry(rng: np.random.Generator, crops: Tensor) -> Tensor:
    """Change gamma, contrast and brightness, so that colours and reflectance stretches unlike the sources' are known.

    Contrast is held so that the result stays about in 0 to 1; some crops get three times the same band.

    Args:
        crops: (count, 3, row, column) in 0 to 1.
    """
    count = len(crops)
    crops = crops.clamp(0.0, 1.0) ** _as_column(np.exp(rng.uniform(-0.5, 0.5, (count, 1))), crops)
    mean = crops.mean(dim=(2, 3), keepdim=True)
    spread = (crops - mean).abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-3)
    wanted = np.exp(rng.uniform(-0.5, 0.7, (count, 1)) + rng.normal(0.0, 0.15, (count, BANDS)))
    contrast = torch.minimum(_as_column(wanted, crops), 0.9 / spread)
    brightness = (mean + _as_column(rng.normal(0.0, 0.12, (count, BANDS)), crops)).clamp(0.1, 0.85)
    jittered = (crops - mean) * contrast + brightness
    alone = _as_column((rng.random((count, 1)) < SINGLE_BAND_SHARE).astype(np.float64), crops) > 0.0
    return torch.where(alone, jittered[:, :1], jittered)


def stretch_radiometry(rng: np.random.Generator, crops: Tensor) -> Tensor:
    """Bring crops (count, 3, row, column) into a range such as the engine's normalisation leaves."""
    sample = crops[..., ::3, ::3].flatten(1)
    low, high = (sample.quantile(share, dim=1).view(-1, 1, 1, 1) for share in (0.01, 0.99))
    stretch = _as_column(rng.uniform(0.5, 1.1, (len(crops), 1)), crops) / (high - low).clamp_min(0.15)
    return (crops - low) * stretch + _as_column(rng.uniform(0.0, 0.15, (len(crops), 1)), crops)


def _as_column(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """(count, 1 or 3) to a tensor (count, 1 or 3, 1, 1)."""
    return torch.from_numpy(values).to(like.device, like.dtype)[:, :, None, None]
