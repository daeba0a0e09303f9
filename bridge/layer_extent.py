"""The wished-for extent in the layer's own CRS, and the pixels that it touches."""

from __future__ import annotations

from typing import Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)

from ..engine.grid import Bounds, Grid, Window
from .plan import CannotEnhance
from .words import tr


def window_of(
    extent: Optional[QgsReferencedRectangle],
    layer: QgsRasterLayer,
    grid: Grid,
    transform_context: QgsCoordinateTransformContext,
) -> Window:
    """Return the pixels that ``extent`` touches; all of them for None.

    Raises:
        CannotEnhance: if there are none.
    """
    if extent is None:
        return grid.window
    window = grid.window_of(bounds_of(extent, layer, transform_context))
    if window is None:
        raise CannotEnhance(
            tr("The extent does not touch “{name}”; choose one that lies on it.").format(name=layer.name())
        )
    return window


def bounds_of(
    extent: QgsReferencedRectangle, layer: QgsRasterLayer, transform_context: QgsCoordinateTransformContext
) -> Bounds:
    """Return (x_min, y_min, x_max, y_max) of ``extent`` in the layer's CRS.

    Raises:
        CannotEnhance: if it is empty or cannot be brought there.
    """
    if extent.isNull() or not extent.isFinite() or extent.isEmpty():
        raise CannotEnhance(tr("The extent is empty; draw a rectangle or choose the whole layer."))
    rectangle = _in_crs_of_layer(extent, layer.crs(), transform_context)
    return rectangle.xMinimum(), rectangle.yMinimum(), rectangle.xMaximum(), rectangle.yMaximum()


def _in_crs_of_layer(
    extent: QgsReferencedRectangle,
    crs: QgsCoordinateReferenceSystem,
    transform_context: QgsCoordinateTransformContext,
) -> QgsRectangle:
    if not extent.crs().isValid() or not crs.isValid() or extent.crs() == crs:
        return extent
    transform = QgsCoordinateTransform(extent.crs(), crs, transform_context)
    try:
        rectangle = transform.transformBoundingBox(extent)
    except QgsCsException as error:
        raise CannotEnhance(
            tr("The extent cannot be brought into the layer’s CRS; choose one that lies on the layer.")
        ) from error
    if not rectangle.isFinite():
        raise CannotEnhance(tr("The extent cannot be brought into the layer’s CRS; choose one that lies on the layer."))
    return rectangle


def reaches_beyond(bounds: Bounds, layer: QgsRasterLayer, grid: Grid) -> bool:
    """Whether ``bounds`` go beyond the layer by a pixel or more on any side."""
    reach, (width, height) = layer.extent(), grid.pixel_size
    return (
        bounds[0] <= reach.xMinimum() - width
        or bounds[1] <= reach.yMinimum() - height
        or bounds[2] >= reach.xMaximum() + width
        or bounds[3] >= reach.yMaximum() + height
    )
