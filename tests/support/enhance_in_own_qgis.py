"""One enhancement in a QGIS of its own, for tests that kill it: ``enhance_in_own_qgis.py INPUT OUTPUT``.

Every phase is a line on standard output.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from qgis.core import QgsApplication, QgsCoordinateTransformContext, QgsRasterLayer

from headland.bridge.enhance import enhance
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.job import Device, Method


def main(source: str, output: str) -> None:
    application = QgsApplication([], False)
    application.initQgis()
    layer = QgsRasterLayer(source, "Fields 2024")
    request = EnhanceRequest(layer, method=Method.ANCHOR, scale=2, device=Device.CPU, output=Path(output))
    enhance(prepare(request, QgsCoordinateTransformContext()), say, lambda: False)
    # QGIS's own way out is not what is looked at, and crashes where Python still holds objects of it.
    os._exit(0)


def say(phase: str, _fraction: float) -> None:
    sys.stdout.write(f"{phase}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
