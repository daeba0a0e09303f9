"""Tiled against untiled, on a real scene: no border of a tile can be found in the result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from headland.engine import pipeline
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.tests.support.tiles import plan_small_tiles

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

SCENE = Path(__file__).resolve().parents[1] / "data" / "s2_farmland_virginia.tif"
BANDS = ("B02", "B03", "B04")
SCALE = 4
# A tenth of what the sensor itself tells apart, ten thousand being a reflectance of one.
MOST_DN = 0.1

Results = tuple[NDArray[np.float32], NDArray[np.float32], tuple[int, ...]]


@pytest.fixture(scope="module", params=list(Method), ids=lambda method: method.value)
def results(request: pytest.FixtureRequest) -> Results:
    """The same extent untiled and tiled, and the high-res rows that the tiles' cores begin at."""
    job = Job(request.param, SCALE, Preset.FAST, Device.CPU, 0, Sensor.AUTO, BANDS, pixel_size_m=(10.0, 10.0))
    numbers = np.moveaxis(tifffile.imread(SCENE), -1, 0)[:3, :, 100:164]
    starts: set[int] = set()

    def enhanced(core_px: int) -> NDArray[np.float32]:
        with pytest.MonkeyPatch.context() as patch:
            cuttings = plan_small_tiles(patch, core_px)
            output = np.zeros((3, *(SCALE * length for length in numbers.shape[1:])), np.float32)
            pipeline.enhance(job, numbers, np.ones(numbers.shape, bool), output, lambda *_told: None, lambda: False)
        starts.update(SCALE * tile.rows.core_start for tiles in cuttings for tile in tiles)
        return output

    whole, tiled = enhanced(1000), enhanced(112)
    return whole, tiled, tuple(sorted(starts - {0}))


def test_tiles_change_no_digital_number(results: Results) -> None:
    whole, tiled, borders = results
    assert len(borders) == 2
    assert np.abs(tiled - whole).max() < MOST_DN


def test_the_gradient_across_tile_borders_is_what_it_is_without_tiles(results: Results) -> None:
    whole, tiled, borders = results
    across, untouched = (
        np.mean([np.abs(image[:, row] - image[:, row - 1]).mean() for row in borders]) for image in (tiled, whole)
    )
    assert across == pytest.approx(untouched, rel=0.001)


def test_the_gradient_across_tile_borders_is_that_inside(results: Results) -> None:
    _, tiled, borders = results
    gradients = np.abs(np.diff(tiled, axis=1)).mean(axis=(0, 2))
    for border in borders:
        # A border of a field may lie there, but then in its neighbourhood as well: of the rows around, some reach it.
        around = gradients[border - 4 * SCALE : border + 4 * SCALE - 1]
        assert gradients[border - 1] <= 1.05 * np.percentile(around, 95)


def test_the_result_agrees_with_its_input_at_tile_borders_as_inside(results: Results) -> None:
    whole, tiled, borders = results
    # What blending could break is the mean over a low-res pixel.
    coarse = [
        image.reshape(3, image.shape[1] // SCALE, SCALE, -1, SCALE).mean(axis=(2, 4), dtype=np.float64)
        for image in (whole, tiled)
    ]
    rows = [row for border in borders for row in range(border // SCALE - 8, border // SCALE + 8)]
    assert np.abs(coarse[0][:, rows] - coarse[1][:, rows]).max() < MOST_DN / 2
