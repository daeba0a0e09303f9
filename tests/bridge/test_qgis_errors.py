"""What QGIS throws without a name becomes a sentence on the layer; what has a name stays what it is."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from qgis.core import QgsCoordinateTransformContext, QgsProcessingContext, QgsRasterLayer, QgsRectangle

from headland.bridge.plan import CannotEnhance
from headland.bridge.prepare import prepare
from headland.bridge.qgis_errors import qgis_failures_in_words
from headland.bridge.request import EnhanceRequest
from headland.processing.enhance_extent import EnhanceExtentAlgorithm
from headland.tests.support.fixtures import MakeRaster


class Throwing(QgsRasterLayer):
    """A layer at which QGIS fails as it does where a library below it throws: the bindings know but this of it."""

    def extent(self) -> QgsRectangle:
        raise Exception("unknown")  # noqa: TRY002


@pytest.mark.usefixtures("fake_engine")
def test_a_layer_at_which_qgis_fails_is_refused_in_words(make_raster: MakeRaster) -> None:
    layer = Throwing(str(make_raster()), "Fields")
    with pytest.raises(CannotEnhance, match=r"^QGIS fails at reading “Fields”; .*choose another layer\.$"):
        prepare(EnhanceRequest(layer), QgsCoordinateTransformContext())


class ThrowingAlgorithm(EnhanceExtentAlgorithm):
    """The algorithm, with a layer that QGIS fails to open."""

    def parameterAsLayer(self, *_arguments: Any) -> None:  # noqa: N802, the name is QGIS's
        raise Exception("unknown")  # noqa: TRY002


def test_processing_says_it_of_what_it_was_given() -> None:
    algorithm = ThrowingAlgorithm(threading.Event())
    is_fine, message = algorithm.checkParameterValues({"INPUT": "odd.vrt"}, QgsProcessingContext())
    assert not is_fine
    assert message == "QGIS fails at reading “odd.vrt”; check that its file is whole, or choose another layer."


@pytest.mark.parametrize("error", [KeyError("ours"), CannotEnhance("It is empty."), MemoryError()], ids=repr)
def test_what_has_a_name_is_not_touched(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, qgis_failures_in_words("Fields"):
        raise error
    assert caught.value is error
