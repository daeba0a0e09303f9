"""The fixtures of the tests of processing/."""

from __future__ import annotations

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
