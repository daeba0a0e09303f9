"""The folders of engine environments: one install at a time, half-made ones told from whole ones, and taken away.

A new environment is built beside the place where it will be, as ``NAME.new-…``, and gets its name only when it has been
proved; until then the old one stays and works. A virtual environment bears the move: its Python finds its packages by
its own place, and Headland never runs the scripts, which do name the old one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable

from ..engine_users import engine_out_of_use, users_file
from ..environment import FOLDER_PREFIX, READY_FILE, EnvironmentProblem, is_ready, location, user_cache_folder

NEW = ".new-"
OLD = ".old-"
DOWNLOADS = ".downloads"
_LOCK = ".lock"
# A virus scanner may hold a new file for a moment.
_PATIENCE_S = 5.0


@contextmanager
def only_one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold a lock that the system lets go when this process ends, however it ends.

    Raises:
        EnvironmentProblem: if another program is at work on ``folder``.
    """
    lock_file = folder.with_name(f"{folder.name}{_LOCK}")
    with lock_file.open("a") as lock:
        try:
            if sys.platform == "win32":
                import msvcrt  # noqa: PLC0415, Windows only

                msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl  # noqa: PLC0415, not on Windows

                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever uninstalls removes the file too: then this is a lock on nothing.
            if os.fstat(lock.fileno()).st_ino != lock_file.stat().st_ino:
                raise OSError("the lock file is another one by now")  # noqa: TRY301, handled as a lock that is held
        except OSError as error:
            raise EnvironmentProblem(
                f"The engine in {folder} is being set up by another program; wait until that is done."
            ) from error
        yield


def tidy_up(folder: Path, is_to_wait: Callable[[], bool]) -> bool:
    """Take away what an install that was killed has left beside ``folder``, and finish one that had come to its end.

    Args:
        is_to_wait: as :func:`put_in_place` asks it.

    Returns:
        Whether one was finished, and stands now.
    """
    is_finished = False
    for beside in _beside(folder, NEW):
        # A whole one is newer than what stands: only its place was lacking.
        if is_ready(beside):
            put_in_place(beside, folder, is_to_wait)
            is_finished = True
        else:
            remove(beside)
    for beside in _beside(folder, OLD):
        remove(beside)
    return is_finished


def new_folder(folder: Path) -> Path:
    """Return where the environment for ``folder`` is to be built: a name that nobody has."""
    return folder.with_name(f"{folder.name}{NEW}{secrets.token_hex(4)}")


def downloads_folder(folder: Path) -> Path:
    """Return where downloads for ``folder`` are kept until it is whole: for a second try."""
    return folder.with_name(f"{folder.name}{DOWNLOADS}")


def put_in_place(new: Path, folder: Path, is_to_wait: Callable[[], bool]) -> None:
    """Give the whole environment ``new`` the name ``folder``, once nobody computes with what has it, which then goes.

    Args:
        is_to_wait: asked again and again while somebody computes with it.

    Raises:
        EnvironmentProblem: if ``folder`` is no environment, or cannot be moved because a program uses it.
    """
    check_is_ours(folder)
    old = _name_of_old(folder)
    try:
        with engine_out_of_use(folder, is_to_wait):
            if folder.exists():
                _rename(folder, old)
            _rename(new, folder)
    except OSError as error:
        if not folder.exists() and old.exists():
            old.rename(folder)
        raise EnvironmentProblem(
            f"The new engine is made, but the old one in {folder} is in use ({error.strerror or error}); wait until no "
            "enhancement runs, close other QGIS windows, and set it up again."
        ) from error
    remove(old)


def _name_of_old(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{OLD}{secrets.token_hex(4)}")


def check_is_ours(folder: Path) -> None:
    """Raise EnvironmentProblem if ``folder`` holds something else than an engine environment, whole or half-made."""
    if not folder.exists():
        return
    is_ours = any((folder / name).exists() for name in ("pyvenv.cfg", READY_FILE))
    if not folder.is_dir() or (any(folder.iterdir()) and not is_ours):
        raise EnvironmentProblem(f"{folder} holds other files; empty it or choose another folder for the engine.")


def remove(folder: Path) -> None:
    """Remove a folder as far as that is possible; what another program holds stays for the next time."""
    shutil.rmtree(folder, ignore_errors=True)


def uninstall(folder: Path) -> None:
    """Remove the environment in ``folder``, and everything that its installation has left beside it.

    Raises:
        EnvironmentProblem: if it is in use or cannot be removed.
    """
    if not folder.parent.exists():
        return
    with only_one_at_a_time(folder):
        check_is_ours(folder)
        for each in (*_beside(folder, NEW), *_beside(folder, OLD), downloads_folder(folder)):
            remove(each)
        if folder.exists():
            old = _name_of_old(folder)
            try:
                with engine_out_of_use(folder, lambda: False):
                    _rename(folder, old)
                # Whoever waits for it need not wait for this.
                shutil.rmtree(old)
            except OSError as error:
                raise EnvironmentProblem(
                    f"The engine in {folder} could not be removed ({error.strerror or error}); wait until no "
                    "enhancement runs, close other QGIS windows, and try again."
                ) from error
    for lock_file in (users_file(folder), folder.with_name(f"{folder.name}{_LOCK}")):
        with suppress(OSError):
            lock_file.unlink()


def other_engines() -> list[Path]:
    """Return the environments of other versions of Headland in the user's cache folder."""
    with suppress(OSError):
        folders = (user_cache_folder() / "headland").iterdir()
        return sorted(each for each in folders if _is_engine(each) and each != location())
    return []


def size_bytes(folder: Path) -> int:
    """Return how much disk ``folder`` takes; files that go meanwhile count as gone."""
    total = 0
    waiting = [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _is_engine(folder: Path) -> bool:
    return folder.is_dir() and folder.name.startswith(FOLDER_PREFIX) and not folder.suffix


def _beside(folder: Path, sign: str) -> list[Path]:
    with suppress(OSError):
        return [each for each in folder.parent.iterdir() if each.name.startswith(f"{folder.name}{sign}")]
    return []


def _rename(before: Path, after: Path) -> None:
    deadline = time.monotonic() + (_PATIENCE_S if sys.platform == "win32" else 0.0)
    while True:
        try:
            before.rename(after)
        except PermissionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
