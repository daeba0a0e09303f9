"""The noise of a band is that of what was measured, whatever else is in the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headland.engine.noise import noise_sd


def land(sd: float, size_px: int = 200) -> NDArray[np.float64]:
    """Fields of 20 pixels a side, (row, column), with noise of ``sd``, in whole numbers."""
    rng = np.random.default_rng(3)
    values = rng.uniform(60, 200, (size_px // 20, size_px // 20)).repeat(20, axis=0).repeat(20, axis=1)
    return np.asarray((values + rng.normal(0, sd, values.shape)).round())


def measured(band: NDArray[np.floating[Any]]) -> float:
    sd = noise_sd(band, np.ones(band.shape, bool))
    assert sd is not None
    return sd


@pytest.mark.parametrize("sd", [1.0, 3.0])
def test_the_noise_that_was_added_is_found(sd: float) -> None:
    assert measured(land(sd)) == pytest.approx(sd, rel=0.2)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("value", [0.0, 255.0])
def test_a_collar_or_a_saturated_area_does_not_count_as_clean(share: float, value: float) -> None:
    band = land(3.0)
    expected = measured(band)
    down, right = np.mgrid[:200, :200]
    band[right + down / 4 > 225 * (1 - share)] = value
    assert measured(band) == pytest.approx(expected, rel=0.15)


def test_small_areas_of_one_value_that_rounding_makes_do() -> None:
    # Still water: whole numbers, with a noise far below one.
    assert measured(land(0.1)) < 0.3


def test_a_drawing_has_no_noise() -> None:
    down, right = np.mgrid[:200, :200]
    assert measured(np.asarray((right + down // 3) // 40 * 40.0)) == 0.0


def test_where_there_is_nothing_but_one_value_there_is_no_noise() -> None:
    assert measured(np.full((30, 30), 7.0)) == 0.0
    assert noise_sd(np.full((2, 30), 7.0), np.ones((2, 30), bool)) is None
