"""What the dock says in QGIS's message bar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import Qgis
from qgis.gui import QgsMessageBar, QgsMessageViewer
from qgis.PyQt.QtWidgets import QPushButton, QWidget

from ..bridge.words import tr

TITLE = "Headland"
SUCCESS_SHOWN_S = 12


def say_done(bar: QgsMessageBar, layer_name: str, report: dict[str, Any]) -> None:
    """Say that the result is on the map, and what it is made of if the run ended early."""
    seconds = float(report["seconds"]["total"])
    duration = tr("{:.0f} s").format(seconds) if seconds < 100 else tr("{:.0f} min").format(seconds / 60)  # noqa: PLR2004
    text = tr("“{name}” is on the map, after {duration}.").format(name=layer_name, duration=duration)
    bar.pushMessage(
        TITLE, " ".join(filter(None, (text, stopped_in_words(report)))), Qgis.MessageLevel.Success, SUCCESS_SHOWN_S
    )


def stopped_in_words(report: dict[str, Any]) -> str:
    """Return one sentence on what a run that ended early is made of; "" if it ran to its end."""
    stopped = report.get("stopped")
    if not stopped:
        return ""
    rests = {
        "anchor": tr("Stopped early: {share} of the area is done, the rest is sharpened without a network."),
        "enlarged": tr("Stopped early: {share} of the area is done, the rest is only enlarged."),
    }
    sentence = rests.get(stopped["rest"], tr("Stopped early, in the last part of the area."))
    return sentence.format(share=f"{100 * stopped['share_done']:.0f} %")


def say_kept(bar: QgsMessageBar, output: Path, add: Callable[[], None]) -> None:
    """Say that the result is not on the map, because another project is open, and where it is; offer to add it."""
    sentence = tr("The project was changed meanwhile; the result is kept in {output}.").format(output=output)
    item = bar.createMessage(TITLE, sentence)
    button = QPushButton(tr("Add to the map"), item)
    button.clicked.connect(add)
    button.clicked.connect(item.dismiss)
    item.layout().addWidget(button)
    bar.pushWidget(item, Qgis.MessageLevel.Warning)


def say_cancelled(bar: QgsMessageBar) -> None:
    """Say that nothing came of it, as wished."""
    bar.pushMessage(TITLE, tr("Cancelled; nothing was added."), Qgis.MessageLevel.Info, SUCCESS_SHOWN_S)


def say_failed(bar: QgsMessageBar, sentence: str, details: str) -> None:
    """Say what went wrong in one sentence, with a button that shows the details if there are any."""
    item = bar.createMessage(TITLE, sentence)
    if details:
        button = QPushButton(tr("Details"), item)
        button.clicked.connect(lambda: show_details(sentence, details, bar.window()))
        item.layout().addWidget(button)
    bar.pushWidget(item, Qgis.MessageLevel.Critical)


def show_details(sentence: str, details: str, parent: QWidget) -> QgsMessageViewer:
    """Open a window with the text for a bug report; it deletes itself when closed."""
    return show_text(tr("Headland: details"), f"{sentence}\n\n{details}", parent)


def show_text(title: str, text: str, parent: QWidget) -> QgsMessageViewer:
    """Open a window with a text; it deletes itself when closed."""
    # Without a parent it would be gone with Python's last reference to it.
    viewer = QgsMessageViewer(parent)
    viewer.setTitle(title)
    viewer.setMessageAsPlainText(text)
    viewer.showMessage(False)
    return viewer
