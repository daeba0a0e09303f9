"""What the tests of the engine's set-up look at: folders beside it, and processes at work on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# Where the packages of the engine are that these tests run in.
SITE_PACKAGES = Path(np.__file__).parents[1]


def running_in(folder: Path) -> list[int]:
    """Return the processes whose command names something in ``folder``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(int(entry.parent.name))
    return found


def beside(engine: Path) -> set[str]:
    return {each.name for each in engine.parent.iterdir()}
