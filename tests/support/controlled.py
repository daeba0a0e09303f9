"""What the controller is asked to do in the tests of bridge/: one small run, and others behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qgis.core import QgsProject, QgsRasterLayer

from headland.bridge.controller import EnhanceController
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Method

from .engines import FakeEngine
from .fixtures import MakeLayer, UseEngine

TIMEOUT_MS = 60_000


@pytest.fixture
def controller(project: QgsProject) -> Iterator[EnhanceController]:
    controller = EnhanceController()
    yield controller
    if controller.is_running or controller.waiting:
        controller.close()


@pytest.fixture
def source(make_layer: MakeLayer, project: QgsProject) -> QgsRasterLayer:
    return project.addMapLayer(make_layer(bands=2, nodata=0))


def request(source: Any, folder: Path, **wishes: Any) -> EnhanceRequest:
    return EnhanceRequest(source, method=Method.ANCHOR, scale=2, output=folder / "schärfer.tif", **wishes)


@pytest.fixture
def blocked(controller: EnhanceController, source: QgsRasterLayer, folder: Path, use_engine: UseEngine) -> FakeEngine:
    """An engine that hangs in a run of the controller: whatever is started now waits."""
    engine = use_engine("hang")
    controller.start(request(source, folder))
    return engine


def cancel(controller: EnhanceController, qtbot: QtBot) -> None:
    """Cancel the run that is going on, and wait for its end."""
    with qtbot.waitSignal(controller.cancelled, timeout=TIMEOUT_MS):
        controller.cancel()
