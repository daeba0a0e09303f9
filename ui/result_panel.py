"""What came of the last run: in words, to be compared with its source, and to be had again."""

from __future__ import annotations

import json
from typing import Optional

from qgis.core import QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtWidgets import QApplication, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ..bridge.command_line import NoCommand, command_for
from ..bridge.enhance import EnhanceResult
from ..bridge.words import tr
from .compare_box import CompareBox
from .folding_box import FoldingBox
from .messages import show_text
from .result_words import figures_in_words, result_in_words
from .wrapping_label import WrappingLabel


class ResultPanel(FoldingBox):
    """Takes no room until there is a result."""

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("Result"), parent)
        self._result: Optional[EnhanceResult] = None
        self._command = ""
        self.label = WrappingLabel()
        self.label.setAccessibleName(tr("Result"))
        self.compare_box = CompareBox(canvas)
        self.report_button = QPushButton(tr("Report"))
        self.command_button = QPushButton(tr("Copy as command"))
        self.report_button.setToolTip(tr("Show all that was done and measured"))
        row = QHBoxLayout()
        for button in (self.report_button, self.command_button):
            button.setAutoDefault(False)
            button.setAccessibleName(button.text())
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.label)
        layout.addWidget(self.compare_box)
        layout.addLayout(row)
        self.report_button.clicked.connect(self._show_report)
        self.command_button.clicked.connect(self._copy_command)
        self.hide()

    def show_result(self, result: EnhanceResult, layer_id: str) -> None:
        """Show what came of a run; the layer may be in no project."""
        self._result = result
        self.label.setText(result_in_words(result.summary))
        self.label.setToolTip(figures_in_words(result.summary))
        layer = QgsProject.instance().mapLayer(layer_id)
        self.compare_box.show_for(layer if isinstance(layer, QgsRasterLayer) else None)
        self._offer_command(result)
        self.show()

    def release(self) -> None:
        """Let go of everything outside."""
        self.compare_box.release()

    def _offer_command(self, result: EnhanceResult) -> None:
        try:
            self._command, tip = command_for(result.plan), tr("Copy a qgis_process command that gives the same result")
        except NoCommand as reason:
            self._command, tip = "", str(reason)
        self.command_button.setEnabled(bool(self._command))
        self.command_button.setToolTip(tip)

    def _show_report(self) -> None:
        if self._result is not None:
            text = json.dumps(self._result.summary, indent=2, ensure_ascii=False, default=str)
            show_text(tr("Headland: report"), text, self.window())

    def _copy_command(self) -> None:
        QApplication.clipboard().setText(self._command)
