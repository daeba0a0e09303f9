"""Make training pairs: a clean crop, what a sensor would see of it, and what the network will be fed.

The sensor's side is :class:`headland.engine.forward_model.ForwardModel` with a Gaussian PSF a band, a small shift
between the bands, signal-dependent noise, quantisation and a compression like JPEG2000's. The network's input is the
low-res image enlarged as the engine enlarges it: bicubic, the anchor, or the educated start of Deep Image Prior,
computed with a PSF and a noise level that are a little wrong, as they will be in use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ...engine.anchor import anchor
from ...engine.forward_model import ForwardModel
from ...engine.noise import damping_for
from ...engine.psf import GaussianPsf, decimation_matrix
from ..dip.prior_network import PriorNetwork
from .imagery import TrainingImage

BANDS = 3
MARGIN_PX = 16
"""High-res pixels around each crop that the sensor sees and the loss does not."""


SINGLE_BAND_SHARE = 0.06
"""Share of crops with three times the same band: the engine shows a lone band so."""


COMPRESSED_SHARE = 0.5
"""Share of draws in which the image was compressed; coarser steps than some noise sd would be seen in real scenes."""


class Enlargement(str, Enum):
    """How the low-res image is brought to high-res size."""

    BICUBIC = "bicubic"
    ANCHOR = "anchor"
    PRIOR = "prior"


@dataclass(frozen=True)
class Sensor:
    """One drawn sensor.

    Attributes:
        scale: 2 or 4.
        mtf_at_nyquist: one a band.
        assumed_mtf: what the engine takes it for.
        shift_px: (band, 2) shift down and right in low-res pixels.
        noise_sd: at a signal of one half, in a range of 0 to 1.
        assumed_noise_sd: what the engine takes it for.
        levels: the number of quantisation steps between 0 and 1.
        wavelet_step: quantisation step of the compression's wavelet coefficients; 0 for none.
    """

    scale: int
    mtf_at_nyquist: tuple[float, ...]
    assumed_mtf: tuple[float, ...]
    shift_px: tuple[tuple[float, float], ...]
    noise_sd: float
    assumed_noise_sd: float
    levels: float
    wavelet_step: float = 0.0

    @property
    def damping(self) -> float:
        """What the assumed noise asks of the engine's pseudo-inverse."""
        return damping_for(self.assumed_noise_sd)


@dataclass(frozen=True)
class Batch:
    """Training pairs with a margin of MARGIN_PX on every side: (batch, 3, row, column), values about 0 to 1.

    Attributes:
        target: the clean crops.
        enlarged: what the network is fed.
        low_res: what the sensor saw.
        forward_model: the engine's idea of the sensor.
        damping: of its pseudo-inverse.
    """

    target: Tensor
    enlarged: Tensor
    low_res: Tensor
    forward_model: ForwardModel
    damping: float

    def project(self, restored: Tensor) -> Tensor:
        """Bring the restored centre back to agreement with the low-res image, as the engine does after the network.

        Args:
            restored: (batch, 3, row, column) without the margin.
        """
        frame = functional.pad(torch.ones_like(restored[:1, :1]), [MARGIN_PX] * 4)
        whole = functional.pad(restored, [MARGIN_PX] * 4) + (1.0 - frame) * self.enlarged
        return centre(self.forward_model.project(whole, self.low_res, self.damping))


@dataclass(frozen=True)
class ShiftedGaussianPsf(GaussianPsf):
    """A Gaussian PSF that looks `shift_px` low-res pixels beside its place."""

    shift_px: float = 0.0

    @property
    def support_px(self) -> float:
        return max(3.5 * self.sigma_px, 0.5) + abs(self.shift_px)

    def profile(self, distance_px: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = np.exp(-0.5 * ((distance_px - self.shift_px) / self.sigma_px) ** 2)
        return result


def centre(images: Tensor) -> Tensor:
    """Take the margin off (batch, band, row, column)."""
    return images[..., MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def draw_sensor(rng: np.random.Generator, scale: int) -> Sensor:
    """Draw a sensor like Sentinel-2's or Landsat's, and how far the engine is wrong about it."""
    mtf = np.clip(rng.uniform(0.12, 0.4) * rng.uniform(0.85, 1.18, BANDS), 0.05, 0.5)
    assumed = np.clip(mtf * math.exp(rng.normal(0.0, 0.15)), 0.05, 0.55)
    noise_sd = math.exp(rng.uniform(math.log(0.0008), math.log(0.01)))
    shift = rng.normal(0.0, 0.03, (BANDS, 2))
    return Sensor(
        scale=scale,
        mtf_at_nyquist=tuple(mtf.tolist()),
        assumed_mtf=tuple(assumed.tolist()),
        shift_px=tuple((float(down), float(right)) for down, right in shift),
        noise_sd=noise_sd,
        assumed_noise_sd=noise_sd * math.exp(rng.normal(0.0, 0.3)),
        levels=math.exp(rng.uniform(math.log(300.0), math.log(4000.0))),
        wavelet_step=noise_sd * rng.uniform(0.0, 2.0) if rng.random() < COMPRESSED_SHARE else 0.0,
    )


def sentinel_like(scale: int, mtf_at_nyquist: float = 0.25, noise_sd: float = 0.003) -> Sensor:
    """Return the fixed sensor of the held-out figures: known PSF, no shift."""
    mtf = (mtf_at_nyquist,) * BANDS
    return Sensor(scale, mtf, mtf, ((0.0, 0.0),) * BANDS, noise_sd, noise_sd, 10000.0)


def degrade(target: Tensor, sensor: Sensor, noise: torch.Generator) -> Tensor:
    """Return what the sensor sees of (batch, 3, H, W): (batch, 3, H / scale, W / scale).

    Noise variance has a constant and a signal-proportional half, so its sd is `noise_sd` at a signal of one half.
    """
    rows, columns = (_decimation(sensor, axis, target.shape[axis - 2]).to(target.device) for axis in (0, 1))
    seen = rows @ target @ columns.mT
    sd = sensor.noise_sd * (0.5 + seen.clamp(0.0, 2.0)).sqrt()
    seen = seen + sd * torch.randn(seen.shape, generator=noise).to(seen.device)
    seen = (seen * sensor.levels).round() / sensor.levels
    return compress(seen, sensor.wavelet_step) if sensor.wavelet_step else seen


def _decimation(sensor: Sensor, axis: int, high_res_px: int) -> Tensor:
    """Return (band, low-res, high-res) matrices that blur, shift and decimate along one axis (0 down, 1 right)."""
    matrices = [
        decimation_matrix(ShiftedGaussianPsf(mtf, shift_px=shift[axis]), high_res_px // sensor.scale, sensor.scale)
        for mtf, shift in zip(sensor.mtf_at_nyquist, sensor.shift_px)
    ]
    return torch.as_tensor(np.stack(matrices), dtype=torch.float32)


def compress(image: Tensor, step: float) -> Tensor:
    """Return (..., row, column) as it is after a compression like JPEG2000's: rows and columns must be even.

    One level of its reversible 5/3 wavelet (Le Gall and Tabatabai 1988), detail coefficients quantised in steps with a
    dead zone around zero, and back.
    """
    for axis in (-2, -1):
        image = _analyse(image, axis)
    coefficients = (image.abs() / step).floor()
    quantised = image.sign() * torch.where(coefficients > 0, (coefficients + 0.5) * step, 0.0)
    rows, columns = (length // 2 for length in image.shape[-2:])
    quantised[..., :rows, :columns] = image[..., :rows, :columns]
    for axis in (-1, -2):
        quantised = _synthesise(quantised, axis)
    return quantised


def _analyse(image: Tensor, axis: int) -> Tensor:
    """Split one axis into its low half, then its high half, by lifting; edges are mirrored."""
    even, odd = image.unflatten(axis, (-1, 2)).unbind(axis)
    high = odd - (even + _next(even, axis)) / 2.0
    return torch.cat([even + (_previous(high, axis) + high) / 4.0, high], dim=axis)


def _synthesise(halves: Tensor, axis: int) -> Tensor:
    """Undo :func:`_analyse`."""
    low, high = halves.chunk(2, dim=axis)
    even = low - (_previous(high, axis) + high) / 4.0
    odd = high + (even + _next(even, axis)) / 2.0
    return torch.stack([even, odd], dim=axis).flatten(axis - 1, axis)


def _next(samples: Tensor, axis: int) -> Tensor:
    length = samples.shape[axis]
    return torch.cat([samples.narrow(axis, 1, length - 1), samples.narrow(axis, length - 1, 1)], dim=axis)


def _previous(samples: Tensor, axis: int) -> Tensor:
    return torch.cat([samples.narrow(axis, 0, 1), samples.narrow(axis, 0, samples.shape[axis] - 1)], dim=axis)


def assumed_forward_model(
    sensor: Sensor, low_res_size_px: tuple[int, int], device: torch.device | str = "cpu"
) -> ForwardModel:
    """Return the forward model that the engine would use for the sensor."""
    return ForwardModel([GaussianPsf(mtf) for mtf in sensor.assumed_mtf], low_res_size_px, sensor.scale, device)


class Enlarger:
    """Brings low-res images to high-res size as the engine does.

    Args:
        prior: the educated start of Deep Image Prior; without it, Enlargement.PRIOR cannot be asked for.
    """

    def __init__(self, prior: PriorNetwork | None = None) -> None:
        self._prior = prior

    @torch.no_grad()
    def __call__(self, low_res: Tensor, how: Enlargement, sensor: Sensor, forward_model: ForwardModel) -> Tensor:
        """Enlarge (batch, 3, h, w)."""
        if how is Enlargement.BICUBIC:
            return functional.interpolate(low_res, scale_factor=sensor.scale, mode="bicubic", align_corners=False)
        if how is Enlargement.ANCHOR:
            return anchor(low_res, forward_model, sensor.damping)
        if self._prior is None:
            raise ValueError("To enlarge by the image prior, its trained weights are needed.")
        start = forward_model.enlarge(low_res, sensor.damping)
        noise_sd = torch.full((low_res.shape[0], 1, 1, 1), sensor.assumed_noise_sd, device=low_res.device)
        number_type = next(self._prior.parameters()).dtype
        given = (image.to(number_type) for image in (start, low_res, noise_sd))
        restored = self._prior(*given, sensor.scale).to(low_res.dtype)
        return forward_model.project(restored, low_res, sensor.damping)


def make_batch(targets: Tensor, sensor: Sensor, how: Enlargement, noise: torch.Generator, enlarger: Enlarger) -> Batch:
    """Degrade and enlarge the clean crops (batch, 3, H, W), margin included; H and W are multiples of the scale."""
    low_res = degrade(targets, sensor, noise)
    forward_model = assumed_forward_model(sensor, (low_res.shape[-2], low_res.shape[-1]), low_res.device)
    return Batch(targets, enlarger(low_res, how, sensor, forward_model), low_res, forward_model, sensor.damping)


class CropSampler:
    """Draws clean crops from the training images, by their weights."""

    def __init__(self, images: list[TrainingImage]) -> None:
        self._images = images

    def draw(self, rng: np.random.Generator, count: int, size_px: int) -> Tensor:
        """Return (count, 3, size, size) crops, turned, mirrored and with jittered radiometry.

        Images smaller than the crop are left out.

        Raises:
            ValueError: if every image is too small.
        """
        fitting = [image for image in self._images if min(image.pixels.shape[1:]) >= size_px]
        if not fitting:
            raise ValueError(f"No training image has {size_px} pixels on both sides; use a smaller crop size.")
        weights = np.array([image.weight for image in fitting])
        chosen = rng.choice(len(fitting), size=count, p=weights / weights.sum())
        return torch.stack([self._crop(rng, fitting[i].pixels, size_px) for i in chosen])

    @staticmethod
    def _crop(rng: np.random.Generator, pixels: NDArray[np.float32], size_px: int) -> Tensor:
        row, column = (int(rng.integers(length - size_px + 1)) for length in pixels.shape[1:])
        bands = rng.permutation(pixels.shape[0])[:BANDS] if rng.random() < 0.6 else np.arange(BANDS)  # noqa: PLR2004
        crop = pixels[bands, row : row + size_px, column : column + size_px]
        crop = np.rot90(crop, int(rng.integers(4)), axes=(1, 2))
        if rng.random() < 0.5:  # noqa: PLR2004, a fair coin
            crop = crop[:, :, ::-1]
        crop = _jitter_radiometry(rng, crop)
        if rng.random() < SINGLE_BAND_SHARE:
            crop = np.repeat(crop[:1], BANDS, axis=0)
        return torch.from_numpy(np.ascontiguousarray(crop, dtype=np.float32))


def _jitter_radiometry(rng: np.random.Generator, crop: NDArray[np.float32]) -> NDArray[np.float32]:
    """Change gamma, contrast and brightness, so that colours and reflectance stretches unlike the sources' are known.

    Contrast is held so that the result stays about in 0 to 1.
    """
    crop = np.clip(crop, 0.0, 1.0) ** np.float32(math.exp(rng.uniform(-0.5, 0.5)))
    mean = crop.mean(axis=(1, 2), keepdims=True)
    spread = max(float(np.abs(crop - mean).max()), 1e-3)
    contrast = math.exp(rng.uniform(-0.5, 0.7)) * np.exp(rng.normal(0.0, 0.15, (crop.shape[0], 1, 1)))
    contrast = np.minimum(contrast, 0.9 / spread)
    brightness = np.clip(mean + rng.normal(0.0, 0.12, mean.shape), 0.1, 0.85)
    jittered: NDArray[np.float32] = ((crop - mean) * contrast + brightness).astype(np.float32)
    return jittered
