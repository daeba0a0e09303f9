"""Opens the files of a job folder for what they are: a link is not followed, a pipe not waited for.

The folder is private, so nobody but its own user can have put anything else there; a program of theirs that was led
astray could, and would have Headland read or overwrite what lies elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

# What the system knows of it: Windows lets only administrators make links.
_CAREFUL = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"))


def open_plain(path: Path, mode: str) -> FileIO:
    """Return the plain file ``path``, open in a binary ``mode`` such as "rb" or "w+b", without a buffer.

    Raises:
        OSError: if it cannot be opened, or is a link, a pipe, a folder or a device.
    """
    file = FileIO(path, mode, opener=_open_carefully)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return file


def _open_carefully(path: str, flags: int) -> int:
    return os.open(path, flags | _CAREFUL, 0o600)
