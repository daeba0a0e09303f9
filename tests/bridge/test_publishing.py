"""Result, report and extras get their names together or not at all, and what was there before stands until then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from osgeo import gdal

from headland.bridge.enhance import EnhanceFailed, enhance
from headland.engine.job import Method
from headland.tests.support.engines import FakeEngine
from headland.tests.support.plans import MakePlan, carry_out


def test_an_old_result_stands_until_the_new_one_is_whole(
    fake_engine: FakeEngine, make_plan: MakePlan, folder: Path
) -> None:
    plan = make_plan()
    for file in (plan.output, plan.report):
        file.write_text("old")
    seen: list[tuple[str, str]] = []
    enhance(plan, lambda _p, _f: seen.append((plan.output.read_text(), plan.report.read_text())), lambda: False)
    assert set(seen) == {("old", "old")}
    assert gdal.Open(str(plan.output)) is not None
    assert json.loads(plan.report.read_text())["method"] == "anchor"


def test_a_report_that_cannot_be_written_leaves_no_result_either(
    fake_engine: FakeEngine, make_plan: MakePlan, folder: Path
) -> None:
    reports = folder / "reports"
    reports.mkdir()
    plan = make_plan(report=reports / "report.json")
    before = sorted(folder.rglob("*"))

    def block(phase: str, fraction: float) -> None:
        if fraction == 1.0:
            reports.rename(folder / "elsewhere")

    with pytest.raises(EnhanceFailed, match="could not be read or written"):
        enhance(plan, block, lambda: False)
    (folder / "elsewhere").rename(reports)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("blocked", ["output", "report"])
@pytest.mark.parametrize("is_there_an_old_one", [False, True])
def test_result_and_report_get_their_names_together_or_not_at_all(
    fake_engine: FakeEngine,
    make_plan: MakePlan,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    blocked: str,
    is_there_an_old_one: bool,
) -> None:
    plan = make_plan()
    if is_there_an_old_one:
        for file in (plan.output, plan.report):
            file.write_text("old")
    before = {file: file.read_bytes() for file in folder.iterdir()}
    replace, target = Path.replace, getattr(plan, blocked)

    def refuse(self: Path, path: Path) -> Path:
        # As Windows does while another program has the file open.
        if path == target and self.suffix == target.suffix:
            raise PermissionError(13, "Permission denied", str(self), None, str(path))
        return replace(self, path)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(EnhanceFailed, match="may be open in a layer or another program"):
        carry_out(plan)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_where_the_result_cannot_get_its_name_its_other_picture_gets_none_either(
    fake_engine: FakeEngine, make_plan: MakePlan, folder: Path
) -> None:
    plan = make_plan(method=Method.CHAIN, keeps_dip=True)
    # A folder came there while it worked.
    plan.output.mkdir()
    before = sorted(folder.iterdir())
    with pytest.raises(EnhanceFailed, match="Is a directory"):
        carry_out(plan)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("extra", ["dip_output", "confidence", "uncertain_areas"])
def test_a_file_that_came_where_an_extra_was_to_be_stays_and_nothing_else_appears(
    fake_engine: FakeEngine, make_plan: MakePlan, folder: Path, extra: str
) -> None:
    plan = make_plan(method=Method.CHAIN, keeps_dip=True, maps_confidence=True)
    getattr(plan, extra).write_text("somebody's", encoding="utf-8")
    before = sorted(folder.iterdir())
    with pytest.raises(EnhanceFailed, match="it came there meanwhile"):
        carry_out(plan)
    assert getattr(plan, extra).read_text(encoding="utf-8") == "somebody's"
    assert sorted(folder.iterdir()) == before
