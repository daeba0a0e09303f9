"""What Processing loads: the result, and what was wished for beside it, each with the look that the dock gives it."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsApplication,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsSingleBandGrayRenderer,
)

from headland.bridge.result_layer import result_of
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import MakeLayer
from headland.tests.support.toolbox import ALGORITHM

HOW = "DIP + Decrappify"
RESULT, DIP = f"×4 {HOW}", "×4 DIP alone"
VEIL, HATCH, BORDERS = f"×4 possible error ({HOW})", f"×4 uncertain ({HOW})", f"×4 field borders ({HOW})"
EXTRAS = (VEIL, HATCH, DIP, BORDERS)
EVERYTHING = {"METHOD": "chain", "MAP_CONFIDENCE": True, "KEEP_DIP": True, "TRACE_BORDERS": True}


pytestmark = pytest.mark.usefixtures("no_window")


@pytest.fixture
def source(project: QgsProject, make_layer: MakeLayer) -> QgsRasterLayer:
    """A layer of three bands, the second of which is shown."""
    source = project.addMapLayer(make_layer(bands=3))
    source.setRenderer(QgsSingleBandGrayRenderer(source.dataProvider(), 2))
    return source


def loaded(source: QgsRasterLayer, project: QgsProject, **parameters: Any) -> dict[str, QgsMapLayer]:
    """Run the algorithm as the toolbox does, and return the layers that came, by what follows the source's name."""
    import processing

    processing.runAndLoadResults(ALGORITHM, {"INPUT": source, "OUTPUT": "TEMPORARY_OUTPUT", **parameters})
    gc.collect()
    layers = [layer for layer in project.mapLayers().values() if layer is not source]
    return {layer.name().removeprefix("Fields 2024 "): layer for layer in layers}


def test_all_that_was_wished_for_comes_with_its_look(
    source: QgsRasterLayer, project: QgsProject, fake_engine: FakeEngine
) -> None:
    layers = loaded(source, project, BANDS=[1, 2], **EVERYTHING)
    veil, hatch, dip, borders = (layers[name] for name in EXTRAS)
    assert len(layers) == 5
    assert dip.renderer().grayBand() == 2
    assert "Deep Image Prior alone" in dip.metadata().abstract()
    assert veil.renderer().type() == "singlebandpseudocolor"
    assert veil.renderer().band() == 2
    assert "nine pixels of ten" in veil.metadata().abstract()
    assert hatch.renderer().symbol().symbolLayer(0).layerType() == "LinePatternFill"
    assert "neighbouring fields" in hatch.metadata().abstract()
    assert borders.renderer().symbol().symbolLayerCount() == 2
    assert "not surveyed" in borders.metadata().abstract()


def test_what_would_hide_the_result_is_loaded_but_not_shown(
    source: QgsRasterLayer, project: QgsProject, fake_engine: FakeEngine
) -> None:
    layers = loaded(source, project, **EVERYTHING)
    root = project.layerTreeRoot()
    hidden = {name for name, layer in layers.items() if not root.findLayer(layer.id()).itemVisibilityChecked()}
    assert hidden == {VEIL, DIP}


def test_a_veil_shows_the_first_band_where_the_style_shows_one_that_was_not_enhanced(
    source: QgsRasterLayer, project: QgsProject, fake_engine: FakeEngine
) -> None:
    layers = loaded(source, project, BANDS=[3], **EVERYTHING)
    assert layers[VEIL].renderer().band() == 1


@pytest.mark.parametrize("is_loaded", [True, False])
def test_it_comes_with_its_result_and_not_without(
    source: QgsRasterLayer, project: QgsProject, fake_engine: FakeEngine, is_loaded: bool
) -> None:
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
    context = QgsProcessingContext()
    context.setProject(project)
    output = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project if is_loaded else None)
    parameters = {"INPUT": source, "OUTPUT": output, **EVERYTHING}
    outcome, is_fine = algorithm.run(parameters, context, QgsProcessingFeedback())
    assert is_fine
    outcome.pop("REPORT")
    assert set(context.layersToLoadOnCompletion()) == (set(outcome.values()) if is_loaded else set())
    for file in context.layersToLoadOnCompletion():
        details = context.layerToLoadOnCompletionDetails(file)
        assert outcome[details.outputName] == file


def test_a_file_that_is_spelled_otherwise_is_the_same_file(
    source: QgsRasterLayer, project: QgsProject, fake_engine: FakeEngine, folder: Path
) -> None:
    layers = loaded(source, project, OUTPUT=f"{folder}/../{folder.name}//out.tif", BANDS=[1, 2], **EVERYTHING)
    assert set(layers) == {RESULT, *EXTRAS}
    assert layers[RESULT].renderer().grayBand() == 2
    # The dock compares it with its source.
    assert result_of(layers[RESULT], project) == layers[RESULT]


def test_the_layers_of_a_second_run_are_told_from_those_of_the_first_by_one_number(
    source: QgsRasterLayer, project: QgsProject, fake_engine: FakeEngine
) -> None:
    first = loaded(source, project, METHOD="chain")
    assert set(first) == {RESULT}
    everything = loaded(source, project, **EVERYTHING)
    assert set(everything) == {RESULT, f"{RESULT} 2", *(f"{name} 2" for name in EXTRAS)}


def test_where_qgis_loads_all_layers_before_it_has_them_finished_none_takes_anothers_name(
    source: QgsRasterLayer, project: QgsProject, fake_engine: FakeEngine
) -> None:
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(project)
    output = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)
    _outcome, is_fine = algorithm.run({"INPUT": source, "OUTPUT": output, **EVERYTHING}, context, feedback)
    assert is_fine
    layers = []
    for file, details in context.layersToLoadOnCompletion().items():
        layer = QgsProcessingUtils.mapLayerFromString(file, context, typeHint=details.layerTypeHint)
        details.setOutputLayerName(layer)
        layers.append((project.addMapLayer(context.temporaryLayerStore().takeMapLayer(layer)), details))
    for layer, details in layers:
        details.postProcessor().postProcessLayer(layer, context, feedback)
    assert {layer.name() for layer, _details in layers} == {f"Fields 2024 {name}" for name in (RESULT, *EXTRAS)}


def test_a_result_keeps_the_name_that_its_destination_has(
    source: QgsRasterLayer, project: QgsProject, fake_engine: FakeEngine
) -> None:
    output = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)
    output.destinationName = "Fields 2024 mine"
    assert set(loaded(source, project, OUTPUT=output)) == {"mine"}


def test_a_result_that_is_saved_has_its_files_name_as_all_of_processing_and_what_goes_with_it_the_docks(
    source: QgsRasterLayer, project: QgsProject, fake_engine: FakeEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # QGIS takes no name from what lies in the folder for temporary files, where the tests' own folders are.
    elsewhere = folder / "temporary"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    layers = loaded(source, project, OUTPUT=str(folder / "Fields 2024 mine.tif"), **EVERYTHING)
    assert set(layers) == {"mine", *EXTRAS}
