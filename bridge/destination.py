"""Where the result goes: chooses the files, and finds out beforehand whether they can be written."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from qgis.core import QgsProcessingUtils

from .plan import CannotEnhance
from .words import tr

OUTPUT_EXTENSIONS = (".tif", ".tiff")
REPORT_EXTENSION = ".report.json"
BORDERS_ENDING, DIP_ENDING = "_borders{}.gpkg", "_dip{}.tif"
CONFIDENCE_ENDING, UNCERTAIN_ENDING = "_confidence{}.tif", "_uncertain{}.gpkg"
# GDAL puts what a GeoTIFF cannot say into a file beside it.
LONGEST_SIDECAR_ENDING = ".aux.xml"


def absolute(path: Path) -> Path:
    """Return ``path`` as it counts everywhere; a link stays one, as it is the link that is to be replaced."""
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100, resolve would follow it


def choose_output(wished: Optional[Path], source_files: Iterable[Path]) -> Path:
    """Return the absolute path of the GeoTIFF.

    Args:
        wished: None for a temporary file, which QGIS removes when it closes.
        source_files: the files that the input is made of.

    Raises:
        CannotEnhance: if nothing can be written there.
    """
    if wished is None:
        # QGIS's own function makes a folder for each name, and names are asked for whenever the map moves.
        return Path(QgsProcessingUtils.tempFolder()) / f"enhanced-{uuid.uuid4().hex[:12]}.tif"
    output = absolute(wished)
    if output.suffix.lower() not in OUTPUT_EXTENSIONS:
        raise CannotEnhance(
            tr("The result is a GeoTIFF, so its file name has to end with .tif, unlike {output}.").format(
                output=output.name
            )
        )
    if any(_is_same_file(output, file) for file in source_files):
        raise CannotEnhance(
            tr("{output} is the input itself; choose another file for the result.").format(output=output)
        )
    _check_name(output, output.name + LONGEST_SIDECAR_ENDING)
    _check_writable(output)
    return output


def choose_report(wished: Optional[Path], output: Path, source_files: Iterable[Path]) -> Path:
    """Return the absolute path of the JSON report; None goes beside the output.

    Raises:
        CannotEnhance: if nothing can be written there.
    """
    if wished is None:
        _check_name(output, output.stem + REPORT_EXTENSION)
        return report_beside(output)
    report = absolute(wished)
    if any(_is_same_file(report, file) for file in (output, *source_files)):
        raise CannotEnhance(
            tr("{report} is already the input or the result; choose another file for the report.").format(report=report)
        )
    _check_name(report, report.name)
    _check_writable(report)
    return report


def report_beside(output: Path) -> Path:
    """Return where the report of ``output`` lies if no other place was asked for."""
    return output.with_name(output.stem + REPORT_EXTENSION)


def choose_extra(output: Path, ending: str) -> Path:
    """Return the absolute path of a file that goes with the output: its name, and then ``ending`` (a format string).

    It is one that is free, with a number if need be: who digitizes may have edited the lines of an earlier run.

    Raises:
        CannotEnhance: if nothing can be written there.
    """
    endings = (ending.format(f"_{number}" if number > 1 else "") for number in itertools.count(1))
    for numbered in endings:
        extra = output.with_name(output.stem + numbered)
        _check_name(output, extra.name + LONGEST_SIDECAR_ENDING)
        if not os.path.lexists(extra):
            break
    return extra


def check_room(what: str, needs: Iterable[tuple[Path, int]]) -> None:
    """Check that there is room for so many bytes in each folder; what shares a file system is added up.

    Args:
        what: what needs them, as the subject of a sentence.

    Raises:
        CannotEnhance: if there is not.
    """
    total: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for folder, size in needs:
        try:
            device = folder.stat().st_dev
        except OSError as error:
            raise CannotEnhance(
                tr("The folder {folder} cannot be reached ({reason}); choose another one.").format(
                    folder=folder, reason=error.strerror or error
                )
            ) from error
        total[device] = total.get(device, 0) + size
        folders.setdefault(device, folder)
    for device, size in total.items():
        free = shutil.disk_usage(folders[device]).free
        if size > free:
            raise CannotEnhance(
                tr(
                    "{what} needs about {needed} in {folder} while it is made, where {free} are free; free some space, "
                    "or choose a smaller extent or scale factor or fewer bands."
                ).format(what=what, needed=_gigabytes(size), folder=folders[device], free=_gigabytes(free))
            )


def _check_writable(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise CannotEnhance(
            tr("The folder {folder} does not exist; create it or choose another one.").format(folder=folder)
        )
    if path.is_dir():
        raise CannotEnhance(tr("{path} is a folder; choose a file name.").format(path=path))
    reason = why_unwritable(folder)
    if reason is not None:
        raise CannotEnhance(
            tr("The folder {folder} cannot be written to ({reason}); choose another one.").format(
                folder=folder, reason=reason
            )
        )


def why_unwritable(folder: Path) -> Optional[str]:
    """Return why nothing can be written into ``folder``, in some words; None if it can."""
    try:
        # Trying it is the only answer that holds for every user, file system and operating system.
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return tr("it is read-only")
        return error.strerror or str(error)


def _check_name(file: Path, longest_name: str) -> None:
    """Check that the folder takes ``longest_name``, the longest of the names that come of ``file``."""
    try:
        file.with_name(longest_name).lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise CannotEnhance(
                tr("The file name {file} is too long; choose a shorter one.").format(file=file.name)
            ) from error


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"  # noqa: PLR2004
