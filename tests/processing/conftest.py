"""The fixtures of the tests of processing/."""

from __future__ import annotations

import pytest

from headland.tests.support.fixtures import (  # noqa: F401
    fake_engine,
    folder,
    job_folders,
    make_layer,
    make_raster,
    project,
    scene,
    use_engine,
    web,
)
from headland.tests.support.toolbox import algorithm, provider  # noqa: F401


@pytest.fixture
def no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """QGIS without a window, as models and scripts have it: pytest-qgis's window lacks what QGIS 3.40 asks of it."""
    from processing.gui import Postprocessing

    monkeypatch.setattr(Postprocessing, "iface", None, raising=False)
