"""Everything that people read in the dock comes from a translation where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsApplication, QgsProject, QgsRectangle
from qgis.PyQt.QtCore import QCoreApplication, QTranslator
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QGroupBox,
    QLabel,
    QProgressBar,
    QWidget,
)

from headland.bridge import translation
from headland.bridge.phases import PHASES, phase_in_words
from headland.bridge.translation import load_translation
from headland.bridge.words import tr
from headland.tests.conftest import ROOT
from headland.tests.support.fixtures import UseEngine
from headland.tests.support.person import Person
from headland.tests.ui.conftest import AddLayer
from headland.ui.dock_widget import EnhanceDock

TIMEOUT_MS = 60_000
WITH_WORDS = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QGroupBox, QLabel, QProgressBar)
# What no language changes: numbers with their signs, and names of layers.
NO_WORDS = re.compile(r"(Fields 2024|GB|MB|px|×|of|band \d+|[\d\s.,%+&<>?~·-])*")


class Marking(QTranslator):
    """Stands for a language in which every text is written in brackets."""

    def translate(self, context: str, text: str, _comment: Optional[str] = None, _number: int = -1) -> str:
        return f"⟦{text}⟧" if context == "Headland" else ""

    def isEmpty(self) -> bool:  # noqa: N802, Qt's name
        return False


@pytest.fixture(autouse=True)
def marked() -> Iterator[None]:
    translator = Marking()
    QCoreApplication.installTranslator(translator)
    assert tr("Layer") == "⟦Layer⟧"
    yield
    QCoreApplication.removeTranslator(translator)


def untranslated(dock: EnhanceDock) -> set[str]:
    """The texts of all widgets of the dock that are no translations, tooltips and accessible names with them."""
    texts: set[str] = set()
    engine_row = dock.advanced_box.engine_row
    for widget in dock.findChildren(QWidget):
        # What the engine's set-up has found out stands in English in its folder.
        if widget is engine_row or engine_row.isAncestorOf(widget):
            continue
        # What QGIS's own widgets are made of is QGIS's to translate.
        if not widget.__class__.__module__.startswith("headland.") and not isinstance(widget, WITH_WORDS):
            continue
        texts |= {widget.toolTip(), widget.accessibleName()}
        if isinstance(widget, QComboBox):
            texts |= {widget.itemText(row) for row in range(widget.count())}
        elif isinstance(widget, QGroupBox):
            texts.add(widget.title())
        elif hasattr(widget, "text"):
            texts.add(getattr(widget, "whole_text", widget.text()))
    return {text for text in texts if "⟦" not in text and not NO_WORDS.fullmatch(text) and not is_of_qgis(text)}


def is_of_qgis(text: str) -> bool:
    """Whether a text belongs to a widget of QGIS or Qt that the dock is made of."""
    return text in ("…", "Clear text", "Browse", "Float", "Close", "Expand", "Collapse") or text.startswith("/")


def test_in_every_state_of_the_dock(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, project: QgsProject, qtbot: QtBot
) -> None:
    use_engine("obedient")
    person = Person(qtbot)
    qtbot.waitUntil(lambda: bool(dock.notice.sentence))
    assert untranslated(dock) == set()
    add_layer(bands=2)
    dock.advanced_box.setCollapsed(False)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    assert dock.size_label.text()
    assert untranslated(dock) == set()
    person.click(dock.enhance_button)
    dock.advanced_box.seed_box.setValue(1)
    person.click(dock.enhance_button)
    qtbot.waitUntil(lambda: dock.progress_bar.value() > 0, timeout=TIMEOUT_MS)
    assert dock.queue_box.isVisible()
    assert untranslated(dock) == set()
    person.click(dock.queue_box.clear_button)
    person.click(dock.run_box.finish_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)
    assert dock.result_panel.isVisible()
    assert untranslated(dock) == set()
    assert all("⟦" in item.text() for item in dock.parentWidget().message_bar.items())


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        ("small", "16 × 16"),
        ("palette", "paletted"),
        ("elsewhere", "does not touch"),
        ("no folder", "/nowhere/at"),
    ],
)
def test_what_stands_in_the_way(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot, problem: str, word: str
) -> None:
    use_engine("repeat")
    if problem == "small":
        add_layer(width_px=8, height_px=8)
    elif problem == "palette":
        add_layer(dtype="uint8", palette=True)
    else:
        add_layer()
        if problem == "elsewhere":
            dock.parentWidget().canvas.setExtent(QgsRectangle(0, 0, 10, 10))
        else:
            dock.output_box.setFilePath("/nowhere/at/all.tif")
    qtbot.waitUntil(lambda: word in dock.notice.sentence)
    assert dock.notice.sentence.startswith("⟦")


def test_all_that_the_worker_says_it_does_is_known_to_translators() -> None:
    tile_loop = (ROOT / "engine" / "tile_loop.py").read_text(encoding="utf-8")
    pipeline = (ROOT / "engine" / "pipeline.py").read_text(encoding="utf-8")
    in_numpy = (ROOT / "engine" / "in_numpy" / "pipeline.py").read_text(encoding="utf-8")
    entered, named = r'\.enter\(\s*f?"([^",{]+(?:, for[^"]+)?)', r'^    "\w+": "([^"]+)",$'
    said = set(re.findall(entered, tile_loop + pipeline)) | set(re.findall(named, tile_loop, flags=re.MULTILINE))
    assert said == set(PHASES)
    # Where QGIS itself computes, nothing else is said.
    in_qgis = set(re.findall(entered, in_numpy)) | set(re.findall(named, in_numpy, flags=re.MULTILINE))
    assert {"Sharpening", "Measuring the input"} < in_qgis < said
    assert phase_in_words("Restoring borders, tile 3 of 7") == "⟦⟦Restoring borders⟧, tile 3 of 7⟧"


def test_a_translation_is_loaded_where_qgis_speaks_its_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_translation(tmp_path) is None
    program = shutil.which("lrelease")
    if program is None:
        pytest.skip("Qt's lrelease is not installed")
    source = tmp_path / "headland_ne.ts"
    source.write_text(
        '<TS version="2.1"><context><name>Headland</name><message><source>Layer</source>'
        "<translation>तह</translation></message></context></TS>",
        encoding="utf-8",
    )
    subprocess.run([program, str(source)], check=True, capture_output=True)
    monkeypatch.setattr(translation.QgsApplication, "locale", staticmethod(lambda: "ne_NP"))
    translator = load_translation(tmp_path)
    assert translator is not None
    assert tr("Layer") == "तह"
    QCoreApplication.removeTranslator(translator)
    assert QgsApplication.instance() is not None
