"""NVIDIA's graphics cards: what the driver says of them, and whether the engine's CUDA build can use them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # nosec B404 # no shell; what is run is named below
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..child_process import CREATION_FLAGS, child_environment

# CUDA 13, which the engine's torch and onnxruntime-gpu are built for, works from these on: Turing (GTX 16, RTX 20, T4),
# and NVIDIA's driver branch 580.
OLDEST_CAPABILITY = (7, 5)
OLDEST_DRIVER = 580
_PATIENCE_S = 15
_FIELDS = "name,driver_version,memory.total"
_FIELDS_OF_NEWER_DRIVERS = f"{_FIELDS},compute_cap"
_VERSION_FILE = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class GraphicsCard:
    """``capability`` is NVIDIA's compute capability, None where an old driver does not tell."""

    name: str
    driver: str
    memory_mb: int = 0
    capability: Optional[tuple[int, int]] = None

    def problem(self) -> Optional[str]:
        """Return why the CUDA build cannot use it, in words, or None."""
        if self.capability is not None and self.capability < OLDEST_CAPABILITY:
            return f"the {self.name} is too old for CUDA 13, which needs a card of 2018 or later (GTX 16, RTX 20)"
        branch = re.match(r"\d+", self.driver)
        if branch is None or int(branch[0]) < OLDEST_DRIVER:
            return (
                f"the driver of the {self.name}, {self.driver}, is too old; version {OLDEST_DRIVER} or later would do"
            )
        if self.capability is None:
            return f"the driver does not tell what the {self.name} can do"
        return None


def graphics_cards() -> tuple[GraphicsCard, ...]:
    """Return this computer's NVIDIA cards, as its driver names them; none if there is no driver."""
    program = _nvidia_smi()
    if program is not None:
        for fields in (_FIELDS_OF_NEWER_DRIVERS, _FIELDS):
            answer = _ask(program, fields)
            if answer is not None:
                return parse_cards(answer)
    try:
        return parse_version_file(_VERSION_FILE.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ()


def parse_cards(listing: str) -> tuple[GraphicsCard, ...]:
    """Return the cards of ``nvidia-smi --query-gpu=… --format=csv,noheader,nounits``, other lines passed over."""
    cards = []
    for line in listing.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) not in (3, 4):
            continue
        name, driver, memory = values[:3]
        found = re.fullmatch(r"(\d+)\.(\d+)", values[3]) if len(values) == 4 else None  # noqa: PLR2004, the fields
        capability = (int(found[1]), int(found[2])) if found else None
        cards.append(GraphicsCard(name, driver, int(memory) if memory.isdigit() else 0, capability))
    return tuple(cards)


def parse_version_file(content: str) -> tuple[GraphicsCard, ...]:
    """Return the card whose driver Linux has loaded; its name and kind are not told there."""
    found = re.search(r"Kernel Module\D*(\d+\.\d+(?:\.\d+)?)", content)
    return (GraphicsCard("NVIDIA graphics card", found[1]),) if found else ()


def _nvidia_smi() -> Optional[str]:
    found = shutil.which("nvidia-smi")
    if found:
        return found
    windows = Path(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32", "nvidia-smi.exe")
    # On Windows' Linux it is not on every PATH.
    for place in (windows, Path("/usr/lib/wsl/lib/nvidia-smi")):
        if place.is_file():
            return str(place)
    return None


def _ask(program: str, fields: str) -> Optional[str]:
    """Return what nvidia-smi says, None if it fails: an old one does not know every field."""
    try:
        # NVIDIA's own program, with words of our own.
        answer = subprocess.run(  # nosec B603
            [program, f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=True,
            creationflags=CREATION_FLAGS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout
