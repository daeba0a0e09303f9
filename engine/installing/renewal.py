"""Tells whether an engine that works has older packages than Headland's lock names by now."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from ..environment import read_ready_file
from .locks import LOCKS, Lock, lines_for

_PIN = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
_MINOR_VERSION = re.compile(r"^version(?:_info)?\s*=\s*(\d+\.\d+)", re.MULTILINE)
_INFORMATION = ".dist-info"


def is_outdated(folder: Path, locks: Iterable[Lock] = LOCKS) -> bool:
    """Whether the engine in ``folder`` lacks a package that the lock it was made from has by now.

    A lock that was only written anew, with the same packages, asks for nothing. An administrator's environment has no
    lock, and an engine that does not work is told of elsewhere.
    """
    state = read_ready_file(folder) or {}
    lock = next((lock for lock in locks if lock.name == state.get("lock")), None)
    if lock is None or state.get("lock_sha256") == lock.sha256:
        return False
    python = _minor_version(folder)
    return not _pinned(lock, python) <= _installed(folder, python)


def _pinned(lock: Lock, python: str) -> set[tuple[str, str]]:
    return {(_normal(name), version) for file in lock.files for name, version in _PIN.findall(lines_for(file, python))}


def _installed(folder: Path, python: str) -> set[tuple[str, str]]:
    """Return name and version of each package; nothing where it cannot be read."""
    packages = folder / "Lib" if sys.platform == "win32" else folder / "lib" / f"python{python}"
    found = (entry.name[: -len(_INFORMATION)] for entry in (packages / "site-packages").glob(f"*{_INFORMATION}"))
    return {(_normal(name), version) for name, _, version in (each.rpartition("-") for each in found)}


def _minor_version(folder: Path) -> str:
    try:
        found = _MINOR_VERSION.search((folder / "pyvenv.cfg").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1] if found is not None else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
