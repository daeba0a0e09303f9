"""What the dock shows while work is going on: how far it is, what the map shows of it, and how to end it."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..bridge.controller import EnhanceController
from ..bridge.plan import EnhancePlan
from ..bridge.words import tr
from .elided_label import ElidedLabel
from .live_preview import LivePreview
from .wrapping_label import WrappingLabel

PROGRESS_STEPS = 1000


class RunBox(QWidget):
    """Follows one run; is hidden while there is none."""

    def __init__(
        self,
        controller: EnhanceController,
        live_preview: LivePreview,
        button_height_px: int,
        parent: Optional[QWidget] = None,
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._is_finishing = False
        self.title_label = ElidedLabel()
        self.phase_label = WrappingLabel()
        self.progress_bar = QProgressBar()
        self.progress_bar.setRange(0, PROGRESS_STEPS)
        self.preview_box = QCheckBox(tr("Show on the map"))
        self.preview_box.setChecked(True)
        self.no_preview_label = WrappingLabel()
        self.finish_button = QPushButton(tr("Stop here, keep this"))
        self.cancel_button = QPushButton(tr("Cancel"))
        buttons = QHBoxLayout()
        for button, stretch in ((self.finish_button, 1), (self.cancel_button, 0)):
            button.setMinimumHeight(button_height_px)
            buttons.addWidget(button, stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title_label)
        layout.addWidget(self.phase_label)
        layout.addWidget(self.progress_bar)
        # As wide as its words: beyond them a click would do nothing.
        layout.addWidget(self.preview_box, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.no_preview_label)
        layout.addLayout(buttons)
        self._explain()
        self.finish_button.clicked.connect(self._finish)
        self.cancel_button.clicked.connect(self._cancel)
        self.preview_box.toggled.connect(live_preview.set_shown)
        live_preview.refused.connect(self._on_preview_refused)
        controller.started.connect(self._on_started)
        controller.progressed.connect(self.tell)
        self.end()

    def begin(self) -> None:
        """Show that work has begun."""
        self._is_finishing = False
        self.tell(tr("Starting"), 0.0)
        for button in (self.finish_button, self.cancel_button):
            button.setEnabled(True)
        self.no_preview_label.setVisible(bool(self.no_preview_label.text()))
        self.show()

    def end(self) -> None:
        """Work is over."""
        self.hide()

    def tell(self, phase: str, fraction: float) -> None:
        """Say what is being done and how much of the whole is done."""
        self.phase_label.setText(tr("Finishing: {}").format(phase) if self._is_finishing else phase)
        self.progress_bar.setValue(int(fraction * PROGRESS_STEPS))

    def _explain(self) -> None:
        tips = (
            (self.progress_bar, tr("Progress"), tr("How much of the work is done")),
            (
                self.preview_box,
                tr("Show on the map"),
                tr("Draw what is done so far over the map, in the layer’s colours"),
            ),
            (
                self.finish_button,
                tr("Stop here, keep this"),
                tr("End now with what is done; what is not begun is sharpened or enlarged in a quick way"),
            ),
            (
                self.cancel_button,
                tr("Cancel"),
                tr("Stop; nothing is added, and nothing is kept but finished tiles in the cache"),
            ),
        )
        for widget, name, tip in tips:
            widget.setAccessibleName(name)
            widget.setToolTip(tip)

    def _on_started(self, plan: EnhancePlan) -> None:
        # The settings above may be those of the next run by now.
        self.title_label.set_text(plan.title)

    def _finish(self) -> None:
        self._is_finishing = True
        self.finish_button.setEnabled(False)
        self.phase_label.setText(tr("Finishing what was begun"))
        self._controller.finish()

    def _cancel(self) -> None:
        self.finish_button.setEnabled(False)
        self.cancel_button.setEnabled(False)
        self.phase_label.setText(tr("Cancelling"))
        self._controller.cancel()

    def _on_preview_refused(self, sentence: str) -> None:
        self.no_preview_label.setText(sentence)
        self.preview_box.setEnabled(not sentence)
