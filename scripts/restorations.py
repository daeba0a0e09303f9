"""One low-res image, restored in every way that Headland knows, before and after the consistency step.

The engine's own stages, in the order of ``engine/pipeline.py``, kept apart so that each is measured by itself. The
bands have Sentinel-2's names, so its published blur is assumed (MTF .24, .28 and .26 at Nyquist, not quite the true
.25) and none is fitted, as in the product; ``bench_sensors.py`` measures the fit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, TypeVar

import numpy as np
import torch
from bench_sensors import bicubic
from numpy.typing import NDArray

from headland.engine.anchor import anchor
from headland.engine.decrappify import Decrappify, OnnxModel
from headland.engine.dip.educated import EducatedPrior
from headland.engine.job import Preset, Sensor
from headland.engine.model_file import model_file
from headland.engine.pipeline import FIT_SETTINGS, PRIOR_WEIGHTS
from headland.engine.scene import Scene, Tile
from headland.engine.sensors import mtf_at_nyquist
from headland.engine.tiling import plan_tiles
from headland.models.dip.prior_network import PriorNetwork, load_weights

BAND_NAMES = ("B04", "B03", "B02")
METHODS = ("bicubic", "anchor", "dip", "decrappify", "chain")
CONSISTENT_METHODS = ("dip", "decrappify", "chain")
"""Those that the product ends with the consistency step."""

Numbers = NDArray[np.int16]
Image = NDArray[np.float32]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Restoration:
    """A method's image (3, H, W) in digital numbers.

    Attributes:
        plain: without the consistency step at the end (Deep Image Prior and the anchor project inside).
        consistent: with it.
        seconds: for the plain image, and for the step.
    """

    plain: Image
    consistent: Image
    seconds: tuple[float, float]


class Restorer:
    """Holds the trained networks; ``model`` is a Decrappify model's ONNX file, None for the shipped one.

    Raises:
        headland.models.card.CardError: if the model file does not fit the scale factor.
    """

    def __init__(self, scale: int, model: Optional[Path] = None) -> None:
        self._scale = scale
        self._prior: PriorNetwork = load_weights(PRIOR_WEIGHTS[Preset.FAST])
        path = model_file(None if model is None else str(model))
        self._decrappify = Decrappify(OnnxModel.load(path, scale, torch.device("cpu")))

    def __call__(self, numbers: Numbers) -> dict[str, Restoration]:
        """Restore digital numbers (3, h, w), small enough to be one tile, by each of METHODS."""
        prior = EducatedPrior(self._prior, FIT_SETTINGS[Preset.FAST], seed=0)
        scene, measuring_s = _timed(lambda: measured(numbers, self._scale))
        tile = _whole(scene)

        enlarged, bicubic_s = _timed(lambda: _enlarged(scene, tile))
        anchored, anchor_s = _timed(
            lambda: replace(tile, estimate=anchor(tile.low_res, tile.forward_model, tile.damping))
        )
        deblurred, dip_s = _timed(lambda: prior(tile))
        restored, decrappify_s = _timed(lambda: self._decrappify(enlarged))
        chained, chain_s = _timed(lambda: self._decrappify(deblurred))
        dip_s += measuring_s
        plain = {
            "bicubic": (enlarged, bicubic_s),
            "anchor": (anchored, measuring_s + anchor_s),
            "dip": (deblurred, dip_s),
            "decrappify": (restored, measuring_s + bicubic_s + decrappify_s),
            "chain": (chained, dip_s + chain_s),
        }
        return {name: _finished(scene, tile, seconds) for name, (tile, seconds) in plain.items()}


def measured(numbers: Numbers, scale: int) -> Scene:
    """Return digital numbers (3, h, w) as the engine sees them."""
    mtf = mtf_at_nyquist(Sensor.AUTO, BAND_NAMES, None, None)
    return Scene.measure(numbers, np.ones(numbers.shape, dtype=bool), mtf, scale, torch.device("cpu"))


def _whole(scene: Scene) -> Tile:
    """Return the scene as its only tile."""
    (window,) = plan_tiles(*scene.size_px)
    return scene.tile(window)


def _enlarged(scene: Scene, tile: Tile) -> Tile:
    numbers = bicubic(np.asarray(scene.digital_numbers, dtype=np.int16), scene.scale)
    return replace(tile, estimate=torch.from_numpy(scene.levels(numbers.astype(np.float64))))


def _finished(scene: Scene, tile: Tile, seconds: float) -> Restoration:
    if tile.estimate is None:
        raise ValueError("The method made no image.")
    estimate = tile.estimate
    projected, projection_s = _timed(lambda: tile.forward_model.project(estimate, tile.low_res, tile.damping))
    plain, consistent = (scene.digital(levels).astype(np.float32) for levels in (estimate, projected))
    return Restoration(plain, consistent, (seconds, projection_s))


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began
