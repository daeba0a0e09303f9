"""Jobs for tests that need no pixels."""

from __future__ import annotations

from typing import Any

from headland.engine.job import Device, Job, Method, Preset, Sensor


def make_job(bands: int = 4, **wishes: Any) -> Job:
    """Return a job as the dock's defaults ask for it, of a sensor that nobody knows, but for ``wishes``."""
    names = tuple(f"band {number}" for number in range(1, bands + 1))
    defaults = {
        "method": Method.CHAIN,
        "scale": 4,
        "preset": Preset.FAST,
        "device": Device.AUTO,
        "seed": 0,
        "sensor": Sensor.AUTO,
    }
    return Job(**{**defaults, "band_names": names, **wishes})
