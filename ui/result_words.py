"""The figures of a report as sentences for people."""

from __future__ import annotations

import math
from typing import Any

from ..bridge.doubts import doubts_in_words
from ..bridge.words import tr
from ..engine.job import Method
from .messages import stopped_in_words

# What is closer to the source than this is said as this: more digits would mean nothing.
CLOSEST = 0.1
# Edges that are no steeper than this would read as 1.0 times as sharp.
SHARPER = 1.05


def result_in_words(report: dict[str, Any]) -> str:
    """Return how well the result agrees with its source and what it gained, as far as the report knows."""
    sentences = (_agreement, _sharpness, _uncertain, _borders, stopped_in_words)
    return " ".join(filter(None, (*(say(report) for say in sentences), *doubts_in_words(report))))


def figures_in_words(report: dict[str, Any]) -> str:
    """Return the figures behind the sentences, a line a band."""
    figures = report.get("consistency", {})
    lines = [
        tr("{band}: off by {rmse:.3g}, {ratio:.2f} × its noise").format(
            band=band["name"] or band["number"], rmse=rmse, ratio=ratio
        )
        for band, rmse, ratio in zip(
            report.get("bands", ()), figures.get("rmse", ()), figures.get("rmse_over_noise", ())
        )
        if _is_number(rmse) and _is_number(ratio)
    ]
    shift = figures.get("shift_px")
    if _is_number(shift):
        lines.append(tr("Displaced by {shift:.3f} pixels of the source").format(shift=shift))
    return "\n".join(lines)


def _agreement(report: dict[str, Any]) -> str:
    ratios = [ratio for ratio in report.get("consistency", {}).get("rmse_over_noise", ()) if _is_number(ratio)]
    if not ratios:
        return ""
    sentence = tr("Agrees with the source to {ratio:.1f} × its noise.")
    if report.get("method") == Method.BICUBIC.value:
        # Seen by the sensor once more, it would be blurred twice.
        sentence = tr("Softer than the source: apart from it by {ratio:.1f} × its noise.")
    return sentence.format(ratio=max(CLOSEST, *ratios))


def _sharpness(report: dict[str, Any]) -> str:
    ratio: Any = report.get("edges_times_sharper")
    if not _is_number(ratio):
        return ""
    return tr("Edges {ratio:.1f} × sharper.").format(ratio=ratio) if ratio >= SHARPER else tr("Edges no sharper.")


def _uncertain(report: dict[str, Any]) -> str:
    share = report.get("uncertain_share")
    if not isinstance(share, (int, float)) or not math.isfinite(share):
        return ""
    return tr("{share:.0f} % of the area is uncertain.").format(share=100 * share)


def _borders(report: dict[str, Any]) -> str:
    if "borders" not in report:
        return ""
    lines = report["borders"].get("lines", 0)
    return tr("{} likely field borders traced.").format(lines) if lines else tr("No field borders stand out.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
