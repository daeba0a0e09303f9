"""Gives the worker's preview the colours of the layer: its own renderer draws it, in the task's thread."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal, gdal_array
from qgis.core import QgsDataProvider, QgsProviderRegistry, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtGui import QImage, QPainter

from .compat import close_dataset
from .plan import EnhancePlan
from .raster_source import BandInfo, common_dtype
from .result_layer import copy_style
from .rounding import to_dtype
from .web_grid import is_web_layer
from .web_source import WEB_BANDS
from .words import tr

# QGIS's bindings hold Python's lock while they draw, and with it whatever of the main thread needs Python; so long as
# each strip takes, and no longer.
STRIP_ROWS = 64


class NoPreview(ValueError):
    """The work goes on without a preview; the text is one sentence that says why."""


class PreviewPainter:
    """Draws ``preview.npy`` as the layer is drawn. Made on the main thread, then used in the task's.

    Attributes:
        bands: 0-based in the plan's order, those that the preview has to hold.

    Raises:
        NoPreview: if the layer cannot be drawn from the bands that are enhanced.
    """

    def __init__(self, plan: EnhancePlan, source: QgsRasterLayer) -> None:
        numbers = [band.number for band in plan.bands]
        shown = shown_bands(source)
        if not set(shown) <= set(numbers):
            raise NoPreview(tr("No preview: the layer’s style shows a band that is not enhanced."))
        self.bands = tuple(numbers.index(number) for number in shown)
        self._infos = tuple(plan.bands[band] for band in self.bands)
        self._dtype = common_dtype(plan.bands)
        with _raster_in_memory(_two_values(len(shown), self._dtype), self._infos) as path:
            layer = QgsRasterLayer(path, "", "gdal", QgsRasterLayer.LayerOptions(loadDefaultStyle=False))
            if not layer.isValid() or not copy_style(source, layer, shown):
                raise NoPreview(tr("No preview: the layer’s style cannot be used for it."))
            self._renderer = layer.renderer().clone()
            self._filters = (layer.brightnessFilter().clone(), layer.hueSaturationFilter().clone())
            del layer

    def paint(self, file: Path) -> QImage:
        """Return the picture in ``file``, transparent where it holds no numbers.

        Raises:
            OSError, ValueError: if it cannot be read or drawn.
        """
        numbers: NDArray[Any] = np.load(file, allow_pickle=False)
        is_known = np.isfinite(numbers)
        with _raster_in_memory(to_dtype(np.where(is_known, numbers, 0.0), self._dtype), self._infos) as path:
            image = self._draw(path, *numbers.shape[1:])
        _clear(image, ~is_known.all(axis=0))
        return image

    def _draw(self, path: str, rows: int, columns: int) -> QImage:
        provider = QgsProviderRegistry.instance().createProvider("gdal", path, QgsDataProvider.ProviderOptions())
        if provider is None or not provider.isValid():
            raise ValueError("QGIS cannot read the preview")
        last = provider
        for stage in (self._renderer, *self._filters):
            if not stage.setInput(last):
                raise ValueError("QGIS cannot draw the preview")
            last = stage
        image = QImage(columns, rows, QImage.Format.Format_ARGB32_Premultiplied)
        painter = QPainter(image)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        for top in range(0, rows, STRIP_ROWS):
            height = min(STRIP_ROWS, rows - top)
            # The raster has no place on earth: pixels count downwards from 0.
            extent = QgsRectangle(0, -(top + height), columns, -top)
            painter.drawImage(0, top, last.block(1, extent, columns, height).image())
        painter.end()
        return image


def shown_bands(layer: QgsRasterLayer) -> tuple[int, ...]:
    """Return the numbers of the bands that the layer's style shows, without one that only says how opaque it is."""
    if is_web_layer(layer):
        return tuple(range(1, len(WEB_BANDS) + 1))
    renderer = layer.renderer()
    if renderer is None:
        return ()
    used = dict.fromkeys(number for number in renderer.usesBands() if number > 0)
    used.pop(renderer.alphaBand(), None)
    return tuple(used)


def _two_values(bands: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return (band, 1, 2): QGIS looks for a stretch of its own first, and GDAL complains of a constant band."""
    return np.tile(np.arange(2, dtype=dtype), (bands, 1, 1))


@contextmanager
def _raster_in_memory(numbers: NDArray[Any], infos: tuple[BandInfo, ...]) -> Iterator[str]:
    """Yield the name of a raster of (band, row, column), which is gone afterwards."""
    path = f"/vsimem/headland-{uuid.uuid4().hex}.tif"
    count, rows, columns = numbers.shape
    data_type = gdal_array.NumericTypeCodeToGDALTypeCode(numbers.dtype)
    dataset = gdal.GetDriverByName("GTiff").Create(path, columns, rows, count, data_type, ["PHOTOMETRIC=MINISBLACK"])
    try:
        dataset.SetGeoTransform((0, 1, 0, 0, 0, -1))
        for index, info in enumerate(infos):
            band = dataset.GetRasterBand(index + 1)
            if info.scale is not None:
                band.SetScale(info.scale)
            if info.offset is not None:
                band.SetOffset(info.offset)
            band.WriteArray(numbers[index])
        close_dataset(dataset)
        band = dataset = None
        yield path
    finally:
        for name in (path, f"{path}.aux.xml"):
            gdal.Unlink(name)


def _clear(image: QImage, is_unknown: NDArray[np.bool_]) -> None:
    """Make pixels (row, column) of ``image`` transparent."""
    bits = image.bits()
    bits.setsize(image.bytesPerLine() * image.height())
    pixels = np.frombuffer(bits, dtype=np.uint32).reshape(image.height(), -1)
    pixels[:, : image.width()][is_unknown] = 0
