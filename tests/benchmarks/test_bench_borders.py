"""Precision and recall of traced lines are lengths near to each other, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from bench_borders import Lengths, compare, table, walked

from headland.engine.border_file import BorderLines

# Drawn: row 40 of 100 x 100 pixels; its centre is at y = 40.5.
DRAWN = np.zeros((100, 100), dtype=bool)
DRAWN[40, 16:84] = True


def lines(*rows: float, strengths: tuple[float, ...]) -> BorderLines:
    points = np.array([(x, row + 0.5) for row in rows for x in (10.0, 90.0)])
    return BorderLines(points, np.arange(0, len(points) + 1, 2), np.array(strengths))


@pytest.mark.parametrize(
    ("rows", "least", "precision", "recall"),
    [
        ((40.0,), 0.0, 1.0, 1.0),
        ((42.0,), 0.0, 1.0, 1.0),
        ((43.0,), 0.0, 0.0, 0.0),
        ((40.0, 60.0), 0.0, 0.5, 1.0),
        ((40.0, 60.0), 0.5, 1.0, 1.0),
        ((60.0, 40.0), 0.5, 0.0, 0.0),
        ((40.0,), 0.95, 0.0, 0.0),
    ],
)
def test_what_lies_within_the_tolerance_counts(
    rows: tuple[float, ...], least: float, precision: float, recall: float
) -> None:
    lengths = Lengths()
    compare(lines(*rows, strengths=(0.9, 0.2)[: len(rows)]), least, DRAWN, 2.0, lengths)
    scores = lengths.scores()
    assert scores["precision"] == pytest.approx(precision, abs=0.01)
    assert scores["recall"] == pytest.approx(recall, abs=0.01)


def test_points_are_evenly_spaced_along_a_line() -> None:
    points = walked(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 14.0]]))
    assert len(points) == 30
    assert np.hypot(*np.diff(points[:10], axis=0).T) == pytest.approx(np.full(9, 0.5))


def test_the_table_has_a_row_for_each_method_and_strength() -> None:
    scores = {"precision": 0.5, "recall": 0.25, "f": 0.333}
    row = {"method": "chain", "least_strength": 0.4, "lines": 7, "length_px": 91.2, "half": scores, "whole": scores}
    text = table({"scale": 4, "places": ["a"], "rows": [row]})
    assert "| chain | 0.4 | 7 | 91 | 0.500 | 0.250 | 0.333 | 0.500 | 0.250 | 0.333 |" in text
