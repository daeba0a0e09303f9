"""A QGIS of its own that sets the engine up and enhances, and tells what became of its own Python meanwhile.

usage: set_up_in_own_qgis.py WHEELS LOCKS MACHINE INPUT OUTPUT
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from qgis.core import QgsApplication, QgsCoordinateTransformContext, QgsRasterLayer

from headland.bridge.engine_setup import EngineSetUp
from headland.bridge.enhance import enhance
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.environment import location
from headland.engine.installing.locks import Build, Lock
from headland.engine.installing.pip_install import Sources
from headland.engine.installing.plan import SetUpPlan
from headland.engine.installing.pythons import find_python
from headland.engine.job import Device, Method

LONGEST_S = 120


def own_python() -> dict[str, Any]:
    """Return what must not change."""
    return {
        "path": list(sys.path),
        "numpy": [np.__version__, np.__file__],
        "heavy": sorted({"torch", "onnxruntime"} & {name.partition(".")[0] for name in sys.modules}),
        "variables": sorted(name for name in os.environ if name.startswith(("PIP_", "PYTHON")) or "PROXY" in name),
        "folder": str(Path.cwd()),
    }


def main(wheels: str, locks: str, machine: str, source: str, output: str) -> None:
    application = QgsApplication([], False)
    application.initQgis()
    before = own_python()
    lock = Lock("tiny", Build.CPU, sys.platform, (machine,), folder=Path(locks))
    plan = SetUpPlan(location(), find_python(), lock, "A test.", Sources(wheels=Path(wheels)))
    set_up = EngineSetUp()
    ends: list[str] = []
    set_up.finished.connect(lambda _state: ends.append(""))
    set_up.failed.connect(lambda sentence, details: ends.append(f"{sentence} {details}"))
    set_up.start(plan)
    deadline = time.monotonic() + LONGEST_S
    while not ends and time.monotonic() < deadline:
        application.processEvents()
        time.sleep(0.02)
    layer = QgsRasterLayer(source, "Fields 2024")
    request = EnhanceRequest(layer, method=Method.ANCHOR, scale=2, device=Device.CPU, output=Path(output))
    enhance(prepare(request, QgsCoordinateTransformContext()), lambda _phase, _fraction: None, lambda: False)
    sys.stdout.write(json.dumps({"ends": ends, "before": before, "after": own_python()}))
    sys.stdout.flush()
    # QGIS's own way out is not what is looked at, and crashes where Python still holds objects of it.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
