"""Keeps an engine in its place while somebody computes with it: libraries are loaded late, and from that very folder.

Whoever runs a worker holds a share of a lock beside the engine's folder; whoever replaces or removes the engine needs
all of it. The system lets a lock go when its process ends, however it ends. It lies beside the folder because Windows
renames no folder in which a file is open.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Optional

USERS = ".users"

_POLL_S = 0.1
# Windows shares no lock, so each user takes a byte of its own there, and all of them are everybody's.
_BYTES = 1 << 30


@contextmanager
def engine_in_use(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the engine in ``folder`` where it is; waits out the moment in which another takes its place.

    Where nobody may write beside it, as beside an administrator's, and nobody has made the lock, it is not held.

    Args:
        on_wait: called again and again meanwhile; what it raises ends the waiting.
    """
    lock = _share_of(users_file(folder), on_wait)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


@contextmanager
def engine_out_of_use(folder: Path, is_to_wait: Callable[[], bool]) -> Iterator[None]:
    """Let nobody begin to use the engine in ``folder``.

    Args:
        is_to_wait: asked again and again while somebody uses it.

    Raises:
        BlockingIOError: if somebody uses it and ``is_to_wait`` says no.
        OSError: if the lock cannot be made.
    """
    lock = os.open(users_file(folder), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while not _try_lock(lock, is_shared=False):
            if not is_to_wait():
                raise BlockingIOError(f"the engine in {folder} is in use")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(lock)


def users_file(folder: Path) -> Path:
    """Return the lock of the engine in ``folder``."""
    return folder.with_name(f"{folder.name}{USERS}")


def _share_of(file: Path, on_wait: Callable[[], None]) -> Optional[int]:
    """Return the open lock, or None if there is none to be had."""
    while True:
        try:
            lock = _open(file)
        except OSError:
            return None
        is_had = False
        try:
            while not _try_lock(lock, is_shared=True):
                on_wait()
                time.sleep(_POLL_S)
            is_had = _is_still(lock, file)
        except OSError:
            # A network's file system without locks.
            return None
        finally:
            if not is_had:
                os.close(lock)
        if is_had:
            return lock


def _open(file: Path) -> int:
    try:
        return os.open(file, os.O_RDONLY | os.O_CREAT, 0o666)
    except PermissionError:
        return os.open(file, os.O_RDONLY)


def _is_still(lock: int, file: Path) -> bool:
    """Whether the lock was not removed, with its engine, before it was had."""
    try:
        return os.path.samestat(os.fstat(lock), file.stat())
    except FileNotFoundError:
        return False


def _try_lock(lock: int, *, is_shared: bool) -> bool:
    """Take the lock if that can be done at once; it is let go with the file.

    Raises:
        OSError: if the file system knows no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415, Windows only

            os.lseek(lock, secrets.randbelow(_BYTES) if is_shared else 0, os.SEEK_SET)
            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1 if is_shared else _BYTES)
        else:
            import fcntl  # noqa: PLC0415, not on Windows

            fcntl.flock(lock, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        # Windows says permission denied of bytes that another has.
        return False
    return True
