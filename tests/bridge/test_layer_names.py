"""What the layers of a run are called: nobody should have to open one to know what it is."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsCoordinateTransformContext, QgsProject

from headland.bridge.controller import EnhanceController
from headland.bridge.layer_names import LayerNames
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Method, Preset
from headland.tests.support.fixtures import MakeLayer

pytestmark = pytest.mark.usefixtures("fake_engine")


def names_of(make_layer: MakeLayer, report: dict[str, Any], **wishes: Any) -> LayerNames:
    plan = prepare(EnhanceRequest(make_layer(), **wishes), QgsCoordinateTransformContext())
    return LayerNames.of(plan, report)


def test_each_tells_source_scale_and_what_was_run(make_layer: MakeLayer) -> None:
    assert astuple(names_of(make_layer, {}, scale=2)) == (
        "Fields 2024 ×2 DIP + Decrappify",
        "Fields 2024 ×2 DIP alone",
        "Fields 2024 ×2 possible error (DIP + Decrappify)",
        "Fields 2024 ×2 uncertain (DIP + Decrappify)",
        "Fields 2024 ×2 field borders (DIP + Decrappify)",
    )


@pytest.mark.parametrize("method", list(Method))
def test_no_two_methods_give_the_same_name(make_layer: MakeLayer, method: Method) -> None:
    others = {names_of(make_layer, {}, method=other).result for other in Method if other is not method}
    assert names_of(make_layer, {}, method=method).result not in others


def test_an_effort_is_named_where_it_is_not_the_usual_one_and_makes_a_difference(make_layer: MakeLayer) -> None:
    balanced = names_of(make_layer, {}, method=Method.DIP, preset=Preset.BALANCED)
    assert balanced.result == "Fields 2024 ×4 DIP, balanced"
    anchor = names_of(make_layer, {}, method=Method.ANCHOR, preset=Preset.BALANCED)
    assert anchor.result == "Fields 2024 ×4 anchor"


def test_what_came_otherwise_than_wished_is_not_called_so(make_layer: MakeLayer) -> None:
    assert names_of(make_layer, {"stopped": {}}).result == "Fields 2024 ×4 DIP + Decrappify, stopped"
    report = {"held_out": {"chosen": "anchor"}}
    stand_in = names_of(make_layer, report)
    assert stand_in.result == "Fields 2024 ×4 anchor + Decrappify"
    assert stand_in.dip == "Fields 2024 ×4 anchor in place of DIP"
    assert stand_in.borders == "Fields 2024 ×4 field borders (anchor + Decrappify)"
    alone = names_of(make_layer, report, method=Method.DIP)
    assert alone.result == "Fields 2024 ×4 anchor in place of DIP"


def test_all_have_the_first_number_that_is_free_for_all(make_layer: MakeLayer) -> None:
    names = names_of(make_layer, {})
    assert names.apart_from({"Fields 2024"}) == names
    numbered = names.apart_from({names.borders, f"{names.result} 2"})
    assert astuple(numbered) == tuple(f"{name} 3" for name in astuple(names))


def test_a_second_run_of_the_same_settings_can_be_told_from_the_first_in_the_layer_tree(
    make_layer: MakeLayer, project: QgsProject, qtbot: QtBot
) -> None:
    source = project.addMapLayer(make_layer())
    controller = EnhanceController()
    for request in (
        EnhanceRequest(source),
        EnhanceRequest(source, keeps_dip=True, maps_confidence=True, traces_borders=True),
    ):
        with qtbot.waitSignal(controller.finished, timeout=60_000):
            controller.start(request)
    controller.close()
    group, *below = project.layerTreeRoot().children()
    first = "Fields 2024 ×4 DIP + Decrappify"
    assert [node.name() for node in (group, *below)] == [f"{first} 2", first, "Fields 2024"]
    assert len(group.children()) == 5
    assert all(node.name().endswith(" 2") for node in group.children())
