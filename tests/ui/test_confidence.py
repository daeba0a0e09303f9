"""How far off the result may be, and why it may be worth less: what a person sees of it."""

from __future__ import annotations

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProject
from qgis.PyQt.QtXml import QDomDocument

from headland.bridge.doubts import doubts_in_words
from headland.engine.domain import Doubt
from headland.tests.support.engines import FakeEngine
from headland.tests.support.fixtures import UseEngine
from headland.tests.support.person import Person
from headland.tests.support.rasters import fields
from headland.tests.ui.conftest import AddLayer, enhance
from headland.ui.dock_widget import EnhanceDock

TIMEOUT_MS = 60_000


def test_a_hatch_lies_above_the_result_and_the_panel_says_how_much_is_uncertain(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, project: QgsProject, qtbot: QtBot
) -> None:
    use_engine("repeat")
    source = add_layer(bands=3)
    person = Person(qtbot)
    dock.advanced_box.setCollapsed(False)
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    person.click(dock.advanced_box.confidence_box)
    person.click(dock.advanced_box.borders_box)
    person.click(dock.enhance_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)
    group, below = project.layerTreeRoot().children()
    names = [node.name() for node in group.children()]
    # Who digitizes needs the lines on top.
    assert names == [
        "Fields 2024 ×4 field borders (DIP + Decrappify)",
        "Fields 2024 ×4 uncertain (DIP + Decrappify)",
        "Fields 2024 ×4 possible error (DIP + Decrappify)",
        "Fields 2024 ×4 DIP + Decrappify",
    ]
    assert below.layer() == source
    # The veil would hide the colours, so only the hatch is shown.
    assert [node.itemVisibilityChecked() for node in group.children()] == [True, True, False, True]
    hatch, veil = (node.layer() for node in group.children()[1:3])
    assert hatch.featureCount() > 0
    assert source.extent().contains(hatch.extent())
    assert hatch.renderer().symbol().symbolLayer(0).layerType() == "LinePatternFill"
    assert "neighbouring fields" in hatch.metadata().abstract()
    assert veil.extent() == source.extent()
    items = veil.renderer().shader().rasterShaderFunction().colorRampItemList()
    assert [(item.value, item.color.alpha()) for item in items] == [(20.0, 0), (80.0, 170)]
    assert (veil.renderer().classificationMin(), veil.renderer().classificationMax()) == (20.0, 80.0)
    # As the layer's properties do it: the style is written down and read again.
    document = QDomDocument()
    veil.exportNamedStyle(document)
    again = veil.clone()
    assert again.importNamedStyle(document)[0]
    shown = again.renderer().shader().rasterShaderFunction()
    assert (shown.minimumValue(), shown.maximumValue()) == (20.0, 80.0)
    assert "nine pixels of ten" in veil.metadata().abstract()
    dock.result_panel.compare_box.slider.setValue(0)
    assert (veil.opacity(), hatch.opacity()) == (0.0, 0.0)
    assert "3 % of the area is uncertain." in dock.result_panel.label.text()


def test_a_layer_that_is_no_picture_of_land_is_doubted_in_words(
    dock: EnhanceDock, add_layer: AddLayer, use_engine: UseEngine, qtbot: QtBot
) -> None:
    use_engine("obedient")
    add_layer()
    qtbot.waitUntil(dock.enhance_button.isEnabled)
    Person(qtbot).click(dock.enhance_button)
    qtbot.waitUntil(lambda: dock.phase_label.text().startswith("Pretending"), timeout=TIMEOUT_MS)
    Person(qtbot).click(dock.run_box.finish_button)
    qtbot.waitUntil(dock.run_box.isHidden, timeout=TIMEOUT_MS)
    text = dock.result_panel.label.text()
    assert "The layer is as grainy as a radar image; Headland was made for optical ones." in text
    assert "Deep Image Prior was worse here than sharpening without a network, which took its place" in text


def test_zeros_that_were_taken_as_nodata_are_told_of_with_what_to_do(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot
) -> None:
    values = fields(3, 40, 60)
    values[:, :, 30:] = 0
    add_layer(values)
    enhance(dock, qtbot)
    text = dock.result_panel.label.text()
    assert "Areas that are 0 in every chosen band were taken as nodata, which the layer does not declare" in text
    assert "enter a value that it does not have as additional no data value" in text


def test_an_extent_of_zeros_is_refused_in_words(
    dock: EnhanceDock, add_layer: AddLayer, fake_engine: FakeEngine, qtbot: QtBot
) -> None:
    add_layer(np.zeros((3, 40, 60), np.uint16))
    enhance(dock, qtbot)
    assert "The extent holds nothing but 0" in dock.notice.sentence


def test_work_that_the_graphics_card_had_no_memory_for_is_told_of() -> None:
    (sentence,) = doubts_in_words({"left_graphics_card": True, "doubts": []})
    assert "the processor did the work" in sentence


def test_a_question_without_an_answer_is_no_doubt() -> None:
    assert doubts_in_words({"held_out": None, "doubts": []}) == ()


@pytest.mark.parametrize("doubt", list(Doubt))
def test_every_doubt_has_a_sentence(doubt: Doubt) -> None:
    (sentence,) = doubts_in_words({"doubts": [doubt.value]})
    assert sentence.endswith(".")
