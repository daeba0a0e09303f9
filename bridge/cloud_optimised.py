"""Cloud-optimised GeoTIFF: a layout that programs can read over a network, piece by piece."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from osgeo import gdal

from .compat import close_dataset
from .gdal_errors import GdalError
from .gdal_progress import gdal_progress

_DRIVER = "COG"
_SIDECAR = ".aux.xml"


def can_cloud_optimise() -> bool:
    """Whether this GDAL knows how: from 3.1 on, where it was not built without."""
    return gdal.GetDriverByName(_DRIVER) is not None


def cloud_optimise(path: Path, on_fraction: Callable[[float], None]) -> None:
    """Replace the GeoTIFF ``path`` by one of that layout, with the same pixels and overviews.

    The order of such a file's parts is fixed, so it can only be made of another one: there are two for a while.

    Raises:
        GdalError: if GDAL fails; exceptions of ``on_fraction`` go through.
    """
    ordered = path.with_name(f"ordered-{path.name}")
    options = [
        "COMPRESS=DEFLATE",
        "PREDICTOR=YES",
        "BIGTIFF=IF_SAFER",
        # They are there, and averaged in the way of every result.
        "OVERVIEWS=FORCE_USE_EXISTING",
    ]
    source = gdal.Open(str(path))
    with gdal_progress(on_fraction) as callback:
        copy = gdal.GetDriverByName(_DRIVER).CreateCopy(str(ordered), source, 0, options, callback)
    if copy is None:
        raise GdalError(gdal.GetLastErrorMsg() or "the cloud-optimised copy failed")
    close_dataset(copy)
    close_dataset(source)
    # Windows replaces no file that is open.
    del copy, source
    # GDAL puts a CRS that GeoTIFF has no keys for beside it.
    for made, final in ((ordered, path), (_beside(ordered), _beside(path))):
        if made.exists():
            made.replace(final)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + _SIDECAR)
