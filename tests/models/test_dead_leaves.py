"""Drawn training pictures have sharp borders and the weight they were given."""

from __future__ import annotations

import numpy as np
import pytest

from headland.models.training.dead_leaves import dead_leaves


def test_pictures_share_the_weight_and_stay_in_range() -> None:
    pictures = dead_leaves(3, 64, 2.0, np.random.default_rng(0))
    assert sum(picture.weight for picture in pictures) == pytest.approx(2.0)
    for picture in pictures:
        assert (picture.pixels.shape, picture.pixels.dtype) == ((3, 64, 64), np.float32)
        assert picture.pixels.min() >= 0.0
        assert picture.pixels.max() <= 1.0


def test_a_picture_is_plain_with_borders_that_rise_within_two_pixels() -> None:
    pixels = dead_leaves(1, 256, 1.0, np.random.default_rng(1))[0].pixels.mean(axis=0)
    steps = np.abs(np.diff(pixels, axis=1))
    assert np.median(steps) < 0.003
    assert np.quantile(steps, 0.99) > 0.1


def test_the_same_seed_draws_the_same_picture() -> None:
    one, same = (dead_leaves(1, 48, 1.0, np.random.default_rng(5))[0].pixels for _ in range(2))
    np.testing.assert_array_equal(one, same)
