"""Why a result may be worth less than its figures say, or was made otherwise than wished, in the user's language."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QT_TRANSLATE_NOOP

from ..engine.domain import Doubt
from ..engine.job import Method
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


_ZEROS = QT_TRANSLATE_NOOP(
    "Headland",
    "Areas that are 0 in every chosen band were taken as nodata, which the layer does not declare; if 0 was measured "
    "there, enter a value that it does not have as additional no data value (Layer Properties, Transparency) and "
    "enhance again.",
)
_STAND_IN = QT_TRANSLATE_NOOP(
    "Headland",
    "On pixels that it had not seen, Deep Image Prior was worse here than sharpening without a network, which took its "
    "place; if good images show this too, install Headland again.",
)
_LEFT_GRAPHICS_CARD = QT_TRANSLATE_NOOP(
    "Headland",
    "The graphics card had too little memory, so the processor did the work; close other programs that use the card.",
)


def doubts_in_words(report: dict[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each doubt of a report, and for what was not done as wished; of later doubts, none."""
    known = {doubt.value: sentence for doubt, sentence in _SENTENCES.items()}
    doubts = [tr(known[doubt]) for doubt in report.get("doubts", ()) if doubt in known]
    if share_of_zeros_in(report):
        doubts.append(tr(_ZEROS))
    if anchor_stands_in(report):
        doubts.append(tr(_STAND_IN))
    if report.get("left_graphics_card"):
        doubts.append(tr(_LEFT_GRAPHICS_CARD))
    return tuple(doubts)


def share_of_zeros_in(report: dict[str, Any]) -> float:
    """Return how much of the extent was 0 in every band and became nodata, from 0 to 1."""
    return float((report.get("zero_areas") or {}).get("share", 0.0))


def anchor_stands_in(report: dict[str, Any]) -> bool:
    """Whether the anchor took the place of Deep Image Prior, because held-out pixels said that it is better."""
    return bool((report.get("held_out") or {}).get("chosen") == Method.ANCHOR.value)
