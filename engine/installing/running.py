"""Runs a program of the installation: its lines are passed on, it can be stopped, and it never outlives the call."""

from __future__ import annotations

import os
import queue
import signal
import subprocess  # nosec B404 # no shell; what is run is named below
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Callable, Optional

from ..child_process import CREATION_FLAGS, child_environment
from ..environment import EnvironmentProblem
from .failures import explain
from .network import hide_secrets

WATCHED_SCRIPT = Path(__file__).with_name("watched.py")

_LINES_IN_DETAILS = 60
_POLL_S = 0.2
# What would send pip's packages elsewhere than into the environment, or have it do something else altogether.
_PIP_MISLEADING = {
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON", "PIP_PLATFORM", "PIP_PYTHON_VERSION", "PIP_ABI"),
    *("PIP_IMPLEMENTATION", "PIP_NO_BINARY", "PIP_REQUIREMENT", "PIP_EDITABLE", "PIP_DRY_RUN", "PIP_REPORT"),
    *("PIP_QUIET", "PIP_NO_INSTALL", "PIP_USER"),
}


class SetUpCancelled(Exception):
    """Somebody asked to stop; what was begun is gone."""


def run_module(  # noqa: PLR0913, the last ones are seldom given
    python: Path,
    arguments: Sequence[str],
    what_failed: str,
    *,
    on_line: Callable[[str], None] = lambda _line: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    variables: Optional[Mapping[str, str]] = None,
    secrets: Sequence[str] = (),
) -> list[str]:
    """Run ``python -m`` with ``arguments`` (the module and its own) and return its last lines.

    The program has a low priority and no console. It ends when it is cancelled, when ``on_line`` raises, and when this
    process dies: it watches its standard input.

    Args:
        what_failed: begins the sentence if it fails.
        on_line: told every line, on the calling thread.
        is_cancelled: asked several times a second, on the calling thread.
        variables: set in its environment, beside what of this process's is not QGIS's.
        secrets: what must not be told, should the program print it; those in addresses are left out anyway.

    Raises:
        SetUpCancelled: once ``is_cancelled`` turned true.
        EnvironmentProblem: if it fails; the sentence says what to do as far as its lines tell.
    """
    lines: deque[str] = deque(maxlen=_LINES_IN_DETAILS)
    try:
        # The Python that was chosen, with words of our own.
        child = subprocess.Popen(  # nosec B603
            [str(python), "-I", "-X", "utf8", str(WATCHED_SCRIPT), *arguments],
            env=_environment(variables or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            creationflags=CREATION_FLAGS,
        )
    except OSError as error:
        raise EnvironmentProblem(explain(what_failed, str(error)), str(error)) from error
    heard: queue.Queue[Optional[str]] = queue.Queue()
    reader = threading.Thread(target=_read, args=(child.stdout, heard), name="headland-set-up", daemon=True)
    reader.start()
    try:
        while True:
            if is_cancelled():
                raise SetUpCancelled
            try:
                line = heard.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if line is None:
                break
            lines.append(hide_secrets(line, *secrets))
            on_line(lines[-1])
        child.wait()
    finally:
        _end(child)
        reader.join(_POLL_S)
    if child.returncode != 0:
        details = "\n".join(lines)
        raise EnvironmentProblem(explain(what_failed, details), details)
    return list(lines)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in child_environment().items() if name.upper() not in _PIP_MISLEADING}
    # A user's pip.conf may say user = yes, which pip refuses inside an environment.
    return {**kept, "PIP_USER": "0", **variables}


def _read(stream: Optional[IO[str]], heard: queue.Queue[Optional[str]]) -> None:
    with suppress(ValueError, OSError):
        for line in stream or ():
            heard.put(line.rstrip())
    heard.put(None)


def _end(child: subprocess.Popen[str]) -> None:
    """End the program and all that it started."""
    if sys.platform == "win32":
        child.kill()
    elif child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        with suppress(OSError, AttributeError):
            pipe.close()  # type: ignore[union-attr]
