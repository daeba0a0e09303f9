"""What the algorithm gives back, and how it looks where QGIS loads it."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsSingleBandGrayRenderer,
    QgsVectorLayer,
)

from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.toolbox import ALGORITHM, run


def test_a_loaded_result_is_styled_like_its_source(
    make_layer: MakeLayer, fake_engine: FakeEngine, project: QgsProject, no_window: None
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


@pytest.mark.parametrize(
    ("given", "is_optimised"),
    [(True, True), ("yes", True), ("true", True), (False, False), ("no", False), (None, False)],
)
def test_the_result_is_cloud_optimised_if_wished_for(
    make_layer: MakeLayer, fake_engine: FakeEngine, given: Any, is_optimised: bool
) -> None:
    outcome = run(INPUT=make_layer(), COG=given, OUTPUT="TEMPORARY_OUTPUT")
    # From 3.13 on GDAL calls every file so that is laid out alike; what its own driver has written says so at its head.
    assert (b"LAYOUT=IFDS_BEFORE_DATA" in Path(outcome["OUTPUT"]).read_bytes()[:1024]) == is_optimised


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
