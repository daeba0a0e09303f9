"""Turns a request into a plan: every check that can be made before any work starts, each with its own sentence."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsDistanceArea,
    QgsMapLayer,
    QgsPointXY,
    QgsRasterLayer,
)

from ..engine.environment import EnvironmentMissing, engine_python
from ..engine.grid import Grid, Window
from ..engine.job import METHODS_WITHOUT_ENGINE, Device, Job, JobError, Method, Sensor, can_map_confidence
from ..engine.model_file import CardError, fitting_card, model_file
from ..engine.tile_store import tile_folder
from .cloud_optimised import can_cloud_optimise
from .compat import gdal_wkt
from .destination import (
    BORDERS_ENDING,
    CONFIDENCE_ENDING,
    DIP_ENDING,
    UNCERTAIN_ENDING,
    check_room,
    choose_extra,
    choose_output,
    choose_report,
)
from .estimating import disk_needs
from .layer_bands import as_qgis_shows_it, chosen_bands, paletted
from .layer_extent import bounds_of, reaches_beyond, window_of
from .plan import CannotEnhance, EngineMissing, EnhancePlan
from .qgis_errors import qgis_failures_in_words
from .raster_source import BandInfo, Metadata, RasterInfo, RasterUri, SourceUnreadable, describe
from .request import EnhanceRequest
from .source_files import source_files
from .tile_cache import cache_limit_bytes
from .web_grid import check_resolution, default_resolution, is_web_layer, web_grid
from .web_source import PICTURE_TYPES, WEB_BANDS, WebSource
from .words import tr

__all__ = ["CannotEnhance", "EngineMissing", "EnhancePlan", "check_room_for", "checked_layer", "prepare"]

SMALLEST_SIDE_PX = 16

_WEB_DRIVERS = {"WMS", "WMTS", "WCS", "DAAS", "EEDAI", "PLMOSAIC"}


def prepare(request: EnhanceRequest, transform_context: QgsCoordinateTransformContext) -> EnhancePlan:
    """Check ``request`` and return what is to be done. On the main thread: it looks at the layer.

    Args:
        transform_context: the project's, for an extent in another CRS than the layer's.

    Raises:
        CannotEnhance: for the first thing that is wrong with the request.
    """
    layer = checked_layer(request.layer)
    describe_source = _web_raster if is_web_layer(layer) else _file_raster
    with qgis_failures_in_words(layer.name()):
        raster = describe_source(layer, request, transform_context)
        pixel_size_m = _pixel_size_m(layer.crs(), raster.grid, raster.window, transform_context)
    python, missing = _found_engine()
    job = _job(request, raster, pixel_size_m, has_engine=python is not None)
    _check_model(request)
    if request.is_cloud_optimised and not can_cloud_optimise():
        raise CannotEnhance(
            tr("This computer’s GDAL ({version}) writes no cloud-optimised GeoTIFF; leave that choice off.").format(
                version=gdal.__version__
            )
        )
    output = choose_output(request.output, raster.files)
    report = choose_report(request.report, output, raster.files)
    if missing is not None and request.method not in METHODS_WITHOUT_ENGINE:
        raise EngineMissing(missing.reason, missing.remedy) from missing
    plan = EnhancePlan(
        source=raster.source,
        source_layer_id=layer.id(),
        source_name=layer.name(),
        grid=raster.grid,
        window=raster.window,
        bands=raster.bands,
        metadata=raster.metadata,
        pixel_size_m=pixel_size_m,
        job=job,
        engine_python=python,
        output=output,
        report=report,
        dip_output=choose_extra(output, DIP_ENDING) if job.keeps_dip else None,
        confidence=choose_extra(output, CONFIDENCE_ENDING) if job.maps_confidence else None,
        uncertain_areas=choose_extra(output, UNCERTAIN_ENDING) if job.maps_confidence else None,
        borders=choose_extra(output, BORDERS_ENDING) if job.traces_borders else None,
        is_cloud_optimised=request.is_cloud_optimised,
        is_extent_clipped=request.extent is not None
        and reaches_beyond(bounds_of(request.extent, layer, transform_context), layer, raster.grid),
        cautions=_cautions(raster, request, job),
        has_layer_overrides=raster.has_layer_overrides,
        source_files=source_files(raster.files),
    )
    check_room_for(plan)
    return plan


def _found_engine() -> tuple[Optional[Path], Optional[EnvironmentMissing]]:
    """Return what runs the worker, or what is wrong with the engine."""
    try:
        return engine_python(), None
    except EnvironmentMissing as error:
        return None, error


def _maps_confidence(request: EnhanceRequest) -> bool:
    has_own_model = request.model is not None
    return request.maps_confidence and can_map_confidence(request.method, request.preset, has_own_model=has_own_model)


def _cautions(raster: _Raster, request: EnhanceRequest, job: Job) -> tuple[str, ...]:
    cautions = (
        (
            raster.is_enhanced,
            tr(
                "This layer is enhanced already: what Headland inferred would be taken for measured; choose its source."
            ),
        ),
        (
            request.maps_confidence and not job.maps_confidence,
            tr("No errors are mapped: they are known of DIP and of the chain, with the shipped networks only."),
        ),
        (
            request.keeps_dip and request.method is not Method.CHAIN,
            tr("Only “DIP, then Decrappify” has a picture of DIP alone to keep."),
        ),
        (
            request.traces_borders and not job.traces_borders,
            tr("No field borders are traced: that needs the engine, which is not set up."),
        ),
    )
    return tuple(sentence for is_so, sentence in cautions if is_so)


def check_room_for(plan: EnhancePlan) -> None:
    """Check the room for job folder and result: nothing else bounds how large a result can be.

    Raises:
        CannotEnhance: if there is too little.
    """
    needs = disk_needs(plan)
    grid = plan.output_grid
    what = tr("A result of {width_px} × {height_px} pixels in {count} bands").format(
        width_px=grid.width_px, height_px=grid.height_px, count=len(plan.bands)
    )
    folders = [(Path(tempfile.gettempdir()), needs.job_folder_bytes), (plan.output.parent, needs.result_bytes)]
    check_room(what, folders)


@dataclass(frozen=True)
class _Raster:
    """What is to be read of a layer; the names are the plan's."""

    source: Union[RasterUri, WebSource]
    grid: Grid
    window: Window
    bands: tuple[BandInfo, ...]
    metadata: Metadata = ()
    files: tuple[Path, ...] = ()
    has_layer_overrides: bool = False
    is_enhanced: bool = False


def _file_raster(
    layer: QgsRasterLayer, request: EnhanceRequest, transform_context: QgsCoordinateTransformContext
) -> _Raster:
    name = layer.name()
    if request.resolution is not None:
        raise CannotEnhance(
            tr(
                "“{name}” is read from a file, whose pixels have a size of their own; leave the resolution empty."
            ).format(name=name)
        )
    uri = _gdal_uri(layer)
    try:
        info = describe(uri)
    except SourceUnreadable as error:
        raise CannotEnhance(str(error)) from error
    _check_raster(layer, info)
    stored = chosen_bands(name, info.bands, request.bands)
    bands = tuple(as_qgis_shows_it(band, layer) for band in stored)
    has_overrides = bands != stored or layer.crs() != layer.dataProvider().crs()
    grid = Grid(info.grid.geotransform, info.grid.width_px, info.grid.height_px, gdal_wkt(layer.crs()))
    window = window_of(request.extent, layer, grid, transform_context)
    _check_size(name, window, window == grid.window)
    return _Raster(uri, grid, window, bands, info.metadata, info.files, has_overrides, info.is_enhanced)


def _web_raster(
    layer: QgsRasterLayer, request: EnhanceRequest, transform_context: QgsCoordinateTransformContext
) -> _Raster:
    name, provider = layer.name(), layer.dataProvider()
    if provider.sourceDataType(1) not in PICTURE_TYPES:
        raise CannotEnhance(
            tr(
                "“{name}” shows values that a server sends as pictures, which are not read; save it "
                "as a raster file first (Export, Save As) and choose that layer."
            ).format(name=name)
        )
    if request.extent is None:
        raise CannotEnhance(
            tr("“{name}” comes from a server and is too large as a whole; choose an extent.").format(name=name)
        )
    bands = chosen_bands(name, WEB_BANDS, request.bands)
    bounds = bounds_of(request.extent, layer, transform_context)
    wished = default_resolution(layer, bounds) if request.resolution is None else request.resolution
    grid = web_grid(layer, bounds, check_resolution(layer, wished), SMALLEST_SIDE_PX)
    return _Raster(WebSource(layer.providerType(), provider.dataSourceUri()), grid, grid.window, bands)


def checked_layer(layer: Optional[QgsMapLayer]) -> QgsRasterLayer:
    """Return ``layer`` if it is a raster layer from a file or a map server. Raises CannotEnhance if not."""
    if layer is None:
        raise CannotEnhance(tr("No layer is chosen; choose a raster layer."))
    name = layer.name()
    if not isinstance(layer, QgsRasterLayer):
        raise CannotEnhance(tr("“{name}” is not a raster layer; choose a raster layer.").format(name=name))
    if not layer.isValid() or layer.dataProvider() is None:
        what = tr("its server can be reached") if is_web_layer(layer) else tr("its file is still there")
        raise CannotEnhance(
            tr("“{name}” cannot be read; check that {what}, or choose another layer.").format(name=name, what=what)
        )
    if layer.providerType() != "gdal" and not is_web_layer(layer):
        raise _not_a_file(name)
    return layer


def _not_a_file(name: str) -> CannotEnhance:
    return CannotEnhance(
        tr(
            "“{name}” comes neither from a raster file nor from a WMS, WMTS or XYZ server; save "
            "it as a raster file first (Export, Save As) and choose that layer."
        ).format(name=name)
    )


def _gdal_uri(layer: QgsRasterLayer) -> RasterUri:
    """Return what GDAL has to open: QGIS appends open options to the dataset's name."""
    dataset, *options = layer.dataProvider().dataSourceUri().split("|option:")
    return RasterUri(dataset, tuple(options))


def _check_raster(layer: QgsRasterLayer, info: RasterInfo) -> None:
    name = layer.name()
    if info.driver in _WEB_DRIVERS:
        raise _not_a_file(name)
    is_georeferenced_otherwise = info.has_ground_control_points and not info.has_geotransform
    if info.grid.is_rotated or is_georeferenced_otherwise or not _lies_where_qgis_shows_it(layer, info.grid):
        raise CannotEnhance(
            tr(
                "“{name}” is rotated or not yet rectified; bring it onto a north-up grid first "
                "(Raster, Projections, Warp) and choose that layer."
            ).format(name=name)
        )
    renderer = layer.renderer()
    if renderer is not None and renderer.type() == "paletted":
        raise paletted(name)


def _lies_where_qgis_shows_it(layer: QgsRasterLayer, grid: Grid) -> bool:
    """Whether layer and file agree within a pixel; if not, QGIS warps the file while it reads."""
    extent = layer.extent()
    shown = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
    width, height = grid.pixel_size
    return all(abs(a - b) <= size for a, b, size in zip(shown, grid.bounds, (width, height, width, height)))


def _check_size(name: str, window: Window, is_whole_layer: bool) -> None:
    if min(window.width_px, window.height_px) < SMALLEST_SIDE_PX:
        sentence = (
            tr("“{name}” has only {size}; at least {least} are needed, so choose a larger layer.")
            if is_whole_layer
            else tr("The extent holds only {size} of “{name}”; at least {least} are needed, so choose a larger extent.")
        )
        size = tr("{width} × {height} pixels").format(width=window.width_px, height=window.height_px)
        least = f"{SMALLEST_SIDE_PX} × {SMALLEST_SIDE_PX}"
        raise CannotEnhance(sentence.format(name=name, size=size, least=least))


def _job(
    request: EnhanceRequest, raster: _Raster, pixel_size_m: Optional[tuple[float, float]], *, has_engine: bool
) -> Job:
    # What a server shows in pixels of 10 m need not be of a sensor with such pixels.
    is_sensor_unknown = request.sensor is Sensor.AUTO and isinstance(raster.source, WebSource)
    try:
        return Job(
            method=request.method,
            scale=request.scale,
            preset=request.preset,
            # QGIS itself has no other.
            device=request.device if has_engine else Device.CPU,
            seed=request.seed,
            sensor=request.sensor,
            band_names=tuple(band.name for band in raster.bands),
            mtf_at_nyquist=request.mtf_at_nyquist,
            pixel_size_m=None if is_sensor_unknown else pixel_size_m,
            model=str(request.model.absolute()) if request.model else None,
            cache_folder=str(tile_folder()),
            cache_limit_bytes=cache_limit_bytes(),
            traces_borders=request.traces_borders and has_engine,
            maps_confidence=_maps_confidence(request),
            keeps_dip=request.keeps_dip and request.method is Method.CHAIN,
        )
    except JobError as error:
        raise CannotEnhance(str(error)) from error


def _check_model(request: EnhanceRequest) -> None:
    """Raise CannotEnhance if Decrappify is to run with a model that is damaged or made for something else."""
    if request.method not in (Method.CHAIN, Method.DECRAPPIFY):
        return
    try:
        fitting_card(model_file(str(request.model) if request.model else None), request.scale)
    except CardError as error:
        raise CannotEnhance(str(error)) from error


def _pixel_size_m(
    crs: QgsCoordinateReferenceSystem,
    grid: Grid,
    window: Window,
    transform_context: QgsCoordinateTransformContext,
) -> Optional[tuple[float, float]]:
    """Measure a pixel in the window's middle on the ellipsoid: projected units may be neither metres nor true."""
    if not crs.isValid():
        return None
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, transform_context)
    measure.setEllipsoid(crs.ellipsoidAcronym() or "EPSG:7030")
    x_min, y_min, x_max, y_max = grid.bounds_of(window)
    middle = QgsPointXY((x_min + x_max) / 2, (y_min + y_max) / 2)
    width, height = grid.pixel_size
    try:
        sizes = (
            measure.measureLine(middle, QgsPointXY(middle.x() + width, middle.y())),
            measure.measureLine(middle, QgsPointXY(middle.x(), middle.y() + height)),
        )
    except QgsCsException:
        return None
    return sizes if all(math.isfinite(size) and size > 0 for size in sizes) else None
