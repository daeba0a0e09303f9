"""The list of methods: which of them need the engine, and what stands in while there is none."""

from __future__ import annotations

from enum import Enum
from typing import Optional

from qgis.PyQt.QtWidgets import QWidget

from ..bridge.words import tr
from ..engine.job import METHODS_WITHOUT_ENGINE, Method
from .choice_box import ChoiceBox
from .choices import methods


class MethodBox(ChoiceBox):
    """Offers every method; while there is no engine it says which need one, and the anchor is chosen in their place."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(methods(), parent)
        self._has_engine = True
        self._stood_in_for: Optional[Method] = None
        # What a person chooses stays.
        self.activated.connect(self._forget_stand_in)

    @property
    def method(self) -> Method:
        """The method that is chosen."""
        return Method(self.chosen.value)

    @property
    def wished(self) -> Method:
        """The method that would be chosen if there were an engine."""
        return self._stood_in_for or self.method

    @property
    def explanation(self) -> str:
        """What the chosen method does, and whether that needs an engine that is not there."""
        if self._has_engine or self.method in METHODS_WITHOUT_ENGINE:
            return self.chosen.explanation
        return tr("Needs the engine. {explanation}").format(explanation=self.chosen.explanation)

    def choose(self, value: Enum) -> None:
        """Choose ``value``, for which nothing stands in any more."""
        self._forget_stand_in()
        super().choose(value)

    def follow_engine(self, *, is_there: bool) -> None:
        """Take note of whether there is an engine."""
        if is_there == self._has_engine:
            return
        self._has_engine = is_there
        for row, choice in enumerate(methods()):
            needs_words = not is_there and choice.value not in METHODS_WITHOUT_ENGINE
            self.setItemText(
                row, tr("{name}: needs the engine").format(name=choice.name) if needs_words else choice.name
            )
        if not is_there:
            self.stand_in()
        elif self._stood_in_for is not None:
            self.choose(self._stood_in_for)

    def stand_in(self) -> None:
        """Choose the anchor if what is chosen, by nobody just now, needs an engine that is not there."""
        if not self._has_engine and self.method not in METHODS_WITHOUT_ENGINE:
            wished = self.method
            self.choose(Method.ANCHOR)
            self._stood_in_for = wished

    def _forget_stand_in(self) -> None:
        self._stood_in_for = None
