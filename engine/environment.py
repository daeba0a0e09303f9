"""The engine environment: a virtual environment with torch and onnxruntime, apart from QGIS's own Python.

QGIS's set-up button and ``python engine/environment.py build`` run the same code. Only the standard library is
imported, because this is what runs before anything else can be there.

A virtual environment cannot be moved, so it is built where it will stay and ``ready.json`` is written last: a
folder without it is half-made and is built anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess  # nosec B404 # no shell; what is run is Python with words of our own
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

LOCATION_VARIABLE = "HEADLAND_ENGINE"
CACHE_VARIABLE = "HEADLAND_CACHE"
REQUIREMENTS_FILE = Path(__file__).with_name("requirements.txt")
READY_FILE = "ready.json"
# For subprocess on Windows; zero, which means nothing, elsewhere.
NO_CONSOLE_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 14)

# What QGIS and its launchers set for themselves would make another Python load QGIS's libraries and data.
_QGIS_ONLY_PREFIXES = ("PYTHON", "PROJ_", "GDAL_", "QT_", "QGIS_", "DYLD_")
_QGIS_ONLY_NAMES = {"LD_LIBRARY_PATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
# Each would send pip's packages elsewhere than into the environment.
_PIP_TARGETS = {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"}

_LINES_IN_DETAILS = 60

_DESCRIBE_PYTHON = """
import importlib.util, json, sys
print(json.dumps({
    "version": sys.version_info[:3],
    "base": getattr(sys, "_base_executable", None) or sys.executable,
    "is_64_bit": sys.maxsize > 2**32,
    "makes_environments": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
}))
"""

_PROVE = """
import json, numpy, onnxruntime, torch
image = torch.ones(1, 1, 8, 8)
total = torch.nn.functional.conv2d(image, torch.ones(1, 1, 3, 3), padding=1).sum()
if total.item() != 22 * 22 or "CPUExecutionProvider" not in onnxruntime.get_available_providers():
    raise SystemExit("torch or onnxruntime computes wrong results")
print(json.dumps({module.__name__: module.__version__ for module in (numpy, onnxruntime, torch)}))
"""


class EnvironmentProblem(RuntimeError):
    """The engine environment cannot be built or used. The text is one sentence for people.

    Attributes:
        details: the last lines of the program that failed, for a bug report; may be empty.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class EnvironmentMissing(EnvironmentProblem):
    """There is no whole engine environment where it is looked for."""


def child_environment() -> dict[str, str]:
    """Return this process's environment variables without those that are meant for QGIS and its Python only."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_QGIS_ONLY_PREFIXES) and name.upper() not in _QGIS_ONLY_NAMES
    }


def location() -> Path:
    """Return the engine environment's folder, there or not: ``$HEADLAND_ENGINE``, else one in the user's cache."""
    chosen = os.environ.get(LOCATION_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return _user_cache_folder() / "headland" / f"engine-{requirements_hash()[:12]}"


def cache_folder() -> Path:
    """Return the folder for what Headland keeps and could do without, there or not.

    It is ``$HEADLAND_CACHE``, else one in the user's cache.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else _user_cache_folder() / "headland"


def requirements_hash() -> str:
    """Return the SHA-256 of ``engine/requirements.txt``: an environment built from other pins is out of date."""
    return hashlib.sha256(REQUIREMENTS_FILE.read_text(encoding="utf-8").encode()).hexdigest()


def engine_python() -> Path:
    """Return the Python that runs the worker.

    Raises:
        EnvironmentMissing: if the environment is not there, is half-made or belongs to another Headland.
    """
    folder = location()
    state = _read_ready_file(folder)
    if state is None:
        what = "is only half set up" if (folder / "pyvenv.cfg").exists() else "is not set up yet"
        raise EnvironmentMissing(f"Headland's engine {what} in {folder}; {_how_to_build(folder)}.")
    if state.get("requirements") != requirements_hash():
        raise EnvironmentMissing(
            f"The engine in {folder} was set up for another version of Headland; {_how_to_build(folder)}."
        )
    python = _python_in(folder)
    if not python.exists():
        raise EnvironmentMissing(f"The engine in {folder} has lost its Python; {_how_to_build(folder)}.")
    return python


def build(
    folder: Optional[Path] = None,
    python: Optional[Path] = None,
    on_line: Callable[[str], None] = lambda _line: None,
) -> Path:
    """Make the engine environment, unless it already stands, and return its Python.

    Args:
        folder: where; None for :func:`location`.
        python: the Python to make it with; None for the first suitable one that is found.
        on_line: told every line of what happens. If it raises, the installation is stopped.

    Raises:
        EnvironmentProblem: in one sentence, why it could not be built.
    """
    folder = location() if folder is None else folder.expanduser().absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _only_one_build(folder):
            if _is_ready(folder):
                on_line(f"The engine in {folder} is ready.")
                return _python_in(folder)
            _clear(folder)
            _build_anew(folder, find_python(python), on_line)
    except OSError as error:
        raise EnvironmentProblem(
            f"The engine cannot be set up in {folder} ({error.strerror or error}); free the folder or choose another "
            f"one with {LOCATION_VARIABLE}."
        ) from error
    return _python_in(folder)


def prove(python: Path) -> dict[str, str]:
    """Import torch and onnxruntime with ``python``, compute a little, and return the versions by name.

    Raises:
        EnvironmentProblem: if that fails.
    """
    output = _run([str(python), "-I", "-c", _PROVE], lambda _line: None, "The engine's packages do not work here")
    versions: dict[str, str] = json.loads(output[-1])
    return versions


def find_python(wished: Optional[Path] = None) -> Path:
    """Return a Python that can make the engine environment.

    Args:
        wished: the only one to consider; None to look at this process's own and at those on PATH.

    Raises:
        EnvironmentProblem: if none is suitable; the sentence says what is missing.
    """
    candidates = list(_candidates()) if wished is None else [wished]
    reasons = []
    for candidate in candidates:
        found = _Python.describe(candidate)
        problem = f"{candidate} does not run" if found is None else found.problem()
        if found is not None and problem is None:
            return found.path
        reasons.append(str(problem))
    looked_at = "; ".join(dict.fromkeys(reasons)) or "none was found"
    oldest, newest = (".".join(map(str, version)) for version in (OLDEST_PYTHON, NEWEST_PYTHON))
    raise EnvironmentProblem(
        f"The engine needs a 64-bit Python {oldest} to {newest} with its venv module ({looked_at}); install one (on "
        "Debian and Ubuntu: apt install python3-venv) and try again."
    )


@dataclass(frozen=True)
class _Python:
    """A Python as it describes itself. ``path`` is the base installation's, also when asked inside an environment."""

    path: Path
    version: tuple[int, ...]
    is_64_bit: bool
    makes_environments: bool

    @classmethod
    def describe(cls, python: Path) -> Optional[_Python]:
        """Return None if it does not run."""
        try:
            # A Python that the user or the system named.
            answer = subprocess.run(  # nosec B603
                [str(python), "-I", "-c", _DESCRIBE_PYTHON],
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=30,
                check=True,
                creationflags=NO_CONSOLE_WINDOW,
            )
            facts = json.loads(answer.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return cls(Path(facts["base"]), tuple(facts["version"]), facts["is_64_bit"], facts["makes_environments"])

    def problem(self) -> Optional[str]:
        """Return why it will not do, or None."""
        if not OLDEST_PYTHON <= self.version[:2] <= NEWEST_PYTHON:
            return f"{self.path} is Python {'.'.join(map(str, self.version))}"
        if not self.is_64_bit:
            return f"{self.path} is a 32-bit Python"
        if not self.makes_environments:
            return f"{self.path} lacks venv or ensurepip"
        return None


def _candidates() -> Iterator[Path]:
    # Inside QGIS on Windows and macOS sys.executable is QGIS itself; its Python lies below the prefix.
    if Path(sys.executable or "").name.lower().startswith("python"):
        yield Path(sys.executable)
    for prefix in (sys.base_exec_prefix, sys.exec_prefix):
        for below in ("python.exe", "bin/python3"):
            if (Path(prefix) / below).exists():
                yield Path(prefix) / below
    versions = range(NEWEST_PYTHON[1], OLDEST_PYTHON[1] - 1, -1)
    for name in ("python3", *(f"python3.{minor}" for minor in versions), "python"):
        found = shutil.which(name)
        if found:
            yield Path(found)


def _build_anew(folder: Path, python: Path, on_line: Callable[[str], None]) -> None:
    on_line(f"Making the engine environment in {folder} with {python} …")
    _run([str(python), "-I", "-m", "venv", str(folder)], on_line, f"{python} could not make a virtual environment")
    engine = _python_in(folder)
    # Wheels only: a user's machine has no compiler, and half an hour of compiling is not a set-up.
    pip = [str(engine), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-color"]
    pip += ["--progress-bar", "off", "--only-binary", ":all:", "--requirement", str(REQUIREMENTS_FILE)]
    on_line("Installing torch and onnxruntime; this is a download of some hundred megabytes or more …")
    _run(pip, on_line, "The engine's packages could not be installed")
    on_line("Trying them out …")
    state = {"requirements": requirements_hash(), "versions": prove(engine)}
    partial = folder / f"{READY_FILE}.partial"
    partial.write_text(json.dumps(state, indent=2), encoding="utf-8")
    partial.replace(folder / READY_FILE)
    on_line(f"The engine in {folder} is ready.")


def _run(command: list[str], on_line: Callable[[str], None], failure: str) -> list[str]:
    """Run ``command``, pass its lines on and return the last ones; the child never survives this call."""
    environment = {name: value for name, value in child_environment().items() if name not in _PIP_TARGETS}
    lines: deque[str] = deque(maxlen=_LINES_IN_DETAILS)
    # As above: pip and venv of that Python.
    child = subprocess.Popen(  # nosec B603
        command,
        # A user's pip.conf may say user = yes, which pip refuses inside an environment.
        env={**environment, "PIP_USER": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        creationflags=NO_CONSOLE_WINDOW,
    )
    with child:
        try:
            for line in child.stdout or ():
                lines.append(line.rstrip())
                on_line(lines[-1])
            child.wait()
        finally:
            child.kill()
    if child.returncode != 0:
        details = "\n".join(lines)
        raise EnvironmentProblem(f"{failure}{_advice(details)}.", details)
    return list(lines)


def _advice(output: str) -> str:
    """Return what to do about a failed command, read off what it printed."""
    advice = {
        "No space left on device": ": the disk is full, so free some space and try again",
        "ensurepip": ": it lacks ensurepip, so install it (on Debian and Ubuntu: apt install python3-venv)",
        "NewConnectionError": ": the package index cannot be reached, so check the connection and the proxy settings",
        "ConnectTimeout": ": the package index does not answer, so check the connection and the proxy settings",
        "ProxyError": ": the proxy refuses, so check the proxy settings",
        "SSLError": ": the connection is not trusted, so check the proxy settings and certificates",
        "No matching distribution": ": there are none for this system and Python, so try with another Python",
    }
    return next((text for sign, text in advice.items() if sign in output), "; the details say why")


def _is_ready(folder: Path) -> bool:
    state = _read_ready_file(folder)
    return state is not None and state.get("requirements") == requirements_hash() and _python_in(folder).exists()


def _read_ready_file(folder: Path) -> Optional[dict[str, Any]]:
    try:
        state = json.loads((folder / READY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def _clear(folder: Path) -> None:
    """Remove a half-made or outdated environment, and nothing else."""
    if not folder.exists():
        return
    if any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise EnvironmentProblem(f"{folder} holds other files; empty it or choose another folder for the engine.")
    shutil.rmtree(folder)


@contextmanager
def _only_one_build(folder: Path) -> Iterator[None]:
    """Hold a lock that the system lets go when this process ends, however it ends."""
    with folder.with_name(f"{folder.name}.lock").open("a") as lock:
        try:
            if sys.platform == "win32":
                import msvcrt  # noqa: PLC0415, Windows only

                msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl  # noqa: PLC0415, not on Windows

                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EnvironmentProblem(
                f"The engine in {folder} is being set up by another program; wait until that is done."
            ) from error
        yield


def _python_in(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _how_to_build(folder: Path) -> str:
    return f'set it up with: python3 "{Path(__file__).absolute()}" build --folder "{folder}"'


def main(arguments: Optional[list[str]] = None) -> int:
    """Run the command line: build, check or where; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Headland's engine environment: torch and onnxruntime, apart from QGIS."
    )
    parser.add_argument("command", choices=("build", "check", "where"), help="make it, try it out, or print its folder")
    parser.add_argument(
        "--folder", type=Path, help=f"where it is (default: ${LOCATION_VARIABLE}, else the user's cache)"
    )
    parser.add_argument("--python", type=Path, help="the Python to build it with (default: a suitable one)")
    wishes = parser.parse_args(arguments)
    if wishes.folder is not None:
        os.environ[LOCATION_VARIABLE] = str(wishes.folder.expanduser().absolute())

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    try:
        if wishes.command == "build":
            build(None, wishes.python, say)
        elif wishes.command == "check":
            versions = prove(engine_python())
            say(f"The engine in {location()} works: " + ", ".join(f"{name} {v}" for name, v in versions.items()))
        else:
            say(str(location()))
    except EnvironmentProblem as problem:
        sys.stderr.write(f"{problem.details}\n{problem}\n" if problem.details else f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
