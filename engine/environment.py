"""The engine environment: where it is, whether it can be used, and which Python runs the worker.

It is a virtual environment with torch and onnxruntime, apart from QGIS's own Python, or an administrator's, which is
then only named there. Setting it up is :mod:`headland.engine.installing`'s business; as a program
(``python engine/environment.py build``) this file hands over to it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any, Optional

LOCATION_VARIABLE = "HEADLAND_ENGINE"
CACHE_VARIABLE = "HEADLAND_CACHE"
REQUIREMENTS_FILE = Path(__file__).with_name("requirements.txt")
# Written last: a folder without it is half-made.
READY_FILE = "ready.json"
FOLDER_PREFIX = "engine-"


class EnvironmentProblem(RuntimeError):
    """The engine environment cannot be built or used. The text is one sentence for people.

    Attributes:
        details: the last lines of the program that failed, for a bug report; may be empty.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class EnvironmentMissing(EnvironmentProblem):
    """There is no whole engine environment where it is looked for.

    Attributes:
        reason: what is wrong, without what to do about it: the dock has a button for that.
        remedy: what to do about it.
    """

    def __init__(self, reason: str, folder: Path) -> None:
        remedy = _how_to_build(folder)
        super().__init__(f"{reason}; {remedy}.")
        self.reason, self.remedy = reason, remedy


def location() -> Path:
    """Return the engine environment's folder, there or not: ``$HEADLAND_ENGINE``, else one in the user's cache."""
    chosen = os.environ.get(LOCATION_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return user_cache_folder() / "headland" / f"{FOLDER_PREFIX}{requirements_hash()[:12]}"


def cache_folder() -> Path:
    """Return the folder for what Headland keeps and could do without, there or not.

    It is ``$HEADLAND_CACHE``, else one in the user's cache.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else user_cache_folder() / "headland"


def requirements_hash() -> str:
    """Return the SHA-256 of ``engine/requirements.txt``: an environment built from other pins is out of date."""
    return hashlib.sha256(REQUIREMENTS_FILE.read_text(encoding="utf-8").encode()).hexdigest()


def engine_python() -> Path:
    """Return the Python that runs the worker.

    Raises:
        EnvironmentMissing: if the environment is not there, is half-made or belongs to another Headland.
    """
    folder = location()
    state = read_ready_file(folder)
    if state is None:
        what = "is only half set up" if (folder / "pyvenv.cfg").exists() else "is not set up yet"
        raise EnvironmentMissing(f"Headland's engine {what} in {folder}", folder)
    if state.get("requirements") != requirements_hash():
        raise EnvironmentMissing(f"The engine in {folder} was set up for another version of Headland", folder)
    python = python_of(folder, state)
    if not python.exists():
        raise EnvironmentMissing(f"The engine in {folder} has lost its Python", folder)
    return python


def is_ready(folder: Path) -> bool:
    """Whether a whole environment for this Headland is in ``folder``."""
    state = read_ready_file(folder)
    return state is not None and state.get("requirements") == requirements_hash() and python_of(folder, state).exists()


def read_ready_file(folder: Path) -> Optional[dict[str, Any]]:
    """Return what was noted when the environment was proved; None if there is nothing whole."""
    try:
        state = json.loads((folder / READY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def python_of(folder: Path, state: Optional[dict[str, Any]] = None) -> Path:
    """Return the Python of the environment in ``folder``: its own, or the administrator's that ``state`` names."""
    named = (state or {}).get("python")
    if isinstance(named, str):
        return Path(named)
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def user_cache_folder() -> Path:
    """Return the system's folder for what programs keep for this user and could do without."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _how_to_build(folder: Path) -> str:
    return (
        "set it up with the dock’s button “Set up engine”, or with: "
        f'python3 "{Path(__file__).absolute()}" build --folder "{folder}"'
    )


def _run_as_program() -> int:
    """Make the plugin's folder the package ``headland``, as the worker does, and hand over to the command line."""
    own_folder = Path(__file__).absolute().parent
    runpy.run_path(str(own_folder / "worker.py"))["register_package"](own_folder.parent)
    main = importlib.import_module("headland.engine.installing.command_line").main
    return int(main())


if __name__ == "__main__":
    sys.exit(_run_as_program())
