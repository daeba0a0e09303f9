"""Drawn images for training: shapes that cover one another, as things in a picture do.

The dead leaves model (Matheron 1968; Lee, Mumford, Huang 2001): sizes follow a power law, each new shape hides what
lies below. Photographs seen from the air have few borders of full contrast and no thin curves on plain ground; these
have nothing else, and their borders are known exactly. Each picture is drawn finer than needed and area-averaged.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .imagery import Pixels, TrainingImage, area_average

Points = npt.NDArray[np.float64]
Colour = tuple[int, int, int]
IMAGE_SET = "dead_leaves"
DRAWN_FINER = 3
SMALLEST_PX, LARGEST_PX = 2.0, 90.0
# Sizes r are as frequent as r to the power of minus three: then pictures look alike at every zoom.
SIZE_EXPONENT = 2.0
SHADING = 0.15


def dead_leaves(count: int, size_px: int, weight: float, rng: np.random.Generator) -> list[TrainingImage]:
    """Return square pictures (3, size_px, size_px) that together have a weight in the training set."""
    return [TrainingImage(IMAGE_SET, str(number), _picture(size_px, rng), weight / count) for number in range(count)]


def _picture(size_px: int, rng: np.random.Generator) -> Pixels:
    side_px = size_px * DRAWN_FINER
    image = Image.new("RGB", (side_px, side_px), _colour(rng))
    draw = ImageDraw.Draw(image)
    palette = [_colour(rng) for _ in range(int(rng.integers(2, 12)))]
    for _ in range(int(rng.integers(150, 900))):
        colour = palette[int(rng.integers(len(palette)))] if rng.random() < 0.7 else _colour(rng)  # noqa: PLR2004
        _draw_shape(draw, side_px, colour, rng)
    pixels = np.moveaxis(np.asarray(image, dtype=np.float32) / np.float32(255.0), -1, 0)
    picture: Pixels = np.clip(area_average(pixels, DRAWN_FINER) * _shading(size_px, rng), 0.0, 1.0)
    return picture


def _colour(rng: np.random.Generator) -> Colour:
    """Return a colour: mostly a brightness, a little hue."""
    brightness = rng.uniform(0.0, 255.0)
    red, green, blue = np.clip(brightness + rng.normal(0.0, 40.0, 3), 0.0, 255.0).astype(int)
    return int(red), int(green), int(blue)


def _draw_shape(draw: ImageDraw.ImageDraw, side_px: int, colour: Colour, rng: np.random.Generator) -> None:
    radius = DRAWN_FINER * _size_px(rng)
    centre = rng.uniform(0.0, side_px, 2)
    kind = rng.random()
    if kind < 0.3:  # noqa: PLR2004
        across = radius * rng.uniform(0.3, 1.0)
        reach = np.array([radius, across])
        draw.ellipse((*(centre - reach), *(centre + reach)), fill=colour)
    elif kind < 0.75:  # noqa: PLR2004
        draw.polygon(_corners(centre, radius, rng).ravel().tolist(), fill=colour)
    else:
        # A line, straight or bent: a road, a hedge, a wire.
        angle, bend = rng.uniform(0.0, 2.0 * math.pi), rng.normal(0.0, 0.3)
        length, width = rng.uniform(2.0, 8.0) * radius, rng.uniform(1.0, 4.0) * DRAWN_FINER
        angles = angle + bend * np.arange(8)
        steps = length / 8 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        points = np.concatenate([centre[None], centre + np.cumsum(steps, axis=0)])
        draw.line(points.ravel().tolist(), fill=colour, width=round(width), joint="curve")


def _size_px(rng: np.random.Generator) -> float:
    """Draw from the power law between the smallest and the largest size, by its inverse distribution."""
    low, high = SMALLEST_PX**-SIZE_EXPONENT, LARGEST_PX**-SIZE_EXPONENT
    return float((low - rng.random() * (low - high)) ** (-1.0 / SIZE_EXPONENT))


def _corners(centre: Points, radius: float, rng: np.random.Generator) -> Points:
    """Return the corners of a field: three to seven, going round."""
    angles = np.sort(rng.uniform(0.0, 2.0 * math.pi, int(rng.integers(3, 8))))
    radii = radius * rng.uniform(0.5, 1.3, angles.size)
    corners: Points = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return corners


def _shading(size_px: int, rng: np.random.Generator) -> Pixels:
    """Return light that falls off over the picture, (size_px, size_px), around 1."""
    slope = rng.normal(0.0, SHADING, 2)
    position = np.linspace(-1.0, 1.0, size_px)
    light: Pixels = (1.0 + slope[0] * position[:, None] + slope[1] * position[None, :]).astype(np.float32)
    return light
