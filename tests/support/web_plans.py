"""Plans for the layers of the tests' map server, and where its pixels lie."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)

from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Method

from .web_server import TILE_PX, WMS_BOUNDS, WORLD_M, resolution_of

MERCATOR = QgsCoordinateReferenceSystem("EPSG:3857")
UTM = QgsCoordinateReferenceSystem("EPSG:32618")
ZOOM = 12
# A place in the middle of tiles, in pixels of the whole world.
COLUMN, ROW = 2058 * TILE_PX + 100, 2028 * TILE_PX + 60


def tiles_extent(width_px: float, height_px: float, column: float = COLUMN, row: float = ROW) -> QgsReferencedRectangle:
    """Return the extent of so many pixels of the tiles of ZOOM."""
    size = resolution_of(ZOOM)
    x, y = column * size - WORLD_M, WORLD_M - row * size
    return QgsReferencedRectangle(QgsRectangle(x, y - height_px * size, x + width_px * size, y), MERCATOR)


def wms_extent(width: float, height: float) -> QgsReferencedRectangle:
    x, y = WMS_BOUNDS[0] + 1000, WMS_BOUNDS[3] - 500
    return QgsReferencedRectangle(QgsRectangle(x, y - height, x + width, y), UTM)


def plan_of(layer: QgsRasterLayer, extent: Any, **wishes: Any) -> EnhancePlan:
    wishes = {"method": Method.ANCHOR, "scale": 2, **wishes}
    return prepare(EnhanceRequest(layer, extent, **wishes), QgsCoordinateTransformContext())


def one_sentence(text: str) -> str:
    """Return ``text``, which is one sentence."""
    assert text.endswith(".")
    assert text.count(". ") == 0
    return text
