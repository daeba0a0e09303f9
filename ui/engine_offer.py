"""What the dock says while there is no engine: what works without it, what it brings, and the way to it."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from ..bridge.words import tr
from ..engine.environment import location
from .set_up_button import SetUpButton
from .wrapping_label import WrappingLabel


class EngineOffer(QWidget):
    """A sentence and the button that sets the engine up; takes no room while there is an engine."""

    def __init__(self, icon: QIcon, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.label = WrappingLabel()
        self.button = SetUpButton(icon)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addWidget(self.button)
        # Shown without a place in the dock it would be a window of its own.
        self.hide()

    @property
    def has_engine(self) -> bool:
        """Whether there was an engine when that was last looked up."""
        return self.isHidden()

    def refresh(self) -> None:
        """Be there if the engine is missing, and only then."""
        self.button.refresh()
        # To whom it was never set up, where it would be is of no use.
        problem = self.button.problem if location().exists() else tr("Headland’s engine is not set up")
        self.label.setText(
            tr(
                "{problem}. “Anchor” and “Bicubic” work without it. Recommended: the engine, downloaded once, brings "
                "the methods that draw field borders sharper."
            ).format(problem=problem)
        )
        self.setVisible(bool(self.button.problem))
