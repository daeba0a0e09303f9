"""Confidence is judged on reported places alone, and every row says how far its bounds hold."""

from __future__ import annotations

import json
from pathlib import Path

import bench_confidence
import numpy as np
import pytest
import tifffile
from bench_confidence import Figures
from bench_sensors import SCENES
from confidence_places import judged_places

from headland.models.training.imagery import HELD_OUT_FARMLAND
from headland.models.training.judged_places import FARMLAND, Part
from headland.tests.support.places import make_places


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a farmland and a land use to be reported, and one of each that had a part in calibrating."""
    names = {
        FARMLAND: (f"{HELD_OUT_FARMLAND[0]}.png", f"{HELD_OUT_FARMLAND[5]}.png"),
        "naip_urban_0.6m": ("riverside_2016_1.png", "claremont_2016_1.png"),
        "ucmerced_0.3m": ("river90.png", "river94.png"),
    }
    make_places(tmp_path / "highres", names, fields=13, field_px=26)
    return tmp_path


def counted(data: Path, part: Part) -> dict[str, int]:
    return {kind: len(images) for kind, images in judged_places(data, part).items()}


def test_only_places_that_had_no_part_are_reported(data: Path) -> None:
    no_scene = {"Sentinel-2": 0, "Landsat 7": 0}
    assert counted(data, Part.REPORT) == {"farmland": 1, "cities": 0, "land uses": 1, **no_scene}
    assert counted(data, Part.VALIDATION) == {"farmland": 0, "cities": 1, "land uses": 1, **no_scene}


def test_no_window_of_a_scene_is_both_chosen_by_and_reported_on(data: Path) -> None:
    (data / "scenes").mkdir()
    rng = np.random.default_rng(5)
    sizes = {"Sentinel-2": (1947, 1933, 4), "Landsat 7": (352, 349, 6)}
    for name, size in sizes.items():
        tifffile.imwrite(data / "scenes" / SCENES[name], rng.integers(1, 10000, size, dtype=np.uint16))
    chosen, reported = (judged_places(data, part) for part in (Part.VALIDATION, Part.REPORT))
    assert [len(places[name]) for name in sizes for places in (chosen, reported)] == [6, 8, 1, 1]
    for name in sizes:
        assert not any(np.array_equal(seen, fresh) for seen in chosen[name] for fresh in reported[name])


def test_a_bound_that_holds_too_often_misses_its_bar_as_one_that_fails_too_often_does() -> None:
    rows = {
        name: [Figures({"90%": coverage}, {"predicted error": ause, "gradient": 0.4}, 1.0, 1.0)]
        for name, coverage, ause in (("a", 0.90, 0.3), ("b", 0.95, 0.35), ("c", 0.85, 0.2))
    }
    told = bench_confidence.bars(rows).splitlines()
    assert [line.startswith("- met") for line in told] == [True, True, False, False, True, False]


@pytest.mark.slow
def test_one_run_leaves_every_row_and_prints_the_tables(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "confidence.json"
    assert bench_confidence.main([str(data), str(out), "--scale", "4"]) == 0
    results = json.loads(out.read_text())
    assert list(results) == [row.name for row in bench_confidence.ROWS[Part.REPORT]]
    one = results["farmland"]["chain"][0]
    assert one["coverage"]["50%"] < one["coverage"]["80%"] < one["coverage"]["95%"]
    assert 0.0 < one["ause"]["predicted error"] < 1.0
    printed = capsys.readouterr().out
    assert "x4, dip" in printed
    assert "| farmland, noisy (sd .01) | 1 |" in printed
