"""A first picture of the whole extent, for the preview: the anchor of it if that takes but a moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from .anchor import anchor
from .forward_model import ForwardModel
from .progress import OnStep
from .scene import Scene

# High-res pixels times bands that the anchor takes about half a second for; a larger extent is enlarged and made to
# agree with the input, which costs a tenth of that.
MOST_FOR_ANCHOR_PX = 1 << 20


def sketch(scene: Scene, bands: Sequence[int], factor: int, on_step: OnStep) -> NDArray[np.float32]:
    """Return 0-based ``bands`` of the extent ``factor`` times finer, (band, row, column), in levels.

    ``on_step`` may raise to stop.
    """
    # The extent is small enough for those that are shown, not for any number of bands.
    read = [scene.read(slice(None), slice(None), slice(band, band + 1))[0] for band in bands]
    model = ForwardModel([scene.psfs[band] for band in bands], scene.size_px, factor, scene.device)
    low_res, damping = torch.cat(read), scene.damping[list(bands)]
    if low_res.numel() * factor**2 <= MOST_FOR_ANCHOR_PX:
        return anchor(low_res, model, damping, on_step).cpu().numpy()
    return model.enlarge(low_res, damping).cpu().numpy()
