"""QGIS's own Python is the same before and after the engine was set up and an extent was enhanced."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from headland.engine.environment import engine_python
from headland.tests.support import set_up_in_own_qgis
from headland.tests.support.engines import packages_of
from headland.tests.support.fixtures import MakeRaster
from headland.tests.support.wheelhouse import make_wheelhouse


def test_neither_set_up_nor_work_loads_torch_or_changes_numpy_and_the_path(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    wheels = make_wheelhouse(tmp_path / "wheelhouse", packages_of(engine_python()))
    output = tmp_path / "sharper.tif"
    arguments = (wheels.folder, wheels.lock.folder, wheels.lock.machines[0], make_raster(), output)
    run = subprocess.run(
        [sys.executable, str(set_up_in_own_qgis.__file__), *map(str, arguments)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HEADLAND_ENGINE": str(tmp_path / "engine")},
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(run.stdout.splitlines()[-1] if run.stdout else "{}")
    assert told["ends"] == [""], run.stderr
    assert told["before"]["heavy"] == []
    assert told["after"] == told["before"]
    assert output.exists()
