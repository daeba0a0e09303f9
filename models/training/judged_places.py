"""Places whose truth is known, seen by a sensor and enhanced as the product would: what confidence is calibrated on.

The split is by place, into four parts: the network of confidence is fitted to places that the other networks were
trained on too, its factors come from held-out places, every choice is made on the validation's places, and figures are
reported on held-out places that had a part in none of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...engine.decrappify import Decrappify, OnnxModel
from ...engine.dip.educated import EducatedPrior
from ...engine.job import Method, Preset
from ...engine.model_file import model_file
from ...engine.pipeline import FIT_SETTINGS, PRIOR_WEIGHTS, project
from ...engine.scene import Scene, Tile
from ...engine.tiling import plan_tiles
from ..dip.prior_network import load_weights
from .imagery import HELD_OUT_FARMLAND, ImageSet, TrainingImage, load_images
from .sensors import BANDS, Sensor, SensorBank, draw_sensor, gaussians

HIGH_RES_PX, SMALLEST_PX, MULTIPLE_PX = 384, 128, 32
FARMLAND = "naip_farmland_1m"
# Averaged until the grain of the film and the traces of compression are gone: noise of the truth is nobody's error.
SETS = (
    ImageSet(FARMLAND, (2.5,), 1.0),
    ImageSet("naip_urban_0.6m", (1.25,), 1.0, has_near_infrared=True),
    ImageSet("ucmerced_0.3m", (2.0,), 1.0),
)
# The first calibration reported on the last three and looked at them again and again; so they give factors now.
REPORTED_FARMLAND, CALIBRATED_ON_FARMLAND = HELD_OUT_FARMLAND[:3], HELD_OUT_FARMLAND[3:]
VALIDATION_FARMLAND = (
    "38.7482309848128--89.6548676255029",
    "40.48607--90.534608",
    "41.488102--91.697629",
    "42.68861--91.291927",
    "43.4066311779089--83.6220222827469",
)
VALIDATION_CITY = "claremont"
# Of UC Merced's held-out numbers, of which neighbours lie side by side, the last ones are reported on, and some between
# are in no part. None gives factors: no satellite sees as its aeroplanes do, and what they see is far more varied.
LAST_VALIDATION_NUMBER, FIRST_REPORTED_NUMBER = 91, 94
# Sensors of which the blur is not known are taken for something in the middle; noise is always measured.
KNOWN_SHARE, COMPRESSED_SHARE = 0.5, 0.3
TRUE_MTF, ASSUMED_MTF, NOISE_SD = (0.1, 0.45), (0.22, 0.3), (0.0008, 0.013)
# Digital numbers in which the range 0 to 1 is handed to the engine, as a sensor would.
FULL_RANGE = 10000.0


class Part(Enum):
    """What a place is for."""

    FIT = "fit"
    FACTORS = "factors"
    VALIDATION = "validation"
    REPORT = "report"


# Which sides of the other networks' split hold a part's places.
HELD_OUT = {Part.FIT: (False,), Part.FACTORS: (True,), Part.VALIDATION: (False, True), Part.REPORT: (True,)}


@dataclass(frozen=True)
class JudgedTile:
    """A whole place as one tile, enhanced.

    Attributes:
        tile: after the consistency step.
        dip: (3, H, W), what Deep Image Prior had made of it.
        truth: (3, H, W), in the tile's levels.
    """

    tile: Tile
    dip: Tensor
    truth: Tensor

    @property
    def error(self) -> Tensor:
        """(3, H, W): how far the result is from the truth."""
        if self.tile.estimate is None:
            raise ValueError("Nothing was made of the tile.")
        return (self.tile.estimate - self.truth).abs()


def part_of(image_set: str, name: str, *, held_out: bool) -> Part | None:
    """Return what a place is for; None where it lies between two parts, or has too little to say.

    Cities were used for choosing the other networks' weights, so nothing is reported on them.
    """
    if image_set == FARMLAND:
        if not held_out:
            return Part.VALIDATION if name in VALIDATION_FARMLAND else Part.FIT
        return Part.FACTORS if name in CALIBRATED_ON_FARMLAND else Part.REPORT
    if not held_out:
        return Part.VALIDATION if name.startswith(VALIDATION_CITY) else Part.FIT
    number = re.fullmatch(r"[a-z]+(\d+)", name)
    if number is None:
        return Part.FACTORS
    if int(number[1]) <= LAST_VALIDATION_NUMBER:
        return Part.VALIDATION
    return Part.REPORT if int(number[1]) >= FIRST_REPORTED_NUMBER else None


def places(highres: Path, part: Part) -> Iterator[TrainingImage]:
    """Yield the places of one part as squares with sides that every scale factor divides, but for those too small.

    Raises:
        FileNotFoundError: if there is not one image.
    """
    for held_out in HELD_OUT[part]:
        for image in load_images(highres, held_out=held_out, sets=SETS):
            if part_of(image.image_set, image.name, held_out=held_out) is part:
                side = min(HIGH_RES_PX, min(image.pixels.shape[1:]) // MULTIPLE_PX * MULTIPLE_PX)
                if side >= SMALLEST_PX:
                    yield replace(image, pixels=np.ascontiguousarray(image.pixels[:, :side, :side]))


class Enhancer:
    """Runs the product's stages, with the shipped networks, over places small enough to be one tile.

    Args:
        scale: the scale factor.
        preset: of Deep Image Prior.
        fits_blur: whether the blur is fitted, as the product does where nobody names the sensor.
    """

    def __init__(self, scale: int, preset: Preset = Preset.FAST, *, fits_blur: bool = False) -> None:
        device = torch.device("cpu")
        self._scale, self._fits_blur = scale, fits_blur
        self._prior = EducatedPrior(load_weights(PRIOR_WEIGHTS[preset]), FIT_SETTINGS[preset], seed=0)
        self._decrappify = Decrappify(OnnxModel.load(model_file(None), scale, device))

    def __call__(
        self, truth: NDArray[np.float32], sensor: Sensor, seed: int, methods: Iterable[Method]
    ) -> dict[Method, JudgedTile]:
        """Return what each method makes of a place.

        Args:
            truth: (3, H, W) in a range of about 0 to 1.
            sensor: what sees it, and what the engine takes that for.
            seed: of the noise.
        """
        numbers = seen_by(sensor, truth, self._scale, seed)
        assumed = [psf.mtf_at_nyquist for psf in sensor.assumed_psfs]  # type: ignore[attr-defined]
        valid = np.ones(numbers.shape, dtype=bool)
        scene = Scene.measure(numbers, valid, assumed, self._scale, torch.device("cpu"))
        if self._fits_blur:
            scene = self._prior.fit(scene)
        (window,) = plan_tiles(*scene.size_px)
        levels = torch.from_numpy(scene.levels(truth.astype(np.float64) * FULL_RANGE))
        with torch.inference_mode():
            begun = self._prior(scene.tile(window))
            if begun.estimate is None:
                raise ValueError("Deep Image Prior made no image.")
            made = {Method.DIP: begun}
            if Method.CHAIN in methods:
                made[Method.CHAIN] = self._decrappify(begun)
            return {method: JudgedTile(project(made[method]), begun.estimate, levels) for method in methods}


def draw_misjudged_sensor(rng: np.random.Generator, noise_range_sd: tuple[float, float] = NOISE_SD) -> Sensor:
    """Draw a sensor of which the engine knows the blur to some 15 %, or takes it for any sensor's, whatever it is."""
    mtf = np.clip(rng.uniform(*TRUE_MTF) * rng.uniform(0.85, 1.18, BANDS), 0.05, 0.55)
    if rng.random() < KNOWN_SHARE:
        assumed = np.clip(mtf * math.exp(rng.normal(0.0, 0.15)), 0.05, 0.55)
    else:
        assumed = np.full(BANDS, rng.uniform(*ASSUMED_MTF))
    least_noise, most_noise = (math.log(sd) for sd in noise_range_sd)
    noise_sd = math.exp(rng.uniform(least_noise, most_noise))
    return replace(
        draw_sensor(rng),
        psfs=gaussians(mtf),
        assumed_psfs=gaussians(assumed),
        noise_sd=noise_sd,
        assumed_noise_sd=noise_sd,
        wavelet_step=noise_sd * rng.uniform(0.0, 2.0) if rng.random() < COMPRESSED_SHARE else 0.0,
    )


def seen_by(sensor: Sensor, truth: NDArray[np.float32], scale: int, seed: int) -> NDArray[np.int16]:
    """Return the whole numbers (3, h, w) that a sensor delivers of a square place (3, H, W) in 0 to 1."""
    bank = SensorBank([sensor], truth.shape[-1] // scale, scale)
    seen = bank.degrade(torch.from_numpy(truth)[None], torch.Generator().manual_seed(seed))[0]
    numbers: NDArray[np.int16] = (seen.numpy() * FULL_RANGE).round().astype(np.int16)
    return numbers
