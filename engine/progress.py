"""How a job tells where it is, and hears whether it is to stop or to end early with what it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

ReportProgress = Callable[[str, float], None]
# Told (steps done, steps in all) by a loop; may raise to stop it, returns True if it is to end with what is there.
OnStep = Callable[[int, int], bool]


class Cancelled(Exception):
    """The user asked to stop."""


class BadInput(ValueError):
    """The job cannot be done with this input; the message says why and what to do."""


def go_on(_step: int, _steps: int) -> bool:
    """Let a loop run to its end."""
    return False


@dataclass
class Progress:
    """Tells phase and fraction, stops a cancelled job, and keeps the time of each stage."""

    report: ReportProgress
    is_cancelled: Callable[[], bool]
    is_to_finish: Callable[[], bool] = lambda: False
    seconds: dict[str, float] = field(default_factory=dict)
    _phase: str = ""
    _share: tuple[float, float] = (0.0, 0.0)

    def enter(self, phase: str, begin: float, end: float) -> None:
        """Begin a phase that takes the job from one fraction to another. Raises Cancelled if it is to stop."""
        self._phase, self._share = phase, (begin, end)
        self._tell(begin)

    def step(self, step: int, steps: int) -> bool:
        """Say how much of the phase is done; an OnStep. Raises Cancelled if the job is to stop."""
        begin, end = self._share
        self._tell(begin + (end - begin) * step / steps)
        return self.is_to_finish()

    def _tell(self, fraction: float) -> None:
        if self.is_cancelled():
            raise Cancelled
        self.report(self._phase, fraction)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time spent inside to that of ``stage``."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began
