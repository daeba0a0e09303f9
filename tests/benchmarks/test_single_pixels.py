"""Changes where nothing has changed are counted for the picture's sake: a perfect one has none."""

from __future__ import annotations

import numpy as np
import pytest
import single_pixels
from radiometry_pictures import PICTURES, places_of
from single_pixels import (
    MISREGISTERED,
    OTHER_GRID,
    OTHER_NOISE,
    SEEN_AGAIN,
    SOURCE,
    TRUTH,
    Worth,
    worth_of_single_pixels,
    worth_table,
)

from headland.engine.job import Method

SIDE_PX = 96


@pytest.fixture(autouse=True)
def _only_the_quickest_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_pixels, "METHODS", ())


def worth_on_the_crop(scale: int) -> dict[str, Worth]:
    (crop,) = places_of(PICTURES[0], None)
    found = worth_of_single_pixels([crop[:, 150 : 150 + SIDE_PX, 60 : 60 + SIDE_PX]], scale)
    return {name: worth for name, (worth,) in found.items()}


@pytest.mark.parametrize("scale", [2, 4])
def test_a_perfect_picture_changes_nowhere_unless_it_is_misregistered(scale: int) -> None:
    truth = worth_on_the_crop(scale)[TRUTH]
    assert truth.ndvi_rms == 0.0
    assert set(truth.area_rms.values()) == {0.0}
    assert truth.changed[OTHER_NOISE] == truth.changed[OTHER_GRID] == 0.0
    assert truth.changed[MISREGISTERED] > 0.01


@pytest.mark.parametrize("scale", [2, 4])
def test_a_smooth_enlargement_changes_less_than_repeated_pixels_when_the_grid_lies_elsewhere(scale: int) -> None:
    worth = worth_on_the_crop(scale)
    assert worth[Method.BICUBIC.value].changed[OTHER_GRID] < 0.5 * worth[SOURCE].changed[OTHER_GRID]


@pytest.mark.parametrize("scale", [2, 4])
def test_what_lies_at_the_opposite_edge_counts_as_no_change(scale: int) -> None:
    # From bare to green, so slowly that half a source pixel is no change; rolled, green is beside bare.
    green = np.broadcast_to(np.linspace(0.0, 1.0, SIDE_PX), (SIDE_PX, SIDE_PX))
    place = np.stack([900.0 + 0.0 * green, 1000.0 + 0.0 * green, 1500.0 - 1000.0 * green, 2000.0 + 2500.0 * green])
    for name, (worth,) in worth_of_single_pixels([place], scale).items():
        assert set(worth.changed.values()) == {0.0}, name


def test_the_table_has_the_mean_over_the_places_and_how_far_they_differ() -> None:
    areas = {1: 0.3, 4: 0.2, 16: 0.1}
    calm, restless = (Worth(share, areas, dict.fromkeys(SEEN_AGAIN, share)) for share in (0.02, 0.06))
    table = worth_table({4: {SOURCE: [calm, restless], TRUTH: [calm]}})
    assert "| ×4 | source | 0.040 | 0.300 | 0.200 | 0.100 | 4.0% (2.0 to 6.0) |" in table
    assert "| ×4 | truth | 0.020 | 0.300 | 0.200 | 0.100 | 2.0% | 2.0% | 2.0% |" in table
