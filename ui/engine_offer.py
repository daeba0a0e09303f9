"""What the dock says of the engine: what works without it, what it would bring, and the way to it or to a newer one."""

from __future__ import annotations

from typing import Optional

from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from ..bridge.words import tr
from ..engine.environment import location
from .set_up_button import SetUpButton
from .wrapping_label import WrappingLabel


class EngineOffer(QWidget):
    """The button that sets the engine up or renews it, and a sentence while there is none; takes no room otherwise."""

    def __init__(self, icon: QIcon, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.label = WrappingLabel()
        self.button = SetUpButton(icon)
        self._is_said_elsewhere = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addWidget(self.button)
        # Shown without a place in the dock it would be a window of its own.
        self.hide()

    @property
    def has_engine(self) -> bool:
        """Whether there was an engine when that was last looked up."""
        return not self.button.problem

    def refresh(self) -> None:
        """Be there if the engine is missing or there are newer packages for it, and only then."""
        self.button.refresh()
        self.label.setText(
            tr(
                "{problem}. “Anchor” and “Bicubic” work without it. Recommended: the engine, downloaded once, brings "
                "the methods that draw field borders sharper."
            ).format(problem=self.problem)
        )
        self._show_what_is_needed()
        self.setVisible(not self.button.isHidden())

    @property
    def problem(self) -> str:
        """What is wrong with the engine, without what to do about it."""
        # To whom it was never set up, where it would be is of no use.
        return self.button.problem if location().exists() else tr("Headland’s engine is not set up")

    def leave_words(self, *, to_others: bool) -> None:
        """Show the button alone while something else in the dock says what is wrong; one sentence on it is enough."""
        self._is_said_elsewhere = to_others
        self._show_what_is_needed()

    def _show_what_is_needed(self) -> None:
        self.label.setVisible(not self.has_engine and not self._is_said_elsewhere)
