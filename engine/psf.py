"""Point spread functions: how a sensor, or a resampling filter, spreads one point over its pixels.

A PSF here is separable and given as its one-dimensional profile. Distances are in low-res pixels, so that
one PSF serves every scale factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Psf(Protocol):
    """The profile of a separable point spread function."""

    def __hash__(self) -> int:
        """PSFs are values: equal ones stand for each other."""

    @property
    def support_px(self) -> float:
        """Distance, in low-res pixels, beyond which the profile is taken as zero."""

    @property
    def renormalise_at_edges(self) -> bool:
        """True: weights beyond the image are dropped and the rest rescaled (PIL does so).

        False: the image's edge pixels are repeated outwards.
        """

    def profile(self, distance_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the unnormalised weight at each distance (low-res pixels)."""


@dataclass(frozen=True)
class GaussianPsf:
    """A Gaussian with a given modulation transfer at the low-res grid's Nyquist frequency.

    The Gaussian exp(-d²/2s²) has the transfer exp(-2 pi² s² f²); at f = 1/2 it equals the MTF when
    s = sqrt(-2 ln MTF) / pi low-res pixels. This is the usual model in the sharpening literature
    (Aiazzi, Alparone, Baronti, Garzelli, Selva 2006).

    Raises:
        ValueError: if the MTF does not lie between 0 and 1.
    """

    mtf_at_nyquist: float
    renormalise_at_edges: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.mtf_at_nyquist < 1.0:
            raise ValueError(f"The MTF at Nyquist is {self.mtf_at_nyquist}; it must lie between 0 and 1.")

    def widened(self, factor: float) -> GaussianPsf:
        """Return the PSF ``factor`` times as wide."""
        return replace(self, mtf_at_nyquist=self.mtf_at_nyquist ** (factor * factor))

    @property
    def sigma_px(self) -> float:
        """Standard deviation in low-res pixels."""
        return math.sqrt(-2.0 * math.log(self.mtf_at_nyquist)) / math.pi

    @property
    def support_px(self) -> float:
        return max(3.5 * self.sigma_px, 0.5)

    def profile(self, distance_px: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = np.exp(-0.5 * (distance_px / self.sigma_px) ** 2)
        return result


@dataclass(frozen=True)
class LanczosPsf:
    """The windowed sinc of image libraries; ``lobes`` = 3 is how PIL shrinks an image with LANCZOS."""

    lobes: int = 3
    renormalise_at_edges: bool = True

    @property
    def support_px(self) -> float:
        return float(self.lobes)

    def profile(self, distance_px: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = np.abs(distance_px) < self.lobes
        result: NDArray[np.float64] = np.where(inside, np.sinc(distance_px) * np.sinc(distance_px / self.lobes), 0.0)
        return result


@dataclass(frozen=True)
class BicubicPsf:
    """Keys's cubic convolution with a = -0.5, as PIL and MATLAB shrink an image with BICUBIC."""

    renormalise_at_edges: bool = True

    @property
    def support_px(self) -> float:
        return 2.0

    def profile(self, distance_px: NDArray[np.float64]) -> NDArray[np.float64]:
        d = np.abs(distance_px)
        near = (1.5 * d - 2.5) * d * d + 1.0
        far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
        result: NDArray[np.float64] = np.where(d < 1.0, near, np.where(d < 2.0, far, 0.0))  # noqa: PLR2004, Keys's pieces
        return result


def decimation_matrix(psf: Psf, low_res_px: int, scale: int) -> NDArray[np.float64]:
    """Return the matrix (low_res_px, low_res_px x scale) that blurs and decimates one image axis.

    Low-res pixel i covers the high-res pixels i*scale ... i*scale + scale - 1 and is centred on their
    middle (pixel is area). Each row sums to one, so a constant image stays constant.
    """
    high_res_px = low_res_px * scale
    reach = math.ceil(psf.support_px * scale) + scale
    offsets = np.arange(-reach, reach + scale)
    weights = psf.profile((offsets - (scale - 1) / 2.0) / scale)
    positions = np.arange(low_res_px)[:, None] * scale + offsets[None, :]
    weights = np.broadcast_to(weights, positions.shape).copy()
    if psf.renormalise_at_edges:
        weights[(positions < 0) | (positions >= high_res_px)] = 0.0
    matrix = np.zeros((low_res_px, high_res_px))
    rows = np.broadcast_to(np.arange(low_res_px)[:, None], positions.shape)
    np.add.at(matrix, (rows, np.clip(positions, 0, high_res_px - 1)), weights)
    normalised: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    return normalised


@lru_cache(maxsize=32)
def gram_factors(psf: Psf, low_res_px: int, scale: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return eigenvalues (h,) and eigenvectors (h, h) of A At along one axis; few occur, so they are kept."""
    matrix = decimation_matrix(psf, low_res_px, scale)
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    return np.maximum(values, 0.0), vectors
