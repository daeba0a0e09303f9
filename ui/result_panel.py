"""What came of a run: in words, to be compared with its source, and to be had again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Optional

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtWidgets import QApplication, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ..bridge.command_line import NoCommand, command_for
from ..bridge.destination import report_beside
from ..bridge.enhance import EnhanceResult
from ..bridge.result_layer import result_of
from ..bridge.words import tr
from ..engine.plain_file import open_plain
from .compare_box import CompareBox
from .elided_label import ElidedLabel
from .folding_box import FoldingBox
from .messages import show_text
from .result_words import figures_in_words, result_in_words
from .wrapping_label import WrappingLabel

# Reports are some ten thousand bytes; what is called like one and far longer is something else.
LONGEST_REPORT_BYTES = 1 << 20


class ResultPanel(FoldingBox):
    """Tells of the last run, or of the result that is chosen in the layer tree; takes no room until there is one."""

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("Result"), parent)
        self._canvas = canvas
        # Of this session, by the ids of their layers.
        self._results: dict[str, EnhanceResult] = {}
        self._command = ""
        self._read_report: Callable[[], str] = str
        self.name_label = ElidedLabel()
        self.label = WrappingLabel()
        self.label.setAccessibleName(tr("Result"))
        self.compare_box = CompareBox(canvas)
        self.report_button = QPushButton(tr("Report"))
        self.command_button = QPushButton(tr("Copy as command"))
        row = QHBoxLayout()
        for button in (self.report_button, self.command_button):
            button.setAutoDefault(False)
            button.setAccessibleName(button.text())
            row.addWidget(button)
        layout = QVBoxLayout(self)
        for widget in (self.name_label, self.label, self.compare_box):
            layout.addWidget(widget)
        layout.addLayout(row)
        self.report_button.clicked.connect(self._show_report)
        self.command_button.clicked.connect(self._copy_command)
        canvas.currentLayerChanged.connect(self._follow)
        QgsProject.instance().layersWillBeRemoved.connect(self._forget)
        # Of a project that is closed nothing is told in the next.
        QgsProject.instance().cleared.connect(self.hide)
        self.hide()

    def show_result(self, result: EnhanceResult, layer_id: str) -> None:
        """Show what came of a run; the layer may be in no project."""
        layer = QgsProject.instance().mapLayer(layer_id)
        if isinstance(layer, QgsRasterLayer):
            self._results[layer_id] = result
            self._show(layer.name(), layer)
        else:
            self._show(result.names.result, None)
        self.label.setText(result_in_words(result.summary))
        self.label.setToolTip(figures_in_words(result.summary))
        self._offer_report(lambda: json.dumps(result.summary, indent=2, ensure_ascii=False, default=str))
        try:
            self._offer_command(command_for(result.plan), tr("Copy a qgis_process command that gives the same result"))
        except NoCommand as reason:
            self._offer_command("", str(reason))

    def release(self) -> None:
        """Let go of everything outside."""
        self._canvas.currentLayerChanged.disconnect(self._follow)
        QgsProject.instance().layersWillBeRemoved.disconnect(self._forget)
        QgsProject.instance().cleared.disconnect(self.hide)
        self.compare_box.release()

    def _follow(self, chosen: Optional[QgsMapLayer]) -> None:
        """Show the result that ``chosen`` is or goes with, if it is one; of what came before nothing is lost."""
        layer = result_of(chosen, QgsProject.instance())
        if layer is None or layer.id() == self.compare_box.layer_id:
            return
        if layer.id() in self._results:
            self.show_result(self._results[layer.id()], layer.id())
        else:
            self._show_earlier(layer)

    def _show_earlier(self, layer: QgsRasterLayer) -> None:
        """Show a result of which nothing is known but what lies beside its file."""
        self._show(layer.name(), layer)
        self.label.setText(tr("Made earlier."))
        self.label.setToolTip("")
        file = report_beside(Path(layer.source()))
        self._offer_report(lambda: _text_of(file), is_there=file.is_file())
        self._offer_command("", tr("Only known while the project in which it was made stays open"))

    def _show(self, name: str, layer: Optional[QgsRasterLayer]) -> None:
        self.name_label.set_text(name)
        self.compare_box.show_for(layer)
        self.show()

    def _offer_report(self, read: Callable[[], str], *, is_there: bool = True) -> None:
        self._read_report = read
        self.report_button.setEnabled(is_there)
        self.report_button.setToolTip(
            tr("Show all that was done and measured") if is_there else tr("There is no report beside the file")
        )

    def _offer_command(self, command: str, tip: str) -> None:
        self._command = command
        self.command_button.setEnabled(bool(command))
        self.command_button.setToolTip(tip)

    def _forget(self, layer_ids: list[str]) -> None:
        for layer_id in layer_ids:
            self._results.pop(layer_id, None)

    def _show_report(self) -> None:
        show_text(tr("Headland: report"), self._read_report(), self.window())

    def _copy_command(self) -> None:
        QApplication.clipboard().setText(self._command)


def _text_of(report: Path) -> str:
    """Return what a report says, or why it cannot be read."""
    try:
        with open_plain(report, "rb") as opened:
            return opened.read(LONGEST_REPORT_BYTES).decode("utf-8", errors="replace")
    except OSError as error:
        return tr("{report} cannot be read ({reason}).").format(report=report, reason=error.strerror or error)
