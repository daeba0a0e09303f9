"""Finds a Python that can make the engine environment: where it may be on each system, and whether it will do."""

from __future__ import annotations

import json
import os
import re
import subprocess  # nosec B404 # no shell; what is run is named below
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Callable, Optional

from ..child_process import CREATION_FLAGS, child_environment
from ..environment import EnvironmentProblem

PYTHON_VARIABLE = "HEADLAND_PYTHON"
OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 14)

# Longer than a cold start from a slow disk under a virus scanner.
_PATIENCE_S = 30
# A Python of Microsoft's store keeps what it writes into the user's folder where nobody else sees it.
_UNSUITABLE_PLACE = "windowsapps"
_VERSION_IN_NAME = re.compile(r"(\d+)(?:\.(\d+))?")

_DESCRIBE_PYTHON = """
import importlib.util, json, platform, sys
print(json.dumps({
    "version": sys.version_info[:3],
    "base": getattr(sys, "_base_executable", None) or sys.executable,
    "is_64_bit": sys.maxsize > 2**32,
    "makes_environments": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
    "platform": sys.platform,
    "machine": platform.machine().lower(),
}))
"""


@dataclass(frozen=True)
class Surroundings:
    """What tells where a computer has its Pythons; a test makes one up for each layout.

    Attributes:
        platform: as sys.platform.
        executable, prefixes: of the process that asks, which may be QGIS.
        variables: of the environment.
        home: the user's folder.
        names_in: the names in a folder; none if it is not there.
        exists: whether there is such a file.
    """

    platform: str
    executable: str
    prefixes: tuple[str, ...]
    variables: Mapping[str, str]
    home: str
    names_in: Callable[[PurePath], Sequence[str]]
    exists: Callable[[PurePath], bool]

    @classmethod
    def here(cls) -> Surroundings:
        """Return this computer's."""
        prefixes = (sys.base_exec_prefix, sys.exec_prefix)
        return cls(
            sys.platform, sys.executable or "", prefixes, os.environ, str(Path.home()), _names_in, os.path.isfile
        )

    def path(self, *parts: str) -> PurePath:
        """Return a path in this computer's notation."""
        return PureWindowsPath(*parts) if self.platform == "win32" else PurePosixPath(*parts)


@dataclass(frozen=True)
class Python:
    """A Python as it describes itself. ``path`` is the base installation's, also when asked inside an environment."""

    path: Path
    version: tuple[int, ...]
    is_64_bit: bool
    makes_environments: bool
    platform: str = sys.platform
    machine: str = ""

    @classmethod
    def describe(cls, python: Path) -> Optional[Python]:
        """Return None if it does not run."""
        try:
            # A Python that the user or the system named.
            answer = subprocess.run(  # nosec B603
                [str(python), "-I", "-c", _DESCRIBE_PYTHON],
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE_S,
                check=True,
                creationflags=CREATION_FLAGS,
            )
            facts = json.loads(answer.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return cls(
            Path(facts["base"]),
            tuple(facts["version"]),
            facts["is_64_bit"],
            facts["makes_environments"],
            facts["platform"],
            facts["machine"],
        )

    @property
    def minor_version(self) -> str:
        """The version as wheels and locks name it, such as 3.12."""
        return ".".join(str(number) for number in self.version[:2])

    def problem(self) -> Optional[str]:
        """Return why it will not do, or None."""
        if not OLDEST_PYTHON <= self.version[:2] <= NEWEST_PYTHON:
            return f"{self.path} is Python {'.'.join(map(str, self.version))}"
        if not self.is_64_bit:
            return f"{self.path} is a 32-bit Python"
        if not self.makes_environments:
            return f"{self.path} lacks venv or ensurepip"
        return None


def find_python(wished: Optional[Path] = None, around: Optional[Surroundings] = None) -> Python:
    """Return a Python that can make the engine environment.

    Args:
        wished: the only one to consider; None for ``$HEADLAND_PYTHON`` or else what is found.
        around: where to look; None for this computer.

    Raises:
        EnvironmentProblem: if none is suitable; the sentence says what is missing.
    """
    around = Surroundings.here() if around is None else around
    named = around.variables.get(PYTHON_VARIABLE, "").strip()
    if wished is None and named:
        wished = Path(named).expanduser()
    places = [wished] if wished is not None else [Path(str(place)) for place in candidates(around)]
    reasons = []
    for place in places:
        found = Python.describe(place)
        problem = f"{place} does not run" if found is None else found.problem()
        if found is not None and problem is None:
            return found
        reasons.append(str(problem))
    looked_at = "; ".join(dict.fromkeys(reasons)) or "none was found"
    oldest, newest = (".".join(map(str, version)) for version in (OLDEST_PYTHON, NEWEST_PYTHON))
    raise EnvironmentProblem(
        f"The engine needs a 64-bit Python {oldest} to {newest} with its venv module ({looked_at}); "
        f"{_how_to_get_one(around.platform)} and try again."
    )


def candidates(around: Surroundings) -> Iterator[PurePath]:
    """Yield each place where there is a Python, the most suitable first: QGIS's own, installed ones, those on PATH."""
    seen = set()
    for place in _places(around):
        if _UNSUITABLE_PLACE in str(place).lower() or place in seen:
            continue
        seen.add(place)
        if around.exists(place):
            yield place


def _places(around: Surroundings) -> Iterator[PurePath]:
    own = around.path(around.executable)
    # Inside QGIS on Windows and macOS sys.executable is QGIS itself.
    if own.name.lower().startswith("python"):
        yield own
    by_system = {"win32": _windows_places, "darwin": _mac_places}
    yield from by_system.get(around.platform, _linux_places)(around, own)
    yield from _places_of_uv(around)
    yield from _places_on_path(around)


def _windows_places(around: Surroundings, own: PurePath) -> Iterator[PurePath]:
    roots = [around.path(prefix) for prefix in around.prefixes]
    for root in roots:
        yield root / "python.exe"
    # OSGeo4W and the standalone installer are laid out alike: bin\qgis-bin.exe, apps\qgis\…, apps\Python312\python.exe.
    installations = [*own.parents[:4]]
    if around.variables.get("OSGEO4W_ROOT"):
        installations.append(around.path(around.variables["OSGEO4W_ROOT"]))
    programs = [around.variables.get(name, "") for name in ("ProgramFiles", "ProgramW6432")]
    for programs_folder in filter(None, programs):
        installations += [
            around.path(programs_folder, name)
            for name in sorted(around.names_in(around.path(programs_folder)), key=_version_of, reverse=True)
            if name.lower().startswith("qgis")
        ]
    installations.append(around.path("C:\\OSGeo4W"))
    for installation in installations:
        yield from _newest_first(around, installation / "apps", "python3", "python.exe")
    users = around.variables.get("LOCALAPPDATA") or str(around.path(around.home, "AppData", "Local"))
    yield from _newest_first(around, around.path(users, "Programs", "Python"), "python3", "python.exe")
    for programs_folder in filter(None, programs):
        yield from _newest_first(around, around.path(programs_folder), "python3", "python.exe")


def _mac_places(around: Surroundings, own: PurePath) -> Iterator[PurePath]:
    for prefix in around.prefixes:
        yield around.path(prefix, "bin", "python3")
    contents = [folder for folder in own.parents if folder.name == "Contents"]
    contents.append(around.path("/Applications/QGIS.app/Contents"))
    for folder in contents:
        yield folder / "MacOS" / "bin" / "python3"
        yield folder / "MacOS" / "python3"
        yield folder / "Resources" / "python" / "bin" / "python3"
        yield from _newest_first(around, folder / "Frameworks" / "Python.framework" / "Versions", "3.", "bin/python3")
    versions = around.path("/Library/Frameworks/Python.framework/Versions")
    yield from _newest_first(around, versions, "3.", "bin/python3")
    # A program from the Finder has a short PATH. /usr/bin/python3 only offers to install Apple's developer tools.
    for programs in ("/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin"):
        for name in _names_of_python():
            yield around.path(programs, name)


def _linux_places(around: Surroundings, own: PurePath) -> Iterator[PurePath]:  # noqa: ARG001, the others need it
    for prefix in (*around.prefixes, "/usr", "/usr/local"):
        for name in _names_of_python():
            yield around.path(prefix, "bin", name)


def _places_of_uv(around: Surroundings) -> Iterator[PurePath]:
    """Yield the Pythons that uv has installed, whether or not uv itself is on PATH."""
    data = {
        "win32": around.path(around.variables.get("APPDATA") or str(around.path(around.home, "AppData", "Roaming"))),
    }.get(
        around.platform,
        around.path(around.variables.get("XDG_DATA_HOME") or str(around.path(around.home, ".local", "share"))),
    )
    chosen = around.variables.get("UV_PYTHON_INSTALL_DIR")
    folder = around.path(chosen) if chosen else data / "uv" / "python"
    program = "python.exe" if around.platform == "win32" else "bin/python3"
    yield from _newest_first(around, folder, "cpython-3", program)


def _places_on_path(around: Surroundings) -> Iterator[PurePath]:
    is_windows = around.platform == "win32"
    folders = around.variables.get("PATH", "").split(";" if is_windows else ":")
    names = [f"{name}.exe" for name in ("python3", "python")] if is_windows else [*_names_of_python(), "python"]
    for name in names:
        for folder in filter(None, folders):
            if around.platform == "darwin" and folder == "/usr/bin":
                continue
            yield around.path(folder, name)


def _newest_first(around: Surroundings, folder: PurePath, start: str, program: str) -> Iterator[PurePath]:
    """Yield ``program`` in each folder in ``folder`` whose name begins with ``start``."""
    names = [name for name in around.names_in(folder) if name.lower().startswith(start)]
    for name in sorted(names, key=_version_of, reverse=True):
        yield around.path(str(folder), name, program)


def _version_of(name: str) -> tuple[int, int]:
    """Return the version that a folder's name tells, (0, 0) if none: Python312, 3.12, cpython-3.12.4-linux-x86_64."""
    found = _VERSION_IN_NAME.search(name)
    if found is None:
        return 0, 0
    if found[2] is not None:
        return int(found[1]), int(found[2])
    # Python312 has no dot.
    return int(found[1][0]), int(found[1][1:] or 0)


def _names_of_python() -> tuple[str, ...]:
    versions = range(NEWEST_PYTHON[1], OLDEST_PYTHON[1] - 1, -1)
    return ("python3", *(f"python3.{minor}" for minor in versions))


def _how_to_get_one(platform: str) -> str:
    return {
        "win32": "install one from python.org for yourself, with its default settings, or name one",
        "darwin": "install one from python.org or with Homebrew, or name one",
    }.get(platform, "install one (on Debian and Ubuntu: apt install python3-venv) or name one")


def _names_in(folder: PurePath) -> Sequence[str]:
    try:
        return sorted(each.name for each in Path(folder).iterdir())
    except OSError:
        return ()
