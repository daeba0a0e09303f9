"""Tells Processing how far the work is."""

from __future__ import annotations

from qgis.core import QgsProcessingFeedback


class Teller:
    """Passes progress on to Processing, with a line in its log for each phase."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback
        self._phase = ""

    def __call__(self, phase: str, fraction: float) -> None:
        # Phases count their tiles and steps after a comma; a line for each would bury the log.
        phase = phase.partition(",")[0]
        if phase != self._phase:
            self._phase = phase
            self._feedback.setProgressText(phase)
        self._feedback.setProgress(100.0 * fraction)
