"""What to say when a file cannot be written or read: which place it was, and what helps there."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from .destination import why_unwritable
from .leftovers import JOB_FOLDER_PREFIX
from .plan import EnhancePlan
from .staging import STAGING_PREFIX

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def file_failure(error: OSError, plan: EnhancePlan) -> str:
    """Return one sentence for people: what went wrong with a file while ``plan`` was carried out, and what to do."""
    if error.errno in _FULL:
        return (
            f"The disk is full ({tempfile.gettempdir()} or {plan.output.parent}); free some space or choose a smaller "
            "extent, and try again."
        )
    if error.errno == errno.EFBIG:
        return (
            f"The disk takes no file as large as this one ({tempfile.gettempdir()} or {plan.output.parent}); choose a "
            "smaller extent or fewer bands, or a folder on another disk."
        )
    where = _place(error, plan)
    is_temporary = where.parent == Path(tempfile.gettempdir())
    reason = why_unwritable(where.parent) if error.errno in _FORBIDDEN else None
    if error.errno == errno.EROFS:
        reason = reason or "it is read-only"
    if reason is not None:
        what = "The folder for temporary files" if is_temporary else "The folder"
        remedy = "" if is_temporary else " or choose another one"
        return f"{what} {where.parent} cannot be written to any more ({reason}); make it writable again{remedy}."
    if error.errno in _FORBIDDEN and not is_temporary:
        return f"{where} cannot be written; it may be open in a layer or another program, so choose another file name."
    return f"A file could not be read or written ({where}: {error.strerror or error}); free it and try again."


def _place(error: OSError, plan: EnhancePlan) -> Path:
    """Return what the failure is about, as far as a person knows it: nothing inside of our private folders."""
    where = Path(str(error.filename2 or error.filename or plan.output))
    for folder in (where, *where.parents):
        if folder.name.startswith(JOB_FOLDER_PREFIX):
            return folder
        if folder.name.startswith(STAGING_PREFIX):
            report_alone = folder.parent == plan.report.parent != plan.output.parent
            return plan.report if report_alone else plan.output
    return where
