"""The sensors of training: what they do to an image, and what the engine takes them for.

Many are drawn once and kept as one stack of matrices; a batch picks one for each of its images.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...engine.forward_model import ForwardModel
from ...engine.noise import damping_for
from ...engine.psf import GaussianPsf, Psf, decimation_matrix

BANDS = 3

COMPRESSED_SHARE = 0.5
"""Share of draws in which the image was compressed; coarser steps than some noise sd would be seen in real scenes."""


@dataclass(frozen=True)
class Sensor:
    """One drawn sensor of three bands.

    Attributes:
        psfs: one a band.
        assumed_psfs: what the engine takes them for.
        noise_sd: at a signal of one half, in a range of 0 to 1.
        assumed_noise_sd: what the engine takes it for.
        shift_px: (band, 2) shift down and right in low-res pixels; only Gaussian PSFs can be shifted.
        levels: the number of quantisation steps between 0 and 1.
        wavelet_step: quantisation step of the compression's wavelet coefficients; 0 for none.
    """

    psfs: tuple[Psf, ...]
    assumed_psfs: tuple[Psf, ...]
    noise_sd: float
    assumed_noise_sd: float
    shift_px: tuple[tuple[float, float], ...] = ((0.0, 0.0),) * BANDS
    levels: float = 10000.0
    wavelet_step: float = 0.0


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


class SensorBank:
    """Sensors of one scale factor and one image size, one for each image of a batch.

    Args:
        sensors: what they do.
        low_res_px: rows and columns of the low-res images.
        scale: the scale factor.
        device: of torch.

    Attributes:
        noise_sd, assumed_noise_sd, levels, wavelet_step, damping: (sensor, 1, 1, 1).
        forward_model: the engine's idea of the sensors, for images (sensor, 3, H, W).
    """

    def __init__(
        self, sensors: Sequence[Sensor], low_res_px: int, scale: int, device: torch.device | str = "cpu"
    ) -> None:
        self.scale = scale
        self._rows, self._columns = (_decimation(sensors, low_res_px, scale, axis).to(device) for axis in (0, 1))
        assumed = [psf for sensor in sensors for psf in sensor.assumed_psfs]
        self._all_bands = ForwardModel(assumed, (low_res_px, low_res_px), scale, device)
        self.forward_model = self._all_bands.stacked(_bands(np.arange(len(sensors))))
        self.noise_sd = _numbers([sensor.noise_sd for sensor in sensors], device)
        self.assumed_noise_sd = _numbers([sensor.assumed_noise_sd for sensor in sensors], device)
        self.levels = _numbers([sensor.levels for sensor in sensors], device)
        self.wavelet_step = _numbers([sensor.wavelet_step for sensor in sensors], device)
        self.damping = _numbers([damping_for(sensor.assumed_noise_sd) for sensor in sensors], device)

    def __len__(self) -> int:
        return len(self.noise_sd)

    def choose(self, chosen: NDArray[np.intp]) -> SensorBank:
        """Return the bank of these sensors, by their numbers; one may come again."""
        bank, index = copy.copy(self), torch.from_numpy(chosen).to(self.noise_sd.device)
        bank._rows, bank._columns = self._rows[index], self._columns[index]  # noqa: SLF001, a copy of itself
        bank.forward_model = self._all_bands.stacked(_bands(chosen))
        bank.noise_sd, bank.assumed_noise_sd = self.noise_sd[index], self.assumed_noise_sd[index]
        bank.levels, bank.wavelet_step = self.levels[index], self.wavelet_step[index]
        bank.damping = self.damping[index]
        return bank

    def degrade(self, target: Tensor, noise: torch.Generator) -> Tensor:
        """Return what the sensors see of (sensor, 3, H, W): (sensor, 3, H / scale, W / scale).

        Noise variance has a constant and a signal-proportional half, so its sd is `noise_sd` at a signal of one half.
        """
        seen = self._rows @ target @ self._columns.mT
        sd = self.noise_sd * (0.5 + seen.clamp(0.0, 2.0)).sqrt()
        seen = seen + sd * torch.randn(seen.shape, generator=noise, device=noise.device).to(seen.device)
        seen = (seen * self.levels).round() / self.levels
        return torch.where(self.wavelet_step > 0.0, compress(seen, self.wavelet_step.clamp_min(1e-6)), seen)


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """Draw a sensor like Sentinel-2's or Landsat's, and how far the engine is wrong about it."""
    mtf = np.clip(rng.uniform(0.12, 0.4) * rng.uniform(0.85, 1.18, BANDS), 0.05, 0.5)
    assumed = np.clip(mtf * math.exp(rng.normal(0.0, 0.15)), 0.05, 0.55)
    noise_sd = math.exp(rng.uniform(math.log(0.0008), math.log(0.01)))
    shift = rng.normal(0.0, 0.03, (BANDS, 2))
    return Sensor(
        psfs=gaussians(mtf),
        assumed_psfs=gaussians(assumed),
        noise_sd=noise_sd,
        assumed_noise_sd=noise_sd * math.exp(rng.normal(0.0, 0.3)),
        shift_px=tuple((float(down), float(right)) for down, right in shift),
        levels=math.exp(rng.uniform(math.log(300.0), math.log(4000.0))),
        wavelet_step=noise_sd * rng.uniform(0.0, 2.0) if rng.random() < COMPRESSED_SHARE else 0.0,
    )


def sentinel_like(mtf_at_nyquist: float = 0.25, noise_sd: float = 0.003) -> Sensor:
    """Return the fixed sensor of the held-out figures: known PSF, no shift."""
    psfs = gaussians(np.full(BANDS, mtf_at_nyquist))
    return Sensor(psfs, psfs, noise_sd, noise_sd)


def gaussians(mtf_at_nyquist: NDArray[np.floating]) -> tuple[Psf, ...]:
    """Return the Gaussian PSFs of bands with these MTFs."""
    return tuple(GaussianPsf(float(mtf)) for mtf in mtf_at_nyquist)


def compress(image: Tensor, step: float | Tensor) -> Tensor:
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


def _decimation(sensors: Sequence[Sensor], low_res_px: int, scale: int, axis: int) -> Tensor:
    """Return (sensor, band, low-res, high-res) matrices that blur, shift and decimate (axis 0 down, 1 right)."""
    matrices = [
        decimation_matrix(_shifted(psf, shift[axis]), low_res_px, scale)
        for sensor in sensors
        for psf, shift in zip(sensor.psfs, sensor.shift_px)
    ]
    stacked = np.stack(matrices).reshape(len(sensors), BANDS, low_res_px, low_res_px * scale)
    return torch.as_tensor(stacked, dtype=torch.float32)


def _shifted(psf: Psf, shift_px: float) -> Psf:
    if not shift_px:
        return psf
    if not isinstance(psf, GaussianPsf):
        raise TypeError("Only a Gaussian PSF can be shifted.")
    return ShiftedGaussianPsf(psf.mtf_at_nyquist, shift_px=shift_px)


def _bands(sensors: NDArray[np.intp]) -> NDArray[np.intp]:
    """(sensor, band) numbers of the sensors' bands among all."""
    return sensors[:, None] * BANDS + np.arange(BANDS)


def _numbers(values: Sequence[float], device: torch.device | str) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None, None]
