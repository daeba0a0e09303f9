"""The cache of finished tiles as QGIS sees it: how much may be kept, how much is, and clearing it."""

from __future__ import annotations

from qgis.core import QgsSettings

from ..engine.tile_store import DEFAULT_LIMIT_BYTES, TileStore, tile_folder

LARGEST_LIMIT_GB = 1000
_LIMIT_SETTING = "headland/cache_limit_gb"
_GB = 1_000_000_000


def cache_limit_gb() -> int:
    """Return how much may be kept, in GB; 0 for nothing."""
    default = DEFAULT_LIMIT_BYTES // _GB
    # Whatever may stand in a settings file that people edit.
    try:
        wished = int(QgsSettings().value(_LIMIT_SETTING, default))
    except (TypeError, ValueError):
        return default
    return min(max(wished, 0), LARGEST_LIMIT_GB)


def set_cache_limit_gb(limit_gb: int) -> None:
    """Let later runs keep as much; 0 for nothing. What is kept beyond it goes at once."""
    QgsSettings().setValue(_LIMIT_SETTING, limit_gb)
    _store().shrink()


def cache_limit_bytes() -> int:
    """Return how much may be kept; 0 for nothing."""
    return cache_limit_gb() * _GB


def cache_size_bytes() -> int:
    """Return how much is kept now."""
    return _store().size_bytes


def clear_cache() -> None:
    """Remove all that is kept; a run that goes on meanwhile does without."""
    _store().clear()


def _store() -> TileStore:
    return TileStore(tile_folder(), cache_limit_bytes())
