"""Which packages a computer gets: the lock for its system, processor and graphics card, with every file's SHA-256.

``engine/locks/NAME.txt`` is pip's own format. Where the usual index lacks this build of torch it has a file of its own,
``NAME-torch.txt``: so nothing but torch is ever taken from an index of PyTorch's builds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Optional

from ..environment import EnvironmentProblem
from .graphics import GraphicsCard
from .pythons import OLDEST_PYTHON, Python

LOCKS_FOLDER = Path(__file__).resolve().parent.parent / "locks"
_SIZES_FILE = "download_bytes.json"
_MARKER = re.compile(r'python_version == "([\d.]+)"')
# What torch's wheels unpack to, over their size: 3.7 for the processor's build, 2 for CUDA's, where most is code for
# cards that no longer packs well. Compiled modules come on top.
_UNPACKED_TIMES = 4
_UNPACKED_TIMES_CUDA = 2.5


class Build(str, Enum):
    """What the engine is to compute on; ``auto`` takes the graphics card where there is one that works."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True)
class Lock:
    """One list of packages.

    Attributes:
        name: of its file.
        build: what it computes on.
        platform: as sys.platform.
        machines: processors, as platform.machine() names them in lower case.
        is_torch_apart: whether the usual index lacks its torch.
        oldest_python: the first that there are wheels for.
        folder: where its files are.
    """

    name: str
    build: Build
    platform: str
    machines: tuple[str, ...]
    is_torch_apart: bool = False
    oldest_python: tuple[int, int] = OLDEST_PYTHON
    folder: Path = LOCKS_FOLDER

    @property
    def torch_file(self) -> Optional[Path]:
        """The file of torch alone, None if it is in ``file``."""
        return self.folder / f"{self.name}-torch.txt" if self.is_torch_apart else None

    @property
    def file(self) -> Path:
        """The file of all packages, but for torch where that has one of its own."""
        return self.folder / f"{self.name}.txt"

    @property
    def files(self) -> tuple[Path, ...]:
        """All its files."""
        return (self.file,) if self.torch_file is None else (self.torch_file, self.file)

    @property
    def download_bytes(self) -> int:
        """The size of all its wheels, for the Python that needs most."""
        return int(json.loads((self.folder / _SIZES_FILE).read_text(encoding="utf-8"))[self.name])

    @property
    def installed_bytes(self) -> int:
        """About how much it takes on the disk."""
        return int(self.download_bytes * (_UNPACKED_TIMES_CUDA if self.build is Build.CUDA else _UNPACKED_TIMES))

    def tags(self, machine: str) -> tuple[str, ...]:
        """Return pip's platform tags for such a computer: what it takes if it does not run on one itself."""
        if self.platform == "win32":
            return ("win_amd64",)
        if self.platform == "darwin":
            older = (f"macosx_{major}_0_{kind}" for major in (14, 13, 12, 11) for kind in ("arm64", "universal2"))
            return (*older, *(f"macosx_10_{minor}_universal2" for minor in range(15, 8, -1)))
        # pip compares tags by their letters, so all names of the same thing are needed.
        newer = (f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1))
        return (*newer, *(f"manylinux{name}_{machine}" for name in ("2014", "2010", "1")))

    @property
    def sha256(self) -> str:
        """What tells this list from another one."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(file.read_text(encoding="utf-8").encode())
        return digest.hexdigest()


LOCKS = (
    Lock("linux-cpu", Build.CPU, "linux", ("x86_64", "aarch64"), is_torch_apart=True),
    Lock("linux-cuda", Build.CUDA, "linux", ("x86_64",)),
    Lock("windows-cpu", Build.CPU, "win32", ("amd64",)),
    Lock("windows-cuda", Build.CUDA, "win32", ("amd64",), is_torch_apart=True, oldest_python=(3, 12)),
    Lock("macos", Build.CPU, "darwin", ("arm64",)),
)


@dataclass(frozen=True)
class Choice:
    """A lock, and one sentence on what it will compute on and why.

    Attributes:
        is_for_processor: whether it is CUDA's build only because that computes on the processor as well.
    """

    lock: Lock
    reason: str
    is_for_processor: bool = False


def choose_lock(python: Python, wish: Build, cards: Sequence[GraphicsCard]) -> Choice:
    """Return what to install for ``python`` on a computer with these NVIDIA cards.

    Raises:
        EnvironmentProblem: if there is nothing for this computer, or not what was wished for.
    """
    fitting = {
        lock.build: lock for lock in LOCKS if lock.platform == python.platform and python.machine in lock.machines
    }
    if Build.CPU not in fitting:
        raise EnvironmentProblem(_why_nothing_fits(python))
    if python.platform == "darwin":
        if wish is Build.CUDA:
            raise EnvironmentProblem("Macs have no NVIDIA graphics card; leave the build to “Automatic”.")
        return Choice(fitting[Build.CPU], "Computes on Apple’s graphics where they can be used, else on the processor.")
    if wish is Build.CPU:
        return Choice(fitting[Build.CPU], "Computes on the processor, as wished.")
    problem = _problem_with_cuda(python, fitting.get(Build.CUDA), cards)
    usable = [card for card in cards if card.problem() is None]
    if problem is None:
        return Choice(fitting[Build.CUDA], f"Computes on the {usable[0].name} (driver {usable[0].driver}).")
    if wish is Build.CUDA and Build.CUDA in fitting and python.version[:2] >= fitting[Build.CUDA].oldest_python:
        # For another computer, or a driver that is still to come: whoever says so knows.
        return Choice(fitting[Build.CUDA], f"The CUDA build, as wished, though {problem}.")
    if wish is Build.CUDA:
        raise EnvironmentProblem(f"There is no CUDA build for this computer: {problem}; choose the processor’s build.")
    return Choice(fitting[Build.CPU], f"Computes on the processor: {problem}.")


def lines_for(lock_file: Path, python: str) -> str:
    """Return what of a lock is for this Python (such as ``3.12``), without markers.

    pip weighs markers by the Python that it runs in itself, also when it downloads for another one.
    """
    entries = re.split(r"\n(?=\S)", lock_file.read_text(encoding="utf-8"))
    kept = []
    for entry in entries:
        requirement, semicolon, rest = entry.partition(" ;")
        if not semicolon:
            kept.append(entry)
        elif python in _MARKER.findall(rest):
            kept.append(requirement + " " + rest[rest.index("\\") :])
    return "\n".join(kept) + "\n"


def lock_named(name: str) -> Lock:
    """Return the lock of this name. Raises EnvironmentProblem if there is none."""
    for lock in LOCKS:
        if lock.name == name:
            return lock
    raise EnvironmentProblem(f"There is no lock {name}; choose one of {', '.join(lock.name for lock in LOCKS)}.")


def _problem_with_cuda(python: Python, lock: Optional[Lock], cards: Sequence[GraphicsCard]) -> Optional[str]:
    if not cards:
        return "no NVIDIA driver was found"
    if all(card.problem() is not None for card in cards):
        return cards[0].problem()
    if lock is None:
        return f"there is no CUDA build for {python.machine} processors"
    if python.version[:2] < lock.oldest_python:
        oldest = ".".join(map(str, lock.oldest_python))
        return f"the CUDA build for Windows needs Python {oldest} or later, and {python.path} is {python.minor_version}"
    return None


def _why_nothing_fits(python: Python) -> str:
    if python.platform == "darwin":
        return (
            "PyTorch is no longer made for Intel processors of Macs; on a Mac with Apple silicon name a Python that "
            "is not made for Intel either."
        )
    return (
        f"There are no packages for this system and processor ({python.platform}, {python.machine or 'unknown'}); use "
        "an environment in which you have installed torch, onnxruntime and numpy yourself."
    )
