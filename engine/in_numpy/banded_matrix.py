"""Matrices that are zero but for near their diagonal, such as those of blurring and of interpolation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .product import Image, product

# Rows that are multiplied together: fewer leave out more of the zeros, more need fewer calls.
BLOCK_ROWS = 32


@dataclass(frozen=True)
class _Block:
    """Some rows of the matrix, and of their columns those that are not all zero."""

    rows: slice
    columns: slice
    values: Image


class BandedMatrix:
    """The matrix ``values`` (rows, columns), to be applied along one axis of an image.

    Products leave most of the zeros out.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.shape = (values.shape[0], values.shape[1])
        self._blocks = tuple(_block(values, start) for start in range(0, len(values), BLOCK_ROWS))

    def along_rows(self, image: Image) -> Image:
        """Return matrix @ image: (columns, n) to (rows, n)."""
        result = np.empty((self.shape[0], image.shape[1]), dtype=np.float32)
        for block in self._blocks:
            result[block.rows] = product(block.values, image[block.columns])
        return result

    def along_columns(self, image: Image) -> Image:
        """Return image @ matrix.T: (n, columns) to (n, rows)."""
        result = np.empty((image.shape[0], self.shape[0]), dtype=np.float32)
        for block in self._blocks:
            result[:, block.rows] = product(image[:, block.columns], block.values.T)
        return result

    def back_along_rows(self, image: Image) -> Image:
        """Return matrix.T @ image: (rows, n) to (columns, n)."""
        result = np.zeros((self.shape[1], image.shape[1]), dtype=np.float32)
        for block in self._blocks:
            result[block.columns] += product(block.values.T, image[block.rows])
        return result

    def back_along_columns(self, image: Image) -> Image:
        """Return image @ matrix: (n, rows) to (n, columns)."""
        result = np.zeros((image.shape[0], self.shape[1]), dtype=np.float32)
        for block in self._blocks:
            result[:, block.columns] += product(image[:, block.rows], block.values)
        return result


def _block(values: NDArray[Any], start: int) -> _Block:
    rows = slice(start, min(start + BLOCK_ROWS, len(values)))
    used = np.flatnonzero(values[rows].any(axis=0))
    columns = slice(int(used[0]), int(used[-1]) + 1)
    return _Block(rows, columns, np.ascontiguousarray(values[rows, columns], dtype=np.float32))
