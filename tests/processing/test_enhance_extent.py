"""``headland:enhanceextent``: the dock's job from the toolbox, a model, a batch or qgis_process."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsSingleBandGrayRenderer,
    QgsVectorLayer,
)

from headland.bridge.estimating import NO_BREAK_SPACE
from headland.processing import enhance_extent
from headland.processing.provider import HeadlandProvider
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer, MakeRaster, UseEngine
from headland.tests.support.web_server import WebServer, colours_of

ALGORITHM = "headland:enhanceextent"


@pytest.fixture(autouse=True)
def provider(qgis_processing: None) -> Iterator[HeadlandProvider]:
    provider = HeadlandProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    yield provider
    QgsApplication.processingRegistry().removeProvider(provider)


@pytest.fixture
def algorithm() -> QgsProcessingAlgorithm:
    return QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)


def run(**parameters: Any) -> dict[str, Any]:
    import processing

    return processing.run(ALGORITHM, {"METHOD": "anchor", **parameters})


def refusal(algorithm: QgsProcessingAlgorithm, **parameters: Any) -> str:
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    parameters = {"OUTPUT": "TEMPORARY_OUTPUT", **parameters}
    is_fine, message = algorithm.checkParameterValues(parameters, context)
    assert not context.layersToLoadOnCompletion()
    return "" if is_fine else message


def test_the_provider_offers_the_algorithm(provider: HeadlandProvider) -> None:
    assert provider.id() == "headland"
    assert [algorithm.id() for algorithm in provider.algorithms()] == [ALGORITHM]


def test_the_parameters_are_those_of_the_documentation(algorithm: QgsProcessingAlgorithm) -> None:
    parameters = {definition.name(): definition for definition in algorithm.parameterDefinitions()}
    what, how = "INPUT EXTENT RESOLUTION BANDS", "METHOD SCALE PRESET SENSOR MTF SEED DEVICE MODEL"
    assert list(parameters) == f"{what} {how} COG MAP_CONFIDENCE KEEP_DIP TRACE_BORDERS OUTPUT REPORT".split()
    choices = {name: parameters[name].options() for name in ("METHOD", "SCALE", "PRESET", "SENSOR", "DEVICE")}
    assert choices == {
        "METHOD": ["chain", "dip", "decrappify", "anchor"],
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


def test_a_loaded_result_is_styled_like_its_source(
    make_layer: MakeLayer, fake_engine: FakeEngine, project: QgsProject
) -> None:
    import processing

    source = project.addMapLayer(make_layer(bands=3))
    source.setRenderer(QgsSingleBandGrayRenderer(source.dataProvider(), 3))
    processing.runAndLoadResults(
        ALGORITHM, {"INPUT": source, "METHOD": "anchor", "BANDS": [2, 3], "OUTPUT": "TEMPORARY_OUTPUT"}
    )
    (result,) = (layer for layer in project.mapLayers().values() if layer is not source)
    assert result.renderer().grayBand() == 2


def test_each_of_several_results_is_styled_like_its_source(
    make_layer: MakeLayer, fake_engine: FakeEngine, project: QgsProject, folder: Path
) -> None:
    import processing

    source = project.addMapLayer(make_layer(bands=3))
    source.setRenderer(QgsSingleBandGrayRenderer(source.dataProvider(), 3))
    context = QgsProcessingContext()
    context.setProject(project)
    outputs = [str(folder / name) for name in ("one.tif", "two.tif")]
    for output in outputs:
        details = QgsProcessingContext.LayerDetails(Path(output).stem, project, "OUTPUT")
        context.addLayerToLoadOnCompletion(output, details)
        parameters = {"INPUT": source, "METHOD": "anchor", "BANDS": [2, 3], "OUTPUT": output}
        processing.run(ALGORITHM, parameters, context=context, is_child_algorithm=True)
    gc.collect()
    for output in outputs:
        layer = QgsRasterLayer(output)
        processor = context.layerToLoadOnCompletionDetails(output).postProcessor()
        processor.postProcessLayer(layer, context, QgsProcessingFeedback())
        assert layer.renderer().grayBand() == 2


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
    web: WebServer, project: QgsProject, fake_engine: FakeEngine
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


@pytest.mark.usefixtures("fake_engine")
class TestBadInput:
    """checkParameterValues says what is wrong before any work starts."""

    def test_no_layer(self, algorithm: QgsProcessingAlgorithm) -> None:
        assert "choose a raster layer" in refusal(algorithm, INPUT=None)

    def test_a_file_that_is_not_there(self, algorithm: QgsProcessingAlgorithm) -> None:
        assert refusal(algorithm, INPUT="/no/such.tif").startswith("/no/such.tif cannot be read as a raster")

    def test_a_vector_layer(self, algorithm: QgsProcessingAlgorithm, project: QgsProject) -> None:
        layer = project.addMapLayer(QgsVectorLayer("Polygon", "Parcels", "memory"))
        assert "not a raster layer" in refusal(algorithm, INPUT=layer)
        assert "not a raster layer" in refusal(algorithm, INPUT=layer.id())

    def test_an_extent_that_does_not_touch(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        assert "does not touch" in refusal(algorithm, INPUT=make_layer(), EXTENT="0,100,0,100 [EPSG:32618]")

    def test_an_extent_in_a_crs_that_nobody_knows(
        self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer
    ) -> None:
        for crs in ("EPSG:99999999", "somewhere"):
            text = refusal(algorithm, INPUT=make_layer(), EXTENT=f"443100,443300,4179000,4179200 [{crs}]")
            assert f"“{crs}” in the extent is no CRS" in text

    @pytest.mark.parametrize("extent", ["0,0,0,0 [EPSG:32618]", "0,0,0,0", "5,5,5,5", "nan,nan,nan,nan [EPSG:32618]"])
    def test_an_extent_without_an_area(
        self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer, extent: str
    ) -> None:
        assert "extent is empty" in refusal(algorithm, INPUT=make_layer(), EXTENT=extent)

    def test_what_nobody_foresaw_is_a_sentence_too(
        self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(enhance_extent, "prepare", lambda *_arguments: 1 / 0)
        assert "unexpected error (ZeroDivisionError)" in refusal(algorithm, INPUT=make_layer())

    def test_a_paletted_raster(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        assert "paletted" in refusal(algorithm, INPUT=make_layer(dtype="uint8", palette=True))

    def test_a_small_raster(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        assert "16 × 16" in refusal(algorithm, INPUT=make_layer(width_px=15))

    def test_a_read_only_output_folder(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        assert "cannot be written to" in refusal(algorithm, INPUT=make_layer(), OUTPUT="/proc/out.tif")

    def test_a_missing_engine(
        self,
        algorithm: QgsProcessingAlgorithm,
        make_layer: MakeLayer,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        monkeypatch.setenv("HEADLAND_ENGINE", str(tmp_path / "none"))
        assert "not set up" in refusal(algorithm, INPUT=make_layer())

    def test_bands_that_are_no_numbers(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        assert "not a list of band numbers" in refusal(algorithm, INPUT=make_layer(), BANDS="red")

    def test_a_custom_sensor_without_mtf(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        assert "MTF" in refusal(algorithm, INPUT=make_layer(), SENSOR="custom")
        for mtf in (0.0, 0.005, 0.91, 1.0):
            text = refusal(algorithm, INPUT=make_layer(), SENSOR="custom", MTF=mtf)
            assert text == f"The MTF at Nyquist is {mtf:g}; it must lie between 0.01 and 0.9."
        for mtf in (0.01, 0.9):
            assert refusal(algorithm, INPUT=make_layer(), SENSOR="custom", MTF=mtf) == ""

    @pytest.mark.parametrize("resolution", [0, -1, "fine"])
    def test_a_resolution_that_is_no_size(
        self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer, resolution: Any
    ) -> None:
        text = refusal(algorithm, INPUT=make_layer(), RESOLUTION=resolution)
        assert text == f"The resolution is {resolution}; it must be a number above 0."

    def test_a_resolution_for_a_file(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        assert "leave the resolution empty" in refusal(algorithm, INPUT=make_layer(), RESOLUTION=10)
        assert refusal(algorithm, INPUT=make_layer(), RESOLUTION="") == ""

    def test_a_web_layer_without_an_extent(
        self, algorithm: QgsProcessingAlgorithm, web: WebServer, project: QgsProject
    ) -> None:
        layer = project.addMapLayer(web.xyz_layer())
        assert "choose an extent" in refusal(algorithm, INPUT=layer)

    def test_a_word_that_is_no_choice(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        text = refusal(algorithm, INPUT=make_layer(), METHOD="magic")
        assert text == "METHOD is “magic”; choose one of chain, dip, decrappify, anchor."
        assert refusal(algorithm, INPUT=make_layer(), SCALE=3) == "SCALE is “3”; choose one of 2, 4."

    def test_a_seed_out_of_range(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        text = refusal(algorithm, INPUT=make_layer(), SEED=-1)
        assert text == "The seed is -1; it must be a whole number between 0 and 2147483647."
        assert "The seed is abc;" in refusal(algorithm, INPUT=make_layer(), SEED="abc")

    @pytest.mark.parametrize("extent", ["290000,293000,9113000", "a b c d"])
    def test_an_extent_that_is_none(
        self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer, extent: str
    ) -> None:
        text = refusal(algorithm, INPUT=make_layer(), EXTENT=extent)
        assert text.startswith(f"“{extent}” is no extent; give xmin,xmax,ymin,ymax")

    def test_a_model_that_is_no_onnx_file(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        assert "README.md is no ONNX file" in refusal(algorithm, INPUT=make_layer(), MODEL="README.md")

    def test_a_word_that_is_neither_yes_nor_no(self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer) -> None:
        for name in ("COG", "TRACE_BORDERS"):
            text = refusal(algorithm, INPUT=make_layer(), **{name: "maybe"})
            assert text == f"{name} is “maybe”; say yes or no."

    def test_an_mtf_for_a_sensor_whose_mtf_is_known(
        self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer
    ) -> None:
        assert "the sensor is landsat, whose MTF is known" in refusal(
            algorithm, INPUT=make_layer(), SENSOR="landsat", MTF=0.3
        )

    def test_a_good_request_passes_and_leaves_no_layer_to_load(
        self, algorithm: QgsProcessingAlgorithm, make_layer: MakeLayer
    ) -> None:
        assert refusal(algorithm, INPUT=make_layer()) == ""
        assert refusal(algorithm, INPUT=make_layer(), EXTENT="") == ""


def test_an_mtf_alone_means_a_custom_sensor(make_layer: MakeLayer, fake_engine: FakeEngine) -> None:
    outcome = run(INPUT=make_layer(), MTF=0.3, OUTPUT="TEMPORARY_OUTPUT")
    report = json.loads(Path(outcome["REPORT"]).read_text(encoding="utf-8"))
    assert (report["sensor"], report["mtf_at_nyquist"]) == ("custom", 0.3)


@pytest.mark.parametrize(
    ("given", "layout"), [(True, "COG"), ("yes", "COG"), ("true", "COG"), (False, None), ("no", None), (None, None)]
)
def test_the_result_is_cloud_optimised_if_wished_for(
    make_layer: MakeLayer, fake_engine: FakeEngine, given: Any, layout: Optional[str]
) -> None:
    outcome = run(INPUT=make_layer(), COG=given, OUTPUT="TEMPORARY_OUTPUT")
    assert gdal.Open(outcome["OUTPUT"]).GetMetadataItem("LAYOUT", "IMAGE_STRUCTURE") == layout


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


@pytest.mark.parametrize("given", [True, "yes"])
def test_traced_borders_are_an_output_of_their_own(make_layer: MakeLayer, fake_engine: FakeEngine, given: Any) -> None:
    outcome = run(INPUT=make_layer(), TRACE_BORDERS=given, OUTPUT="TEMPORARY_OUTPUT")
    borders = QgsVectorLayer(outcome["BORDERS"], "borders", "ogr")
    assert borders.featureCount() == 2
    assert "BORDERS" not in run(INPUT=make_layer(), OUTPUT="TEMPORARY_OUTPUT")
    assert "BORDERS" not in run(INPUT=make_layer(), TRACE_BORDERS="no", OUTPUT="TEMPORARY_OUTPUT")


def test_what_is_wished_for_beside_the_result_is_an_output_of_its_own(
    make_layer: MakeLayer, fake_engine: FakeEngine
) -> None:
    outcome = run(INPUT=make_layer(), METHOD="chain", MAP_CONFIDENCE="yes", KEEP_DIP=True, OUTPUT="TEMPORARY_OUTPUT")
    datasets = [gdal.Open(outcome[name]) for name in ("CONFIDENCE_OUTPUT", "DIP_OUTPUT")]
    assert [one.GetRasterBand(1).DataType for one in datasets] == [gdal.GDT_Float32, gdal.GDT_UInt16]
    assert QgsVectorLayer(outcome["UNCERTAIN_AREAS"], "areas", "ogr").isValid()
    plain = run(INPUT=make_layer(), OUTPUT="TEMPORARY_OUTPUT")
    assert set(plain) == {"OUTPUT", "REPORT"}
