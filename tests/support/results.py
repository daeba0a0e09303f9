"""Results as the engine would have made them, written by Headland's own writer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import pytest
from numpy.typing import NDArray
from osgeo import osr

from headland.bridge.raster_sink import ResultDescription, StagedGeotiff
from headland.bridge.raster_source import BandInfo, RasterInfo, RasterUri, describe
from headland.engine.array_file import open_array

from .rasters import read_raster

Write = Callable[..., Path]
Change = Callable[[tuple[BandInfo, ...]], tuple[BandInfo, ...]]


def enlarged(values: NDArray[Any], scale: int = 2) -> NDArray[Any]:
    return values.repeat(scale, axis=1).repeat(scale, axis=2)


@pytest.fixture
def write(folder: Path, tmp_path: Path) -> Write:
    """Writes the raster ``source``, enlarged, as if the engine had made the given pixels of it."""

    def write(
        source: Path,
        pixels: Optional[NDArray[Any]] = None,
        valid: Optional[NDArray[np.bool_]] = None,
        *,
        scale: int = 2,
        bands: tuple[int, ...] = (),
        on_fraction: Callable[[float], None] = lambda _fraction: None,
        change: Change = lambda bands: bands,
        name: str = "ergebnis.tif",
        crs: str = "",
        is_cloud_optimised: bool = False,
    ) -> Path:
        info = describe(RasterUri(str(source)))
        if crs:
            info = replace(info, grid=replace(info.grid, crs_wkt=wkt_of(crs)))
        chosen = tuple(info.bands[number - 1] for number in bands) or info.bands
        values = read_raster(source)[[band.number - 1 for band in chosen]]
        np.save(tmp_path / "pixels.npy", enlarged(values, scale).astype(float) if pixels is None else pixels)
        np.save(tmp_path / "valid.npy", np.ones(values.shape, bool) if valid is None else valid)
        output = folder / name
        with (
            open_array(tmp_path / "pixels.npy") as pixel_file,
            open_array(tmp_path / "valid.npy") as valid_file,
            StagedGeotiff(output) as raster,
        ):
            description = replace(describe_result(info, change(chosen), scale), is_cloud_optimised=is_cloud_optimised)
            raster.write(description, pixel_file, valid_file, on_fraction)
            raster.publish()
        return output

    return write


def wkt_of(crs: str) -> str:
    reference = osr.SpatialReference()
    reference.SetFromUserInput(crs)
    return reference.ExportToWkt(["FORMAT=WKT2"])


def describe_result(info: RasterInfo, bands: tuple[BandInfo, ...], scale: int) -> ResultDescription:
    return ResultDescription(info.grid.refined(scale), bands, info.metadata, {"TIFFTAG_SOFTWARE": "Headland test"})
