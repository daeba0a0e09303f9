"""Does the result agree with what the sensor measured? Degrade it again and compare."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class ConsistencyFigures:
    """How far the degraded result is from the input.

    Attributes:
        rmse: root mean square difference per band, in digital numbers.
        rmse_over_noise: the same in units of the band's noise.
        spectral_angle_deg: mean angle between the spectra, or None with a single band.
        shift_px: length of the mean displacement, in low-res pixels; None where there is nothing to register.
    """

    rmse: tuple[float, ...]
    rmse_over_noise: tuple[float, ...]
    spectral_angle_deg: float | None
    shift_px: float | None


class ConsistencyMeter:
    """Adds up the differences tile by tile, so that an extent of any size can be judged."""

    def __init__(self, bands: int) -> None:
        self._squares = np.zeros(bands)
        self._counts = np.zeros(bands)
        self._angle_sum = 0.0
        self._angle_count = 0
        # The normal equations of the displacement: optical flow over all pixels and bands (Lucas, Kanade 1981).
        self._structure = np.zeros((2, 2))
        self._moment = np.zeros(2)

    def add(self, degraded: Tensor, low_res: Tensor, valid: Tensor) -> None:
        """Take one tile's core into account; all are (band, row, column), in digital numbers."""
        difference = ((degraded - low_res) * valid).double().cpu().numpy()
        self._squares += np.square(difference).sum(axis=(1, 2))
        self._counts += valid.sum(dim=(1, 2)).double().cpu().numpy()
        everywhere = valid.all(dim=0)
        self._add_angles(degraded, low_res, everywhere)
        self._add_displacement(difference, low_res.double().cpu().numpy(), everywhere.cpu().numpy())

    def _add_angles(self, degraded: Tensor, low_res: Tensor, everywhere: Tensor) -> None:
        if low_res.shape[0] == 1:
            return
        a, b = degraded.double()[:, everywhere], low_res.double()[:, everywhere]
        lengths = a.norm(dim=0) * b.norm(dim=0)
        # atan2 keeps small angles exact where arccos loses half of the digits.
        unlike = (a * b.norm(dim=0) - b * a.norm(dim=0)).norm(dim=0)
        alike = (a * b.norm(dim=0) + b * a.norm(dim=0)).norm(dim=0)
        angles = 2.0 * torch.atan2(unlike, alike)[lengths > 0]
        self._angle_sum += float(angles.sum())
        self._angle_count += angles.numel()

    def _add_displacement(
        self, difference: NDArray[np.float64], low_res: NDArray[np.float64], everywhere: NDArray[np.bool_]
    ) -> None:
        if min(low_res.shape[1:]) < 3:  # noqa: PLR2004, central differences need three pixels
            return
        inner = everywhere[1:-1, 1:-1]
        gradient = np.stack(
            [
                ((low_res[:, 2:, 1:-1] - low_res[:, :-2, 1:-1]) / 2.0)[:, inner],
                ((low_res[:, 1:-1, 2:] - low_res[:, 1:-1, :-2]) / 2.0)[:, inner],
            ]
        )
        self._structure += np.einsum("ibn,jbn->ij", gradient, gradient)
        self._moment += np.einsum("ibn,bn->i", gradient, difference[:, 1:-1, 1:-1][:, inner])

    def figures(self, noise_sd: NDArray[np.float64]) -> ConsistencyFigures:
        """Return the figures; ``noise_sd`` is (band,), in digital numbers."""
        rmse = np.sqrt(self._squares / np.maximum(self._counts, 1.0))
        shift = None
        if np.linalg.cond(self._structure) < 1e6:  # noqa: PLR2004, else the scene has structure in one direction only
            shift = float(np.hypot(*np.linalg.solve(self._structure, self._moment)))
        angle = math.degrees(self._angle_sum / self._angle_count) if self._angle_count else None
        return ConsistencyFigures(tuple(rmse.tolist()), tuple((rmse / noise_sd).tolist()), angle, shift)
