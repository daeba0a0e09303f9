"""The plugin's own version."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

_METADATA_FILE = Path(__file__).resolve().parent.parent / "metadata.txt"


def headland_version() -> str:
    """Return the version that metadata.txt states, "unknown" without that file."""
    metadata = ConfigParser(interpolation=None)
    metadata.read(_METADATA_FILE, encoding="utf-8")
    return metadata.get("general", "version", fallback="unknown")
