"""The before-and-after picture: a source and its enhanced copy side by side, in the same stretch.

Needs QGIS's Python (GDAL, numpy and Qt); runs without a screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal
from qgis.PyQt.QtCore import QRectF, Qt
from qgis.PyQt.QtGui import QColor, QFont, QGuiApplication, QImage, QPainter, QPen

PANEL_PX = 600
GAP_PX = 12
LABEL_PX = 30
TITLE_PX = 40
STRETCH_PERCENTILES = (2, 98)
# The detail shows this many source pixels a side: borders are large enough to be judged, and few enough to find.
DETAIL_PX = 75
# Differences between neighbours, in the stretched range: borders are above the first, the insides of fields below the
# second. Water and shadow are darker than fields, sand and roofs lighter.
BORDER = 0.12
EVEN = 0.04
FIELD_GREYS = (0.25, 0.85)
TRUE_COLOUR = ("B04", "B03", "B02")
COLOURS = 3

Pixels = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Source window and enhanced image as (colour, row, column) in 0 to 1; NaN where there is no data."""

    source: Pixels
    enhanced: Pixels
    scale: int
    pixel_size: float
    unit: str


def draw_before_after(source: Path, enhanced: Path, source_bands: list[int], title: str, picture: Path) -> None:
    """Write ``picture`` (PNG): the whole extent, and below it a part with many borders, enlarged.

    Args:
        source: the raster that was enhanced; it shares the CRS with ``enhanced``.
        enhanced: the result.
        source_bands: for each band of ``enhanced`` the 1-based number of its source band.
        title: a line above the picture.
        picture: the file to write.

    Raises:
        RuntimeError: if a file cannot be read or written.
    """
    pair = read_pair(source, enhanced, source_bands)
    row, column, size_px = field_detail(pair.source)
    rows, columns = pair.source.shape[1:]
    # Fonts need an application object, and it needs to live until the painting is done.
    application = QGuiApplication.instance() or QGuiApplication(["before_after", "-platform", "offscreen"])
    canvas = QImage(
        2 * PANEL_PX + 3 * GAP_PX, TITLE_PX + 2 * (LABEL_PX + PANEL_PX) + GAP_PX, QImage.Format.Format_RGB32
    )
    canvas.fill(QColor("white"))
    painter = QPainter(canvas)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _write(painter, QRectF(GAP_PX, 0, canvas.width() - 2 * GAP_PX, TITLE_PX), title, 17)
    images = (
        (f"Original, {pair.pixel_size:.4g} {pair.unit} per pixel", _image(pair.source), 1),
        (f"Enhanced, {pair.pixel_size / pair.scale:.4g} {pair.unit} per pixel", _image(pair.enhanced), pair.scale),
    )
    for position, (label, image, scale) in enumerate(images):
        left = GAP_PX + position * (PANEL_PX + GAP_PX)
        whole = QRectF(0, 0, columns * scale, rows * scale)
        detail = QRectF(column * scale, row * scale, size_px * scale, size_px * scale)
        box = _panel(painter, left, TITLE_PX, label, image, whole)
        _mark(painter, box, whole, detail)
        _panel(painter, left, TITLE_PX + LABEL_PX + PANEL_PX, f"{label} (detail)", image, detail)
    painter.end()
    if not canvas.save(str(picture)):
        raise RuntimeError(f"The picture cannot be written to {picture}.")
    del application


def read_pair(source: Path, enhanced: Path, source_bands: list[int]) -> Pair:
    """Read both images over the enhanced one's extent, in the colours of :func:`choose_colours`, equally stretched."""
    gdal.UseExceptions()
    before, after = gdal.Open(str(source)), gdal.Open(str(enhanced))
    left, pixel_x, _, top, _, _ = after.GetGeoTransform()
    source_left, source_x, _, source_top, _, source_y = before.GetGeoTransform()
    scale = round(source_x / pixel_x)
    window = (
        round((left - source_left) / source_x),
        round((top - source_top) / source_y),
        after.RasterXSize // scale,
        after.RasterYSize // scale,
    )
    colours = choose_colours([after.GetRasterBand(n + 1).GetDescription() for n in range(after.RasterCount)])
    source_pixels, enhanced_pixels = [], []
    for index in colours:
        low_res = _read(before.GetRasterBand(source_bands[index]), window)
        high_res = _read(after.GetRasterBand(index + 1), None)
        # What became nodata is none of the colours to be told apart, whether the source declares it or not.
        low_res[np.isnan(high_res[::scale, ::scale])] = np.nan
        low, high = np.nanpercentile(low_res, STRETCH_PERCENTILES)
        for pixels, stretched in ((low_res, source_pixels), (high_res, enhanced_pixels)):
            stretched.append(np.clip((pixels - low) / max(high - low, 1e-12), 0.0, 1.0))
    return Pair(np.stack(source_pixels), np.stack(enhanced_pixels), scale, abs(source_x), _unit(after))


def choose_colours(names: list[str]) -> tuple[int, ...]:
    """Return the indices of the bands for red, green and blue: Sentinel-2's own, else the first three or one thrice."""
    if set(TRUE_COLOUR) <= set(names):
        return tuple(names.index(name) for name in TRUE_COLOUR)
    return (0, 1, 2) if len(names) >= COLOURS else (0, 0, 0)


def field_detail(source: Pixels) -> tuple[int, int, int]:
    """Return row, column and size of the square with the most borders between even areas, as fields have them.

    Args:
        source: (colour, row, column) in 0 to 1.
    """
    rows, columns = source.shape[1:]
    size_px = min(DETAIL_PX, rows, columns)
    grey = np.nan_to_num(source.mean(axis=0))
    steps = np.hypot(*np.gradient(grey))
    inside = (steps < EVEN) & (grey > FIELD_GREYS[0]) & (grey < FIELD_GREYS[1])
    scores = _square_sums(steps > BORDER, size_px) * _square_sums(inside, size_px)
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    return int(row), int(column), size_px


def _square_sums(mask: NDArray[np.bool_], size_px: int) -> Pixels:
    """Return how many pixels are set in each square of ``size_px`` that fits into ``mask``."""
    table = np.pad(mask.astype(np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums: Pixels = table[size_px:, size_px:] - table[:-size_px, size_px:] - table[size_px:, :-size_px]
    return sums + table[:-size_px, :-size_px]


def _unit(image: gdal.Dataset) -> str:
    """Return the sign of the unit that the image's coordinates are in."""
    crs = image.GetSpatialRef()
    if crs is None:
        return "units"
    if crs.IsGeographic():
        return "°"
    return {"metre": "m", "meter": "m"}.get(crs.GetLinearUnitsName(), crs.GetLinearUnitsName())


def _read(band: gdal.Band, window: tuple[int, int, int, int] | None) -> Pixels:
    pixels: Pixels = band.ReadAsArray(*(window or ())).astype(np.float64)
    nodata = band.GetNoDataValue()
    if nodata is not None:
        pixels[pixels == nodata] = np.nan
    return pixels


def _image(pixels: Pixels) -> QImage:
    """Return (colour, row, column) in 0 to 1 as an image; no data is white."""
    values = np.round(np.nan_to_num(pixels, nan=1.0) * 255.0).astype(np.uint8)
    interleaved = np.ascontiguousarray(np.moveaxis(values, 0, -1))
    rows, columns = interleaved.shape[:2]
    # The copy owns its pixels; the array goes away.
    return QImage(interleaved.tobytes(), columns, rows, COLOURS * columns, QImage.Format.Format_RGB888).copy()


def _panel(painter: QPainter, left: int, top: int, label: str, image: QImage, part: QRectF) -> QRectF:
    """Draw ``part`` of ``image`` under its label, as large as the panel allows, and return where it lies."""
    _write(painter, QRectF(left, top, PANEL_PX, LABEL_PX), label, 13)
    zoom = PANEL_PX / max(part.width(), part.height())
    box = QRectF(left, top + LABEL_PX, part.width() * zoom, part.height() * zoom)
    if zoom >= 1.0:
        # Nearest neighbour: the pixels are what is compared.
        painter.drawImage(box, image, part)
    else:
        size = box.size().toSize()
        shrunk = image.copy(part.toRect()).scaled(
            size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        painter.drawImage(box.topLeft(), shrunk)
    return box


def _mark(painter: QPainter, box: QRectF, whole: QRectF, part: QRectF) -> None:
    """Outline ``part`` of ``whole`` in the panel ``box``."""
    zoom = box.width() / whole.width()
    painter.setPen(QPen(QColor("#ffd400"), 2))
    painter.drawRect(
        QRectF(
            box.left() + part.left() * zoom, box.top() + part.top() * zoom, part.width() * zoom, part.height() * zoom
        )
    )


def _write(painter: QPainter, box: QRectF, text: str, size_px: int) -> None:
    font = QFont("DejaVu Sans")
    font.setPixelSize(size_px)
    painter.setFont(font)
    painter.setPen(QColor("#202020"))
    painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
