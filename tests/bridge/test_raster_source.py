"""Reading: digital numbers as stored, and which of them are valid."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from osgeo import gdal

from headland.bridge import raster_source
from headland.bridge.raster_source import ExcludedRange, Metadata, RasterUri, SourceUnreadable, describe, read_window
from headland.engine.grid import Window
from headland.tests.support.fixtures import MakeRaster
from headland.tests.support.rasters import fields, read_raster

INT16_NODATA = -9999


def read(path: Path, folder: Path, window: Window, bands: tuple[int, ...] = (1,)) -> tuple[Any, Any]:
    uri = RasterUri(str(path))
    chosen = [describe(uri).bands[number - 1] for number in bands]
    read_window(uri, window, chosen, folder, lambda _fraction: None)
    return np.load(folder / "input.npy"), np.load(folder / "valid.npy")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"])
def test_digital_numbers_come_as_they_are_stored(make_raster: MakeRaster, folder: Path, dtype: str) -> None:
    path = make_raster(bands=3, dtype=dtype, scale=0.0001, offset=-0.1)
    pixels, valid = read(path, folder, Window(3, 5, 20, 17), (3, 1))
    assert pixels.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(pixels, read_raster(path)[[2, 0], 5:22, 3:23])
    assert valid.all()


@pytest.mark.parametrize("options", [["TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=32"], ["BLOCKYSIZE=3"]])
@pytest.mark.parametrize("piece_px", [1, 100, 1500, 10_000])
def test_pieces_make_no_difference(
    make_raster: MakeRaster, folder: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], piece_px: int
) -> None:
    monkeypatch.setattr(raster_source, "PIECE_PIXELS", piece_px)
    plain = make_raster(bands=2, width_px=75, height_px=70)
    path = folder / "blocks.tif"
    gdal.Translate(str(path), str(plain), creationOptions=options)
    pixels, valid = read(path, folder, Window(1, 2, 70, 65), (1, 2))
    np.testing.assert_array_equal(pixels, read_raster(path)[:, 2:67, 1:71])
    assert valid.all()


@settings(deadline=None)
@given(
    window=st.builds(Window, *[st.integers(0, 3000)] * 2, *[st.integers(1, 3000)] * 2),
    block=st.tuples(st.integers(1, 3000), st.integers(1, 1024)),
    bands=st.integers(1, 200),
)
def test_pieces_cover_the_window_once_and_cut_no_block(window: Window, block: tuple[int, int], bands: int) -> None:
    pieces = list(raster_source._pieces(window, block, bands))
    assert sum(piece.width_px * piece.height_px for piece in pieces) == window.width_px * window.height_px
    assert all(piece.intersection(window) == piece for piece in pieces)
    starts = [(piece.column_px, piece.row_px) for piece in pieces]
    assert len(set(starts)) == len(starts)
    for piece in pieces:
        assert piece.column_px == window.column_px or piece.column_px % block[0] == 0
        assert piece.row_px == window.row_px or piece.row_px % block[1] == 0
        assert piece.width_px * piece.height_px * bands <= max(raster_source.PIECE_PIXELS, math.prod(block) * bands)


def test_nodata_is_invalid_band_by_band(make_raster: MakeRaster, folder: Path) -> None:
    values = fields(2, 20, 20, "int16")
    values[0, 3, 4] = values[1, 7, 8] = INT16_NODATA
    _, valid = read(make_raster(values, nodata=INT16_NODATA), folder, Window(0, 0, 20, 20), (1, 2))
    np.testing.assert_array_equal(valid, values != INT16_NODATA)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_is_invalid(make_raster: MakeRaster, folder: Path, hole: float) -> None:
    values = fields(1, 20, 20, "float32")
    values[0, 3, 4] = hole
    _, valid = read(make_raster(values), folder, Window(0, 0, 20, 20))
    np.testing.assert_array_equal(valid, np.isfinite(values))


@pytest.mark.parametrize("fill", [-3.4e38, 3.4028235e38, 1e35])
def test_a_fill_value_that_the_file_does_not_declare_is_invalid(
    make_raster: MakeRaster, folder: Path, fill: float
) -> None:
    values = fields(1, 20, 20, "float32")
    values[0, 3, 4] = fill
    _, valid = read(make_raster(values), folder, Window(0, 0, 20, 20))
    assert np.argwhere(~valid).tolist() == [[0, 3, 4]]


def test_a_nodata_value_that_is_no_number_is_invalid(make_raster: MakeRaster, folder: Path) -> None:
    values = fields(1, 20, 20, "float32")
    values[0, :4] = np.nan
    _, valid = read(make_raster(values, nodata=np.nan), folder, Window(0, 0, 20, 20))
    np.testing.assert_array_equal(valid, np.isfinite(values))


def test_the_rasters_mask_holds_for_every_band(make_raster: MakeRaster, folder: Path) -> None:
    mask = np.ones((20, 20), bool)
    mask[:5, :6] = False
    _, valid = read(make_raster(fields(2, 20, 20), mask=mask), folder, Window(0, 0, 20, 20), (1, 2))
    np.testing.assert_array_equal(valid, [mask, mask])


def test_where_the_alpha_band_is_transparent_nothing_is_valid(make_raster: MakeRaster, folder: Path) -> None:
    values = fields(4, 20, 20, "uint8")
    values[3] = 255
    values[3, 10:, 10:] = 0
    colours = [gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand, gdal.GCI_AlphaBand]
    _, valid = read(make_raster(values, colours=colours), folder, Window(0, 0, 20, 20), (1, 2, 3))
    np.testing.assert_array_equal(valid, np.repeat(values[3:] > 0, 3, axis=0))


def test_what_the_user_excluded_is_invalid(make_raster: MakeRaster, folder: Path) -> None:
    values = np.arange(400, dtype=np.uint16).reshape(1, 20, 20)
    uri = RasterUri(str(make_raster(values)))
    excluded = (
        ExcludedRange(0.0, 0.0),
        ExcludedRange(100.0, 120.0),
        ExcludedRange(200.0, 220.0, has_first=False, has_last=False),
        ExcludedRange(390.0, np.inf, has_last=False),
    )
    band = replace(describe(uri).bands[0], excluded=excluded)
    read_window(uri, Window(0, 0, 20, 20), [band], folder, lambda _fraction: None)
    invalid = {0, *range(100, 121), *range(201, 220), *range(390, 400)}
    assert set(values[~np.load(folder / "valid.npy")].tolist()) == invalid


def test_a_nodata_value_that_was_switched_off_is_a_measurement(make_raster: MakeRaster, folder: Path) -> None:
    values = fields(1, 20, 20)
    values[0, :4] = 0
    uri = RasterUri(str(make_raster(values, nodata=0)))
    switched_off = replace(describe(uri).bands[0], nodata=None)
    read_window(uri, Window(0, 0, 20, 20), [switched_off], folder, lambda _fraction: None)
    assert np.load(folder / "valid.npy").all()


def test_a_mask_holds_also_where_there_is_no_nodata_value(make_raster: MakeRaster, folder: Path) -> None:
    path = make_raster(fields(2, 20, 20))
    dataset = gdal.Open(str(path), gdal.GA_Update)
    # A mask that GDAL makes of a combination of all bands' values.
    dataset.SetMetadataItem("NODATA_VALUES", "0 0")
    dataset.WriteArray(np.zeros((2, 5, 5), np.uint16), 0, 0)
    dataset = None
    _, valid = read(path, folder, Window(0, 0, 20, 20), (1, 2))
    assert not valid[:, :5, :5].any()
    assert valid.sum() == 2 * (400 - 25)


def test_bands_of_different_types_get_one_that_holds_all(make_raster: MakeRaster, folder: Path) -> None:
    one, other = make_raster(dtype="int16"), make_raster(dtype="uint16")
    gdal.BuildVRT(str(folder / "both.vrt"), [str(one), str(other)], separate=True).FlushCache()
    pixels, _ = read(folder / "both.vrt", folder, Window(0, 0, 20, 20), (1, 2))
    assert pixels.dtype == np.int32
    np.testing.assert_array_equal(pixels[1], read_raster(other)[0, :20, :20])


def test_a_damaged_file_is_reported(make_raster: MakeRaster, folder: Path) -> None:
    path = make_raster(width_px=200, height_px=200)
    info = describe(RasterUri(str(path)))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        read_window(RasterUri(str(path)), Window(0, 0, 200, 200), info.bands, folder, lambda _fraction: None)


def test_the_description_holds_what_the_result_will_repeat(make_raster: MakeRaster) -> None:
    path = make_raster(
        bands=2,
        names=["B03", "B08"],
        nodata=0,
        scale=0.0001,
        offset=-0.1,
        unit="reflectance",
        metadata={"ACQUIRED": "2024-05-01"},
        band_metadata={"wavelength": "560", "STATISTICS_MEAN": "12"},
    )
    info = describe(RasterUri(str(path)))
    band = info.bands[1]
    assert (band.name, band.dtype, band.nodata) == ("B08", "uint16", 0)
    assert (band.scale, band.offset, band.unit) == (0.0001, -0.1, "reflectance")
    assert band.metadata == (("", (("wavelength", "560"),)),)
    assert info.metadata == (("", (("ACQUIRED", "2024-05-01"),)),)
    assert path in info.files


def test_a_nodata_value_beyond_the_type_is_none(make_raster: MakeRaster) -> None:
    assert describe(RasterUri(str(make_raster(dtype="uint16", nodata=-9999)))).bands[0].nodata is None


def test_reading_leaves_nothing_beside_the_raster(make_raster: MakeRaster, folder: Path, tmp_path: Path) -> None:
    path = make_raster()
    job = tmp_path / "job"
    job.mkdir()
    read(path, job, Window(0, 0, 20, 20))
    assert list(folder.iterdir()) == [path]


def test_text_that_is_no_utf_8_is_read_as_latin_1(make_raster: MakeRaster) -> None:
    source = make_raster(names=["Gruenes"], metadata={"Stadt": "Zuerich"}, band_metadata={"Koerper": "gruen"})
    content = source.read_bytes()
    for plain, latin in (("Gruenes", "Grünes "), ("Zuerich", "Zürich "), ("Koerper", "Körper "), ("gruen", "grün ")):
        content = content.replace(plain.encode(), latin.encode("latin-1"))
    source.write_bytes(content)
    info = describe(RasterUri(str(source)))
    assert info.bands[0].name.strip() == "Grünes"
    assert stripped(info.metadata) == {"Stadt": "Zürich"}
    assert stripped(info.bands[0].metadata) == {"Körper": "grün"}


def stripped(metadata: Metadata) -> dict[str, str]:
    return {name.strip(): value.strip() for name, value in dict(metadata)[""]}
