"""Finished tiles on disk: a cache that may lose any of them at any time, and never gives a wrong number.

A file holds an array's bytes and the SHA-256 of them and of the key that they are kept under, so what a power cut tore,
a disk spoiled or somebody renamed is seen and thrown away. It is written beside its place and appears there whole.

Several programs may use one folder at once, without locks: a file that another one removes is a miss, and whoever
writes evicts. Whatever goes wrong is as if nothing were kept: a run never fails for its cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from .environment import cache_folder

FOLDER_NAME = "tiles"
DEFAULT_LIMIT_BYTES = 5_000_000_000
# However small they are: the folder is gone through whenever one is added.
MOST_FILES = 10_000

_TILE_NAME = re.compile(r"[0-9a-f]{64}\.tile")
_PARTIAL_PREFIX, _PARTIAL_SUFFIX = "unfinished-", ".partial"
# No tile takes so long to write: whoever began it is gone.
_LEFT_AFTER_S = 3600.0
_DIGEST_BYTES = hashlib.sha256().digest_size
_CHUNK_BYTES = 1 << 20
# Binary, a link not followed, a pipe not waited for, not handed on to children: what the system knows of it.
_READ_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"))


def tile_folder() -> Path:
    """Return where finished tiles are kept, there or not."""
    return cache_folder() / FOLDER_NAME


class TileStore:
    """Arrays by key, up to a number of bytes; those that were not used for longest make room for new ones.

    What this object has read or written does not make room: an extent larger than the limit would else push its own
    first tiles out, which are the ones that the next try needs first.

    Args:
        folder: a folder of this user's own; is made when something is written.
        limit_bytes: how much all files together may take.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._used: set[str] = set()

    def read(self, key: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Optional[NDArray[Any]]:
        """Return the array that was written under ``key`` (64 hexadecimal digits), None if there is no sound one."""
        file = self._file(key)
        try:
            if not self._is_ours():
                return None
            array = _read_file(file, key, dtype, shape)
            if array is None:
                file.unlink()
                return None
            self._used.add(file.name)
        except OSError:
            return None
        # Access times are often not kept. A cache that can be read and not written is a cache still.
        with suppress(OSError):
            os.utime(file)
        return array

    def write(self, key: str, array: NDArray[Any], spared_bytes: int) -> bool:
        """Keep ``array`` (..., row, column) under ``key``; return whether that worked.

        Args:
            spared_bytes: how much of the disk's free room others need: beyond it nothing is written.
        """
        size = array.nbytes + _DIGEST_BYTES
        file = self._file(key)
        try:
            self._make_folder()
            if not self._is_ours() or shutil.disk_usage(self._folder).free < size + spared_bytes:
                return False
            if not self._make_room(size):
                return False
            _write_file(file, key, array)
        except OSError:
            return False
        self._used.add(file.name)
        return True

    @property
    def size_bytes(self) -> int:
        """How much is kept now."""
        try:
            return sum(entry.size_bytes for entry in self._entries())
        except OSError:
            return 0

    def shrink(self) -> None:
        """Evict what is beyond the limit; with a limit of 0 all goes."""
        if self._limit_bytes <= 0:
            self.clear()
            return
        with suppress(OSError):
            entries = sorted(self._without_leftovers(), key=lambda entry: entry.used_at_s)
            excess = sum(entry.size_bytes for entry in entries) - self._limit_bytes
            _evict([entry for entry in entries if not entry.is_partial], excess, 0)

    def clear(self) -> None:
        """Remove all that is kept, and nothing else that may lie in the folder."""
        with suppress(OSError):
            for entry in list(self._entries()):
                entry.remove()
            self._folder.rmdir()

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.tile"

    def _make_folder(self) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def _is_ours(self) -> bool:
        """Whether the folder is no link and nobody else can put anything there. Raises OSError if there is none."""
        state = self._folder.lstat()
        if not stat.S_ISDIR(state.st_mode):
            return False
        if sys.platform == "win32":
            # It keeps users apart by where their folders lie.
            return True
        if state.st_uid != os.getuid():
            return False
        if stat.S_IMODE(state.st_mode) != 0o700:  # noqa: PLR2004
            self._folder.chmod(0o700)
        return True

    def _make_room(self, size: int) -> bool:
        """Evict until ``size`` bytes more are within the limit; return False, evicting nothing, if that cannot be."""
        entries = sorted(self._without_leftovers(), key=lambda entry: entry.used_at_s)
        evictable = [entry for entry in entries if not entry.is_partial and entry.path.name not in self._used]
        excess = size + sum(entry.size_bytes for entry in entries) - self._limit_bytes
        surplus = len(entries) + 1 - MOST_FILES
        if excess > sum(entry.size_bytes for entry in evictable) or surplus > len(evictable):
            return False
        _evict(evictable, excess, surplus)
        return True

    def _without_leftovers(self) -> Iterator[_Entry]:
        """Yield what is kept or being written, and remove what a program was writing that is gone."""
        for entry in self._entries():
            if entry.is_partial and time.time() - entry.used_at_s > _LEFT_AFTER_S:
                entry.remove()
            else:
                yield entry

    def _entries(self) -> Iterator[_Entry]:
        """Yield what is kept, with what is being written or was left half-written. Raises OSError if it cannot."""
        if not self._is_ours():
            return
        with os.scandir(self._folder) as found:
            for entry in found:
                is_partial = entry.name.startswith(_PARTIAL_PREFIX) and entry.name.endswith(_PARTIAL_SUFFIX)
                if not is_partial and not _TILE_NAME.fullmatch(entry.name):
                    continue
                # Another program may have removed it by now.
                with suppress(FileNotFoundError):
                    state = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(state.st_mode):
                        yield _Entry(Path(entry.path), state.st_size, state.st_mtime, is_partial)


@dataclass(frozen=True)
class _Entry:
    path: Path
    size_bytes: int
    used_at_s: float
    is_partial: bool

    def remove(self) -> None:
        # It may be gone, or open in another program on Windows.
        with suppress(OSError):
            self.path.unlink()


def _evict(entries: Sequence[_Entry], excess: int, surplus: int) -> None:
    """Remove the first of ``entries`` until ``excess`` bytes and ``surplus`` files are gone."""
    for entry in entries:
        if excess <= 0 and surplus <= 0:
            return
        entry.remove()
        excess -= entry.size_bytes
        surplus -= 1


def _read_file(file: Path, key: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Optional[NDArray[Any]]:
    """Return the array, None if the file does not hold it whole. Raises OSError if it cannot be read."""
    with open(os.open(file, _READ_FLAGS), "rb") as stream:  # noqa: PTH123, Path.open would follow a link
        state = os.fstat(stream.fileno())
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        # Before any memory is asked for.
        if not stat.S_ISREG(state.st_mode) or state.st_size != size + _DIGEST_BYTES:
            return None
        array = np.empty(shape, dtype)
        digest = _digest_of(key, dtype, shape)
        content = array.reshape(-1).view(np.uint8).data
        for start in range(0, size, _CHUNK_BYTES):
            chunk = content[start : start + _CHUNK_BYTES]
            if stream.readinto(chunk) != len(chunk):
                return None
            digest.update(chunk)
        return array if stream.read() == digest.digest() else None


def _write_file(file: Path, key: str, array: NDArray[Any]) -> None:
    """Write the file whole or not at all. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=_PARTIAL_PREFIX, suffix=_PARTIAL_SUFFIX, dir=file.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            digest = _digest_of(key, array.dtype, array.shape)
            # One after the other: a copy of the whole could be more than the memory has room for.
            for part in array:
                content = np.ascontiguousarray(part).data
                digest.update(content)
                stream.write(content)
            stream.write(digest.digest())
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _digest_of(key: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """Return the digest of what comes before the array's bytes."""
    return hashlib.sha256(f"{key} {dtype.str} {shape}".encode())
