"""Runs of the worker's pipeline that are stopped on their way, in this process."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headland.engine import pipeline
from headland.engine.job import Job


class Run:
    """One run of a job, and what it told.

    Once it tells a phase that holds ``cancel_at`` it stops; with ``finish_at`` it keeps its result.
    """

    def __init__(self, cancel_at: str = "never", finish_at: str = "never") -> None:
        self.cancel_at, self.finish_at = cancel_at, finish_at
        self.told: list[tuple[str, float]] = []
        self.report: dict[str, Any] = {}

    def __call__(self, job: Job, numbers: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[Any]:
        """Return the result, (band, row, column)."""
        result: NDArray[Any] = self.pictures(job, numbers, valid)[0]
        return result

    def pictures(self, job: Job, numbers: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[Any]:
        """Return the result, Deep Image Prior's picture and the bound; zeros where they are not wished for."""
        valid = np.ones(numbers.shape, dtype=bool) if valid is None else valid
        shape = (3, len(numbers), numbers.shape[1] * job.scale, numbers.shape[2] * job.scale)
        outputs = np.zeros(shape, np.float32)
        self.report = pipeline.enhance(
            job,
            numbers,
            valid,
            outputs[0],
            lambda phase, fraction: self.told.append((phase, fraction)),
            lambda: self._has_begun(self.cancel_at),
            is_to_finish=lambda: self._has_begun(self.finish_at),
            dip_output=outputs[1] if job.keeps_dip else None,
            bound_output=outputs[2] if job.maps_confidence else None,
        )
        return outputs

    @property
    def found(self) -> int:
        """How many tiles came from the cache."""
        return int(self.report["tiles_from_cache"])

    def _has_begun(self, wanted: str) -> bool:
        return any(wanted in phase for phase, _ in self.told)
