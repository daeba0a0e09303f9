"""What the finished result is worth: degraded again it is compared with the input, and its edges with the input's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from .array_file import Numbers
from .bands import band_groups
from .consistency import Compared, ConsistencyFigures, ConsistencyMeter
from .progress import Progress
from .scene import EVERY_BAND, Scene
from .sharpness import SharpnessMeter
from .tiling import TileWindow


def judge(
    scene: Scene, tiles: tuple[TileWindow, ...], output: Numbers, progress: Progress
) -> tuple[ConsistencyFigures, float | None]:
    """Return how far the blended result is from the input, and how many times as steep its edges are.

    Some bands of a tile at a time, whatever their number. Raises Cancelled if the job is to stop.
    """
    meter, sharpness = ConsistencyMeter(scene.bands), SharpnessMeter()
    for number, window in enumerate(tiles):
        progress.step(number, len(tiles))
        meter.add(_compared(scene, window, output, sharpness), _valid_everywhere(scene, window))
    return meter.figures(scene.noise_in_digital_numbers), sharpness.times_sharper()


def _valid_everywhere(scene: Scene, window: TileWindow) -> Tensor:
    """Return which pixels of a tile's core are valid in all bands, (row, column)."""
    everywhere = np.all(
        [np.all(scene.valid[(bands, *window.slices)], axis=0) for bands in band_groups(scene.bands)], axis=0
    )
    return torch.from_numpy(everywhere[window.core_slices])


def _compared(scene: Scene, window: TileWindow, output: Numbers, sharpness: SharpnessMeter) -> Iterator[Compared]:
    """Yield the core of a tile's result as the sensor would see it, and what it saw, some bands at a time."""
    rows, columns = window.high_res_slices(scene.scale)
    core = (EVERY_BAND, *window.core_slices)
    for bands in band_groups(scene.bands):
        tile = scene.tile(window, bands)
        result = torch.from_numpy(scene.levels(output[bands, rows, columns].astype(np.float64), bands))
        result = result.to(scene.device)
        sharpness.add(result, tile.low_res, tile.valid, window.core_slices)
        degraded = tile.forward_model.degrade(result)
        seen, measured = (torch.from_numpy(scene.digital(levels[core], bands)) for levels in (degraded, tile.low_res))
        yield Compared(bands, seen, measured, tile.valid[core].cpu())
