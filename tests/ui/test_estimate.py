"""The dock says what a click will cost, and keeps it current."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProject

from headland.bridge import estimating
from headland.engine.calibration import this_machine
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import UseEngine
from headland.tests.support.person import Person
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

SIDE_PX = 600


class Line:
    """The estimate as a person reads it."""

    def __init__(self, dock: EnhanceDock, qtbot: QtBot) -> None:
        self._label = dock.estimate_label
        self._qtbot = qtbot
        self._last = ""

    def next(self) -> str:
        """Wait until it says something else than last time, and return that."""
        self._qtbot.waitUntil(lambda: self._label.text() not in ("", self._last))
        self._last = self._label.text()
        return self._last.replace(estimating.NO_BREAK_SPACE, " ")


@pytest.fixture
def line(dock: EnhanceDock, qtbot: QtBot) -> Line:
    return Line(dock, qtbot)


def test_the_line_follows_method_scale_and_bands(
    dock: EnhanceDock, fake_engine: FakeEngine, add_layer: AddLayer, line: Line, person: Person
) -> None:
    add_layer(bands=4, width_px=SIDE_PX, height_px=SIDE_PX)
    chain = line.next()
    assert chain.startswith("about ")
    assert [part.split(" ", maxsplit=2)[-1] for part in chain.split(" · ")[1:3]] == ["of memory", "on disk"]
    assert chain.endswith("processor")
    person.choose(dock.method_box, "Anchor (no network)")
    anchor = line.next()
    assert anchor.split(" · ")[0] != chain.split(" · ")[0]
    dock.scale_buttons.button(2).click()
    smaller = line.next()
    assert smaller.split(" · ")[2] != anchor.split(" · ")[2]
    dock.advanced_box.setCollapsed(False)
    person.tick(dock.advanced_box.bands_box, 0)
    line.next()


def test_the_line_follows_the_extent(
    dock: EnhanceDock, fake_engine: FakeEngine, add_layer: AddLayer, line: Line, window: object
) -> None:
    layer = add_layer(width_px=SIDE_PX, height_px=SIDE_PX)
    whole = line.next()
    part = layer.extent()
    part.scale(0.3)
    window.canvas.setExtent(part)
    assert line.next() != whole


def test_the_published_method_is_said_to_take_hours(
    dock: EnhanceDock, fake_engine: FakeEngine, add_layer: AddLayer, line: Line, person: Person
) -> None:
    add_layer(width_px=SIDE_PX // 4, height_px=SIDE_PX // 4)
    line.next()
    dock.advanced_box.setCollapsed(False)
    person.choose(dock.advanced_box.preset_box, "Reference (hours to days)")
    said = line.next()
    while " min ·" in said or " s ·" in said:
        # On the way through the list.
        said = line.next()
    assert " h" in said.split(" · ")[0]


def test_the_line_warns_where_memory_is_short_and_the_click_is_still_there(
    dock: EnhanceDock,
    fake_engine: FakeEngine,
    add_layer: AddLayer,
    line: Line,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimating, "free_memory_bytes", lambda: 50_000_000)
    add_layer()
    assert "only 50 MB free" in line.next()
    assert dock.enhance_button.isEnabled()


def test_there_is_no_estimate_of_what_cannot_be_done(
    dock: EnhanceDock, fake_engine: FakeEngine, add_layer: AddLayer, line: Line, qtbot: QtBot
) -> None:
    add_layer()
    line.next()
    dock.layer_box.setLayer(None)
    qtbot.waitUntil(lambda: dock.estimate_label.text() == "")
    assert dock.notice.isVisible()


def test_the_line_is_made_anew_once_a_run_has_taught_something(
    dock: EnhanceDock, use_engine: UseEngine, add_layer: AddLayer, project: QgsProject, person: Person, qtbot: QtBot
) -> None:
    use_engine("repeat")
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.enhance_button)
    qtbot.waitUntil(lambda: len(project.mapLayers()) == 2, timeout=60_000)
    assert len(this_machine().ratios) == 1
    dock.estimate_label.clear()
    qtbot.waitUntil(lambda: dock.estimate_label.text().startswith("about"))


def test_the_line_can_be_read_by_those_who_do_not_see_it(dock: EnhanceDock) -> None:
    assert dock.estimate_label.accessibleName()
    assert dock.estimate_label.toolTip()
