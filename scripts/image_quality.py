"""How the authors of Deep Image Prior, and most of the super-resolution literature, measure: PSNR and SSIM of luma.

An image is (3, row, column) in 0 to 1, red first. The high-res image is centre-cropped to multiples of 32 pixels, the
low-res one is PIL's Lanczos reduction of it, rounded to 8 bits. Luma is ITU-R BT.601's, 16 to 235, computed from
8-bit images; four pixels at each side are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

MULTIPLE_PX = 32
BORDER_PX = 4
LUMA = np.array([65.481, 128.553, 24.966])
LUMA_OFFSET = 16.0
PEAK = 255.0

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """One test image: its name, the truth (3, H, W) and the low-res image (3, h, w)."""

    name: str
    high_res: Pixels
    low_res: Pixels


def read_pair(path: Path, scale: int) -> Pair:
    """Crop an image and reduce it as the authors do."""
    image = Image.open(path).convert("RGB")
    width, height = (side // MULTIPLE_PX * MULTIPLE_PX for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    image = image.crop((left, top, left + width, top + height))
    reduced = image.resize((width // scale, height // scale), Image.Resampling.LANCZOS)
    return Pair(path.stem, _levels(image), _levels(reduced))


def bicubic(low_res: Pixels, scale: int) -> Pixels:
    """Enlarge as image libraries do."""
    image = Image.fromarray(_bytes(low_res))
    return _levels(image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC))


def psnr_y_db(image: Pixels, truth: Pixels) -> float:
    """Return the peak signal-to-noise ratio of luma."""
    error = _inner_luma(image) - _inner_luma(truth)
    return float(20.0 * np.log10(PEAK) - 10.0 * np.log10(np.square(error).mean()))


def ssim_y(image: Pixels, truth: Pixels) -> float:
    """Return the structural similarity of luma (Wang et al. 2004: Gaussian window of sd 1.5)."""
    value = structural_similarity(
        _inner_luma(image),
        _inner_luma(truth),
        data_range=PEAK,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(value)


def _inner_luma(image: Pixels) -> NDArray[np.float64]:
    luma = _bytes(image).astype(np.float64) / PEAK @ LUMA + LUMA_OFFSET
    return np.asarray(luma[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX])


def _levels(image: Image.Image) -> Pixels:
    """Return an 8-bit picture as (3, row, column) in 0 to 1."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(image, dtype=np.float32) / np.float32(PEAK), -1, 0))


def _bytes(image: Pixels) -> NDArray[np.uint8]:
    """Return (row, column, 3), rounded to 8 bits."""
    rounded: NDArray[np.uint8] = np.moveaxis(np.round(np.clip(image, 0.0, 1.0) * PEAK), 0, -1).astype(np.uint8)
    return rounded
