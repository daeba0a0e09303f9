"""``checkParameterValues`` says what is wrong before any work starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsProject, QgsVectorLayer

from headland.processing import enhance_extent
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.web_server import WebServer

pytestmark = pytest.mark.usefixtures("fake_engine")


def refusal(algorithm: QgsProcessingAlgorithm, **parameters: Any) -> str:
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    parameters = {"OUTPUT": "TEMPORARY_OUTPUT", **parameters}
    is_fine, message = algorithm.checkParameterValues(parameters, context)
    assert not context.layersToLoadOnCompletion()
    return "" if is_fine else message


def test_no_layer(algorithm: QgsProcessingAlgorithm) -> None:
    assert "choose a raster layer" in refusal(algorithm, INPUT=None)


def test_a_file_that_is_not_there(algorithm: QgsProcessingAlgorithm) -> None:
    assert refusal(algorithm, INPUT="/no/such.tif").startswith("/no/such.tif cannot be read as a raster")


def test_a_vector_layer(algorithm: QgsProcessingAlgorithm, project: QgsProject) -> None:
    layer = project.addMapLayer(QgsVectorLayer("Polygon", "Parcels", "memory"))
    assert "not a raster layer" in refusal(algorithm, INPUT=layer)
    assert "not a raster layer" in refusal(algorithm, INPUT=layer.id())


def test_an_extent_that_does_not_touch(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    assert "does not touch" in refusal(algorithm, INPUT=make_layer(), EXTENT="0,100,0,100 [EPSG:32618]")


def test_an_extent_in_a_crs_that_nobody_knows(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    for crs in ("EPSG:99999999", "somewhere"):
        text = refusal(algorithm, INPUT=make_layer(), EXTENT=f"443100,443300,4179000,4179200 [{crs}]")
        assert f"“{crs}” in the extent is no CRS" in text


@pytest.mark.parametrize("extent", ["0,0,0,0 [EPSG:32618]", "0,0,0,0", "5,5,5,5", "nan,nan,nan,nan [EPSG:32618]"])
def test_an_extent_without_an_area(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer, extent: str) -> None:
    assert "extent is empty" in refusal(algorithm, INPUT=make_layer(), EXTENT=extent)


def test_what_nobody_foresaw_is_a_sentence_too(
    algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enhance_extent, "plan_for", lambda *_arguments: 1 / 0)
    assert "unexpected error (ZeroDivisionError)" in refusal(algorithm, INPUT=make_layer())


def test_a_paletted_raster(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    assert "paletted" in refusal(algorithm, INPUT=make_layer(dtype="uint8", palette=True))


def test_a_small_raster(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    assert "16 × 16" in refusal(algorithm, INPUT=make_layer(width_px=15))


def test_a_read_only_output_folder(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    assert "cannot be written to" in refusal(algorithm, INPUT=make_layer(), OUTPUT="/proc/out.tif")


def test_a_missing_engine(
    algorithm: QgsProcessingAlgorithm,
    make_layer: MakeLayer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HEADLAND_ENGINE", str(tmp_path / "none"))
    text = refusal(algorithm, INPUT=make_layer())
    assert "not set up" in text
    assert "choose METHOD=anchor or METHOD=bicubic, which work without it, or set it up" in text
    assert refusal(algorithm, INPUT=make_layer(), METHOD="anchor") == ""


def test_bands_that_are_no_numbers(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    assert "not a list of band numbers" in refusal(algorithm, INPUT=make_layer(), BANDS="red")


def test_a_custom_sensor_without_mtf(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    assert "MTF" in refusal(algorithm, INPUT=make_layer(), SENSOR="custom")
    for mtf in (0.0, 0.005, 0.91, 1.0):
        text = refusal(algorithm, INPUT=make_layer(), SENSOR="custom", MTF=mtf)
        assert text == f"The MTF at Nyquist is {mtf:g}; it must lie between 0.01 and 0.9."
    for mtf in (0.01, 0.9):
        assert refusal(algorithm, INPUT=make_layer(), SENSOR="custom", MTF=mtf) == ""


@pytest.mark.parametrize("resolution", [0, -1, "fine"])
def test_a_resolution_that_is_no_size(
    algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer, resolution: Any
) -> None:
    text = refusal(algorithm, INPUT=make_layer(), RESOLUTION=resolution)
    assert text == f"The resolution is {resolution}; it must be a number above 0."


def test_a_resolution_for_a_file(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    assert "leave the resolution empty" in refusal(algorithm, INPUT=make_layer(), RESOLUTION=10)
    assert refusal(algorithm, INPUT=make_layer(), RESOLUTION="") == ""


def test_a_web_layer_without_an_extent(algorithm: QgsProcessingAlgorithm, web: WebServer, project: QgsProject) -> None:
    layer = project.addMapLayer(web.xyz_layer())
    assert "choose an extent" in refusal(algorithm, INPUT=layer)


def test_a_word_that_is_no_choice(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    text = refusal(algorithm, INPUT=make_layer(), METHOD="magic")
    assert text == "METHOD is “magic”; choose one of chain, dip, decrappify, anchor, bicubic."
    assert refusal(algorithm, INPUT=make_layer(), SCALE=3) == "SCALE is “3”; choose one of 2, 4."


def test_a_seed_out_of_range(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    text = refusal(algorithm, INPUT=make_layer(), SEED=-1)
    assert text == "The seed is -1; it must be a whole number between 0 and 2147483647."
    assert "The seed is abc;" in refusal(algorithm, INPUT=make_layer(), SEED="abc")


@pytest.mark.parametrize("extent", ["290000,293000,9113000", "a b c d"])
def test_an_extent_that_is_none(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer, extent: str) -> None:
    text = refusal(algorithm, INPUT=make_layer(), EXTENT=extent)
    assert text.startswith(f"“{extent}” is no extent; give xmin,xmax,ymin,ymax")


def test_a_model_that_is_no_onnx_file(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    assert "README.md is no ONNX file" in refusal(algorithm, INPUT=make_layer(), MODEL="README.md")


def test_a_word_that_is_neither_yes_nor_no(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    for name in ("COG", "MAP_CONFIDENCE", "KEEP_DIP", "TRACE_BORDERS"):
        text = refusal(algorithm, INPUT=make_layer(), **{name: "maybe"})
        assert text == f"{name} is “maybe”; say yes or no."


def test_an_mtf_for_a_sensor_whose_mtf_is_known(algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
    assert "the sensor is landsat, whose MTF is known" in refusal(
        algorithm, INPUT=make_layer(), SENSOR="landsat", MTF=0.3
    )


def test_a_good_request_passes_and_leaves_no_layer_to_load(
    algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer
) -> None:
    assert refusal(algorithm, INPUT=make_layer()) == ""
    assert refusal(algorithm, INPUT=make_layer(), EXTENT="") == ""
