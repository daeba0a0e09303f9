"""What was added to an image is told apart: improvement, omission, hallucination."""

from __future__ import annotations

import correctness
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

SCALE = 4


@pytest.fixture
def truth() -> NDArray[np.float32]:
    """Random fields of 6 pixels, (3, row, column)."""
    blocks = np.random.default_rng(2).uniform(0.2, 0.8, (3, 24, 24))
    return blocks.repeat(6, axis=1).repeat(6, axis=2).astype(np.float32)


@pytest.fixture
def low_res(truth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The truth averaged over squares."""
    return torch.nn.functional.avg_pool2d(torch.from_numpy(truth), SCALE).numpy()


def enlarged(low_res: NDArray[np.float32]) -> NDArray[np.float32]:
    image = torch.nn.functional.interpolate(torch.from_numpy(low_res)[None], scale_factor=SCALE, mode="bilinear")
    return image[0].numpy()


# What softmin of temperature .25 leaves for a corner at distance one when another is at zero.
LEAST = np.exp(-4.0) / (1.0 + 2.0 * np.exp(-4.0))


def test_the_enlarged_input_omits_everything_and_hallucinates_nothing(
    low_res: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    judged = correctness.correctness(low_res, enlarged(low_res), truth)
    assert judged.hallucination == pytest.approx(LEAST, abs=1e-4)
    assert judged.omission == pytest.approx(1.0 - 2.0 * LEAST, abs=1e-4)


@pytest.mark.parametrize("harmonise", [False, True])
def test_the_truth_is_all_improvement(
    low_res: NDArray[np.float32], truth: NDArray[np.float32], harmonise: bool
) -> None:
    judged = correctness.correctness(low_res, truth, truth, harmonise=harmonise)
    assert judged.improvement == pytest.approx(1.0 - 2.0 * LEAST, abs=1e-4)


def test_half_way_to_the_truth_is_half_an_improvement_and_no_hallucination(
    low_res: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    judged = correctness.correctness(low_res, (enlarged(low_res) + truth) / 2.0, truth)
    assert judged.improvement == pytest.approx(judged.omission, abs=0.15)
    assert judged.hallucination < 0.12


def test_detail_that_is_not_in_the_truth_is_hallucination(
    low_res: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    invented = truth[:, ::-1, ::-1].copy()
    assert correctness.correctness(low_res, invented, truth).hallucination > 0.6


def test_the_shares_sum_to_one(low_res: NDArray[np.float32], truth: NDArray[np.float32]) -> None:
    judged = correctness.correctness(low_res, np.roll(truth, 2, axis=1), truth)
    assert judged.improvement + judged.omission + judged.hallucination == pytest.approx(1.0)


def test_a_change_of_brightness_alone_is_forgiven_only_when_harmonised(
    low_res: NDArray[np.float32], truth: NDArray[np.float32]
) -> None:
    brighter = truth + np.float32(0.1)
    plain, harmonised = (
        correctness.correctness(low_res, brighter, truth, harmonise=harmonise) for harmonise in (False, True)
    )
    assert harmonised.improvement > 0.95 > plain.improvement
