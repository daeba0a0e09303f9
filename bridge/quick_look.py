"""A quick look: the middle of what the map shows, small enough for seconds, seen on the map and not kept."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from qgis.core import (
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)

from .enhance import EnhanceResult
from .plan import CannotEnhance
from .prepare import checked_layer
from .preview import shown_bands
from .request import EnhanceRequest
from .web_grid import default_resolution, is_web_layer
from .words import tr

LARGEST_SIDE_PX = 256


def quick_look_request(
    request: EnhanceRequest, visible: QgsReferencedRectangle, transform_context: QgsCoordinateTransformContext
) -> EnhanceRequest:
    """Return ``request`` for the middle of what is visible of the layer, with the bands that its style shows.

    Args:
        visible: what the map shows, in any CRS.

    Raises:
        CannotEnhance: if the layer cannot be enhanced or is not to be seen.
    """
    layer = checked_layer(request.layer)
    seen = _in_crs_of_layer(visible, layer, transform_context).intersect(layer.extent())
    if seen.isEmpty():
        raise CannotEnhance(
            tr("The map does not show “{name}”; move it there for a quick look.").format(name=layer.name())
        )
    width, height = _pixel_size(request, layer, seen)
    # A pixel less: a window is made of all the pixels that the extent touches.
    middle = seen.center()
    half_x = min(seen.width(), (LARGEST_SIDE_PX - 1) * width) / 2
    half_y = min(seen.height(), (LARGEST_SIDE_PX - 1) * height) / 2
    patch = QgsRectangle(middle.x() - half_x, middle.y() - half_y, middle.x() + half_x, middle.y() + half_y)
    return replace(
        request,
        extent=QgsReferencedRectangle(patch, layer.crs()),
        bands=tuple(sorted(shown_bands(layer))) or request.bands,
        output=None,
        report=None,
        keeps_dip=False,
        maps_confidence=False,
        traces_borders=False,
    )


def discard(result: EnhanceResult) -> None:
    """Remove the files of a quick look."""
    aside = result.output.with_name(f"{result.output.name}.aux.xml")
    for file in (result.output, aside, result.report):
        with suppress(OSError):
            file.unlink()


def _in_crs_of_layer(
    visible: QgsReferencedRectangle, layer: QgsRasterLayer, transform_context: QgsCoordinateTransformContext
) -> QgsRectangle:
    transform = QgsCoordinateTransform(visible.crs(), layer.crs(), transform_context)
    try:
        return transform.transformBoundingBox(visible)
    except QgsCsException:
        return QgsRectangle()


def _pixel_size(request: EnhanceRequest, layer: QgsRasterLayer, seen: QgsRectangle) -> tuple[float, float]:
    if not is_web_layer(layer):
        return layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY()
    bounds = (seen.xMinimum(), seen.yMinimum(), seen.xMaximum(), seen.yMaximum())
    resolution = request.resolution or default_resolution(layer, bounds)
    return resolution, resolution
