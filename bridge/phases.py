"""What is being done, in the user's language: the worker says it in English."""

from __future__ import annotations

import re

from qgis.PyQt.QtCore import QT_TRANSLATE_NOOP

from .words import tr

PHASES = (
    QT_TRANSLATE_NOOP("Headland", "Measuring the input"),
    QT_TRANSLATE_NOOP("Headland", "Drawing a first picture"),
    QT_TRANSLATE_NOOP("Headland", "Asking held-out pixels"),
    QT_TRANSLATE_NOOP("Headland", "Fitting the blur"),
    QT_TRANSLATE_NOOP("Headland", "Sharpening"),
    QT_TRANSLATE_NOOP("Headland", "Enlarging"),
    QT_TRANSLATE_NOOP("Headland", "Removing the pixels"),
    QT_TRANSLATE_NOOP("Headland", "Restoring borders"),
    QT_TRANSLATE_NOOP("Headland", "Checking against the input"),
    QT_TRANSLATE_NOOP("Headland", "Filling the rest"),
    QT_TRANSLATE_NOOP("Headland", "Going on where it was"),
    QT_TRANSLATE_NOOP("Headland", "Going on with fewer tiles at a time, for lack of memory"),
    QT_TRANSLATE_NOOP("Headland", "Going on with smaller tiles, for lack of memory"),
    QT_TRANSLATE_NOOP("Headland", "Going on with the processor, for lack of graphics memory"),
    QT_TRANSLATE_NOOP("Headland", "Comparing the result with the input"),
    QT_TRANSLATE_NOOP("Headland", "Tracing field borders"),
    QT_TRANSLATE_NOOP("Headland", "Adding up what is uncertain"),
)
"""All that the worker does; a test compares them with its source."""

_OF_A_TILE = re.compile(r"(.+), tile (\d+) of (\d+)")


def phase_in_words(phase: str) -> str:
    """Return what the worker says that it does, in the user's language."""
    of_a_tile = _OF_A_TILE.fullmatch(phase)
    if of_a_tile is None:
        return tr(phase)
    return tr("{phase}, tile {number} of {count}").format(
        phase=tr(of_a_tile[1]), number=of_a_tile[2], count=of_a_tile[3]
    )
