"""The report is JSON that every program reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headland.bridge.report import StagedReport


def test_numbers_that_json_has_no_word_for_are_null(folder: Path) -> None:
    path = folder / "report.json"
    with StagedReport(path) as report:
        report.write({"rmse": [1.5, float("nan")], "bounds": (float("inf"), 2), "ok": {"shift": float("-inf")}})
        report.publish()
    content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert content == {"rmse": [1.5, None], "bounds": [None, 2], "ok": {"shift": None}}


def test_a_report_that_is_taken_back_leaves_the_old_one_also_if_that_is_a_link(folder: Path) -> None:
    path = folder / "report.json"
    (folder / "shared.json").write_text("old")
    path.symlink_to("shared.json")
    with StagedReport(path) as report:
        report.write({})
        report.publish()
        assert path.read_text() == "{}\n"
        report.take_back()
    assert path.is_symlink()
    assert path.read_text() == "old"
    assert sorted(file.name for file in folder.iterdir()) == ["report.json", "shared.json"]
