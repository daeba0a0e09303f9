"""Writing: the GeoTIFF says of its pixels what the source says, lies where the window lies, and is whole."""

from __future__ import annotations

import resource
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from osgeo import gdal, osr

from headland.bridge import raster_sink
from headland.bridge.raster_sink import ResultDescription, ResultUnwritable, StagedGeotiff
from headland.bridge.raster_source import BandInfo, RasterUri, describe
from headland.engine.array_file import open_array
from headland.engine.grid import Grid, Window
from headland.tests.support.fixtures import MakeRaster
from headland.tests.support.rasters import CUSTOM_CRS, ODD_CRS, read_nodata, read_raster, read_valid
from headland.tests.support.results import Change, Write, describe_result, enlarged, wkt_of

BAND = (BandInfo(1, "", "uint16", None, None, None, "", gdal.GCI_GrayIndex, is_paletted=False, metadata=()),)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"])
def test_type_and_pixels_survive(make_raster: MakeRaster, write: Write, dtype: str) -> None:
    source = make_raster(bands=2, dtype=dtype)
    values = read_raster(write(source))
    assert values.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(values, enlarged(read_raster(source)))


def test_the_outer_corners_are_the_sources_exactly(make_raster: MakeRaster, write: Write) -> None:
    geotransform = (443050.123456789, 9.87654321, 0.0, 4179260.1, 0.0, -10.123456789)
    output = gdal.Open(str(write(make_raster(geotransform=geotransform), scale=4)))
    x, width, _, y, _, height = output.GetGeoTransform()
    assert (x, y) == (geotransform[0], geotransform[3])
    assert (width * 4, height * 4) == (geotransform[1], geotransform[5])
    assert output.GetMetadataItem("AREA_OR_POINT") == "Area"


steps = st.floats(1e-5, 1e4) | st.floats(-1e4, -1e-5)
any_grid = st.builds(
    lambda x, y, x_step, y_step, width, height, crs: Grid((x, x_step, 0.0, y, 0.0, y_step), width, height, wkt_of(crs)),
    st.floats(-1e7, 1e7),
    st.floats(-1e7, 1e7),
    steps,
    steps,
    st.integers(16, 40),
    st.integers(16, 40),
    st.sampled_from(["EPSG:32618", "EPSG:4326", "EPSG:2193", CUSTOM_CRS, ODD_CRS]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(grid=any_grid, scale=st.sampled_from([2, 4]), is_cloud_optimised=st.booleans(), data=st.data())
def test_the_file_has_the_outer_corners_of_any_window_of_any_grid(
    folder: Path, tmp_path: Path, grid: Grid, scale: int, is_cloud_optimised: bool, data: st.DataObject
) -> None:
    row, column = (data.draw(st.integers(0, length - 8)) for length in (grid.height_px, grid.width_px))
    window = Window(column, row, grid.width_px - column, grid.height_px - row)
    shape = (1, window.height_px, window.width_px)
    np.save(tmp_path / "valid.npy", np.ones(shape, bool))
    np.save(tmp_path / "pixels.npy", enlarged(np.full(shape, 7.0), scale))
    output = folder / "corners.tif"
    description = ResultDescription(grid.part(window).refined(scale), BAND, (), {}, is_cloud_optimised)
    with (
        open_array(tmp_path / "pixels.npy") as pixels,
        open_array(tmp_path / "valid.npy") as valid,
        StagedGeotiff(output) as raster,
    ):
        raster.write(description, pixels, valid, lambda _fraction: None)
        raster.publish()
    written = gdal.Open(str(output))
    x, x_step, x_shear, y, y_shear, y_step = written.GetGeoTransform()
    x_ends = sorted((x, x + written.RasterXSize * x_step))
    y_ends = sorted((y, y + written.RasterYSize * y_step))
    x_min, y_min, x_max, y_max = grid.bounds_of(window)
    assert (x_shear, y_shear) == (0.0, 0.0)
    for ends, expected, size in ((x_ends, (x_min, x_max), abs(x_step)), (y_ends, (y_min, y_max), abs(y_step))):
        finest = 4 * np.spacing(np.abs([*ends, *expected]).max() + 64 * size * scale)
        assert np.abs(np.subtract(ends, expected)).max() <= max(1e-9 * size * scale, finest)


def test_names_scale_offset_unit_colours_and_metadata_survive(make_raster: MakeRaster, write: Write) -> None:
    colours = [gdal.GCI_BlueBand, gdal.GCI_Undefined, gdal.GCI_RedBand]
    source = make_raster(
        bands=3,
        names=["B02", "Grün", "B04"],
        scale=0.0001,
        offset=-0.1,
        unit="reflectance",
        nodata=0,
        colours=colours,
        metadata={"ACQUIRED": "2024-05-01"},
        band_metadata={"wavelength": "560"},
    )
    output = write(source)
    before, after = describe(RasterUri(str(source))), describe(RasterUri(str(output)))
    assert after.bands == before.bands
    assert dict(after.metadata[0][1]) == {"ACQUIRED": "2024-05-01"}
    assert gdal.Open(str(output)).GetMetadataItem("TIFFTAG_SOFTWARE") == "Headland test"
    assert not output.with_name(f"{output.name}.aux.xml").exists()


def test_chosen_bands_keep_their_names_in_the_order_chosen(make_raster: MakeRaster, write: Write) -> None:
    source = make_raster(bands=3, names=["a", "b", "c"])
    output = write(source, bands=(3, 1))
    assert [band.name for band in describe(RasterUri(str(output))).bands] == ["c", "a"]
    np.testing.assert_array_equal(read_raster(output), enlarged(read_raster(source)[[2, 0]]))


def test_colour_images_stay_colour_images(make_raster: MakeRaster, write: Write) -> None:
    colours = [gdal.GCI_RedBand, gdal.GCI_GreenBand, gdal.GCI_BlueBand]
    output = write(make_raster(bands=3, dtype="uint8", colours=colours))
    assert [band.colour for band in describe(RasterUri(str(output))).bands] == colours


@pytest.mark.parametrize("crs", ["EPSG:32618", "EPSG:4326", CUSTOM_CRS, ODD_CRS, "+proj=natearth +lon_0=10"])
def test_every_crs_survives_also_custom_ones(make_raster: MakeRaster, write: Write, crs: str) -> None:
    output = gdal.Open(str(write(make_raster(crs=crs))))
    expected = osr.SpatialReference()
    expected.SetFromUserInput(crs)
    assert output.GetSpatialRef().IsSame(expected, ["IGNORE_DATA_AXIS_TO_SRS_AXIS_MAPPING=YES"])


def test_it_is_compressed_tiled_and_has_overviews(make_raster: MakeRaster, write: Write) -> None:
    output = gdal.Open(str(write(make_raster(width_px=400, height_px=300))))
    band = output.GetRasterBand(1)
    assert band.GetBlockSize() == [256, 256]
    assert output.GetMetadataItem("COMPRESSION", "IMAGE_STRUCTURE") == "DEFLATE"
    assert output.GetMetadataItem("PREDICTOR", "IMAGE_STRUCTURE") == "2"
    sizes = [(band.GetOverview(i).XSize, band.GetOverview(i).YSize) for i in range(band.GetOverviewCount())]
    assert sizes == [(400, 300), (200, 150)]


def test_a_result_that_may_exceed_four_gigabytes_is_a_bigtiff(make_raster: MakeRaster, tmp_path: Path) -> None:
    info = describe(RasterUri(str(make_raster(bands=2))))
    for width_px, version in ((10_000, 42), (60_000, 43)):
        grid = replace(info.grid, width_px=width_px, height_px=20_000)
        description = replace(describe_result(info, info.bands, 1), grid=grid)
        path = tmp_path / f"{width_px}.tif"
        dataset = raster_sink._create(path, description, raster_sink.Marking(None, has_mask=False))
        dataset.GetRasterBand(2).WriteArray(np.ones((1, 1), np.uint16), width_px - 1, 19_999)
        dataset.FlushCache()
        # Its first numbers say which of the two it is; what it holds need not be written for that.
        assert int.from_bytes(path.read_bytes()[2:4], "little") == version
        path.unlink()


def test_integers_are_rounded_and_saturate(make_raster: MakeRaster, write: Write) -> None:
    source = make_raster(dtype="uint8")
    pixels = enlarged(read_raster(source)).astype(float)
    pixels[0, 0, :4] = [10.5, 10.49, -7.0, 300.0]
    assert read_raster(write(source, pixels))[0, 0, :4].tolist() == [11, 10, 0, 255]


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint16", 0), ("int16", -9999), ("float32", -9999.0), ("float32", np.nan)]
)
def test_nodata_comes_out_exactly_where_the_low_res_pixel_was(
    make_raster: MakeRaster, write: Write, dtype: str, nodata: float
) -> None:
    source = make_raster(bands=2, dtype=dtype, nodata=nodata)
    valid = np.ones(read_raster(source).shape, bool)
    valid[:, :3, :5] = False
    valid[1, -2:, -1:] = False
    output = write(source, valid=valid)
    values = read_raster(output)
    is_nodata = np.isnan(values) if np.isnan(nodata) else values == nodata
    np.testing.assert_array_equal(is_nodata, ~enlarged(valid))
    dataset = gdal.Open(str(output))
    np.testing.assert_equal(dataset.GetRasterBand(2).GetNoDataValue(), nodata)


def test_a_valid_pixel_never_becomes_nodata(make_raster: MakeRaster, write: Write) -> None:
    source = make_raster(nodata=0)
    pixels = enlarged(read_raster(source)).astype(float)
    pixels[0, :5] = [[0.0], [-3.0], [0.4], [0.6], [-0.4]]
    values = read_raster(write(source, pixels))
    assert (values[0, :5] == 1).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_without_a_nodata_value_a_mask_inside_the_file_says_what_is_invalid(
    make_raster: MakeRaster, write: Write, folder: Path, dtype: str
) -> None:
    source = make_raster(bands=2, dtype=dtype, width_px=300, height_px=300)
    valid = np.ones((2, 300, 300), bool)
    valid[:, :3, :5] = False
    output = write(source, valid=valid)
    dataset = gdal.Open(str(output))
    band = dataset.GetRasterBand(2)
    assert band.GetMaskFlags() == gdal.GMF_PER_DATASET
    np.testing.assert_array_equal(band.GetMaskBand().ReadAsArray() > 0, enlarged(valid)[1])
    assert band.GetNoDataValue() is None
    assert sorted(folder.iterdir()) == sorted([source, output])


@pytest.mark.parametrize("nodata", [0, None])
def test_strips_and_their_pieces_make_no_difference(
    make_raster: MakeRaster, write: Write, monkeypatch: pytest.MonkeyPatch, nodata: Optional[int]
) -> None:
    source = make_raster(bands=2, nodata=nodata, width_px=150, height_px=300)
    valid = np.random.default_rng(1).random((2, 300, 150)) > 0.01
    whole = write(source, valid=valid)
    expected, size = read_raster(whole), whole.stat().st_size
    monkeypatch.setattr(raster_sink, "PIECE_PX", 256)
    in_strips = write(source, valid=valid)
    np.testing.assert_array_equal(read_raster(in_strips), expected)
    assert in_strips.stat().st_size == pytest.approx(size, rel=0.01), "no tile is written twice"


def test_a_file_of_that_name_is_replaced_with_what_spoke_of_it(
    make_raster: MakeRaster, write: Write, folder: Path
) -> None:
    source = make_raster()
    for name in ("ergebnis.tif", "ergebnis.tif.aux.xml", "ergebnis.tif.ovr", "ergebnis.tif.msk"):
        (folder / name).write_text("old")
    output = write(source)
    assert sorted(folder.iterdir()) == sorted([source, output])


def test_until_it_is_whole_the_old_file_stands_and_a_cancelled_one_leaves_nothing(
    make_raster: MakeRaster, write: Write, folder: Path
) -> None:
    source = make_raster(width_px=400, height_px=300)
    old = folder / "ergebnis.tif"
    old.write_text("old")
    for last in (0.3, 0.9):

        def stop(fraction: float, last: float = last) -> None:
            assert old.read_text() == "old"
            if fraction > last:
                raise KeyError("cancelled")

        with pytest.raises(KeyError):
            write(source, on_fraction=stop)
        assert sorted(folder.iterdir()) == sorted([source, old])
        assert old.read_text() == "old"


@pytest.mark.parametrize("size", [4_000, 300_000])
def test_a_full_disk_is_an_error_and_leaves_nothing(
    make_raster: MakeRaster, write: Write, folder: Path, size: int
) -> None:
    source = make_raster(np.random.default_rng(1).integers(0, 65000, (1, 300, 300), dtype=np.uint16))
    noise = np.random.default_rng(2).uniform(0, 65000, (1, 600, 600))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def no_more_room(fraction: float) -> None:
        # From now on no file may become larger, as on a disk that is full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    try:
        with pytest.raises(ResultUnwritable, match="room on the disk"):
            write(source, noise, on_fraction=no_more_room)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(folder.iterdir()) == [source]


def test_pixels_that_are_no_numbers_are_refused(make_raster: MakeRaster, write: Write, folder: Path) -> None:
    source = make_raster()
    pixels = enlarged(read_raster(source)).astype(float)
    pixels[0, 5, 5] = np.nan
    with pytest.raises(ResultUnwritable, match="no numbers"):
        write(source, pixels)
    assert list(folder.iterdir()) == [source]


def test_pixels_that_are_no_numbers_do_not_matter_below_nodata(make_raster: MakeRaster, write: Write) -> None:
    source = make_raster(nodata=0)
    valid = np.ones((1, 32, 40), bool)
    valid[0, 2, 2] = False
    pixels = enlarged(read_raster(source)).astype(float)
    pixels[0, 4:6, 4:6] = np.nan
    assert (read_raster(write(source, pixels, valid))[0, 4:6, 4:6] == 0).all()


def mixed_nodata(*nodata: Optional[float]) -> Change:
    """Give the bands nodata values that differ, as those of a virtual raster may."""
    return lambda bands: tuple(replace(band, nodata=value) for band, value in zip(bands, nodata))


def test_a_measurement_is_not_touched_by_the_nodata_value_of_another_band(
    make_raster: MakeRaster, write: Write
) -> None:
    values = np.full((2, 20, 20), 50, np.uint16)
    values[1, :9] = 0
    source = make_raster(values)
    output = write(source, change=mixed_nodata(0, None))
    np.testing.assert_array_equal(read_raster(output), enlarged(values))


@pytest.mark.parametrize(
    ("dtype", "nodata", "chosen"),
    [
        ("uint16", (None, None), 0),
        ("int16", (None, None), -32768),
        ("float32", (None, None), np.nan),
        ("uint16", (0, None), 0),
        ("uint16", (None, 9), 9),
        ("float32", (-9999.0, None), -9999.0),
        ("float32", (0.0, np.nan), 0.0),
    ],
)
def test_bands_that_are_invalid_in_different_places_get_a_nodata_value_that_no_pixel_has(
    make_raster: MakeRaster, write: Write, dtype: str, nodata: tuple[Any, ...], chosen: float
) -> None:
    source = make_raster(bands=2, dtype=dtype)
    valid = np.ones((2, 32, 40), bool)
    valid[0, :3, :5] = valid[1, 20:] = False
    output = write(source, valid=valid, change=mixed_nodata(*nodata))
    np.testing.assert_equal(read_nodata(output), [chosen, chosen])
    np.testing.assert_array_equal(read_valid(output), enlarged(valid))
    np.testing.assert_array_equal(read_raster(output)[enlarged(valid)], enlarged(read_raster(source))[enlarged(valid)])


def test_a_nodata_value_that_a_pixel_has_gives_way_to_one_that_none_has(make_raster: MakeRaster, write: Write) -> None:
    values = np.full((2, 20, 20), 50, np.uint8)
    values[1, 5] = 0
    valid = np.ones((2, 20, 20), bool)
    valid[0, 3, 4] = False
    output = write(make_raster(values), valid=valid, change=mixed_nodata(0, None))
    assert read_nodata(output) == [255, 255]
    assert (read_raster(output)[1, 10:12] == 0).all()


def test_a_type_whose_values_are_all_used_loses_as_few_as_possible(make_raster: MakeRaster, write: Write) -> None:
    values = np.arange(512, dtype=np.uint16).astype(np.uint8).reshape(2, 16, 16)
    values[0, :2] = 255
    valid = np.ones((2, 16, 16), bool)
    valid[0, 9, 9] = False
    output = write(make_raster(values), valid=valid)
    assert read_nodata(output) == [0, 0]
    changed = read_raster(output)[enlarged(valid)] != enlarged(values)[enlarged(valid)]
    assert set(enlarged(values)[enlarged(valid)][changed].tolist()) == {0}


def test_a_raster_that_cannot_replace_the_old_one_leaves_that_one_with_all_that_spoke_of_it(
    make_raster: MakeRaster, write: Write, folder: Path
) -> None:
    source = make_raster(crs=ODD_CRS)
    target = folder / "ergebnis.tif"
    target.mkdir()
    (folder / "ergebnis.tif.aux.xml").write_text("old")
    (folder / "ergebnis.tif.ovr").write_text("old too")
    before = sorted(folder.iterdir())
    with pytest.raises(OSError, match="ergebnis"):
        write(source)
    assert sorted(folder.iterdir()) == before
    assert (folder / "ergebnis.tif.aux.xml").read_text() == "old"
    assert (folder / "ergebnis.tif.ovr").read_text() == "old too"


def test_a_name_as_long_as_the_file_system_takes_is_no_obstacle(make_raster: MakeRaster, write: Write) -> None:
    name = "x" * (255 - len(".tif.aux.xml")) + ".tif"
    output = write(make_raster(crs=ODD_CRS), name=name)
    assert gdal.Open(str(output)).GetSpatialRef() is not None


def test_a_crs_that_geotiff_cannot_say_survives_also_where_files_beside_rasters_are_switched_off(
    make_raster: MakeRaster, write: Write
) -> None:
    source = make_raster(crs=ODD_CRS)
    gdal.SetConfigOption("GDAL_PAM_ENABLED", "NO")
    try:
        # The source's CRS lies beside it, too, and is not read now.
        output = write(source, crs=ODD_CRS)
        assert gdal.GetConfigOption("GDAL_PAM_ENABLED") == "NO"
    finally:
        gdal.SetConfigOption("GDAL_PAM_ENABLED", None)
    assert gdal.Open(str(output)).GetSpatialRef() is not None


def test_a_result_may_be_wider_than_30_000_pixels(make_raster: MakeRaster, write: Write) -> None:
    source = make_raster(np.arange(11_000 * 16, dtype=np.uint16).reshape(1, 16, 11_000))
    output = write(source, scale=4)
    np.testing.assert_array_equal(read_raster(output), enlarged(read_raster(source), 4))


def test_memory_does_not_grow_with_the_result(make_raster: MakeRaster, write: Write) -> None:
    peaks = []
    for height_px in (64, 512):
        source = make_raster(np.ones((1, height_px, 2048), np.uint16))
        pixels = np.ones((1, 4 * height_px, 4 * 2048), np.float32)
        tracemalloc.start()
        write(source, pixels, scale=4)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The test itself has the source's pixels in memory. The larger result has 59 MB more, and rounding makes several.
    assert peaks[1] - peaks[0] < 10e6
