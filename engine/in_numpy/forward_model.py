"""The forward model A with numpy alone, the same as :class:`..forward_model.ForwardModel`.

The matrices along an axis are the same; only the products are made in another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..psf import Psf, decimation_matrix, gram_factors
from .banded_matrix import BandedMatrix
from .enlargement import enlarge_bicubically
from .product import Image, product


class ArrayForwardModel:
    """y = A x for images of one size, with one PSF a band. Arrays are (band, row, column), 32-bit floats.

    Args:
        psfs: one PSF a band.
        low_res_size_px: (rows, columns) of the low-res image.
        scale: the scale factor between low-res and high-res.
    """

    def __init__(self, psfs: Sequence[Psf], low_res_size_px: tuple[int, int], scale: int) -> None:
        self.scale = scale
        rows_px, columns_px = low_res_size_px
        self._axes = [(_axis(psf, rows_px, scale), _axis(psf, columns_px, scale)) for psf in psfs]

    def degrade(self, high_res: Image) -> Image:
        """Return A x: (band, H, W) to (band, h, w)."""
        return np.stack(
            [
                columns.matrix.along_columns(rows.matrix.along_rows(band))
                for band, (rows, columns) in zip(high_res, self._axes)
            ]
        )

    def pseudo_inverse(self, low_res: Image, dampings: Sequence[float]) -> Image:
        """Return the damped pseudo-inverse At (A At + damping)^-1 y: (band, h, w) to (band, H, W).

        Args:
            dampings: one a band, as :func:`..noise.damping_for` gives it.
        """
        return np.stack(
            [
                columns.matrix.back_along_columns(rows.matrix.back_along_rows(_solved(band, rows, columns, damping)))
                for band, (rows, columns), damping in zip(low_res, self._axes, dampings)
            ]
        )

    def enlarge(self, low_res: Image, dampings: Sequence[float]) -> Image:
        """Return a first high-res image: the bicubic enlargement, projected. (band, h, w) to (band, H, W)."""
        return self.project(enlarge_bicubically(low_res, self.scale), low_res, dampings)

    def project(self, high_res: Image, low_res: Image, dampings: Sequence[float]) -> Image:
        """Return the image nearest to ``high_res`` that agrees with ``low_res``: x + A+ (y - A x)."""
        nearest: Image = self.pseudo_inverse(low_res - self.degrade(high_res), dampings)
        nearest += high_res
        return nearest


class _Axis:
    """The decimation matrix of one image axis and the factors of its Gram matrix."""

    def __init__(self, psf: Psf, low_res_px: int, scale: int) -> None:
        self.matrix = BandedMatrix(decimation_matrix(psf, low_res_px, scale))
        eigenvalues, eigenvectors = gram_factors(psf, low_res_px, scale)
        self.eigenvalues: NDArray[Any] = eigenvalues.astype(np.float32)
        self.eigenvectors: NDArray[Any] = eigenvectors.astype(np.float32)


def _solved(band: Image, rows: _Axis, columns: _Axis, damping: float) -> Image:
    """Return (A At + damping)^-1 y of one band (h, w)."""
    spectrum = product(product(rows.eigenvectors.T, band), columns.eigenvectors)
    spectrum /= np.outer(rows.eigenvalues, columns.eigenvalues) + np.float32(damping)
    return product(product(rows.eigenvectors, spectrum), columns.eigenvectors.T)


# An extent's tiles have few lengths, and its bands few PSFs. One takes less than half a megabyte.
@lru_cache(maxsize=64)
def _axis(psf: Psf, low_res_px: int, scale: int) -> _Axis:
    return _Axis(psf, low_res_px, scale)
