"""Whatever stands in a raster file: it is understood, or refused in our own words, and never ends QGIS."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext, QgsRasterLayer

from headland.bridge.plan import CannotEnhance
from headland.bridge.prepare import prepare
from headland.bridge.raster_source import RasterUri, SourceUnreadable, common_dtype, describe, read_window
from headland.bridge.request import EnhanceRequest
from headland.engine.array_file import open_array
from headland.engine.grid import Window
from headland.engine.job import INPUT_FILE, Method
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fuzzing import damaged, fuzzed, memory_folder, numbers, texts
from headland.tests.support.rasters import fields, write_raster
from headland.tests.support.sentences import is_one_sentence

# What GDAL's readers are asked to hold at most: an absurd size in a header is refused and not tried.
LARGEST_PX = 4096


def geotiff(**properties: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_raster(Path(folder) / "sound.tif", fields(2, 24, 20), nodata=0, **properties).read_bytes()


SOUND = geotiff(names=("B02", "B03"), scale=0.0001, metadata={"HEADLAND_NATURE": "x"})
# Values in the first directory of a TIFF: sizes, types, places.
TIFF_NUMBERS = st.sampled_from([0, 1, 2, 3, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1])


@st.composite
def absurd_tiffs(draw: st.DrawFn) -> bytes:
    """Draw a TIFF some of whose tags say something else."""
    content = bytearray(SOUND)
    (directory,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, directory)
    for _ in range(draw(st.integers(1, 4))):
        entry = directory + 2 + 12 * draw(st.integers(0, entries - 1))
        field, form = draw(st.sampled_from([(0, "<H"), (2, "<H"), (4, "<I"), (8, "<I")]))
        limit = 2 ** (8 * struct.calcsize(form)) - 1
        struct.pack_into(form, content, entry + field, min(limit, draw(TIFF_NUMBERS)))
    return bytes(content)


@st.composite
def absurd_vrts(draw: st.DrawFn) -> bytes:
    """Draw a virtual raster with any size, place, type, nodata value, scale and source."""
    number = numbers | st.sampled_from(["", "none", "1e400"])
    geotransform = ", ".join(str(draw(number)) for _ in range(6))
    kinds = ["Byte", "UInt16", "Int16", "Float32", "Float64", "CFloat32", "CInt16", "Odd"]
    bands = "".join(
        f'<VRTRasterBand dataType="{draw(st.sampled_from(kinds))}" band="{band}">'
        f"<NoDataValue>{draw(number)}</NoDataValue><Scale>{draw(number)}</Scale><Offset>{draw(number)}</Offset>"
        f"<Description>{escaped(draw(texts))}</Description>"
        "</VRTRasterBand>"
        for band in range(1, 1 + draw(st.integers(0, 3)))
    )
    size = [draw(st.sampled_from([0, -1, 1, 20, 40, 2**31 - 1]) | st.integers(1, 60)) for _ in range(2)]
    return (
        f'<VRTDataset rasterXSize="{size[0]}" rasterYSize="{size[1]}"><SRS>{escaped(draw(texts))}</SRS>'
        f"<GeoTransform>{geotransform}</GeoTransform>"
        f'<Metadata><MDI key="{escaped(draw(texts))}">{escaped(draw(texts))}</MDI></Metadata>{bands}</VRTDataset>'
    ).encode("utf-8", "replace")


def escaped(text: str) -> str:
    for letter, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot")):
        text = text.replace(letter, f"&{name};")
    return text


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """One for all inputs."""
    with memory_folder() as folder:
        yield folder


rasters = (
    damaged(SOUND).map(lambda content: ("fuzz.tif", content))
    | absurd_tiffs().map(lambda content: ("fuzz.tif", content))
    | absurd_vrts().map(lambda content: ("fuzz.vrt", content))
    | st.binary(max_size=500).map(lambda content: ("fuzz.bin", content))
    | st.integers(0, len(SOUND)).map(lambda length: ("fuzz.tif", SOUND[:length]))
)


@pytest.mark.timeout(0)
@fuzzed
@given(rasters)
def test_raster_files(memory: Path, raster: tuple[str, bytes]) -> None:
    path = memory / raster[0]
    path.write_bytes(raster[1])
    job_folder = memory / "job"
    job_folder.mkdir(exist_ok=True)
    try:
        info = describe(RasterUri(str(path)))
        bands = tuple(band for band in info.bands if band.dtype and np.dtype(band.dtype).kind in "iuf")
        window = info.grid.window.intersection(Window(0, 0, LARGEST_PX, LARGEST_PX // 64))
        if not bands or window is None:
            return
        read_window(RasterUri(str(path)), window, bands, job_folder, lambda _fraction: None)
    except SourceUnreadable as error:
        assert is_one_sentence(str(error))  # noqa: PT017
        return
    with open_array(job_folder / INPUT_FILE) as pixels:
        assert pixels.shape == (len(bands), window.height_px, window.width_px)
        assert pixels.dtype == common_dtype(bands)


@pytest.mark.timeout(0)
@fuzzed
@given(rasters)
def test_layers(memory: Path, raster: tuple[str, bytes]) -> None:
    path = memory / raster[0]
    path.write_bytes(raster[1])
    try:
        layer = QgsRasterLayer(str(path), "fuzz")
    except Exception:  # noqa: BLE001, QGIS itself fails at it, and nobody has a layer to choose
        return
    request = EnhanceRequest(layer, method=Method.ANCHOR, scale=2, output=memory / "result.tif")
    try:
        plan = prepare(request, QgsCoordinateTransformContext())
    except CannotEnhance as error:
        assert is_one_sentence(str(error))  # noqa: PT017
        return
    assert plan.output_grid.width_px == 2 * plan.window.width_px


@pytest.fixture(autouse=True)
def quiet(fake_engine: FakeEngine) -> Iterator[None]:
    """GDAL complains of much of this on standard error; QGIS would keep it in its log."""
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    yield
    gdal.PopErrorHandler()
