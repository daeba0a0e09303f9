"""How much memory other programs leave, as the operating system says it."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Optional

_MEMINFO = Path("/proc/meminfo")


def free_memory_bytes() -> Optional[int]:
    """Return how much memory a program can still have without anything being swapped out; None if it is not known."""
    try:
        if sys.platform == "win32":
            return _free_on_windows()
        if sys.platform == "darwin":
            # macOS compresses and swaps as it sees fit; what it has is the only bound.
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, LookupError, AttributeError):
        return None
    return None


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of Windows."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in ("total", "free", "page_total", "page_free", "virtual_total")),
        *((name, ctypes.c_uint64) for name in ("virtual_free", "virtual_free_extended")),
    )


def _free_on_windows() -> Optional[int]:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    has_worked = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return int(status.free) if has_worked else None
