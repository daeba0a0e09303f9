"""Traced borders lie where the borders are, meet where they meet, and are the same however the picture is cut."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headland.engine import pipeline
from headland.engine.border_file import BorderLines
from headland.engine.borders.trace import trace_borders
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.engine.progress import Cancelled, go_on
from headland.engine.scene import Scene

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

SIDE_PX, FIELD_PX = 160, 40
NOISE_DN = 15.0


def drawn_fields(bands: int = 4, scale: int = 4, noise: float = NOISE_DN) -> NDArray[np.float32]:
    """A picture (band, row, column) of square fields, each unlike its neighbours, a little noisy."""
    rng = np.random.default_rng(3)
    size = SIDE_PX // FIELD_PX
    checks = np.indices((size, size)).sum(axis=0) % 2 * 900.0
    levels = 1500.0 + checks + rng.uniform(-300.0, 300.0, (bands, size, size))
    fields = levels.repeat(FIELD_PX * scale // 4, axis=1).repeat(FIELD_PX * scale // 4, axis=2)
    return (fields + rng.normal(0.0, noise, fields.shape)).astype(np.float32)


def scene_of(picture: NDArray[np.float32], scale: int = 4, valid: NDArray[np.bool_] | None = None) -> Scene:
    """What the sensor saw of the picture: its pixels averaged."""
    bands, rows, columns = picture.shape
    low_res = picture.reshape(bands, rows // scale, scale, columns // scale, scale).mean(axis=(2, 4)).round()
    valid = np.ones(low_res.shape, dtype=bool) if valid is None else valid
    return Scene.measure(low_res.astype(np.uint16), valid, [0.25] * bands, scale, torch.device("cpu"))


def traced(picture: NDArray[np.float32], scale: int = 4, **wishes: Any) -> BorderLines:
    return trace_borders(scene_of(picture, scale), picture, go_on, **wishes)


def points_along(lines: BorderLines) -> NDArray[np.float64]:
    """Points (x, y) at most half a pixel from each other on all lines."""
    points = []
    for number in range(len(lines)):
        line = lines.line(number)
        for begin, end in zip(line[:-1], line[1:], strict=True):
            steps = int(np.hypot(*(end - begin)) / 0.5) + 2
            points.append(np.linspace(begin, end, steps))
    return np.concatenate([np.zeros((0, 2)), *points])


def off_the_grid(points: NDArray[np.float64], field_px: float) -> NDArray[np.float64]:
    """How far points lie from the nearest border between two fields."""
    off = np.abs(points - np.round(points / field_px) * field_px)
    inner = (np.round(points / field_px) > 0) & (np.round(points / field_px) < SIDE_PX // FIELD_PX)
    distances: NDArray[np.float64] = np.where(inner, off, np.inf).min(axis=1)
    return distances


def ends_of(lines: BorderLines) -> list[tuple[float, float]]:
    return [
        (float(x), float(y)) for number in range(len(lines)) for x, y in (lines.line(number)[0], lines.line(number)[-1])
    ]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("bands", [1, 4])
def test_lines_lie_within_half_a_low_res_pixel_of_the_borders_and_all_borders_have_one(bands: int, scale: int) -> None:
    lines = traced(drawn_fields(bands, scale), scale)
    field_px = FIELD_PX * scale / 4
    points = points_along(lines)
    # Where borders cross, a line may cut the corner.
    crossings = np.round(points / field_px) * field_px
    is_between = np.abs(points - crossings).max(axis=1) > scale
    assert off_the_grid(points[is_between], field_px).max() < scale / 2
    assert off_the_grid(points, field_px).max() < scale
    for border in np.arange(1, SIDE_PX // FIELD_PX) * field_px:
        along = np.arange(2.0, SIDE_PX * scale / 4 - 2.0)
        for on_border in (np.column_stack([along, np.full_like(along, border)]),):
            for wished in (on_border, on_border[:, ::-1]):
                distances = np.sqrt(((wished[:, None] - points[None]) ** 2).sum(axis=2)).min(axis=1)
                assert (distances < scale).all()
    assert (lines.strengths > 0.5).all()


def test_lines_meet_in_shared_nodes_where_borders_cross() -> None:
    lines = traced(drawn_fields())
    ends = Counter(ends_of(lines))
    loose = [end for end, count in ends.items() if count == 1]
    # Only where the picture ends.
    assert all(min(*end, SIDE_PX - end[0], SIDE_PX - end[1]) < 1.0 for end in loose)
    for x in range(FIELD_PX, SIDE_PX, FIELD_PX):
        for y in range(FIELD_PX, SIDE_PX, FIELD_PX):
            near = [count for end, count in ends.items() if np.hypot(end[0] - x, end[1] - y) < 4.0]
            assert sum(near) >= 4
            assert min(near) >= 3


def test_a_straight_border_has_few_vertices() -> None:
    lines = traced(drawn_fields())
    crossings = (SIDE_PX // FIELD_PX - 1) ** 2
    assert len(lines.points) < 12 * crossings


@pytest.mark.parametrize("bands", [1, 4])
def test_plain_noisy_fields_have_none(bands: int) -> None:
    picture = np.random.default_rng(5).normal(1200.0, 40.0, (bands, 240, 240)).astype(np.float32)
    assert len(traced(picture)) == 0
    # Enlarged, noise is smoother and looks like something.
    low_res = np.random.default_rng(6).normal(1200.0, 40.0, (bands, 60, 60)).round()
    enlarged = torch.nn.functional.interpolate(torch.from_numpy(low_res)[None], scale_factor=4.0, mode="bicubic")[0]
    assert len(traced(enlarged.numpy().astype(np.float32))) == 0


def test_a_picture_of_one_colour_has_none() -> None:
    assert len(traced(np.full((2, 80, 80), 700.0, dtype=np.float32))) == 0


def with_pond(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = np.indices(picture.shape[1:])
    return np.where(np.hypot(rows - 70.0, columns - 65.0) < 14.0, np.float32(300.0), picture)


@pytest.mark.parametrize("window_px", [17, 48, 64, 100])
def test_the_lines_are_the_same_bit_for_bit_however_the_picture_is_cut(window_px: int) -> None:
    picture = with_pond(drawn_fields())
    whole, in_windows = traced(picture, window_px=1000), traced(picture, window_px=window_px)
    assert len(whole) > 20
    for one, other in zip(vars(whole).values(), vars(in_windows).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pond_in_a_field_is_one_closed_line() -> None:
    plain = np.full((3, 160, 160), 1500.0, dtype=np.float32)
    plain += np.random.default_rng(1).normal(0.0, NOISE_DN, plain.shape).astype(np.float32)
    lines = traced(with_pond(plain), window_px=40)
    assert len(lines) == 1
    line = lines.line(0)
    assert (line[0] == line[-1]).all()
    assert np.abs(np.hypot(*(line - [65.5, 70.5]).T) - 14.0).max() < 2.0


def test_a_track_between_fields_alike_has_one_line_on_either_side() -> None:
    picture = np.full((3, 160, 160), 1500.0, dtype=np.float32)
    picture[:, :, 80:84] = 600.0
    picture += np.random.default_rng(1).normal(0.0, NOISE_DN, picture.shape).astype(np.float32)
    lines = traced(picture)
    assert len(lines) == 2
    for number, side in enumerate((80.0, 84.0)):
        assert np.abs(lines.line(number)[:, 0] - side).max() < 1.0


def test_the_halo_of_a_border_that_was_made_too_sharp_is_not_traced() -> None:
    picture = np.full((3, 160, 160), 1500.0, dtype=np.float32)
    picture[:, :, 80:] = 2500.0
    # As where a pixel-wise step is taken for one that a sensor blurred.
    picture[:, :, 75:80] -= 250.0
    picture[:, :, 80:85] += 250.0
    picture += np.random.default_rng(1).normal(0.0, NOISE_DN, picture.shape).astype(np.float32)
    lines = traced(picture)
    assert len(lines) == 1
    assert np.abs(lines.line(0)[:, 0] - 80.0).max() < 1.0


def test_the_edge_of_what_is_valid_is_no_border() -> None:
    picture = drawn_fields()
    valid = np.ones((4, 40, 40), dtype=bool)
    # A hole in the middle of a field, and a strip at the side of all.
    valid[0, 13:17, 13:17] = valid[:, :, 37:] = False
    picture[0, 52:68, 52:68] = np.nan
    picture[:, :, 148:] = 0.0
    lines = trace_borders(scene_of(np.nan_to_num(picture), valid=valid), picture, go_on)
    points = points_along(lines)
    assert len(points)
    assert off_the_grid(points, FIELD_PX).max() < 4.0
    assert points[:, 0].max() < 148.0


def test_a_band_without_a_valid_pixel_has_no_say() -> None:
    picture = drawn_fields(bands=2)
    valid = np.ones((3, 40, 40), dtype=bool)
    valid[1] = False
    with_dead = np.stack([picture[0], np.full_like(picture[0], 7.0), picture[1]])
    with_dead[1, ::2] = 3000.0
    expected = trace_borders(scene_of(picture), picture, go_on)
    lines = trace_borders(scene_of(with_dead, valid=valid), with_dead, go_on)
    np.testing.assert_array_equal(lines.points, expected.points)


def test_what_stands_out_clearly_is_stronger_than_what_is_faint() -> None:
    rng = np.random.default_rng(2)
    picture = rng.normal(1500.0, NOISE_DN, (3, 240, 240)).astype(np.float32)
    picture[:, :120] += 700.0
    picture[:, 120:, 120:] += 60.0
    lines = traced(picture)
    by_place = {
        "clear": [n for n in range(len(lines)) if np.abs(lines.line(n)[:, 1] - 120.0).max() < 2.0],
        "faint": [n for n in range(len(lines)) if np.abs(lines.line(n)[:, 0] - 120.0).max() < 2.0],
    }
    clear, faint = (max(lines.strengths[numbers]) for numbers in by_place.values())
    assert clear > faint


def test_tracing_can_be_stopped() -> None:
    def stop(step: int, _steps: int) -> bool:
        if step == 2:
            raise Cancelled
        return False

    with pytest.raises(Cancelled):
        trace_borders(scene_of(drawn_fields()), drawn_fields(), stop, window_px=64)


JOB = Job(Method.ANCHOR, 4, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("red", "green", "blue", "nir"))


def enhanced(job: Job) -> tuple[dict[str, Any], list[BorderLines], list[tuple[str, float]]]:
    numbers = np.array(scene_of(drawn_fields()).digital_numbers)
    output = np.zeros((4, SIDE_PX, SIDE_PX), dtype=np.float32)
    kept: list[BorderLines] = []
    told: list[tuple[str, float]] = []
    report = pipeline.enhance(
        job,
        numbers,
        np.ones(numbers.shape, dtype=bool),
        output,
        lambda phase, fraction: told.append((phase, fraction)),
        lambda: False,
        on_borders=kept.append,
    )
    return report, kept, told


def test_a_job_that_asks_for_borders_gets_them_and_says_so() -> None:
    report, (lines,), told = enhanced(replace(JOB, traces_borders=True))
    assert report["borders"] == {"lines": len(lines)}
    assert len(lines) > 10
    assert off_the_grid(points_along(lines), FIELD_PX).max() < 4.0
    assert "Tracing field borders" in [phase for phase, _ in told]
    assert [fraction for _, fraction in told] == sorted(fraction for _, fraction in told)
    assert report["seconds"]["borders"] > 0.0


def test_a_job_that_does_not_ask_gets_none() -> None:
    report, kept, _ = enhanced(JOB)
    assert "borders" not in report
    assert not kept
