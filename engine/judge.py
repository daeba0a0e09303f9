"""What the finished result is worth: degraded again it is compared with the input, and its edges with the input's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from .array_file import Numbers
from .bands import band_groups
from .consistency import Compared, ConsistencyFigures, ConsistencyMeter
from .in_numpy.forward_model import ArrayForwardModel
from .measured_extent import EVERY_BAND, MeasuredExtent
from .progress import Progress
from .sharpness import SharpnessMeter
from .tiling import TileWindow


def judge(
    extent: MeasuredExtent, tiles: tuple[TileWindow, ...], output: Numbers, progress: Progress
) -> tuple[ConsistencyFigures, Optional[float]]:
    """Return how far the blended result is from the input, and how many times as steep its edges are.

    Some bands of a tile at a time, whatever their number. Raises Cancelled if the job is to stop.
    """
    meter, sharpness = ConsistencyMeter(extent.bands), SharpnessMeter()
    for number, window in enumerate(tiles):
        progress.step(number, len(tiles))
        meter.add(_compared(extent, window, output, sharpness), _valid_everywhere(extent, window))
    return meter.figures(extent.noise_in_digital_numbers), sharpness.times_sharper()


def _valid_everywhere(extent: MeasuredExtent, window: TileWindow) -> NDArray[np.bool_]:
    """Return which pixels of a tile's core are valid in all bands, (row, column)."""
    everywhere: NDArray[np.bool_] = np.all(
        [np.all(extent.valid[(bands, *window.slices)], axis=0) for bands in band_groups(extent.bands)], axis=0
    )
    return everywhere[window.core_slices]


def _compared(
    extent: MeasuredExtent, window: TileWindow, output: Numbers, sharpness: SharpnessMeter
) -> Iterator[Compared]:
    """Yield the core of a tile's result as the sensor would see it, and what it saw, some bands at a time."""
    rows, columns = window.high_res_slices(extent.scale)
    core = (EVERY_BAND, *window.core_slices)
    for bands in band_groups(extent.bands):
        low_res, valid = extent.pixels(*window.slices, bands)
        result = extent.levels(output[bands, rows, columns].astype(np.float64), bands)
        sharpness.add(result, low_res, valid, window.core_slices)
        model = ArrayForwardModel(extent.psfs[bands], low_res.shape[1:], extent.scale)
        seen, measured = (extent.numbers(levels[core], bands) for levels in (model.degrade(result), low_res))
        yield Compared(bands, seen, measured, valid[core])
