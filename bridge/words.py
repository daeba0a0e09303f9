"""The language of the person in front of the screen."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

CONTEXT = "Headland"


def tr(text: str) -> str:
    """Return ``text`` in the user's language, as far as QGIS has it."""
    return QCoreApplication.translate(CONTEXT, text)
