"""Traces likely field borders in the finished result: points, chains, lines, a network. Window by window.

What is too weak is told by the picture itself: borders must stand out from what most of it looks like, and from the
noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..array_file import Numbers
from ..border_file import BorderLines
from ..progress import OnStep
from ..scene import Scene
from .chains import LINK_REACH_PX, Chain, ChainJoiner
from .crossings import crossed
from .gradient import Filters, find_points, measure_gradient
from .likelihood import LEAST_LIKELIHOOD, likelihood
from .line import Line
from .network import joined, tidied
from .picture import Picture, Window

# High-res pixels a side: the filters' arrays take some 60 bytes a pixel.
WINDOW_PX = 512
# How many places along each axis, of what size in high-res pixels, tell what most of the picture looks like.
SAMPLE_PLACES = 6
SAMPLE_PX = 64
# What is usual in a picture is no less than so many times its noise, and than this share of its range of values.
USUAL_TO_NOISE = 2.0
LEAST_USUAL = 0.01
# What is worth following, as multiples of what is usual: at each point, and over a stretch of so many low-res pixels.
WEAK, STRONG = 1.0, 1.5
STRETCH_PX = 2.0
# A part of a border looks less like one than the whole does.
LEAST_BEFORE_JOINING = 0.2
# In low-res pixels: how far a line may lie from what was traced.
TOLERANCE_PX = 0.2


def trace_borders(scene: Scene, output: Numbers, on_step: OnStep, window_px: int = WINDOW_PX) -> BorderLines:
    """Return the borders in ``output``, from top to bottom.

    Memory grows with the lines that are found, not with the extent.

    Args:
        output: (band, row x scale, column x scale), digital numbers.
        window_px: a side of the windows; the lines do not depend on it.
    """
    picture, scale = Picture(scene, output), scene.scale
    usual = usual_strength(scene, picture)

    def is_likely(line: Line, least: float) -> bool:
        return likelihood(line, usual, scale) >= least

    lines = followed(picture, usual, on_step, lambda line: is_likely(line, LEAST_BEFORE_JOINING), window_px)
    network = crossed(joined(lines, scale, on_step), scale)
    likely = [line for line in network if is_likely(line, LEAST_LIKELIHOOD)]
    # What is left of the tolerance is for lines that were joined of several.
    final = [line.simplified(TOLERANCE_PX / 2.0 * scale) for line in tidied(likely, scale)]
    return _as_file(final, [likelihood(line, usual, scale) for line in final])


def followed(
    picture: Picture, usual: float, on_step: OnStep, is_kept: Callable[[Line], bool], window_px: int = WINDOW_PX
) -> list[Line]:
    """Return what can be followed in the picture as a line, each as far as it does not branch, if it is to be kept."""
    scale = picture.scale
    filters = Filters.of(scale)
    lines: list[Line] = []

    def keep(chain: Chain) -> None:
        if _is_strong_somewhere(chain, STRONG * usual, round(STRETCH_PX * scale)):
            line = Line.of(chain, TOLERANCE_PX / 2.0 * scale)
            if is_kept(line):
                lines.append(line)

    joiner = ChainJoiner(picture.size_px[1], keep)
    windows = list(picture.windows(window_px))
    for number, window in enumerate(windows):
        on_step(number, len(windows))
        seen = _widened(window, picture.size_px)
        joiner.add(find_points(measure_gradient(picture, seen, filters), seen, WEAK * usual), window)
    return lines


def usual_strength(scene: Scene, picture: Picture) -> float:
    """Return what most of the picture does not exceed: the median of the strength, or what noise alone would give."""
    noise_sd = float(np.sqrt(np.mean([scene.noise_sd[band] ** 2 for band in picture.bands])))
    return max(_median_strength(picture), USUAL_TO_NOISE * noise_sd, LEAST_USUAL)


def _median_strength(picture: Picture) -> float:
    """Return the median of the strength over evenly spread places."""
    filters = Filters.of(picture.scale)
    rows, columns = (
        np.unique(np.linspace(0, max(0, size_px - SAMPLE_PX), SAMPLE_PLACES).astype(int)).tolist()
        for size_px in picture.size_px
    )
    seen = []
    for row in rows:
        for column in columns:
            sides = (min(SAMPLE_PX, size - start) for size, start in zip(picture.size_px, (row, column), strict=True))
            gradient = measure_gradient(picture, Window(row, column, *sides), filters)
            seen.append(gradient.strengths[gradient.is_known])
    strengths = np.concatenate(seen)
    return float(np.median(strengths)) if strengths.size else 0.0


def _is_strong_somewhere(chain: Chain, strong: float, stretch: int) -> bool:
    """Whether the mean over so many points in a row is ``strong`` anywhere; a shorter chain is not."""
    sums = np.concatenate([[0.0], np.cumsum(chain.strengths)])
    return bool(((sums[stretch:] - sums[:-stretch]) >= strong * stretch).any())


def _widened(window: Window, size_px: tuple[int, int]) -> Window:
    """Return the window with the pixels around it to which points may be linked."""
    first_row, first_column = max(window.row - LINK_REACH_PX, 0), max(window.column - LINK_REACH_PX, 0)
    last_row = min(window.row + window.rows + LINK_REACH_PX, size_px[0])
    last_column = min(window.column + window.columns + LINK_REACH_PX, size_px[1])
    return Window(first_row, first_column, last_row - first_row, last_column - first_column)


def _as_file(lines: list[Line], strengths: list[float]) -> BorderLines:
    """Return the lines as (x, y) with pixel corners at whole numbers."""
    if not lines:
        return BorderLines.none()
    points = np.concatenate([line.places for line in lines])[:, ::-1] + 0.5
    offsets = np.concatenate([[0], np.cumsum([len(line.places) for line in lines])])
    return BorderLines(points, offsets.astype(np.int64), np.array(strengths))
