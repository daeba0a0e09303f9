"""Settings that are kept under a name, for the next time and the next project."""

from __future__ import annotations

import json
from typing import Optional

from qgis.core import QgsSettings

from ..bridge.request import EnhanceRequest
from .request_settings import request_with, settings_of

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
    QgsSettings().setValue(f"{_GROUP}/{name}", json.dumps(settings_of(request)))
    return name


def load_preset(name: str) -> Optional[EnhanceRequest]:
    """Return a request without layer and extent, or None if there is no such preset or another Headland made it."""
    try:
        return request_with(json.loads(QgsSettings().value(f"{_GROUP}/{name}", "", str)))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        return None


def remove_preset(name: str) -> None:
    """Forget a preset."""
    QgsSettings().remove(f"{_GROUP}/{name}")
