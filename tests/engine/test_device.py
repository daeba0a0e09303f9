"""Where the worker computes, and how much of the computer it leaves to others."""

from __future__ import annotations

import pytest

from headland.engine.device import polite_threads


@pytest.mark.parametrize(
    ("wanted", "cores", "expected"),
    [
        (1, 1, 1),
        (2, 2, 2),
        (4, 4, 3),
        # Hyper-threading: torch takes the real cores, and the others are free.
        (4, 8, 4),
        (16, 16, 15),
    ],
)
def test_qgis_keeps_a_core_where_there_are_some(wanted: int, cores: int, expected: int) -> None:
    assert polite_threads(wanted, cores) == expected
