"""Why a result may be worth less than its figures say, in the user's language."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QT_TRANSLATE_NOOP

from ..engine.domain import Doubt
from .words import tr

_SENTENCES = {
    Doubt.FLAT: QT_TRANSLATE_NOOP(
        "Headland", "The extent shows little more than noise, as open water does; there is nothing to sharpen."
    ),
    Doubt.BRIGHT: QT_TRANSLATE_NOOP(
        "Headland", "Large parts are as bright as clouds or snow; do not trust borders in and beside them."
    ),
    Doubt.SATURATED: QT_TRANSLATE_NOOP(
        "Headland", "Many pixels are at the largest value; what was lost there is not restored."
    ),
    Doubt.SPECKLED: QT_TRANSLATE_NOOP(
        "Headland", "The layer is as grainy as a radar image; Headland was made for optical ones."
    ),
    Doubt.SMOOTH: QT_TRANSLATE_NOOP(
        "Headland", "The layer is as smooth as an elevation model; Headland was made for images of land."
    ),
    Doubt.CLASSIFIED: QT_TRANSLATE_NOOP(
        "Headland", "The layer looks like a map of classes, whose numbers cannot be sharpened."
    ),
    Doubt.ENLARGED: QT_TRANSLATE_NOOP(
        "Headland", "The layer seems to be enlarged or sharpened already; choose the image as it was measured."
    ),
}


def doubts_in_words(report: dict[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each doubt of a report; of a later Headland's doubts, none."""
    known = {doubt.value: sentence for doubt, sentence in _SENTENCES.items()}
    return tuple(tr(known[doubt]) for doubt in report.get("doubts", ()) if doubt in known)
