"""A result tells what it is, what it was made of and how: in the file, and in the layer's metadata."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from osgeo import gdal
from pytestqt.qtbot import QtBot
from qgis.core import QgsCoordinateTransformContext, QgsProject, QgsRasterLayer

from headland.bridge.controller import EnhanceController
from headland.bridge.enhance import enhance
from headland.bridge.prepare import prepare
from headland.bridge.provenance import history_of
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Method
from headland.models.card import file_sha256
from headland.tests.support.fixtures import MakeLayer, UseEngine

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_tiff_names_input_window_method_models_versions_and_consistency(scene: Path, folder: Path) -> None:
    layer = QgsRasterLayer(str(scene), "Fields 2024")
    from qgis.core import QgsRectangle, QgsReferencedRectangle

    extent = QgsReferencedRectangle(QgsRectangle(444300, 4177500, 444620, 4177780), layer.crs())
    request = EnhanceRequest(layer, extent, bands=(3, 2), scale=2, seed=5, output=folder / "schärfer.tif")
    plan = prepare(request, QgsCoordinateTransformContext())
    report = enhance(plan, lambda _phase, _fraction: None, lambda: False).summary
    items = gdal.Open(str(plan.output)).GetMetadata()
    assert items["HEADLAND_NATURE"] == "enhanced, not measured"
    assert items["TIFFTAG_IMAGEDESCRIPTION"] == "Fields 2024, enhanced x2 (enhanced, not measured)"
    assert items["HEADLAND_INPUT"] == str(scene)
    window = plan.window
    assert items["HEADLAND_WINDOW"] == f"{window.column_px},{window.row_px},32,28"
    assert items["HEADLAND_BANDS"] == "3,2"
    assert (items["HEADLAND_METHOD"], items["HEADLAND_PRESET"], items["HEADLAND_SEED"]) == ("chain", "fast", "5")
    models = {"prior.npz": ROOT / "models/dip/prior.npz", "decrappify.onnx": ROOT / "models/decrappify/decrappify.onnx"}
    assert items["HEADLAND_MODELS"] == "; ".join(f"{name} sha256:{file_sha256(path)}" for name, path in models.items())
    assert "torch " in items["HEADLAND_VERSIONS"]
    ratios = [float(ratio) for ratio in items["HEADLAND_RMSE_OVER_NOISE"].split(", ")]
    assert ratios == pytest.approx(report["consistency"]["rmse_over_noise"], abs=0.001)
    assert not {"HEADLAND_STOPPED", "HEADLAND_STAND_IN"} & set(items)


def test_a_result_of_a_run_that_was_stopped_says_so(make_layer: MakeLayer, folder: Path, use_engine: UseEngine) -> None:
    use_engine("obedient")
    request = EnhanceRequest(make_layer(), method=Method.DIP, output=folder / "schärfer.tif")
    plan = prepare(request, QgsCoordinateTransformContext())
    enhance(plan, lambda _phase, _fraction: None, lambda: False, lambda: True)
    stopped = json.loads(gdal.Open(str(plan.output)).GetMetadataItem("HEADLAND_STOPPED"))
    assert stopped == {"share_done": 0.375, "rest": "enlarged"}


def test_a_result_in_which_the_anchor_stands_in_says_so_and_so_does_the_picture_that_it_builds_on(
    make_layer: MakeLayer, folder: Path, use_engine: UseEngine
) -> None:
    use_engine("obedient")
    request = EnhanceRequest(make_layer(), output=folder / "schärfer.tif", keeps_dip=True)
    plan = prepare(request, QgsCoordinateTransformContext())
    result = enhance(plan, lambda _phase, _fraction: None, lambda: False, lambda: True)
    items, of_dip = (gdal.Open(str(path)).GetMetadata() for path in (plan.output, plan.dip_output))
    assert items["HEADLAND_STAND_IN"] == of_dip["HEADLAND_STAND_IN"] == "the anchor in place of Deep Image Prior"
    assert (items["HEADLAND_METHOD"], of_dip["HEADLAND_METHOD"]) == ("chain", "anchor")
    assert "Deep Image Prior alone" not in of_dip["TIFFTAG_IMAGEDESCRIPTION"]
    (line,) = [line for line in history_of(result.summary) if "in place of Deep Image Prior" in line]
    assert '"gain_db": -3.0' in line


def test_the_layers_metadata_tells_it_too_and_survives_the_project_file(
    make_layer: MakeLayer, project: QgsProject, folder: Path, use_engine: UseEngine, qtbot: QtBot
) -> None:
    use_engine("repeat")
    source = project.addMapLayer(make_layer(bands=2))
    controller = EnhanceController()
    with qtbot.waitSignal(controller.finished, timeout=60_000) as finished:
        controller.start(EnhanceRequest(source, seed=3, output=folder / "schärfer.tif"))
    controller.close()
    project.write(str(folder / "project.qgz"))
    project.read(str(folder / "project.qgz"))
    metadata = project.mapLayer(finished.args[1]).metadata()
    assert metadata.title() == "Fields 2024 ×4 DIP + Decrappify"
    assert "enhanced, not measured" in metadata.abstract()
    assert metadata.keywords()["headland"] == ["enhanced, not measured", "chain"]
    assert metadata.parentIdentifier() == source_path(folder)
    history = "\n".join(metadata.history())
    for part in ("Window: 40 × 32 pixels", "bands 1, 2", "seed 3", "on a fake", "fake 1", "by band: 0.900"):
        assert part in history


def source_path(folder: Path) -> str:
    (source,) = folder.glob("räster*.tif")
    return str(source)
