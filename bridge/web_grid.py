"""The pixel grid of a web layer: a map server has pictures of any resolution, so one has to be chosen."""

from __future__ import annotations

import math
from typing import Optional

from qgis.core import QgsRasterLayer

from ..engine.grid import SLIVER_PX, Bounds, Grid
from .compat import gdal_wkt
from .plan import CannotEnhance
from .words import tr

# QGIS reads WMS, WMTS and XYZ with one provider.
WEB_PROVIDER = "wms"
LARGEST_DOWNLOAD_PX = 25_000_000
# Without a wish the extent's longer side has about so many pixels, and never more.
DEFAULT_SIDE_PX = 1000
# Figures that people copy are rounded; what is nearer than this to one of the server's resolutions means that one.
SAME_RESOLUTION = 1e-3


def is_web_layer(layer: QgsRasterLayer) -> bool:
    """Whether the layer's pixels come from a map server."""
    return bool(layer.providerType() == WEB_PROVIDER)


def own_resolutions(layer: QgsRasterLayer) -> list[float]:
    """Return the resolutions in which the server keeps its tiles, finest first; empty if it makes any (WMS)."""
    return sorted(resolution for resolution in layer.dataProvider().nativeResolutions() if resolution > 0)


def nearest_resolution(layer: QgsRasterLayer, resolution: float) -> float:
    """Return that of the server's own resolutions which is nearest by ratio, or ``resolution`` if it has none."""
    return min(own_resolutions(layer), key=lambda own: abs(math.log(own / resolution)), default=resolution)


def default_resolution(layer: QgsRasterLayer, bounds: Bounds) -> float:
    """Return what is taken without a wish, in units of the layer's CRS.

    It is the finest of the server's own resolutions in which the longer side of ``bounds`` has at most
    DEFAULT_SIDE_PX pixels, or its coarsest; where the server has none of its own, that side has just as many.
    """
    x_min, y_min, x_max, y_max = bounds
    finest = max(x_max - x_min, y_max - y_min) / DEFAULT_SIDE_PX
    own = own_resolutions(layer)
    if not own:
        return finest
    return next((resolution for resolution in own if resolution >= finest), own[-1])


def check_resolution(layer: QgsRasterLayer, resolution: float) -> float:
    """Return the resolution to read, which is the server's own where ``resolution`` is that but for rounding.

    Raises:
        CannotEnhance: if it is no size, or finer than what the server has.
    """
    if not math.isfinite(resolution) or resolution <= 0:
        raise CannotEnhance(
            tr("The resolution is {resolution:g}; it must be a number above 0.").format(resolution=resolution)
        )
    nearest = nearest_resolution(layer, resolution)
    if abs(nearest / resolution - 1) < SAME_RESOLUTION:
        return nearest
    own = own_resolutions(layer)
    if own and resolution < own[0]:
        raise CannotEnhance(
            tr(
                "“{name}” has no pixels smaller than {value:.6g}, so a resolution of {resolution:.6g}"
                " would show nothing more; choose a coarser one."
            ).format(name=layer.name(), value=own[0], resolution=resolution)
        )
    return resolution


def web_grid(layer: QgsRasterLayer, bounds: Bounds, resolution: float, smallest_side_px: int) -> Grid:
    """Return the grid of the part of ``bounds`` that lies on the layer; its corners are multiples of ``resolution``.

    Args:
        bounds: of the wished-for extent, in the layer's CRS.
        resolution: the size of a pixel in units of the layer's CRS, as :func:`check_resolution` returned it.

    Raises:
        CannotEnhance: if the extent does not touch the layer, or holds too few or too many pixels.
    """
    name, reach = layer.name(), layer.extent()
    columns = _multiples(bounds[0], bounds[2], reach.xMinimum(), reach.xMaximum(), resolution)
    rows = _multiples(bounds[1], bounds[3], reach.yMinimum(), reach.yMaximum(), resolution)
    if columns is None or rows is None:
        raise CannotEnhance(tr("The extent does not touch “{name}”; choose one that lies on it.").format(name=name))
    width_px, height_px = columns[1] - columns[0], rows[1] - rows[0]
    what = tr(
        "The extent holds {width_px} × {height_px} pixels of “{name}” at a resolution of {resolution:.6g}"
    ).format(width_px=width_px, height_px=height_px, name=name, resolution=resolution)
    if min(width_px, height_px) < smallest_side_px:
        raise CannotEnhance(
            tr(
                "{what}; at least {smallest_side_px} × {smallest_side_px} are needed, so choose a "
                "larger extent or a finer resolution."
            ).format(what=what, smallest_side_px=smallest_side_px)
        )
    if width_px * height_px > LARGEST_DOWNLOAD_PX:
        raise CannotEnhance(
            tr(
                "{what}, and at most {most} million are downloaded from a server; choose a smaller "
                "extent or a coarser resolution."
            ).format(what=what, most=LARGEST_DOWNLOAD_PX // 1_000_000)
        )
    geotransform = (columns[0] * resolution, resolution, 0.0, rows[1] * resolution, 0.0, -resolution)
    return Grid(geotransform, width_px, height_px, gdal_wkt(layer.crs()))


def _multiples(low: float, high: float, first: float, last: float, step: float) -> Optional[tuple[int, int]]:
    """Return between which multiples of ``step`` low .. high lies, without pixels that stick out of first .. last."""
    if min(high, last) <= max(low, first):
        return None
    start = max(math.floor(low / step + SLIVER_PX), math.ceil(first / step - SLIVER_PX))
    stop = min(math.ceil(high / step - SLIVER_PX), math.floor(last / step + SLIVER_PX))
    return start, max(start, stop)
