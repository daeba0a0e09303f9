"""Does the result agree with what the sensor measured? Degrade it again and compare."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray


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
    spectral_angle_deg: Optional[float]
    shift_px: Optional[float]


@dataclass(frozen=True)
class Compared:
    """Some bands of one tile's core; all are (band, row, column), in digital numbers."""

    bands: slice
    degraded: NDArray[Any]
    low_res: NDArray[Any]
    valid: NDArray[np.bool_]


class ConsistencyMeter:
    """Adds up the differences, some bands of a tile at a time, so that an extent of any size can be judged."""

    def __init__(self, bands: int) -> None:
        self._squares = np.zeros(bands)
        self._counts = np.zeros(bands)
        self._angle_sum = 0.0
        self._angle_count = 0
        # The normal equations of the displacement: optical flow over all pixels and bands (Lucas, Kanade 1981).
        self._structure = np.zeros((2, 2))
        self._moment = np.zeros(2)

    def add(self, groups: Iterable[Compared], everywhere: NDArray[np.bool_]) -> None:
        """Take one tile's core into account.

        Args:
            groups: its bands, each once.
            everywhere: (row, column), where all of them are valid.
        """
        spectra = _Spectra()
        for group in groups:
            degraded, low_res = group.degraded.astype(np.float64), group.low_res.astype(np.float64)
            difference = (degraded - low_res) * group.valid
            self._squares[group.bands] += np.square(difference).sum(axis=(1, 2))
            self._counts[group.bands] += group.valid.sum(axis=(1, 2))
            spectra.add(degraded[:, everywhere], low_res[:, everywhere])
            self._add_displacement(difference, low_res, everywhere)
        if len(self._counts) > 1:
            angles = spectra.angles()
            self._angle_sum += float(angles.sum())
            self._angle_count += angles.size

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


class _Spectra:
    """The angles between pairs of spectra a, b, (band, pixel), of which some bands are known at a time.

    With d = a - b: |d|² = (|a| - |b|)² + 4 |a| |b| sin²(angle / 2), and |a| - |b| is (sum of d (a + b)) / (|a| + |b|).
    All that is subtracted is as small as the difference is; arccos of the usual quotient loses half of the digits.
    """

    def __init__(self) -> None:
        self._a = self._b = self._unlike = self._longer = np.zeros(1)

    def add(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
        difference = a - b
        self._a = self._a + np.square(a).sum(axis=0)
        self._b = self._b + np.square(b).sum(axis=0)
        self._unlike = self._unlike + np.square(difference).sum(axis=0)
        self._longer = self._longer + (difference * (a + b)).sum(axis=0)

    def angles(self) -> NDArray[np.float64]:
        """Return the angles in radians, but for where a spectrum is black."""
        lengths = np.sqrt(self._a) * np.sqrt(self._b)
        lit = lengths > 0
        lengths, sums = lengths[lit], (np.sqrt(self._a) + np.sqrt(self._b))[lit]
        squared_sine = (self._unlike[lit] - np.square(self._longer[lit] / sums)) / (4.0 * lengths)
        angles: NDArray[np.float64] = 2.0 * np.arcsin(np.sqrt(squared_sine.clip(0.0, 1.0)))
        return angles
