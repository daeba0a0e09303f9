"""The result is told in plain words, with the figures, the report and the command a click away."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qgis.gui import QgsMessageViewer
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QApplication

from headland.tests.support.engines import FakeEngine
from headland.tests.support.person import Person
from headland.tests.ui.conftest import AddLayer, enhance
from headland.ui.dock_widget import EnhanceDock
from headland.ui.result_words import figures_in_words, result_in_words

TIMEOUT_MS = 60_000
REPORT = {
    "bands": [{"number": 3, "name": "B04"}, {"number": 7, "name": ""}],
    "consistency": {"rmse": [4.21, 12.0], "rmse_over_noise": [0.52, 1.13], "shift_px": 0.0042},
    "edges_times_sharper": 1.87,
}


def test_agreement_and_sharpness_are_told_in_plain_words() -> None:
    assert result_in_words(REPORT) == "Agrees with the source to 1.1 × its noise. Edges 1.9 × sharper."


def test_how_many_borders_were_traced_is_told() -> None:
    assert result_in_words({"borders": {"lines": 12}}) == "12 likely field borders traced."
    assert result_in_words({"borders": {"lines": 0}}) == "No field borders stand out."


def test_the_figures_behind_them_are_told_band_by_band() -> None:
    assert figures_in_words(REPORT).splitlines() == [
        "B04: off by 4.21, 0.52 × its noise",
        "7: off by 12, 1.13 × its noise",
        "Displaced by 0.004 pixels of the source",
    ]


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({}, ""),
        ({"consistency": {"rmse_over_noise": [None, float("nan")]}, "edges_times_sharper": None}, ""),
        ({"consistency": {"rmse_over_noise": [0.001]}}, "Agrees with the source to 0.1 × its noise."),
        ({"edges_times_sharper": 1.04}, "Edges no sharper."),
        (
            {"edges_times_sharper": 1.5, "stopped": {"share_done": 0.25, "rest": "anchor"}},
            "Edges 1.5 × sharper. Stopped early: 25 % of the area is done, the rest is sharpened without a network.",
        ),
    ],
)
def test_what_is_not_known_is_not_said(report: dict[str, Any], words: str) -> None:
    assert result_in_words(report) == words


@pytest.fixture
def done(dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot) -> EnhanceDock:
    """The dock after a run."""
    add_layer(bands=2)
    enhance(dock, qtbot)
    return dock


def test_after_a_run_the_panel_tells_of_it(done: EnhanceDock) -> None:
    assert done.result_panel.isVisible()
    assert done.result_panel.label.text() == "Agrees with the source to 0.9 × its noise. Edges 1.6 × sharper."


def test_the_whole_report_is_a_click_away(done: EnhanceDock, qtbot: QtBot) -> None:
    Person(qtbot).click(done.result_panel.report_button)
    (viewer,) = (widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QgsMessageViewer))
    text = viewer.findChild(QObject, "txtMessage").toPlainText()
    assert '"method": "chain"' in text
    assert '"rmse_over_noise"' in text
    viewer.reject()


def test_where_there_is_no_command_the_button_says_why_until_there_is_one(
    done: EnhanceDock, add_layer: AddLayer, qtbot: QtBot
) -> None:
    button, usual = done.result_panel.command_button, done.result_panel.command_button.toolTip()
    assert button.isEnabled()
    (plain,) = done.result_panel._results.values()
    changed = replace(plain, plan=replace(plain.plan, has_layer_overrides=True))
    done.result_panel.show_result(changed, "")
    assert not button.isEnabled()
    assert button.toolTip().startswith("No command: ")
    done.result_panel.show_result(plain, "")
    assert button.isEnabled()
    assert button.toolTip() == usual
    assert "qgis_process" in usual


def test_the_command_goes_to_the_clipboard(done: EnhanceDock, qtbot: QtBot) -> None:
    Person(qtbot).click(done.result_panel.command_button)
    command = QApplication.clipboard().text()
    # The path has blanks in it.
    # Debian's program that can be run by its name is the one with an ending.
    assert re.match(r"qgis_process(\.bin)? run headland:enhanceextent '--INPUT=", command)
    assert "--METHOD=chain --SCALE=4 --PRESET=fast" in command
    assert "\n" not in command
