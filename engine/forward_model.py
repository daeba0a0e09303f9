"""The forward model A: what the sensor makes of a high-res image (PSF blur, then decimation).

A is separable, so it is kept as one small matrix for the rows and one for the columns. That makes the
adjoint an exact transpose at every image size, edge included, and gives the damped pseudo-inverse in closed
form from the eigenvectors of the two low-res Gram matrices: no iterations and no FFT padding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .psf import Psf, decimation_matrix, gram_factors


class ForwardModel:
    """y = A x for images of one size, with one PSF a band.

    Tensors are (..., band, row, column). ``psfs`` may hold a single PSF for all bands.

    Args:
        psfs: one PSF a band, or one for all.
        low_res_size_px: (rows, columns) of the low-res image.
        scale: the scale factor between low-res and high-res.
        device: where the matrices live.
    """

    def __init__(
        self,
        psfs: Sequence[Psf],
        low_res_size_px: tuple[int, int],
        scale: int,
        device: torch.device | str = "cpu",
    ) -> None:
        rows_px, columns_px = low_res_size_px
        self.psfs = tuple(psfs)
        self.low_res_size_px = (rows_px, columns_px)
        self.scale = scale
        self._rows, self._columns = (_axis(self.psfs, length_px, scale, device) for length_px in low_res_size_px)

    def stacked(self, order: NDArray[np.intp]) -> ForwardModel:
        """Return a model for images (..., band, H, W), each with PSFs of its own.

        Args:
            order: (..., band), which of this model's bands each band of each image is.
        """
        chosen = copy.copy(self)
        chosen.psfs = tuple(self.psfs[band] for band in order.flat)
        chosen._rows = self._rows.stacked(order)  # noqa: SLF001, a copy of itself
        chosen._columns = chosen._rows if self._columns is self._rows else self._columns.stacked(order)  # noqa: SLF001
        return chosen

    def degrade(self, high_res: Tensor) -> Tensor:
        """Return A x: (..., band, H, W) to (..., band, h, w)."""
        return self._rows.matrix @ high_res @ self._columns.matrix.mT

    def adjoint(self, low_res: Tensor) -> Tensor:
        """Return the transpose of A applied to y: (..., band, h, w) to (..., band, H, W)."""
        return self._rows.matrix.mT @ low_res @ self._columns.matrix

    def pseudo_inverse(self, low_res: Tensor, damping: float | Tensor) -> Tensor:
        """Return the damped pseudo-inverse At (A At + damping)^-1 y: (..., band, h, w) to (..., band, H, W).

        ``damping`` may be a number or a tensor that broadcasts to (..., band, 1, 1). With zero, A of the
        result is y; the larger it is, the less of the input's noise is amplified.
        """
        spectrum = self._rows.eigenvectors.mT @ low_res @ self._columns.eigenvectors
        gains = self._rows.eigenvalues[..., :, None] * self._columns.eigenvalues[..., None, :]
        spectrum = spectrum / (gains + damping)
        return self._rows.back @ spectrum @ self._columns.back.mT

    def enlarge(self, low_res: Tensor, damping: float | Tensor) -> Tensor:
        """Return a first high-res image: the bicubic enlargement, projected. (..., band, h, w) to (..., band, H, W).

        The pseudo-inverse alone has the least energy of all images that agree with the input, which shows as
        ripples in flat fields and, damped, as lost brightness; an interpolation has neither.
        """
        shape = low_res.shape
        flat = low_res.reshape(1, -1, *shape[-2:])
        enlarged = functional.interpolate(flat, scale_factor=float(self.scale), mode="bicubic", align_corners=False)
        return self.project(enlarged.reshape(*shape[:-2], *enlarged.shape[-2:]), low_res, damping)

    def project(self, high_res: Tensor, low_res: Tensor, damping: float | Tensor) -> Tensor:
        """Return the image nearest to ``high_res`` that agrees with ``low_res``: x + A+ (y - A x)."""
        return high_res + self.pseudo_inverse(low_res - self.degrade(high_res), damping)


class _Axis:
    """The decimation matrices of one image axis and what the pseudo-inverse needs of them."""

    def __init__(self, psfs: Sequence[Psf], low_res_px: int, scale: int, device: torch.device | str) -> None:
        # Where all bands have the same PSF, one matrix serves them all.
        self._each = [(psf, low_res_px, scale) for psf in (psfs[:1] if len(set(psfs)) == 1 else psfs)]
        self._device = device
        # The shape is (band, h, H).
        self.matrix = self._stack([decimation_matrix(*one) for one in self._each])

    # What only degrades, as the fit of the blur does for each candidate, is spared the factors: they cost far more.
    @cached_property
    def eigenvalues(self) -> Tensor:
        """(band, h)."""
        return self._stack([gram_factors(*one)[0] for one in self._each])

    @cached_property
    def eigenvectors(self) -> Tensor:
        """(band, h, h)."""
        return self._stack([gram_factors(*one)[1] for one in self._each])

    @cached_property
    def back(self) -> Tensor:
        """(band, H, h): from the spectrum to high-res pixels."""
        with torch.inference_mode(mode=False):
            return self.matrix.mT @ self.eigenvectors

    def stacked(self, order: NDArray[np.intp]) -> _Axis:
        # Equal PSFs share one matrix.
        order = np.zeros_like(order) if len(self._each) == 1 else order
        chosen, index = copy.copy(self), torch.from_numpy(order).to(self.matrix.device)
        chosen.matrix, chosen.eigenvalues = self.matrix[index], self.eigenvalues[index]
        chosen.eigenvectors, chosen.back = self.eigenvectors[index], self.back[index]
        return chosen

    def _stack(self, arrays: list[NDArray[np.float64]]) -> Tensor:
        # They are kept, and what is made in inference mode is of no use where gradients are wanted later.
        with torch.inference_mode(mode=False):
            return torch.as_tensor(np.stack(arrays), dtype=torch.float32).to(self._device)


# An extent's tiles have few lengths, but these in many pairs. The matrices of a band triple take some 8 MB.
@lru_cache(maxsize=12)
def _axis(psfs: tuple[Psf, ...], low_res_px: int, scale: int, device: torch.device | str) -> _Axis:
    return _Axis(psfs, low_res_px, scale, device)
