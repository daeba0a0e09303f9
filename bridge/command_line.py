"""A run as a command that gives the same result without a window."""

from __future__ import annotations

import shlex
import shutil
import subprocess  # nosec B404 # only to write a command down as Windows does
import sys
from pathlib import Path

from qgis.core import QgsCoordinateReferenceSystem, QgsProcessingUtils

from ..engine.job import Sensor
from .plan import EnhancePlan
from .raster_source import RasterUri
from .words import tr

# Debian's qgis_process is a script that, in 3.22, hands on an option that the program does not know.
PROGRAMS = ("qgis_process.bin", "qgis_process")
ALGORITHM = "headland:enhanceextent"
# In place of a temporary file, whose name means nothing later.
OUTPUT_NAME = "enhanced.tif"
# A window is made of all the pixels that an extent touches; so far inside of them rounding does not reach the next.
INSET = 0.25


class NoCommand(ValueError):
    """The command line cannot say what was done; the text is one sentence that says why."""


def command_for(plan: EnhancePlan, *, for_windows: bool = sys.platform == "win32") -> str:
    """Return the line for a shell.

    Raises:
        NoCommand: if the layer is more than a file's name can say.
    """
    source = _named_file(plan)
    program = next((name for name in PROGRAMS if not for_windows and shutil.which(name)), PROGRAMS[-1])
    words = [program, "run", ALGORITHM, *(f"--{name}={value}" for name, value in _parameters(plan, source).items())]
    return subprocess.list2cmdline(words) if for_windows else shlex.join(words)


def _named_file(plan: EnhancePlan) -> RasterUri:
    if not isinstance(plan.source, RasterUri):
        raise NoCommand(tr("No command: a layer from a server has no name on the command line."))
    if plan.source.open_options:
        raise NoCommand(tr("No command: the layer opens its file with options, which the command line cannot say."))
    if plan.has_layer_overrides:
        raise NoCommand(
            tr("No command: the layer’s nodata values or CRS were changed in QGIS, which the command line cannot say.")
        )
    return plan.source


def _parameters(plan: EnhancePlan, source: RasterUri) -> dict[str, str]:
    job = plan.job
    parameters = {
        "INPUT": source.dataset,
        "EXTENT": _extent(plan),
        "BANDS": ",".join(str(band.number) for band in plan.bands),
        "METHOD": job.method.value,
        "SCALE": str(job.scale),
        "PRESET": job.preset.value,
        "SENSOR": job.sensor.value,
        "SEED": str(job.seed),
        "DEVICE": job.device.value,
    }
    if job.sensor is Sensor.CUSTOM:
        parameters["MTF"] = repr(job.mtf_at_nyquist)
    if job.model:
        parameters["MODEL"] = job.model
    if plan.is_cloud_optimised:
        parameters["COG"] = "true"
    if plan.confidence is not None:
        parameters["MAP_CONFIDENCE"] = "true"
    if plan.dip_output is not None:
        parameters["KEEP_DIP"] = "true"
    if plan.borders is not None:
        parameters["TRACE_BORDERS"] = "true"
    is_temporary = Path(QgsProcessingUtils.tempFolder()) in plan.output.parents
    parameters["OUTPUT"] = OUTPUT_NAME if is_temporary else str(plan.output)
    return parameters


def _extent(plan: EnhancePlan) -> str:
    x_min, y_min, x_max, y_max = plan.grid.bounds_of(plan.window)
    width, height = (INSET * size for size in plan.grid.pixel_size)
    numbers = ",".join(repr(number) for number in (x_min + width, x_max - width, y_min + height, y_max - height))
    crs = QgsCoordinateReferenceSystem.fromWkt(plan.grid.crs_wkt).authid()
    return f"{numbers} [{crs}]" if crs else numbers
