"""Settings that are kept under a name, for the next time and the next project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

from qgis.core import QgsSettings

from ..bridge.request import EnhanceRequest
from ..engine.job import SCALE_FACTORS, Device, Method, Preset, Sensor

_GROUP = "headland/presets"
# Names of settings must not hold slashes.
_SLASH, _STAND_IN = "/", "\N{DIVISION SLASH}"


def preset_names() -> list[str]:
    """Return the names of all presets, in alphabetical order."""
    settings = QgsSettings()
    settings.beginGroup(_GROUP)
    return sorted(settings.childKeys(), key=str.casefold)


def save_preset(name: str, request: EnhanceRequest) -> str:
    """Keep how ``request`` enhances, not what, and return the name that it got; one of that name is replaced."""
    name = name.strip().replace(_SLASH, _STAND_IN)
    content = {
        "method": request.method.value,
        "scale": request.scale,
        "preset": request.preset.value,
        "sensor": request.sensor.value,
        "mtf_at_nyquist": request.mtf_at_nyquist,
        "seed": request.seed,
        "device": request.device.value,
        "model": str(request.model) if request.model else None,
        "is_cloud_optimised": request.is_cloud_optimised,
        "traces_borders": request.traces_borders,
    }
    QgsSettings().setValue(f"{_GROUP}/{name}", json.dumps(content))
    return name


def load_preset(name: str) -> Optional[EnhanceRequest]:
    """Return a request without layer and extent, or None if there is no such preset or another Headland made it."""
    try:
        content: dict[str, Any] = json.loads(QgsSettings().value(f"{_GROUP}/{name}", "", str))
        if content["scale"] not in SCALE_FACTORS:
            return None
        return EnhanceRequest(
            layer=None,
            method=Method(content["method"]),
            scale=content["scale"],
            preset=Preset(content["preset"]),
            sensor=Sensor(content["sensor"]),
            mtf_at_nyquist=content["mtf_at_nyquist"],
            seed=int(content["seed"]),
            device=Device(content["device"]),
            model=Path(content["model"]) if content["model"] else None,
            # Presets of before there were these choices do not have them.
            is_cloud_optimised=bool(content.get("is_cloud_optimised", False)),
            traces_borders=bool(content.get("traces_borders", False)),
        )
    except (ValueError, LookupError, TypeError):
        return None


def remove_preset(name: str) -> None:
    """Forget a preset."""
    QgsSettings().remove(f"{_GROUP}/{name}")
