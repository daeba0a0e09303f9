"""The fixtures of the tests from one end to the other."""

from __future__ import annotations

from headland.tests.support.fault_rig import broken_disk, make_plan, quick  # noqa: F401
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
