"""The fixtures of the tests of bridge/."""

from __future__ import annotations

import pytest

from headland.bridge import web_source
from headland.tests.support.controlled import blocked, controller, source  # noqa: F401
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
from headland.tests.support.plans import make_plan  # noqa: F401
from headland.tests.support.results import write  # noqa: F401


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr(web_source, "PAUSE_S", 0.0)
