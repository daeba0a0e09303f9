"""The arrays of a job folder, opened, checked and written by whoever does the job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from .array_file import ArrayFile, new_array, open_array
from .job import CONFIDENCE_FILE, DIP_FILE, INPUT_FILE, OUTPUT_FILE, VALID_FILE, Job, JobError, in_one_line

PARTIAL_ENDING = ".partial"


def open_inputs(job_folder: Path, job: Job) -> tuple[ArrayFile, ArrayFile]:
    """Return ``input.npy`` and ``valid.npy``, open for reading, both (band, row, column).

    Raises:
        JobError: if one is missing, damaged, or does not have the shape and type that the job says.
    """
    # Where there is no engine this is QGIS's own process, which outlives the job; and Windows removes no folder with an
    # open file in it.
    with ExitStack() as open_files:
        low_res = open_files.enter_context(_open_array(job_folder / INPUT_FILE))
        valid = open_files.enter_context(_open_array(job_folder / VALID_FILE))
        _check_inputs(low_res, valid, job)
        open_files.pop_all()
    return low_res, valid


def _check_inputs(low_res: ArrayFile, valid: ArrayFile, job: Job) -> None:
    if low_res.dtype.kind not in "iuf":
        raise JobError(f"{INPUT_FILE} holds {low_res.dtype} values; it must hold integers or floats.")
    if valid.dtype != bool:
        raise JobError(f"{VALID_FILE} holds {valid.dtype} values; it must hold booleans.")
    if 0 in low_res.shape:
        raise JobError(f"{INPUT_FILE} has the shape {low_res.shape}; it must be (band, row, column).")
    if low_res.shape != valid.shape:
        raise JobError(f"{INPUT_FILE} has the shape {low_res.shape} but {VALID_FILE} {valid.shape}.")
    if len(low_res) != len(job.band_names):
        raise JobError(f"{INPUT_FILE} has {len(low_res)} bands, but the job names {len(job.band_names)}.")


def _open_array(file: Path) -> ArrayFile:
    try:
        return open_array(file)
    except (OSError, ValueError, EOFError) as error:
        raise JobError(f"The job's {file.name} cannot be read ({in_one_line(error)}).") from error


def write_outputs(
    job_folder: Path, low_res: ArrayFile, job: Job, enhance: Callable[[dict[str, ArrayFile]], dict[str, Any]]
) -> dict[str, Any]:
    """Let ``enhance`` fill new arrays, by file name; name the files once they are whole, and return the report."""
    bands, rows_px, columns_px = low_res.shape
    shape = (bands, rows_px * job.scale, columns_px * job.scale)
    # Digital numbers beyond 2^24 do not fit a float32.
    dtype = np.dtype(np.float32 if np.can_cast(low_res.dtype, np.float32, casting="safe") else np.float64)
    wished = ((OUTPUT_FILE, True), (DIP_FILE, job.keeps_dip), (CONFIDENCE_FILE, job.maps_confidence))
    names = [name for name, is_wished in wished if is_wished]
    _check_room(job_folder, len(names) * int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
    partials = {name: job_folder / f"{name}{PARTIAL_ENDING}" for name in names}
    # Windows does not rename a file that is still open.
    with ExitStack() as open_files:
        report = enhance(
            {name: open_files.enter_context(new_array(path, dtype, shape)) for name, path in partials.items()}
        )
    for name, partial in partials.items():
        partial.replace(job_folder / name)
    return report


def _check_room(job_folder: Path, needed_bytes: int) -> None:
    # Where files may have holes, this one's room is only taken tile by tile; better to know now than after hours.
    free_bytes = shutil.disk_usage(job_folder).free
    if needed_bytes > free_bytes:
        raise JobError(
            f"The result needs {needed_bytes / 1e9:.1f} GB in the temporary folder, where {free_bytes / 1e9:.1f} GB "
            "are free; free some space or choose a smaller extent."
        )
