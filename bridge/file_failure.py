"""What to say when a file cannot be written or read: which place it was, and what helps there."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from .destination import why_unwritable
from .leftovers import JOB_FOLDER_PREFIX
from .plan import EnhancePlan
from .staging import STAGING_PREFIX
from .words import tr

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def file_failure(error: OSError, plan: EnhancePlan) -> str:
    """Return one sentence for people: what went wrong with a file while ``plan`` was carried out, and what to do."""
    temporary = tempfile.gettempdir()
    folders = {"temporary": temporary, "folder": plan.output.parent}
    if error.errno in _FULL:
        return tr(
            "The disk is full ({temporary} or {folder}); free some space or choose a smaller extent, and try again."
        ).format(**folders)
    if error.errno == errno.EFBIG:
        return tr(
            "The disk takes no file as large as this one ({temporary} or {folder}); choose a smaller extent or fewer "
            "bands, or a folder on another disk."
        ).format(**folders)
    where = _place(error, plan)
    is_temporary = where.parent == Path(temporary)
    reason = why_unwritable(where.parent) if error.errno in _FORBIDDEN else None
    if error.errno == errno.EROFS:
        reason = reason or tr("it is read-only")
    if reason is not None:
        sentence = (
            tr(
                "The folder for temporary files {folder} cannot be written to any more ({reason}); make it writable "
                "again."
            )
            if is_temporary
            else tr(
                "The folder {folder} cannot be written to any more ({reason}); make it writable again or choose "
                "another one."
            )
        )
        return sentence.format(folder=where.parent, reason=reason)
    if error.errno in _FORBIDDEN and not is_temporary:
        return tr(
            "{where} cannot be written; it may be open in a layer or another program, so choose another file name."
        ).format(where=where)
    return tr("A file could not be read or written ({where}: {reason}); free it and try again.").format(
        where=where, reason=error.strerror or error
    )


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
