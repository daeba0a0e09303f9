"""How well an image shows field borders: found where people drew them, and how sharp.

Points are (row, column) in pixels, with pixel centres at whole numbers; images are (band, row, column) in 0 to 1. The
16 pixels at each side are left out: outlines end there because the picture does.

Sharpness is the 10-90 % rise distance across a border, as lens and sensor makers measure edges, on profiles whose place
the high-res image decides, so that every image is measured at the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    distance_transform_edt,
    gaussian_filter1d,
    grey_dilation,
    map_coordinates,
    maximum_filter1d,
    minimum_filter1d,
)

FRAME_PX = 16
GRADIENT_SD_PX = 1.5
THRESHOLDS = 200

PROFILE_SPACING_PX = 10.0
ALONG_PX = np.arange(-2.0, 3.0)
STEP_PX = 0.25
# A drawn outline may miss the border by so much.
OUTLINE_ERROR_PX = 3.0
# Beside a border, plateaus are taken so far from it: next fields and tracks begin beyond.
PLATEAU_BEGIN_PX, PLATEAU_END_PX = 5.0, 7.0
SMALLEST_STEP = 0.12
LONGEST_RISE_PX = 4.0
# Half a Sentinel-2 pixel at a scale factor of four.
HALO_REACH_PX = 2.0
LOW_SHARE, HALF, HIGH_SHARE = 0.1, 0.5, 0.9

Image = NDArray[np.float32]
Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Detections:
    """Borders found in one image against those drawn, before a threshold is chosen.

    Attributes:
        strengths: of every border pixel found, (n,).
        correct: which of them lie within the tolerance of a drawn outline, (n,).
        reached: of every drawn pixel, the strength of the strongest border found within the tolerance, (m,); 0 if none.
    """

    strengths: Values
    correct: Mask
    reached: Values


@dataclass(frozen=True)
class BorderScore:
    """Precision, recall and their harmonic mean F at the threshold where F is best."""

    f: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Steps:
    """Where the high-res image has a clear step at a drawn outline.

    Attributes:
        points: the middle of each step, (n, 2).
        normals: unit vectors from the dark to the bright side, (n, 2).
    """

    points: Values
    normals: Values


def read_outlines(file: Path, picture: str, factor: float) -> tuple[Values, ...]:
    """Return the outlines (point, 2) of the fields in ``picture``, as pixels of its copy averaged by ``factor``.

    ``file`` is a JSON object of polygons by picture, each ``[[x, y], …]`` in whole pixels of the original.
    """
    polygons = json.loads(file.read_text(encoding="utf-8"))[picture]
    return tuple((np.array(polygon, dtype=np.float64)[:, ::-1] + 0.5) / factor - 0.5 for polygon in polygons)


def walk(outline: Values, spacing_px: float) -> tuple[Values, Values]:
    """Go round a closed outline and return evenly spaced points (n, 2) and the unit tangents there (n, 2)."""
    closed = np.vstack([outline, outline[:1]])
    distance = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    stops = np.arange(spacing_px / 2.0, distance[-1], spacing_px)

    def at(stops: Values) -> Values:
        return np.stack([np.interp(stops % distance[-1], distance, closed[:, axis]) for axis in (0, 1)], axis=1)

    chords = at(stops + ALONG_PX[-1]) - at(stops + ALONG_PX[0])
    lengths = np.hypot(*chords.T)
    # Where an outline turns back on itself there is no direction.
    straight = lengths > 0.0
    return at(stops)[straight], chords[straight] / lengths[straight, None]


def is_inside(points: Values, size_px: tuple[int, ...]) -> Mask:
    """Tell which points (n, 2) of an image of size (rows, columns) are not in its frame."""
    inside = (points >= FRAME_PX) & (points <= np.array(size_px) - 1.0 - FRAME_PX)
    return np.asarray(inside.all(axis=1))


def draw_outlines(outlines: Sequence[Values], size_px: tuple[int, int]) -> Mask:
    """Return (row, column), true at the outlines' pixels inside the frame."""
    drawn = np.zeros(size_px, dtype=bool)
    for outline in outlines:
        points, _ = walk(outline, 0.5)
        rows, columns = np.rint(points[is_inside(points, size_px)]).astype(int).T
        drawn[rows, columns] = True
    return drawn


def border_strength(image: Image) -> Values:
    """Return the colour gradient (row, column) where it is greatest across its own direction, elsewhere 0.

    Gaussian derivatives a band, joined as Di Zenzo (1986) does: the largest eigenvalue of their structure tensor and
    its direction.
    """
    planes = image.astype(np.float64)
    smooth_rows, smooth_columns = (gaussian_filter1d(planes, GRADIENT_SD_PX, axis=axis) for axis in (1, 2))
    down = gaussian_filter1d(smooth_columns, GRADIENT_SD_PX, axis=1, order=1)
    right = gaussian_filter1d(smooth_rows, GRADIENT_SD_PX, axis=2, order=1)
    rr, cc, rc = (down**2).sum(axis=0), (right**2).sum(axis=0), (down * right).sum(axis=0)
    strength = np.sqrt((rr + cc) / 2.0 + np.hypot((rr - cc) / 2.0, rc))
    angle = 0.5 * np.arctan2(2.0 * rc, rr - cc)
    direction = np.stack([np.cos(angle), np.sin(angle)])
    here = np.indices(strength.shape)
    ahead, behind = (map_coordinates(strength, here + sign * direction, order=1, mode="nearest") for sign in (1, -1))
    return np.where((strength >= ahead) & (strength > behind), strength, 0.0)


def detect(strength: Values, drawn: Mask, tolerance_px: float) -> Detections:
    """Compare borders found (see :func:`border_strength`) with those drawn; both are (row, column)."""
    inner = (slice(FRAME_PX, -FRAME_PX),) * 2
    off_px = distance_transform_edt(~drawn)[inner]
    found = strength[inner] > 0.0
    reach = int(tolerance_px)
    offsets = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    nearby = grey_dilation(strength, footprint=np.hypot(*offsets) <= tolerance_px)
    return Detections(strength[inner][found], off_px[found] <= tolerance_px, nearby[drawn])


def best_score(detections: Sequence[Detections]) -> BorderScore:
    """Return the score at the best threshold, one for all images."""
    strengths, correct, reached = (
        np.concatenate([getattr(found, name) for found in detections]) for name in ("strengths", "correct", "reached")
    )
    if not strengths.size or not reached.size:
        return BorderScore(0.0, 0.0, 0.0)
    scores = []
    for threshold in np.unique(np.quantile(strengths, np.linspace(0.0, 1.0, THRESHOLDS))):
        precision = float(correct[strengths >= threshold].mean())
        recall = float((reached >= threshold).mean())
        f = 2.0 * precision * recall / max(precision + recall, 1e-12)
        scores.append(BorderScore(f, precision, recall))
    return max(scores, key=lambda score: score.f)


def find_steps(high_res: Image, outlines: Sequence[Values]) -> Steps:
    """Find where the high-res image has a step of at least SMALLEST_STEP that rises within LONGEST_RISE_PX.

    The profiles across the outlines are moved to the steepest place near by and turned from dark to bright.
    """
    walks = [walk(outline, PROFILE_SPACING_PX) for outline in outlines]
    points, tangents = (np.concatenate([part[side] for part in walks]) for side in (0, 1))
    inside = is_inside(points, high_res.shape[1:])
    points, tangents = points[inside], tangents[inside]
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
    across_px = _ticks(OUTLINE_ERROR_PX + 1.0)
    slopes = gaussian_filter1d(_sample(high_res, points, normals, across_px), 1.0 / STEP_PX, axis=1, order=1)
    slopes[:, np.abs(across_px) > OUTLINE_ERROR_PX] = 0.0
    steepest = np.abs(slopes).argmax(axis=1)
    points = points + across_px[steepest, None] * normals
    rises = np.take_along_axis(slopes, steepest[:, None], axis=1) >= 0.0
    steps = Steps(points, np.where(rises, normals, -normals))
    profiles = step_profiles(high_res, steps)
    dark, bright = _plateaus(profiles)
    clear = (bright - dark >= SMALLEST_STEP) & (rise_px(profiles) <= LONGEST_RISE_PX)
    return Steps(steps.points[clear], steps.normals[clear])


def step_profiles(image: Image, steps: Steps) -> Values:
    """Return brightness across the steps, (n, tick): dark side first, a tick every STEP_PX to PLATEAU_END_PX beside."""
    return _sample(image, steps.points, steps.normals, _ticks(PLATEAU_END_PX))


def rise_px(profiles: Values) -> Values:
    """Return for each profile (n, tick) how far it is from 10 to 90 % of the way between its own plateaus.

    From the last tick at or below 10 % to the first at or above 90 %, seen from the middle: on average one STEP_PX
    more than the distance itself. What never gets there, or falls, is as long as the whole profile.
    """
    return np.array([_rise_ticks(profile) for profile in _relative(profiles)]) * STEP_PX


def overshoot(profiles: Values) -> Values:
    """Return for each profile (n, tick) how far it goes beyond its plateaus beside the border, as a share of the step.

    The mean of the dark and the bright side; 0 where it stays between them.
    """
    relative = _relative(profiles)
    return _beyond(relative, np.zeros_like(relative), np.ones_like(relative))


def halo(profiles: Values, high_res_profiles: Values) -> Values:
    """Return the part of :func:`overshoot` that the high-res image does not show within HALO_REACH_PX of that place.

    Fields have bright margins and dark hedges: what is really there is no halo.
    """
    size = 2 * round(HALO_REACH_PX / STEP_PX) + 1
    shown = _relative(high_res_profiles)
    lowest, highest = minimum_filter1d(shown, size, axis=1), maximum_filter1d(shown, size, axis=1)
    return _beyond(_relative(profiles), np.minimum(lowest, 0.0), np.maximum(highest, 1.0))


def _beyond(relative: Values, lowest: Values, highest: Values) -> Values:
    """Return how far the dark sides go below ``lowest`` and the bright ones above ``highest``, on average, (n,)."""
    ticks = _ticks(PLATEAU_END_PX)
    dark, bright = (ticks > -PLATEAU_BEGIN_PX) & (ticks <= 0.0), (ticks >= 0.0) & (ticks < PLATEAU_BEGIN_PX)
    below = np.maximum(lowest - relative, 0.0)[:, dark].max(axis=1)
    above = np.maximum(relative - highest, 0.0)[:, bright].max(axis=1)
    mean: Values = (below + above) / 2.0
    return mean


def _ticks(reach_px: float) -> Values:
    count = round(reach_px / STEP_PX)
    return np.linspace(-reach_px, reach_px, 2 * count + 1)


def _sample(image: Image, points: Values, normals: Values, across_px: Values) -> Values:
    """Return brightness at ``across_px`` along the normals, (n, tick), averaged over ALONG_PX beside each other."""
    tangents = np.stack([normals[:, 1], -normals[:, 0]], axis=1)
    places = (
        points[:, None, None]
        + ALONG_PX[None, :, None, None] * tangents[:, None, None]
        + across_px[None, None, :, None] * normals[:, None, None]
    )
    brightness = image.mean(axis=0, dtype=np.float64)
    sampled: Values = map_coordinates(brightness, np.moveaxis(places, -1, 0), order=1, mode="nearest").mean(axis=1)
    return sampled


def _plateaus(profiles: Values) -> tuple[Values, Values]:
    """Return the levels of the dark and the bright side, (n,) each."""
    ticks = _ticks(PLATEAU_END_PX)
    return (
        profiles[:, ticks <= -PLATEAU_BEGIN_PX].mean(axis=1),
        profiles[:, ticks >= PLATEAU_BEGIN_PX].mean(axis=1),
    )


def _relative(profiles: Values) -> Values:
    """Scale each profile so that its plateaus are at 0 and 1."""
    dark, bright = _plateaus(profiles)
    return (profiles - dark[:, None]) / np.maximum(bright - dark, 1e-6)[:, None]


def _rise_ticks(relative: Values) -> int:
    whole = len(relative) - 1
    crossings = np.flatnonzero((relative[:-1] < HALF) & (relative[1:] >= HALF))
    if not crossings.size:
        return whole
    middle = crossings[np.abs(crossings - whole / 2.0).argmin()]
    low = np.flatnonzero(relative[: middle + 1] <= LOW_SHARE)
    high = np.flatnonzero(relative[middle + 1 :] >= HIGH_SHARE)
    return int((middle + 1 + high[0] if high.size else whole) - (low[-1] if low.size else 0))
