"""Reads the pixels of a raster as they are stored, with GDAL.

QGIS's own provider applies scale and offset while it reads; the engine and the result need the digital numbers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal, gdal_array

from ..engine.array_file import ArrayFile, new_array
from ..engine.grid import Grid, Window
from ..engine.job import INPUT_FILE, VALID_FILE
from .block_cache import small_block_cache
from .gdal_errors import GdalError, gdal_failures_raised
from .words import tr

# Pixels of all bands that are read at a time.
PIECE_PIXELS = 1 << 23
# Nothing that is measured is as large; what is, is a fill value that the file does not declare.
LARGEST_MEASUREMENT = 1e30

_KEPT_DOMAINS = ("", "IMAGERY")
# What describes the old file's pixels or layout and not the measurement.
# What a result says of itself.
NATURE_ITEM, CONFIDENCE_ITEM = "HEADLAND_NATURE", "HEADLAND_CONFIDENCE"
NATURE = "enhanced, not measured"
_DROPPED_ITEMS = ("STATISTICS_", "HEADLAND_", "AREA_OR_POINT", "TIFFTAG_", "OVR_", "LAYER_TYPE", "RepresentationType")

Metadata = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
Number = Union[int, float]


class SourceUnreadable(RuntimeError):
    """The raster cannot be opened or read; the text is one sentence for people."""


@dataclass(frozen=True)
class RasterUri:
    """What GDAL opens: a path or dataset name, and NAME=VALUE open options."""

    dataset: str
    open_options: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return what a report calls it."""
        return self.dataset


@dataclass(frozen=True)
class ExcludedRange:
    """Digital numbers that the user declared invalid in QGIS, from ``first`` to ``last``.

    Attributes:
        has_first, has_last: whether the ends themselves belong to it.
    """

    first: float
    last: float
    has_first: bool = True
    has_last: bool = True

    def holds(self, pixels: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where ``pixels`` lie in the range."""
        from_first = pixels >= self.first if self.has_first else pixels > self.first
        to_last = pixels <= self.last if self.has_last else pixels < self.last
        return np.asarray(from_first & to_last)


@dataclass(frozen=True)
class BandInfo:
    """One band as the source describes it.

    Attributes:
        number: 1-based.
        name: its description, "" if it has none.
        dtype: numpy's name of its data type.
        nodata: its nodata value as stored, or None, also where the user switched it off in QGIS.
        scale, offset: to turn digital numbers into values, or None where the source does not say.
        colour: GDAL's colour interpretation.
        is_paletted: whether its numbers stand for colours.
        metadata: domain and items, such as the wavelength.
        declares_invalid: whether the source says at all what is invalid, by a nodata value, a mask or an alpha band;
            also where the user switched that off.
        excluded: what the user declared invalid in QGIS beyond that.
    """

    number: int
    name: str
    dtype: str
    nodata: Optional[Number]
    scale: Optional[float]
    offset: Optional[float]
    unit: str
    colour: int
    is_paletted: bool
    metadata: Metadata
    declares_invalid: bool = False
    excluded: tuple[ExcludedRange, ...] = ()

    @property
    def is_alpha(self) -> bool:
        """Whether the band says how opaque the others are."""
        return bool(self.colour == gdal.GCI_AlphaBand)


@dataclass(frozen=True)
class RasterInfo:
    """A raster without its pixels.

    Attributes:
        driver: GDAL's short name of the format.
        grid: with the CRS that the file states.
        has_geotransform: False if the file does not say where its pixels lie.
        has_ground_control_points: whether it says so by points instead.
        files: the files that it is made of.
        is_enhanced: whether it says of itself that Headland made it.
    """

    driver: str
    grid: Grid
    has_geotransform: bool
    has_ground_control_points: bool
    bands: tuple[BandInfo, ...]
    files: tuple[Path, ...]
    metadata: Metadata
    is_enhanced: bool


def describe(uri: RasterUri) -> RasterInfo:
    """Open a raster, look at everything but its pixels, and close it.

    Raises:
        SourceUnreadable: if GDAL cannot open it.
    """
    try:
        with gdal_failures_raised():
            return _describe(_open(uri))
    except GdalError as error:
        raise SourceUnreadable(
            tr("{dataset} cannot be opened ({reason}); check that the file is still there.").format(
                dataset=uri.dataset, reason=_reason(error, uri)
            )
        ) from error


def _describe(dataset: gdal.Dataset) -> RasterInfo:
    geotransform = dataset.GetGeoTransform(can_return_null=True)
    crs = dataset.GetSpatialRef()
    return RasterInfo(
        driver=dataset.GetDriver().ShortName,
        # QGIS shows a raster without a geotransform with its first row on top of the y axis' negative half.
        grid=Grid(
            tuple(geotransform or (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)),
            dataset.RasterXSize,
            dataset.RasterYSize,
            "" if crs is None else crs.ExportToWkt(["FORMAT=WKT2"]),
        ),
        has_geotransform=geotransform is not None,
        has_ground_control_points=dataset.GetGCPCount() > 0,
        bands=tuple(_describe_band(dataset, number) for number in range(1, dataset.RasterCount + 1)),
        files=tuple(Path(os.fsdecode(file)) for file in dataset.GetFileList() or ()),
        metadata=_metadata(dataset),
        is_enhanced=dataset.GetMetadataItem(NATURE_ITEM) == NATURE
        or dataset.GetMetadataItem(CONFIDENCE_ITEM) is not None,
    )


def read_window(
    uri: RasterUri,
    window: Window,
    bands: Iterable[BandInfo],
    folder: Path,
    on_fraction: Callable[[float], None],
) -> None:
    """Write ``input.npy`` and ``valid.npy`` of a job: both (band, row, column), digital numbers and True = valid.

    A pixel is invalid where the band's nodata value, the raster's mask, its alpha band or the user says so, and where
    it is not a finite number or so large a float that it can only be a fill value.

    Args:
        on_fraction: told how much is done, from 0 to 1; what it raises ends the reading.

    Raises:
        SourceUnreadable: if GDAL cannot read the pixels.
        OSError: if ``folder`` cannot hold the arrays.
    """
    bands = tuple(bands)
    shape = (len(bands), window.height_px, window.width_px)
    try:
        with (
            new_array(folder / INPUT_FILE, common_dtype(bands), shape) as pixel_file,
            new_array(folder / VALID_FILE, np.dtype(np.bool_), shape) as valid_file,
            small_block_cache(),
            gdal_failures_raised() as raise_failure,
        ):

            def tell(fraction: float) -> None:
                raise_failure()
                on_fraction(fraction)

            _copy(_open(uri), window, bands, (pixel_file, valid_file), tell)
    except GdalError as error:
        raise SourceUnreadable(
            tr("{dataset} cannot be read ({reason}); check that the file is whole and still there.").format(
                dataset=uri.dataset, reason=_reason(error, uri)
            )
        ) from error


def _copy(
    dataset: gdal.Dataset,
    window: Window,
    bands: tuple[BandInfo, ...],
    arrays: tuple[ArrayFile, ArrayFile],
    on_fraction: Callable[[float], None],
) -> None:
    """Copy the window's pixels and valid mask into ``arrays``, piece by piece."""
    pixel_file, valid_file = arrays
    pieces = tuple(_pieces(window, dataset.GetRasterBand(bands[0].number).GetBlockSize(), len(bands)))
    for number, piece in enumerate(pieces, start=1):
        row, column = piece.row_px - window.row_px, piece.column_px - window.column_px
        where = (slice(row, row + piece.height_px), slice(column, column + piece.width_px))
        for index, band in enumerate(bands):
            pixel_file[(index, *where)], valid_file[(index, *where)] = _read(
                dataset.GetRasterBand(band.number), piece, band
            )
        on_fraction(number / len(pieces))


def common_dtype(bands: Iterable[BandInfo]) -> np.dtype[Any]:
    """Return the smallest data type that holds the digital numbers of all ``bands``."""
    return np.result_type(*(np.dtype(band.dtype) for band in bands))


def _pieces(window: Window, block_px: Sequence[int], bands: int) -> Iterator[Window]:
    """Cut ``window`` into pieces along the raster's blocks, (width, height): each block is read for all bands at once.

    Otherwise the small cache would have lost it before the next band or piece asks for it, and it were decoded again.
    """
    block_width, block_height = block_px
    blocks = max(1, PIECE_PIXELS // (block_width * block_height * bands))
    blocks_across = min(blocks, -(-window.width_px // block_width) + 1)
    rows = tuple(_spans(window.row_px, window.height_px, blocks // blocks_across * block_height))
    columns = tuple(_spans(window.column_px, window.width_px, blocks_across * block_width))
    for row, height in rows:
        for column, width in columns:
            yield Window(column, row, width, height)


def _spans(offset: int, length: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield offsets and lengths of the parts of an axis that multiples of ``step`` cut it into."""
    edges = [offset, *range((offset // step + 1) * step, offset + length, step), offset + length]
    yield from ((start, stop - start) for start, stop in zip(edges, edges[1:]))


def _reason(error: GdalError, uri: RasterUri) -> str:
    """Return GDAL's message without the file's name, where that comes first, and without a full stop."""
    message = str(error)
    for start in (uri.dataset, Path(uri.dataset).name):
        if message.startswith(start):
            message = message[len(start) :].lstrip(":, ")
    return message.rstrip(". ")


def _open(uri: RasterUri) -> gdal.Dataset:
    dataset = gdal.OpenEx(uri.dataset, gdal.OF_RASTER | gdal.OF_VERBOSE_ERROR, open_options=list(uri.open_options))
    if dataset is None:
        raise GdalError(gdal.GetLastErrorMsg() or "unknown format")
    return dataset


def _read(band: gdal.Band, window: Window, info: BandInfo) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    where = (window.column_px, window.row_px, window.width_px, window.height_px)
    pixels = band.ReadAsArray(*where)
    if info.nodata is None and band.GetMaskFlags() == gdal.GMF_NODATA:
        # The user switched the nodata value off.
        valid = np.ones(pixels.shape, np.bool_)
    else:
        # GDAL's mask stands for nodata, mask band and alpha band alike.
        valid = band.GetMaskBand().ReadAsArray(*where) != 0
    if pixels.dtype.kind == "f":
        valid &= np.isfinite(pixels) & (np.abs(pixels) <= LARGEST_MEASUREMENT)
    for values in info.excluded:
        valid &= ~values.holds(pixels)
    return pixels, valid


def _describe_band(dataset: gdal.Dataset, number: int) -> BandInfo:
    band = dataset.GetRasterBand(number)
    return BandInfo(
        number=number,
        name=_text(band.GetDescription() or ""),
        dtype=_dtype_name(band),
        nodata=_nodata(band),
        scale=band.GetScale(),
        offset=band.GetOffset(),
        unit=_text(band.GetUnitType() or ""),
        colour=band.GetColorInterpretation(),
        is_paletted=band.GetColorInterpretation() == gdal.GCI_PaletteIndex or band.GetColorTable() is not None,
        metadata=_metadata(band),
        declares_invalid=band.GetNoDataValue() is not None or band.GetMaskFlags() != gdal.GMF_ALL_VALID,
    )


def _dtype_name(band: gdal.Band) -> str:
    if band.GetMetadataItem("PIXELTYPE", "IMAGE_STRUCTURE") == "SIGNEDBYTE":
        # Before GDAL 3.7 signed bytes were bytes with a note.
        return "int8"
    dtype = gdal_array.GDALTypeCodeToNumericTypeCode(band.DataType)
    return "" if dtype is None else np.dtype(dtype).name


def _nodata(band: gdal.Band) -> Optional[Number]:
    """Return the band's nodata value, None also where it is no value of the band's data type."""
    nodata: Optional[Number] = band.GetNoDataValue()
    dtype = np.dtype(_dtype_name(band) or "float64")
    if nodata is None or dtype.kind not in "iu":
        return nodata
    limits = np.iinfo(dtype)
    if not math.isfinite(nodata) or nodata != int(nodata) or not limits.min <= nodata <= limits.max:
        return None
    return int(nodata)


def _text(text: Union[str, bytes]) -> str:
    """Return a file's text as text that can be written down.

    What is no UTF-8 arrives as bytes, or with surrogates for its bytes. It is most often Latin-1, which all bytes are.
    """
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _metadata(owner: Union[gdal.Dataset, gdal.Band]) -> Metadata:
    domains = []
    for domain in _KEPT_DOMAINS:
        items = {_text(name): _text(value) for name, value in (owner.GetMetadata(domain) or {}).items()}
        kept = tuple((name, value) for name, value in items.items() if not name.startswith(_DROPPED_ITEMS))
        if kept:
            domains.append((domain, kept))
    return tuple(domains)
