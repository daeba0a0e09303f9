"""Private folders for unfinished work: gone when the work ends, and swept up later where a crash left them."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

# Marks a folder as ours, and is locked as long as its process lives, however that ends.
LOCK_FILE = "headland-in-use.lock"
# What is named like that is a person's own, put aside for a moment: a folder that holds some is never swept.
ASIDE_PREFIX = "old-"
# Between its making and its locking a folder looks left behind.
SWEPT_AFTER_S = 60.0


class PrivateFolder:
    """A new folder that only this user can look into.

    Attributes:
        path: where it is.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            self._lock = (self.path / LOCK_FILE).open("wb")
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        # A file system that knows no locks is no reason to stop: then a sweep leaves the folder alone.
        _try_lock(self._lock)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        # Windows does not remove an open file.
        self.leave()
        shutil.rmtree(self.path, ignore_errors=True)

    def leave(self) -> None:
        """Let it lie as it is."""
        self._lock.close()


def sweep(parent: Path, prefix: str) -> None:
    """Remove this user's private folders from ``parent`` whose process is gone."""
    with suppress(OSError):
        for folder in parent.iterdir():
            if folder.name.startswith(prefix) and _is_left_behind(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left_behind(folder: Path) -> bool:
    try:
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or not _is_ours(state):
            return False
        if time.time() - state.st_mtime <= SWEPT_AFTER_S:
            return False
        content = [entry.name for entry in folder.iterdir()]
        # Without a lock there is nothing in it where a full disk took its making no further.
        return not content or (
            _is_unlocked(folder / LOCK_FILE) and not any(name.startswith(ASIDE_PREFIX) for name in content)
        )
    except OSError:
        return False


def _is_ours(state: os.stat_result) -> bool:
    # Windows keeps temporary folders apart by user.
    return sys.platform == "win32" or state.st_uid == os.getuid()


def _is_unlocked(lock_file: Path) -> bool:
    """Whether the lock is there and nobody holds it. Raises OSError if it is not there."""
    with lock_file.open("r+b") as lock:
        return _try_lock(lock)


def _try_lock(lock: IO[Any]) -> bool:
    """Lock the open file until it is closed; return False if somebody else has it or locks do not work here."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415, Windows only

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415, not on Windows

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
