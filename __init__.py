"""Headland: Enhance extent, a QGIS plugin. QGIS imports this package and calls classFactory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from .plugin import HeadlandPlugin


def classFactory(iface: QgisInterface) -> HeadlandPlugin:  # noqa: N802, the name is QGIS's
    """Return the plugin; the import waits so that the engine's worker can load this package without QGIS."""
    from .plugin import HeadlandPlugin  # noqa: PLC0415

    return HeadlandPlugin(iface)
