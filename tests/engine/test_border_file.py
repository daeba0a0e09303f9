"""What the worker leaves as borders is read as it was written, or refused: it is another process's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from headland.engine.border_file import (
    OFFSETS_FILE,
    POINTS_FILE,
    STRENGTHS_FILE,
    BorderLines,
    read_borders,
    write_borders,
)

LINES = BorderLines(
    np.array([[0.0, 0.0], [3.5, 2.0], [8.0, 6.0], [1.0, 1.0], [1.0, 5.0]]), np.array([0, 3, 5]), np.array([0.25, 1.0])
)
READ = {"width_px": 8, "height_px": 6}


def test_lines_come_back_as_they_were(tmp_path: Path) -> None:
    write_borders(tmp_path, LINES)
    lines = read_borders(tmp_path, **READ)
    assert len(lines) == 2
    assert lines.line(1).tolist() == [[1.0, 1.0], [1.0, 5.0]]
    for one, other in zip(vars(LINES).values(), vars(lines).values()):
        np.testing.assert_array_equal(one, other)


def test_no_lines_are_lines_too(tmp_path: Path) -> None:
    write_borders(tmp_path, BorderLines.none())
    assert len(read_borders(tmp_path, **READ)) == 0


def changed(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / name, change(np.load(folder / name)))


def put(values: Any, at: Any) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array[at] = values
        return array

    return change


def several(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for each in changes:
            each(folder)

    return change


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def lie(folder: Path) -> None:
    """Promise far more than is there."""
    content = (folder / POINTS_FILE).read_bytes()
    (folder / POINTS_FILE).write_bytes(content.replace(b"(5, 2), }        ", b"(500000000000, 2)", 1))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / STRENGTHS_FILE).unlink(),
        cut(POINTS_FILE, 40),
        cut(POINTS_FILE, -1),
        cut(OFFSETS_FILE, -8),
        lie,
        lambda folder: (folder / POINTS_FILE).write_bytes((folder / POINTS_FILE).read_bytes() + b"more"),
        lambda folder: np.save(folder / POINTS_FILE, np.array([{}] * 5), allow_pickle=True),
        changed(POINTS_FILE, lambda points: points.astype(np.float32)),
        changed(POINTS_FILE, lambda points: points[:, :1]),
        changed(POINTS_FILE, np.asfortranarray),
        changed(POINTS_FILE, put(np.nan, (2, 0))),
        changed(POINTS_FILE, put(8.5, (2, 0))),
        changed(POINTS_FILE, put(-0.5, (2, 1))),
        changed(OFFSETS_FILE, put(1, 0)),
        changed(OFFSETS_FILE, put(4, 1)),
        changed(OFFSETS_FILE, put(-3, 1)),
        changed(OFFSETS_FILE, put(9, 2)),
        changed(OFFSETS_FILE, lambda offsets: offsets[:-1]),
        # Each is more than the one before, where numbers come round after the largest.
        several(
            changed(OFFSETS_FILE, lambda _: np.array([0, 2**63 - 1, -2, 5])),
            changed(STRENGTHS_FILE, lambda _: np.array([0.5, 0.5, 0.5])),
        ),
        changed(STRENGTHS_FILE, put(1.5, 0)),
        changed(STRENGTHS_FILE, put(np.nan, 0)),
        changed(STRENGTHS_FILE, lambda strengths: strengths[:1]),
    ],
)
def test_what_is_damaged_or_lies_elsewhere_is_refused(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    write_borders(tmp_path, LINES)
    damage(tmp_path)
    with pytest.raises((ValueError, OSError)):
        read_borders(tmp_path, **READ)
