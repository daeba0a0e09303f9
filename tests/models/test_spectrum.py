"""Lines that are not there cost, even where they are fainter than the texture they stand for."""

from __future__ import annotations

import math

import pytest
import torch

from headland.models.training.spectrum import _cells, _taper, spectrum_distances

SIZE_PX = 96


def grain(seed: int, sd: float = 0.02) -> torch.Tensor:
    return 0.5 + sd * torch.randn(1, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(seed))


def waves(period_px: float, amplitude: float, turn_deg: float = 0.0) -> torch.Tensor:
    """Lines, upright ones without a turn."""
    down, right = torch.meshgrid(torch.arange(float(SIZE_PX)), torch.arange(float(SIZE_PX)), indexing="ij")
    turn = math.radians(turn_deg)
    along = right * math.cos(turn) + down * math.sin(turn)
    return (amplitude * torch.sin(2.0 * math.pi * along / period_px)).expand(1, 3, -1, -1)


def lines(image: torch.Tensor, target: torch.Tensor) -> float:
    return float(spectrum_distances(image, target)[0])


def missing(image: torch.Tensor, target: torch.Tensor) -> float:
    return float(spectrum_distances(image, target)[1])


def test_equal_images_are_no_distance_apart() -> None:
    found = spectrum_distances(grain(0), grain(0))
    assert [float(distance) for distance in found] == [0.0, 0.0]


@pytest.mark.parametrize("sd", [0.02, 0.004])
@pytest.mark.parametrize("turn_deg", [0.0, 30.0, 45.0, 90.0, 160.0])
@pytest.mark.parametrize("period_px", [3.0, 4.0, 5.5])
def test_lines_half_as_strong_as_the_texture_they_lie_in_cost_more_than_other_texture(
    period_px: float, turn_deg: float, sd: float
) -> None:
    lined = grain(2, sd) + waves(period_px, 0.5 * sd, turn_deg)
    assert lines(lined, grain(1, sd)) > 1.25 * lines(grain(2, sd), grain(1, sd))


def test_texture_that_is_missing_is_not_taken_for_lines() -> None:
    assert lines(grain(2, sd=0.002), grain(1)) < 1.1 * lines(grain(2), grain(1))


def test_upright_and_level_lines_cost_the_same() -> None:
    lined, truth = grain(2) + waves(3.0, 0.01), grain(1)
    assert lines(lined, truth) == pytest.approx(lines(lined.mT, truth.mT), rel=1e-4)


def test_lines_that_the_truth_has_too_cost_nothing() -> None:
    rows = waves(3.0, 0.03, 30.0)
    assert lines(grain(1, sd=0.004) + rows, grain(1, sd=0.004) + rows) == 0.0
    assert lines(grain(2, sd=0.004) + rows, grain(1, sd=0.004) + rows) < 0.2 * lines(
        grain(2, sd=0.004) + waves(3.0, 0.03, 120.0), grain(1, sd=0.004) + rows
    )


def test_waves_as_long_as_the_sensor_sees_are_left_to_the_consistency_step() -> None:
    seen = waves(20.0, 0.03)
    assert lines(grain(1) + seen, grain(1)) < 0.002
    assert missing(grain(1), grain(1) + seen) < 0.002


def test_texture_is_missing_where_the_truth_has_more_of_it() -> None:
    smooth = torch.full((1, 3, SIZE_PX, SIZE_PX), 0.5)
    assert missing(smooth, grain(1)) > missing(grain(2, sd=0.01), grain(1)) > missing(grain(2), grain(1))
    assert missing(grain(1), smooth) == 0.0


@pytest.mark.parametrize(("amplitude", "counts"), [(0.0002, False), (0.004, True)])
def test_what_is_too_faint_to_be_seen_is_nobodys_pattern(amplitude: float, counts: bool) -> None:
    smooth = torch.full((1, 3, SIZE_PX, SIZE_PX), 0.5)
    assert (lines(smooth + waves(3.0, amplitude), smooth) > 0.05) == counts


def test_a_step_down_the_gradient_takes_lines_away() -> None:
    drawn = (grain(2, sd=0.004) + waves(3.0, 0.02)).requires_grad_()
    before = spectrum_distances(drawn, grain(1))[0]
    before.backward()
    assert drawn.grad is not None
    fainter = drawn.detach() - 3e-5 * drawn.grad / drawn.grad.square().mean().sqrt()
    assert lines(fainter, grain(1)) < before.item()


def test_it_can_be_trained_by_after_it_was_measured_with() -> None:
    # What was computed once is kept: here it is to be computed where no gradient can pass.
    _taper.cache_clear()
    _cells.cache_clear()
    with torch.inference_mode():
        spectrum_distances(grain(2), grain(1))
    image = grain(2).requires_grad_()
    sum(spectrum_distances(image, grain(1))).backward()
    assert image.grad is not None


def test_a_crop_smaller_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 pixels"):
        spectrum_distances(torch.zeros(1, 3, 64, 24), torch.zeros(1, 3, 64, 24))
