"""Matrix products on the calling thread alone.

Libraries of linear algebra share larger products out among threads of their own, which spin while they wait for each
other. On a busy computer (QGIS draws meanwhile) that made the anchor sixteen times slower with the library that numpy's
own packages bring, and it would leave QGIS no core. Many small products take as long as one large one, without threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
# OpenBLAS stays on its thread for products of no more multiply-adds; others draw the line higher.
LARGEST_PRODUCT = 1 << 18
ROWS = 16


def product(one: NDArray[Any], other: NDArray[Any]) -> Image:
    """Return one @ other, (m, k) by (k, n), as 32-bit floats."""
    (height, inner), width = one.shape, other.shape[1]
    columns = min(width, max(1, LARGEST_PRODUCT // (ROWS * inner)))
    down, across = -(-height // ROWS), -(-width // columns)
    left = np.zeros((down * ROWS, inner), dtype=np.float32)
    left[:height] = one
    right = np.zeros((inner, across * columns), dtype=np.float32)
    right[:, :width] = other
    pieces = np.matmul(
        left.reshape(down, 1, ROWS, inner), right.reshape(1, inner, across, columns).transpose(0, 2, 1, 3)
    )
    whole: Image = pieces.transpose(0, 2, 1, 3).reshape(down * ROWS, across * columns)[:height, :width]
    return whole
