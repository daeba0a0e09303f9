"""Borders are found where they were drawn, and their sharpness is measured in pixels."""

from __future__ import annotations

import json
from pathlib import Path

import field_borders
import numpy as np
import pytest
from field_borders import STEP_PX, Steps
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import erf

SIDE_PX = 160
# A field in the middle, off the pixel grid on purpose.
FIELD = np.array([[40.5, 40.5], [40.5, 119.5], [119.5, 119.5], [119.5, 40.5]])


def field_image(step: float = 0.4, shift_px: int = 0) -> NDArray[np.float32]:
    """A bright field on dark ground, (3, row, column)."""
    image = np.full((3, SIDE_PX, SIDE_PX), 0.3, dtype=np.float32)
    image[:, 41 + shift_px : 120 + shift_px, 41 + shift_px : 120 + shift_px] += np.float32(step)
    return image


def edge_image(sd_px: float, halo: float = 0.0, halo_at_px: float = 3.0) -> NDArray[np.float32]:
    """A vertical edge of step .4 at column 80, blurred by a Gaussian; on both sides a halo, as a share of the step."""
    x = np.arange(SIDE_PX, dtype=np.float64) - 80.0
    edge = 0.5 * (1.0 + erf(x / (sd_px * np.sqrt(2.0))))
    lobe = np.exp(-0.5 * ((np.abs(x) - halo_at_px) / 0.6) ** 2)
    row = 0.3 + 0.4 * (edge + halo * np.sign(x) * lobe)
    return np.broadcast_to(row, (3, SIDE_PX, SIDE_PX)).astype(np.float32)


EDGE_STEPS = Steps(
    np.array([[row, 80.0] for row in (40.0, 60.0, 80.0)]), np.broadcast_to(np.array([0.0, 1.0]), (3, 2)).copy()
)


def score(image: NDArray[np.float32], tolerance_px: float) -> field_borders.BorderScore:
    """Best score against the outline of FIELD."""
    drawn = field_borders.draw_outlines([FIELD], (SIDE_PX, SIDE_PX))
    return field_borders.best_score([field_borders.detect(field_borders.border_strength(image), drawn, tolerance_px)])


@pytest.mark.parametrize("sd_px", [1.0, 1.5, 2.0])
def test_the_rise_of_a_blurred_edge_is_2_563_times_its_sd_and_one_tick(sd_px: float) -> None:
    rise = field_borders.rise_px(field_borders.step_profiles(edge_image(sd_px), EDGE_STEPS))
    # Between whole pixels the profile is interpolated linearly, which rounds the foot of a narrow edge.
    assert rise == pytest.approx(2.563 * sd_px + STEP_PX, abs=STEP_PX)


def test_an_edge_that_falls_or_is_not_there_counts_as_long_as_the_profile() -> None:
    profiles = field_borders.step_profiles(edge_image(1.0), EDGE_STEPS)
    whole_px = (profiles.shape[1] - 1) * STEP_PX
    assert field_borders.rise_px(profiles[:, ::-1]) == pytest.approx(whole_px)
    assert field_borders.rise_px(np.full_like(profiles, 0.5)) == pytest.approx(whole_px)


def test_a_halo_of_a_tenth_of_the_step_is_measured_as_a_tenth() -> None:
    clean, haloed = (field_borders.step_profiles(edge_image(0.8, halo), EDGE_STEPS) for halo in (0.0, 0.1))
    assert field_borders.overshoot(haloed) == pytest.approx(0.1, abs=0.005)
    assert field_borders.halo(haloed, clean) == pytest.approx(0.1, abs=0.005)
    assert field_borders.halo(clean, clean) == pytest.approx(0.0)
    assert field_borders.overshoot(clean) == pytest.approx(0.0, abs=0.001)


def test_what_the_high_res_image_shows_too_is_no_halo_unless_it_lies_elsewhere() -> None:
    near, far = (field_borders.step_profiles(edge_image(0.5, 0.1, at), EDGE_STEPS) for at in (1.0, 4.0))
    assert field_borders.halo(near, near) == pytest.approx(0.0)
    assert (field_borders.halo(far, near) > 0.06).all()


def test_a_perfect_map_has_an_f_of_one_and_a_shifted_one_has_not() -> None:
    assert score(field_image(), 2.0).f == pytest.approx(1.0, abs=0.01)
    assert score(field_image(shift_px=5), 2.0).f < 0.2
    assert score(field_image(shift_px=3), 4.0).f > 0.95


def test_borders_that_nobody_drew_cost_precision_and_missed_ones_recall() -> None:
    twice = field_image()
    twice[:, 60:100, 60:100] += 0.6
    assert score(twice, 2.0).precision < 0.75
    assert score(twice, 2.0).recall > 0.98
    half = field_image()
    half[:, 80:] = 0.3
    assert score(half, 2.0).recall < 0.6


def test_an_image_without_borders_scores_nothing() -> None:
    assert score(np.full((3, SIDE_PX, SIDE_PX), 0.4, dtype=np.float32), 2.0).f == 0.0


def test_a_border_between_colours_of_equal_brightness_is_found() -> None:
    image = np.full((3, SIDE_PX, SIDE_PX), 0.4, dtype=np.float32)
    image[0, :, 80:] += 0.2
    image[1, :, 80:] -= 0.2
    strength = field_borders.border_strength(image)
    assert set(np.flatnonzero(strength[80] > 0.01)) <= {79, 80}
    assert strength[80].max() > 0.01


def test_outlines_are_scaled_to_the_averaged_image(tmp_path: Path) -> None:
    file = tmp_path / "field_polygons.json"
    file.write_text(json.dumps({"a.png": [[[2, 7], [12, 7], [12, 27]]]}))
    (outline,) = field_borders.read_outlines(file, "a.png", 2.5)
    # x 2, y 7 is the middle of 2.5 x 2.5 pixels that begin at 0 and 5: the averaged pixel of row 2.5, column 0.5.
    assert outline.tolist() == pytest.approx(np.array([[2.5, 0.5], [2.5, 4.5], [10.5, 4.5]]))


def test_outlines_at_the_edge_of_the_picture_do_not_count() -> None:
    edge = np.array([[2.0, 2.0], [2.0, 157.0], [157.0, 157.0], [157.0, 2.0]])
    assert not field_borders.draw_outlines([edge], (SIDE_PX, SIDE_PX)).any()
    assert len(field_borders.find_steps(field_image(), [edge]).points) == 0


def test_steps_are_found_on_the_border_though_the_outline_misses_it_by_two_pixels() -> None:
    missed = FIELD + np.array([[2.0, 2.0], [2.0, -2.0], [-2.0, -2.0], [-2.0, 2.0]])
    steps = field_borders.find_steps(field_image(), [missed])
    straight = steps.points[(np.abs(steps.normals) > 0.999).any(axis=1)]
    off_px = np.abs(straight[:, :, None] - np.array([40.5, 119.5])).min(axis=(1, 2))
    assert len(straight) > 20
    assert off_px.max() <= 0.3


def test_normals_point_from_dark_to_bright() -> None:
    steps = field_borders.find_steps(field_image(), [FIELD])
    inwards = ((80.0 - steps.points) * steps.normals).sum(axis=1)
    assert (inwards > 0.0).all()
    dark = field_borders.find_steps(field_image(step=-0.2), [FIELD])
    assert (((80.0 - dark.points) * dark.normals).sum(axis=1) < 0.0).all()


def test_only_clear_steps_of_the_high_res_image_are_measured() -> None:
    assert len(field_borders.find_steps(field_image(step=0.1), [FIELD]).points) == 0
    soft = gaussian_filter(field_image(), (0, 2.5, 2.5))
    assert len(field_borders.find_steps(soft, [FIELD]).points) == 0
    assert len(field_borders.find_steps(field_image(step=0.15), [FIELD]).points) > 20
