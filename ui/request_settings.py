"""How a request enhances, not what, as plain values that can be kept: for presets, and for the last choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..bridge.request import EnhanceRequest
from ..engine.job import LARGEST_MTF, LARGEST_SEED, SCALE_FACTORS, SMALLEST_MTF, Device, Method, Preset, Sensor


def settings_of(request: EnhanceRequest) -> dict[str, Any]:
    """Return the settings of ``request`` as values that JSON can hold."""
    return {
        "method": request.method.value,
        "scale": request.scale,
        "preset": request.preset.value,
        "sensor": request.sensor.value,
        "mtf_at_nyquist": request.mtf_at_nyquist,
        "seed": request.seed,
        "device": request.device.value,
        "model": str(request.model) if request.model else None,
        "is_cloud_optimised": request.is_cloud_optimised,
        "keeps_dip": request.keeps_dip,
        "maps_confidence": request.maps_confidence,
        "traces_borders": request.traces_borders,
    }


def request_with(settings: dict[str, Any], bands: tuple[int, ...] = ()) -> EnhanceRequest:
    """Return a request without layer and extent, with ``settings`` as :func:`settings_of` returned them.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: if another Headland wrote them, or nobody did.
    """
    scale, seed, mtf = settings["scale"], settings["seed"], settings["mtf_at_nyquist"]
    if type(scale) is not int or scale not in SCALE_FACTORS:
        raise ValueError(scale)
    if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
        raise ValueError(seed)
    if mtf is not None and not SMALLEST_MTF <= float(mtf) <= LARGEST_MTF:
        raise ValueError(mtf)
    return EnhanceRequest(
        layer=None,
        bands=bands,
        method=Method(settings["method"]),
        scale=scale,
        preset=Preset(settings["preset"]),
        sensor=Sensor(settings["sensor"]),
        mtf_at_nyquist=mtf,
        seed=seed,
        device=Device(settings["device"]),
        model=Path(settings["model"]) if settings["model"] else None,
        # Settings of before there were these choices do not have them.
        is_cloud_optimised=bool(settings.get("is_cloud_optimised", False)),
        maps_confidence=bool(settings.get("maps_confidence", False)),
        keeps_dip=bool(settings.get("keeps_dip", False)),
        traces_borders=bool(settings.get("traces_borders", False)),
    )
