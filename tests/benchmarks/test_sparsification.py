"""A score is worth what it ranks."""

from __future__ import annotations

import numpy as np
import pytest
from sparsification import STEPS, ause


def test_the_errors_themselves_rank_perfectly() -> None:
    error = np.random.default_rng(1).exponential(size=5000)
    assert ause(error, error) == 0.0
    assert ause(np.square(error), error) == 0.0


def test_a_better_score_has_a_smaller_area() -> None:
    rng = np.random.default_rng(2)
    scale = rng.lognormal(size=20_000)
    error = scale * np.abs(rng.normal(size=scale.size))
    noisy = scale * rng.lognormal(size=scale.size)
    assert 0.0 < ause(scale, error) < ause(noisy, error) < ause(rng.random(scale.size), error) < ause(-error, error)


def test_a_score_that_says_nothing_leaves_the_mean_where_it_is() -> None:
    # Of 0 and 1 in equal parts the ones are taken first; until they are gone, the mean falls.
    error = np.tile([0.0, 1.0], 50 * STEPS)
    shares = np.arange(STEPS) / STEPS
    own = np.clip(0.5 - shares, 0.0, None) / (1.0 - shares)
    assert ause(np.zeros(error.size), error) == pytest.approx(np.mean(0.5 - own) / 0.5, abs=0.01)
