"""Is the chain better than either stage alone? Every method on places that no network has seen, measured every way.

usage: bench_quality.py DATA OUT.json [--scale 2|4] [--model FILE.onnx]

DATA holds highres/ (the training folders, of which only held-out places are taken) and weights/. Each place is
degraded as Sentinel-2 would see it (Gaussian PSF of MTF .25 at Nyquist, noise of sd .003, integers), restored by
every method with and without the consistency step (see restorations.py), and compared with what it was. Figures are
means over the places; borders are measured on farmland, where people drew them, over all places together. Beside
OUT.json a sheet of crops is left.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Optional

import field_borders
import numpy as np
import torch
from bench_sensors import ASSUMED_MTF, BORDER_PX, FULL_RANGE, IMAGE_SET
from correctness import correctness
from numpy.typing import NDArray
from quality_report import bars, crop_sheet, table
from restorations import CONSISTENT_METHODS, METHODS, Restorer
from skimage.metrics import structural_similarity

from headland.engine.consistency import Compared, ConsistencyMeter
from headland.engine.forward_model import ForwardModel
from headland.engine.psf import GaussianPsf
from headland.models.training.imagery import ImageSet, TrainingImage, load_images
from headland.models.training.perceptual import VGG_MEAN_ACTIVATIONS, SqueezeNetDistance, VggLoss
from headland.models.training.validation import PATCH_PX, psnr_db

# NAIP averaged to 2.5 m is as fine as Sentinel-2 enlarged by four; the others only as much as makes them clean.
FARMLAND_FACTOR = 2.5
PLACES = (
    (ImageSet(IMAGE_SET, (FARMLAND_FACTOR,), 1.0), None),
    (ImageSet("naip_urban_0.6m", (1.25,), 1.0, has_near_infrared=True), 2),
    (ImageSet("ucmerced_0.3m", (1.25,), 1.0), 2),
)
"""Sets of images, and how many places of each; None takes all."""
OUTLINES_FILE = "field_polygons.json"
NOISE_SD = 0.003
COLOURS = 3
# The deeper half of VGG16: blocks whose features are about shapes, one of which training does not use.
VGG_BLOCKS = (3, 4, 5)
HIGH_RES = "high_res"

Image = NDArray[np.float32]
Rows = dict[str, dict[str, Optional[float]]]


@dataclass(frozen=True)
class Place:
    """A held-out place: truth (3, H, W) in 0 to 1, and the outlines of its fields, (point, 2) each, if it has any."""

    image_set: str
    name: str
    truth: Image
    outlines: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True)
class Sight:
    """What the sensor saw of a place: digital numbers (3, h, w), and the forward model that made them."""

    numbers: NDArray[np.int16]
    sensor: ForwardModel


@dataclass
class Tally:
    """One row's figures so far: means' terms by measure, seconds, and what is pooled over the places."""

    terms: list[dict[str, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    half_pixel: list[field_borders.Detections] = field(default_factory=list)
    whole_pixel: list[field_borders.Detections] = field(default_factory=list)
    profiles: list[NDArray[np.float64]] = field(default_factory=list)


@dataclass(frozen=True)
class Perception:
    """The two networks whose features tell how alike images look."""

    vgg: VggLoss
    squeezenet: SqueezeNetDistance

    @classmethod
    def load(cls, weights: Path) -> Perception:
        """Read both from the folder of weights."""
        vgg = VggLoss(weights / "vgg16_conv_fp16.npz", dict.fromkeys(VGG_BLOCKS, 1.0))
        return cls(vgg, SqueezeNetDistance(weights / "squeezenet1_1_fp16.npz"))

    @torch.inference_mode()
    def distances(self, images: torch.Tensor, truth: torch.Tensor) -> list[dict[str, float]]:
        """Return the distances of each image (n, 3, H, W) from the truth (1, 3, H, W).

        VGG's is the L1 distance relative to the mean activation, mean over VGG_BLOCKS, of the middle PATCH_PX; it costs
        more than all the other measures together.
        """
        squeezenet = self.squeezenet(images, truth)
        features = list(self.vgg.features(_middle(torch.cat([truth, images]))))
        blocks = [
            (features[block - 1][1:] - features[block - 1][:1]).abs().mean(dim=(1, 2, 3))
            / VGG_MEAN_ACTIVATIONS[block - 1]
            for block in VGG_BLOCKS
        ]
        vgg = torch.stack(blocks).mean(dim=0)
        return [{"vgg": float(v), "squeezenet": float(s)} for v, s in zip(vgg, squeezenet, strict=True)]


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with highres/ and weights/")
    parser.add_argument("out", type=Path, help="JSON file to write; the sheet of crops goes beside it")
    parser.add_argument("--scale", type=int, choices=(2, 4), default=4)
    parser.add_argument("--model", type=Path, help="a Decrappify model with its card beside it; else the shipped one")
    options = parser.parse_args(arguments)
    try:
        places = held_out_places(options.data / "highres", options.scale)
    except FileNotFoundError as error:
        parser.error(str(error))
    restorer, perception = Restorer(options.scale, options.model), Perception.load(options.data / "weights")
    tallies: dict[tuple[str, bool], Tally] = {}
    delivered: list[dict[str, Image]] = []
    for seed, place in enumerate(places):
        sight = degrade(place.truth, options.scale, seed)
        images = restore(place, sight, restorer, tallies)
        measure(place, sight, images, perception, tallies)
        delivered.append({name: images[name, name in CONSISTENT_METHODS] for name in (*METHODS, HIGH_RES)})
        print(f"{place.image_set}/{place.name} is measured", file=sys.stderr)
    results = summary(tallies, options.scale, places)
    options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    crop_sheet(
        [place.name for place in places],
        delivered,
        [field_borders.draw_outlines(place.outlines, place.truth.shape[1:]) for place in places],
    ).save(options.out.with_suffix(".png"))
    print(table(results), bars(results), sep="\n\n")
    return 0


def held_out_places(highres: Path, scale: int) -> list[Place]:
    """Return all held-out farmland, and some other places, evenly spread; sizes are multiples of the scale factor.

    Raises:
        FileNotFoundError: if there is not one image of a set, or no file of outlines.
    """
    return [
        place_of(image, highres, image_set.factors[0], scale)
        for image_set, count in PLACES
        for image in _spread(load_images(highres, held_out=True, sets=(image_set,)), count)
    ]


def _spread(images: list[TrainingImage], count: Optional[int]) -> list[TrainingImage]:
    return images if count is None else images[:: max(1, len(images) // count)][:count]


def place_of(image: TrainingImage, highres: Path, factor: float, scale: int) -> Place:
    """Return an image averaged by ``factor`` as a place, with its outlines if it is farmland."""
    rows, columns = (length // scale * scale for length in image.pixels.shape[1:])
    truth = np.ascontiguousarray(image.pixels[:COLOURS, :rows, :columns])
    outlines: tuple[NDArray[np.float64], ...] = ()
    if image.image_set == IMAGE_SET:
        outlines = field_borders.read_outlines(highres / IMAGE_SET / OUTLINES_FILE, f"{image.name}.png", factor)
    return Place(image.image_set, image.name, truth, outlines)


def degrade(truth: Image, scale: int, seed: int) -> Sight:
    """Return what a sensor like Sentinel-2's would deliver of ``truth`` (3, H, W) in 0 to 1."""
    size = (truth.shape[1] // scale, truth.shape[2] // scale)
    sensor = ForwardModel([GaussianPsf(ASSUMED_MTF)], size, scale)
    low_res = sensor.degrade(torch.from_numpy(truth))
    low_res += NOISE_SD * torch.randn(low_res.shape, generator=torch.Generator().manual_seed(seed))
    return Sight((low_res.numpy() * FULL_RANGE).round().astype(np.int16), sensor)


def restore(
    place: Place, sight: Sight, restorer: Restorer, tallies: dict[tuple[str, bool], Tally]
) -> dict[tuple[str, bool], Image]:
    """Note the seconds and return the images (3, H, W) in 0 to 1, by method and whether they are made consistent."""
    images = {(HIGH_RES, False): place.truth}
    for name, restoration in restorer(sight.numbers).items():
        plain_s, step_s = restoration.seconds
        for is_consistent, image, seconds in (
            (False, restoration.plain, plain_s),
            (True, restoration.consistent, plain_s + step_s),
        ):
            images[name, is_consistent] = image / np.float32(FULL_RANGE)
            tallies.setdefault((name, is_consistent), Tally()).seconds.append(seconds)
    return images


def measure(
    place: Place,
    sight: Sight,
    images: Mapping[tuple[str, bool], Image],
    perception: Perception,
    tallies: dict[tuple[str, bool], Tally],
) -> None:
    """Add one place's figures to the tallies."""
    batch = torch.from_numpy(np.stack([_inner(image) for image in images.values()])).clamp(0.0, 1.0)
    truth = torch.from_numpy(_inner(place.truth))[None]
    for (key, image), distances in zip(images.items(), perception.distances(batch, truth), strict=True):
        tally = tallies.setdefault(key, Tally())
        tally.terms.append({**distances, **figures(image, place.truth, sight)})
    if place.outlines:
        _measure_borders(place, sight.sensor.scale, images, tallies)


def _measure_borders(
    place: Place, scale: int, images: Mapping[tuple[str, bool], Image], tallies: Mapping[tuple[str, bool], Tally]
) -> None:
    drawn = field_borders.draw_outlines(place.outlines, (place.truth.shape[1], place.truth.shape[2]))
    steps = field_borders.find_steps(place.truth, place.outlines)
    for key, image in images.items():
        strength = field_borders.border_strength(image)
        tallies[key].half_pixel.append(field_borders.detect(strength, drawn, scale / 2.0))
        tallies[key].whole_pixel.append(field_borders.detect(strength, drawn, float(scale)))
        tallies[key].profiles.append(field_borders.step_profiles(image, steps))


def figures(image: Image, truth: Image, sight: Sight) -> dict[str, float]:
    """Compare one image (3, H, W) with the truth and with what the sensor saw.

    The consistency is judged by the sensor that really made the input, whatever blur a method found. ``correctness``
    is taken as it is and with opensr-test's harmonisation, which these images do not need.
    """
    seen, clipped = _inner(truth), _inner(image).clip(0.0, 1.0)
    low_res = sight.numbers.astype(np.float32)
    meter = ConsistencyMeter(COLOURS)
    degraded = sight.sensor.degrade(torch.from_numpy(image * np.float32(FULL_RANGE))).numpy()
    valid = np.ones(low_res.shape, dtype=bool)
    meter.add([Compared(slice(0, COLOURS), degraded, low_res, valid)], valid[0])
    consistency = meter.figures(np.full(COLOURS, NOISE_SD * FULL_RANGE))
    added, harmonised = (
        correctness(low_res / np.float32(FULL_RANGE), image, truth, harmonise=harmonise) for harmonise in (False, True)
    )
    return {
        "psnr": psnr_db(torch.from_numpy(clipped)[None], torch.from_numpy(seen)[None]),
        "ssim": float(
            structural_similarity(
                clipped,
                seen,
                data_range=1.0,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        ),
        "rmse_dn": float(np.sqrt(np.square(consistency.rmse).mean())),
        "angle_deg": _known(consistency.spectral_angle_deg),
        "shift_px": _known(consistency.shift_px),
        **asdict(added),
        **{f"{name}_harmonised": share for name, share in asdict(harmonised).items()},
    }


def _known(figure: Optional[float]) -> float:
    return float("nan") if figure is None else figure


def summary(tallies: Mapping[tuple[str, bool], Tally], scale: int, places: Sequence[Place]) -> dict[str, Any]:
    """Return the rows as the product delivers them, and those with and without the consistency step."""
    truth_profiles = np.concatenate(tallies[HIGH_RES, False].profiles)
    by_key = {key: _row(tally, truth_profiles) for key, tally in tallies.items()}

    def rows(is_consistent: Mapping[str, bool]) -> Rows:
        return {name: by_key[name, which] for name, which in is_consistent.items()}

    return {
        "scale": scale,
        "places": [f"{place.image_set}/{place.name}" for place in places],
        "border_profiles": len(truth_profiles),
        "rows": rows({name: name in CONSISTENT_METHODS for name in METHODS} | {HIGH_RES: False}),
        "rows_without_consistency": rows(dict.fromkeys((*METHODS, HIGH_RES), False)),
        "rows_with_consistency": rows(dict.fromkeys(METHODS, True)),
    }


def _row(tally: Tally, truth_profiles: NDArray[np.float64]) -> dict[str, Optional[float]]:
    """Return means over the places; seconds are the median, None where nothing was computed."""
    profiles = np.concatenate(tally.profiles)
    rises = field_borders.rise_px(profiles)
    half, whole = (field_borders.best_score(found) for found in (tally.half_pixel, tally.whole_pixel))
    return {
        **{name: float(np.nanmean([terms[name] for terms in tally.terms])) for name in tally.terms[0]},
        "border_f": half.f,
        "border_f_whole": whole.f,
        "border_precision": half.precision,
        "border_recall": half.recall,
        "rise_px": float(rises.mean()),
        "rise_median_px": float(np.median(rises)),
        "overshoot": float(field_borders.halo(profiles, truth_profiles).mean()),
        "overshoot_with_texture": float(field_borders.overshoot(profiles).mean()),
        "seconds": median(tally.seconds) if tally.seconds else None,
    }


def _inner(image: Image) -> Image:
    return np.ascontiguousarray(image[:, BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX])


def _middle(images: torch.Tensor) -> torch.Tensor:
    row, column = (max(0, (length - PATCH_PX) // 2) for length in images.shape[-2:])
    return images[..., row : row + PATCH_PX, column : column + PATCH_PX]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
