"""REPORT: what was done to which pixels, by what, and how well the result agrees with the input, as JSON."""

from __future__ import annotations

import json
import math
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from osgeo import gdal
from qgis.core import Qgis

from ..engine.events import Started
from .plan import EnhancePlan
from .staging import StagedFile, Staging
from .version import headland_version

_PARTIAL_NAME = "report.json"


def compose_report(
    plan: EnhancePlan,
    started: Optional[Started],
    worker_report: dict[str, Any],
    seconds: dict[str, float],
    estimated_s: float,
) -> dict[str, Any]:
    """Return the whole report: the plan's part with the worker's added.

    Args:
        started: what the worker said of itself, if it said anything.
        worker_report: its own part; its entries win, because it knows what really happened.
        seconds: by stage, of this process; the worker's come between reading and writing.
        estimated_s: what was foretold of the total.
    """
    job, window = plan.job, plan.window
    report: dict[str, Any] = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "input": {
            "layer": plan.source_name,
            "source": str(plan.source),
            "size_px": [plan.grid.width_px, plan.grid.height_px],
            "crs": plan.grid.crs_wkt,
        },
        "output": str(plan.output),
        "window": {
            "column_px": window.column_px,
            "row_px": window.row_px,
            "width_px": window.width_px,
            "height_px": window.height_px,
            "bounds": list(plan.grid.bounds_of(window)),
            "pixel_size_m": plan.pixel_size_m,
        },
        "bands": [{"number": band.number, "name": band.name} for band in plan.bands],
        "method": job.method.value,
        "scale": job.scale,
        "preset": job.preset.value,
        "sensor": job.sensor.value,
        "mtf_at_nyquist": job.mtf_at_nyquist,
        "seed": job.seed,
        "engine": plan.engine,
        "device": started.device if started else job.device.value,
        "versions": {
            "headland": headland_version(),
            "qgis": Qgis.QGIS_VERSION,
            "gdal": gdal.__version__,
            "system": platform.platform(),
            "worker": started.versions if started else {},
        },
    }
    borders = (
        {} if plan.borders is None else {"borders": {**worker_report.get("borders", {}), "file": str(plan.borders)}}
    )
    worker_seconds = worker_report.get("seconds", {})
    stages = {"read": seconds["read"], **worker_seconds, "write": seconds["write"], "total": seconds["total"]}
    return {
        **report,
        **worker_report,
        **borders,
        **({} if plan.confidence is None else {"confidence_output": str(plan.confidence)}),
        **({} if plan.uncertain_areas is None else {"uncertain_areas_output": str(plan.uncertain_areas)}),
        **({} if plan.dip_output is None else {"dip_output": str(plan.dip_output)}),
        "estimated_s": round(estimated_s, 1),
        "seconds": {stage: round(spent, 3) for stage, spent in stages.items()},
    }


class StagedReport(StagedFile):
    """A report; a file of its name is replaced."""

    def write(self, report: dict[str, Any]) -> None:
        """Write ``report`` into a private folder beside its place."""
        _path, staging = self._begin()
        # JSON has no word for infinity and what is not a number.
        text = json.dumps(_as_json(report), indent=2, ensure_ascii=False, allow_nan=False)
        (staging.path / _PARTIAL_NAME).write_text(text + "\n", encoding="utf-8")

    def _move_to(self, path: Path, staging: Staging) -> None:
        with staging.all_or_nothing():
            staging.set_aside(path)
            staging.move(staging.path / _PARTIAL_NAME, path)


def _as_json(value: Any) -> Any:
    """Return ``value`` with null in place of numbers that are not finite."""
    if isinstance(value, dict):
        return {name: _as_json(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
