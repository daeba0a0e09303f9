"""Breaks file operations of this process, one after the other, as a disk does that is full, read-only or dying.

What Python does below the given folders is counted: making a folder, opening a file for writing, writing, cutting,
renaming, removing. GDAL's own writing is C code; :func:`largest_file` and :func:`small_disk` reach that as well.
:class:`AtMoment` chooses when.
"""

from __future__ import annotations

import builtins
import errno
import io
import itertools
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from headland.engine import plain_file

_WRITING = os.O_WRONLY | os.O_RDWR
_CALLS_OF_A_FILE = ("write", "truncate", "writelines")


class BrokenDisk:
    """Counts what is done below ``folders`` and lets it fail from the call ``fails_from`` on.

    Attributes:
        fails_from: number of the first call that fails, from 0; None for a sound disk.
        calls_that_fail: how many do, from there on; None for all that follow, removing included.
        error_number: what they fail with.
        calls: what was done, in words, one entry a call.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folders: Sequence[Path]) -> None:
        self._folders = tuple(str(folder) for folder in folders)
        self._paths: dict[int, str] = {}
        self.fails_from: Optional[int] = None
        self.calls_that_fail: Optional[int] = 1
        self.error_number = errno.ENOSPC
        self.calls: list[str] = []
        self._open, self._os_open = io.open, os.open
        for module in (io, builtins):
            monkeypatch.setattr(module, "open", self._broken_open)
        monkeypatch.setattr(os, "open", self._broken_os_open)
        monkeypatch.setattr(plain_file, "FileIO", self._broken_plain)
        for name in ("mkdir", "replace", "rename"):
            monkeypatch.setattr(os, name, self._broken(name, getattr(os, name)))
        for name in ("unlink", "rmdir"):
            monkeypatch.setattr(os, name, self._broken(name, getattr(os, name), is_removal=True))

    def heal(self) -> None:
        """Make it sound, and begin to count anew."""
        self.fails_from = None
        self.calls = []
        self._paths.clear()

    def fail(self, number: int, call: int, times: Optional[int] = 1) -> None:
        """Count anew, and fail with ``number`` from ``call`` on, so many times or, with None, from then on."""
        self.heal()
        self.error_number, self.fails_from, self.calls_that_fail = number, call, times

    @property
    def has_failed(self) -> bool:
        """Whether the failure has been met with."""
        return self.fails_from is not None and len(self.calls) > self.fails_from

    def hit(self, what: str, path: Any, *, is_removal: bool = False) -> None:
        """Count a call, and fail if it is its turn."""
        if not str(path).startswith(self._folders):
            return
        if is_removal:
            # A disk that is full for once lets go of files; one that stays read-only does not.
            if self.fails_from is not None and self.calls_that_fail is None and self.has_failed and self._is_locked:
                raise OSError(self.error_number, os.strerror(self.error_number), str(path))
            return
        number = len(self.calls)
        self.calls.append(f"{what} {path}")
        if self.fails_from is None or number < self.fails_from:
            return
        if self.calls_that_fail is None or number < self.fails_from + self.calls_that_fail:
            raise OSError(self.error_number, os.strerror(self.error_number), str(path))

    @property
    def _is_locked(self) -> bool:
        return self.error_number in (errno.EROFS, errno.EACCES)

    def _broken(self, name: str, really: Callable[..., Any], *, is_removal: bool = False) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            target = arguments[0] if name in ("replace", "rename") else path
            if options.get("dir_fd") is not None:
                target = Path(self._paths.get(options["dir_fd"], ""), str(path))
            self.hit(name, target, is_removal=is_removal)
            return really(path, *arguments, **options)

        return call

    def _broken_os_open(self, path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & _WRITING:
            self.hit("open", path)
        handle = self._os_open(path, flags, *arguments, **options)
        self._paths[handle] = str(path)
        return handle

    def _broken_open(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        path = self._paths.get(file, "") if isinstance(file, int) else str(file)
        is_ours = set(mode) & set("wax+") and path.startswith(self._folders)
        if not is_ours:
            return self._open(file, mode, *arguments, **options)
        if not isinstance(file, int):
            self.hit("open", path)
        return _BrokenFile(self._open(file, mode, *arguments, **options), path, self)

    def _broken_plain(self, path: Path, mode: str, **options: Any) -> Any:
        return _BrokenFile(io.FileIO(path, mode, **options), str(path), self)


class _BrokenFile:
    """An open file whose writing is counted."""

    def __init__(self, file: Any, path: str, disk: BrokenDisk) -> None:
        self._file, self._path, self._disk = file, path, disk

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._file, name)
        if name not in _CALLS_OF_A_FILE:
            return found

        def call(*arguments: Any) -> Any:
            self._disk.hit(name, self._path)
            return found(*arguments)

        return call

    def __enter__(self) -> _BrokenFile:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as on a disk that is full; C code included."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class SmallDisk:
    """A file system of its own, of some megabytes, that can be filled up.

    Attributes:
        folder: where it is mounted.
        is_filled: whether that was done.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_filled = False

    def leave(self, free_bytes: int) -> None:
        """Fill it up but for so many bytes."""
        ballast = self.folder / "ballast"
        room = shutil.disk_usage(self.folder).free - free_bytes
        self.is_filled = True
        try:
            with ballast.open("ab") as file:
                file.write(bytes(max(0, room)))
        except OSError as error:
            # Whoever works on it may have taken the room meanwhile: full it is.
            if error.errno != errno.ENOSPC:
                raise

    def relieve(self) -> None:
        """Take the ballast away."""
        (self.folder / "ballast").unlink(missing_ok=True)
        self.is_filled = False


@contextmanager
def small_disk(folder: Path, size: str = "16M") -> Iterator[SmallDisk]:
    """Mount a small file system on ``folder``; skips the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system may be mounted here")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


class AtMoment:
    """Acts when ``phase`` is told of for so manieth a time, from 0.

    Attributes:
        has_acted: whether it came to that.
    """

    def __init__(self, phase: str, moment: int, act: Callable[[], object]) -> None:
        self._phase, self._moment, self._act = phase, moment, act
        self._times = itertools.count()
        self.has_acted = False

    def __call__(self, phase: str, _fraction: float) -> None:
        if phase == self._phase and next(self._times) == self._moment:
            self.has_acted = True
            self._act()
