"""Plans of small runs for the tests of bridge/, and carrying them out in this thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from qgis.core import QgsCoordinateTransformContext

from headland.bridge.enhance import enhance
from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Method

from .fixtures import MakeLayer

MakePlan = Callable[..., EnhancePlan]


@pytest.fixture
def make_plan(make_layer: MakeLayer, folder: Path) -> MakePlan:
    """Makes a plan for a small raster, or for the given layer."""

    def make(layer: Any = None, **wishes: Any) -> EnhancePlan:
        wishes = {"method": Method.ANCHOR, "scale": 2, "output": folder / "schärfer.tif", **wishes}
        layer = make_layer(bands=2, nodata=0) if layer is None else layer
        return prepare(EnhanceRequest(layer, **wishes), QgsCoordinateTransformContext())

    return make


def carry_out(plan: EnhancePlan) -> list[tuple[str, float]]:
    """Enhance; return the phases and fractions that were told of."""
    told: list[tuple[str, float]] = []
    enhance(plan, lambda phase, fraction: told.append((phase, fraction)), lambda: False)
    return told
