"""What a QGIS left that crashed or was killed: its job folders and half-written results are swept up."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from qgis.core import QgsProcessingUtils

from .private_folder import sweep
from .staging import STAGING_PREFIX

JOB_FOLDER_PREFIX = "headland-job-"
# Each QGIS has one for its temporary results, and after a crash nobody comes back to it.
_FOLDER_OF_A_QGIS = "processing_"


def sweep_leftovers(result_folders: Iterable[Path]) -> None:
    """Remove what is left of programs that are gone; what a living one uses stays.

    Args:
        result_folders: where results are or were written.
    """
    sweep(Path(tempfile.gettempdir()), JOB_FOLDER_PREFIX)
    for folder in {each for named in result_folders for each in (named, *_those_of_other_qgis(named))}:
        sweep(folder, STAGING_PREFIX)


def sweep_in_background() -> None:
    """Do so, in the temporary folders, without anybody waiting: what is left may be many gigabytes."""
    folders = [Path(QgsProcessingUtils.tempFolder())]
    threading.Thread(target=sweep_leftovers, args=(folders,), name="headland-sweep", daemon=True).start()


def _those_of_other_qgis(folder: Path) -> Iterator[Path]:
    """Yield the folders beside ``folder``, if that is where a QGIS puts its temporary results."""
    if folder.name.startswith(_FOLDER_OF_A_QGIS):
        with suppress(OSError):
            yield from (each for each in folder.parent.iterdir() if each.name.startswith(_FOLDER_OF_A_QGIS))
