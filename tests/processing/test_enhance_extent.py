"""``headland:enhanceextent``: the dock's job from the toolbox, a model, a batch or qgis_process."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
)

from headland.bridge.estimating import NO_BREAK_SPACE
from headland.processing.provider import HeadlandProvider
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer, MakeRaster, UseEngine
from headland.tests.support.rasters import fields, read_valid
from headland.tests.support.toolbox import ALGORITHM, run
from headland.tests.support.web_server import WebServer, colours_of


def test_the_provider_offers_the_algorithm(provider: HeadlandProvider) -> None:
    assert provider.id() == "headland"
    assert [algorithm.id() for algorithm in provider.algorithms()] == [ALGORITHM]


def test_the_parameters_are_those_of_the_documentation(algorithm: QgsProcessingAlgorithm) -> None:
    parameters = {definition.name(): definition for definition in algorithm.parameterDefinitions()}
    what, how = "INPUT EXTENT RESOLUTION BANDS", "METHOD SCALE PRESET SENSOR MTF SEED DEVICE MODEL"
    assert list(parameters) == f"{what} {how} COG MAP_CONFIDENCE KEEP_DIP TRACE_BORDERS OUTPUT REPORT".split()
    choices = {name: parameters[name].options() for name in ("METHOD", "SCALE", "PRESET", "SENSOR", "DEVICE")}
    assert choices == {
        "METHOD": ["chain", "dip", "decrappify", "anchor", "bicubic"],
        "SCALE": ["2", "4"],
        "PRESET": ["fast", "balanced", "reference"],
        "SENSOR": ["auto", "sentinel-2", "landsat", "custom"],
        "DEVICE": ["auto", "cpu", "cuda", "mps"],
    }
    defaults = {name: parameters[name].defaultValue() for name in choices}
    assert defaults == {"METHOD": "chain", "SCALE": "4", "PRESET": "fast", "SENSOR": "auto", "DEVICE": "auto"}
    assert [output.name() for output in algorithm.outputDefinitions()] == [
        "OUTPUT",
        "REPORT",
        "CONFIDENCE_OUTPUT",
        "UNCERTAIN_AREAS",
        "DIP_OUTPUT",
        "BORDERS",
    ]
    assert algorithm.shortHelpString()


def test_the_real_worker_enhances_an_extent_of_the_real_scene(scene: Path, folder: Path) -> None:
    outcome = run(
        INPUT=str(scene),
        EXTENT="443500,443980,4177000,4177400 [EPSG:32618]",
        BANDS=[4, 3],
        SCALE="2",
        OUTPUT=str(folder / "schärfer.tif"),
        REPORT=str(folder / "bericht.json"),
    )
    assert outcome == {"OUTPUT": str(folder / "schärfer.tif"), "REPORT": str(folder / "bericht.json")}
    dataset = gdal.Open(outcome["OUTPUT"])
    assert dataset.GetGeoTransform() == (443500.0, 5.0, 0.0, 4177400.0, 0.0, -5.0)
    assert (dataset.RasterXSize, dataset.RasterYSize, dataset.RasterCount) == (96, 80, 2)
    assert dataset.GetRasterBand(1).GetDescription() == "B08"
    assert json.loads(Path(outcome["REPORT"]).read_text(encoding="utf-8"))["consistency"]["shift_px"] < 0.05


@pytest.mark.parametrize("method", ["anchor", "bicubic"])
def test_without_an_engine_qgis_itself_does_what_needs_none(
    make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str
) -> None:
    monkeypatch.setenv("HEADLAND_ENGINE", str(tmp_path / "none"))
    results = run(INPUT=make_layer(bands=2), METHOD=method, SCALE="2", OUTPUT=str(tmp_path / "out.tif"))
    report = json.loads(Path(results["REPORT"]).read_text(encoding="utf-8"))
    assert (report["engine"], report["method"]) == ("numpy, inside QGIS", method)
    assert gdal.Open(results["OUTPUT"]).GetMetadataItem("HEADLAND_ENGINE") == "numpy, inside QGIS"
    assert gdal.Open(results["OUTPUT"]).ReadAsArray().shape == (2, 64, 80)


def test_only_the_input_is_needed(make_layer: MakeLayer, fake_engine: FakeEngine) -> None:
    outcome = run(INPUT=make_layer(bands=2), OUTPUT="TEMPORARY_OUTPUT")
    assert QgsRasterLayer(outcome["OUTPUT"]).width() == 160
    assert json.loads(Path(outcome["REPORT"]).read_text(encoding="utf-8"))["scale"] == 4


@pytest.mark.parametrize(
    ("given", "numbers"), [("2;1", [2, 1]), ("2, 1", [2, 1]), (2, [2]), ("", [1, 2]), ([], [1, 2])]
)
def test_bands_are_taken_in_every_form(
    make_layer: MakeLayer, fake_engine: FakeEngine, given: Any, numbers: list[int]
) -> None:
    outcome = run(INPUT=make_layer(bands=2), BANDS=given, OUTPUT="TEMPORARY_OUTPUT")
    report = json.loads(Path(outcome["REPORT"]).read_text(encoding="utf-8"))
    assert [band["number"] for band in report["bands"]] == numbers


@pytest.mark.parametrize("scale", [2, "2"])
def test_the_scale_may_be_a_number(make_layer: MakeLayer, fake_engine: FakeEngine, scale: Any) -> None:
    outcome = run(INPUT=make_layer(), SCALE=scale, OUTPUT="TEMPORARY_OUTPUT")
    assert QgsRasterLayer(outcome["OUTPUT"]).width() == 80


def test_every_parameter_arrives(make_layer: MakeLayer, fake_engine: FakeEngine) -> None:
    outcome = run(
        INPUT=make_layer(),
        METHOD="dip",
        PRESET="balanced",
        SENSOR="custom",
        MTF=0.31,
        SEED=7,
        DEVICE="cpu",
        OUTPUT="TEMPORARY_OUTPUT",
    )
    report = json.loads(Path(outcome["REPORT"]).read_text(encoding="utf-8"))
    wished = {name: report[name] for name in ("method", "preset", "sensor", "mtf_at_nyquist", "seed")}
    assert wished == {"method": "dip", "preset": "balanced", "sensor": "custom", "mtf_at_nyquist": 0.31, "seed": 7}


def test_the_log_begins_with_the_estimate_and_the_report_holds_it(
    make_raster: MakeRaster, fake_engine: FakeEngine, folder: Path, algorithm: QgsProcessingAlgorithm
) -> None:
    feedback = QgsProcessingFeedback()
    parameters = {"INPUT": str(make_raster()), "OUTPUT": str(folder / "out.tif"), "REPORT": str(folder / "out.json")}
    _results, is_fine = algorithm.run(parameters, QgsProcessingContext(), feedback, {})
    assert is_fine
    log = feedback.textLog().replace(NO_BREAK_SPACE, " ")
    assert 0 <= log.index("Estimate: about ") < log.index("Written to")
    report = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert report["estimated_s"] > 0.0


def test_zeros_that_nothing_declares_become_nodata_and_the_log_says_so(
    make_raster: MakeRaster, fake_engine: FakeEngine, folder: Path, algorithm: QgsProcessingAlgorithm
) -> None:
    values = fields(3, 40, 60)
    values[:, :, 30:] = 0
    feedback = QgsProcessingFeedback()
    parameters = {"INPUT": str(make_raster(values)), "SCALE": "2", "OUTPUT": str(folder / "out.tif")}
    _results, is_fine = algorithm.run(parameters, QgsProcessingContext(), feedback, {})
    assert is_fine
    assert "Areas that are 0 in every chosen band were taken as nodata" in feedback.textLog()
    np.testing.assert_array_equal(read_valid(folder / "out.tif"), (values > 0).repeat(2, axis=1).repeat(2, axis=2))


def test_an_extent_of_zeros_is_refused_in_words(
    make_raster: MakeRaster, fake_engine: FakeEngine, folder: Path, algorithm: QgsProcessingAlgorithm
) -> None:
    source = make_raster(np.zeros((3, 40, 60), np.uint16))
    feedback = QgsProcessingFeedback()
    parameters = {"INPUT": str(source), "OUTPUT": str(folder / "out.tif")}
    _results, is_fine = algorithm.run(parameters, QgsProcessingContext(), feedback, {})
    assert not is_fine
    assert "The extent holds nothing but 0" in feedback.textLog()
    assert list(folder.iterdir()) == [source]


def test_unloading_the_plugin_in_mid_run_ends_the_worker(
    make_raster: MakeRaster,
    use_engine: UseEngine,
    folder: Path,
    provider: HeadlandProvider,
    algorithm: QgsProcessingAlgorithm,
) -> None:
    engine = use_engine("hang")
    source = make_raster()

    asked_at: list[float] = []

    def unload() -> None:
        engine.wait_for_worker()
        asked_at.append(time.monotonic())
        # What the registry calls when the provider is taken away.
        provider.unload()

    threading.Thread(target=unload).start()
    feedback = QgsProcessingFeedback()
    parameters = {"INPUT": str(source), "METHOD": "anchor", "OUTPUT": str(folder / "out.tif")}
    _results, is_fine = algorithm.run(parameters, QgsProcessingContext(), feedback, {})
    assert time.monotonic() - asked_at[0] < 2.0
    assert not is_fine
    assert "cancelled" in feedback.textLog()
    assert not engine.is_worker_alive()
    assert list(folder.glob("*.tif")) == [source]


def test_a_web_layer_is_enhanced_at_the_resolution_that_was_given(
    web: WebServer, project: QgsProject, fake_engine: FakeEngine, no_window: None
) -> None:
    import processing

    source = project.addMapLayer(web.wms_layer())
    wishes = {"EXTENT": "441000,443000,4178000,4179000 [EPSG:32618]", "RESOLUTION": 20}
    processing.runAndLoadResults(ALGORITHM, {"INPUT": source, **wishes, "OUTPUT": "TEMPORARY_OUTPUT"})
    (result,) = (layer for layer in project.mapLayers().values() if layer is not source)
    assert (result.width(), result.height()) == (400, 200)
    assert result.renderer().type() == "multibandcolor"


def test_the_real_worker_enhances_a_web_layer_without_taking_it_for_a_sensors(
    web: WebServer, project: QgsProject
) -> None:
    source = project.addMapLayer(web.wms_layer())
    extent = "441000,441600,4178000,4178400 [EPSG:32618]"
    outcome = run(INPUT=source, EXTENT=extent, RESOLUTION=10, SCALE=2, OUTPUT="TEMPORARY_OUTPUT")
    dataset = gdal.Open(outcome["OUTPUT"])
    assert dataset.GetGeoTransform() == (441000.0, 5.0, 0.0, 4178400.0, 0.0, -5.0)
    before = np.moveaxis(colours_of(100 + np.arange(60), 160 + np.arange(40))[..., :3], -1, 0).astype(float)
    after = dataset.ReadAsArray()[:3].reshape(3, 40, 2, 60, 2).mean(axis=(2, 4))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.97
    assert after.mean() == pytest.approx(before.mean(), rel=0.01)
    report = json.loads(Path(outcome["REPORT"]).read_text(encoding="utf-8"))
    assert report["sensor"] == "auto"
    assert report["window"]["pixel_size_m"][0] == pytest.approx(10.0, rel=1e-3)


def test_a_failing_server_is_an_error_in_words(web: WebServer, project: QgsProject, fake_engine: FakeEngine) -> None:
    source = project.addMapLayer(web.wms_layer())
    web.behaviour = "html"
    with pytest.raises(QgsProcessingException, match="sent text/html where a picture was asked for"):
        run(INPUT=source, EXTENT="441000,443000,4178000,4179000 [EPSG:32618]", OUTPUT="TEMPORARY_OUTPUT")


def test_phases_and_progress_are_told(make_layer: MakeLayer, fake_engine: FakeEngine) -> None:
    import processing

    phases: list[str] = []
    fractions: list[float] = []

    class Feedback(QgsProcessingFeedback):
        def setProgressText(self, text: str) -> None:  # noqa: N802, the name is QGIS's
            phases.append(text)

    feedback = Feedback()
    feedback.progressChanged.connect(fractions.append)
    parameters = {"INPUT": make_layer(), "OUTPUT": "TEMPORARY_OUTPUT"}
    processing.run(ALGORITHM, parameters, feedback=feedback)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 100.0
    assert phases == ["Reading the layer", "Starting the engine", "Pretending", "Writing the result"]


def test_cancel_ends_the_worker_within_two_seconds_and_leaves_nothing(
    make_raster: MakeRaster, use_engine: UseEngine, folder: Path
) -> None:
    import processing

    engine = use_engine("hang")
    feedback = QgsProcessingFeedback()
    source = make_raster()
    asked_at: list[float] = []

    def cancel() -> None:
        engine.wait_for_worker()
        asked_at.append(time.monotonic())
        feedback.cancel()

    threading.Thread(target=cancel).start()
    with pytest.raises(QgsProcessingException, match="cancelled"):
        processing.run(ALGORITHM, {"INPUT": str(source), "OUTPUT": str(folder / "out.tif")}, feedback=feedback)
    assert time.monotonic() - asked_at[0] < 2.0
    assert not engine.is_worker_alive()
    assert list(folder.glob("*.tif")) == [source]
    assert list(folder.glob(".*")) == []


def test_a_failing_worker_is_an_error_with_details_in_the_log(make_layer: MakeLayer, use_engine: UseEngine) -> None:
    import processing

    use_engine("out of memory")
    feedback = QgsProcessingFeedback()
    with pytest.raises(QgsProcessingException, match="ran out of memory"):
        processing.run(ALGORITHM, {"INPUT": make_layer(), "OUTPUT": "TEMPORARY_OUTPUT"}, feedback=feedback)
    assert "MemoryError" in feedback.textLog()


def test_an_mtf_alone_means_a_custom_sensor(make_layer: MakeLayer, fake_engine: FakeEngine) -> None:
    outcome = run(INPUT=make_layer(), MTF=0.3, OUTPUT="TEMPORARY_OUTPUT")
    report = json.loads(Path(outcome["REPORT"]).read_text(encoding="utf-8"))
    assert (report["sensor"], report["mtf_at_nyquist"]) == ("custom", 0.3)


def test_an_extent_that_reaches_beyond_the_layer_is_clipped_with_a_warning(
    make_layer: MakeLayer, fake_engine: FakeEngine
) -> None:
    import processing

    layer, feedback = make_layer(), QgsProcessingFeedback()
    reach = layer.extent()
    inside = f"{reach.xMinimum()},{reach.xMaximum()},{reach.yMinimum()},{reach.yMaximum()}"
    parameters = {"INPUT": layer, "METHOD": "anchor", "EXTENT": inside, "OUTPUT": "TEMPORARY_OUTPUT"}
    processing.run(ALGORITHM, parameters, feedback=feedback)
    assert "beyond the layer" not in feedback.textLog()
    beyond = f"0,{reach.xMaximum()},{reach.yMinimum()},{reach.yMaximum()}"
    processing.run(ALGORITHM, {**parameters, "EXTENT": beyond}, feedback=feedback)
    assert "only the 40 × 32 pixels that lie on it" in feedback.textLog()
    assert "xmin,xmax,ymin,ymax" in feedback.textLog()


def test_a_layer_that_is_enhanced_already_is_warned_of(make_layer: MakeLayer, fake_engine: FakeEngine) -> None:
    import processing

    feedback = QgsProcessingFeedback()
    layer = make_layer(metadata={"HEADLAND_NATURE": "enhanced, not measured"})
    processing.run(ALGORITHM, {"INPUT": layer, "OUTPUT": "TEMPORARY_OUTPUT"}, feedback=feedback)
    assert "This layer is enhanced already" in feedback.textLog()
