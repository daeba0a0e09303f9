"""pip, as it is called to fill an engine environment: only what the lock names, only if its SHA-256 agrees."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Optional

from ..environment import EnvironmentProblem, python_of
from .failures import explain, recognise
from .locks import Lock, lines_for
from .network import Network, has_own_certificates, has_own_sources
from .running import run_module
from .torch_index import secrets_of

_RETRIES = "8"
_TIMEOUT_S = "60"
# pip goes on with a download that broke off from this version on.
_RESUMES_FROM = (25, 1)
_VERSION = re.compile(r"\bpip (\d+)\.(\d+)")
_WHAT_FAILED = "The engine’s packages could not be installed"
_PIP_TRIES_AGAIN = "WARNING: Retrying"


@dataclass(frozen=True)
class Sources:
    """Where packages come from.

    Attributes:
        network: how they are reached.
        wheels: a folder that holds all of them; then no network is used.
        torch_index: an index of PyTorch's builds, for those that the usual one lacks; a password may be in its address.
    """

    network: Network = field(default_factory=Network)
    wheels: Optional[Path] = None
    torch_index: Optional[str] = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may show."""
        return (*self.network.secrets, *secrets_of(self.torch_index))


@dataclass(frozen=True)
class Computer:
    """A computer to download for: its Python's version, such as 3.12, and its processor."""

    python_version: str
    machine: str


@dataclass(frozen=True)
class Run:
    """Whom to tell and whom to ask during an installation, and where its temporary files go."""

    on_line: Callable[[str], None]
    is_cancelled: Callable[[], bool]
    temporary: Path
    downloads: Path


def install(python: Path, lock: Lock, sources: Sources, run: Run) -> None:
    """Install the packages of ``lock`` into the environment of ``python``.

    Raises:
        SetUpCancelled, EnvironmentProblem: as :func:`run_module`.
    """
    if sources.wheels is not None:
        offline = ["--no-index", "--find-links", str(sources.wheels)]
        _pip(python, ["install", *_common(run), *offline, *_requirements(lock.files)], sources, run)
        return
    command = ["install", *_common(run), *_network(python, run), "--no-warn-script-location"]
    sources = _as_pip_was_told(python, sources, run)
    for index, files in _indexes(lock, lock.files, sources):
        _pip(python, [*command, *_requirements(files)], sources, run, index=index)


def download(python: Path, lock: Lock, computer: Computer, folder: Path, sources: Sources, run: Run) -> None:
    """Fill ``folder`` with the wheels of ``lock`` for ``computer``, which may be another one than this.

    Raises:
        SetUpCancelled, EnvironmentProblem: as :func:`run_module`.
    """
    files = []
    for file in lock.files:
        files.append(run.temporary / file.name)
        files[-1].write_text(lines_for(file, computer.python_version), encoding="utf-8")
    tags = [argument for tag in lock.tags(computer.machine) for argument in ("--platform", tag)]
    command = [
        "download",
        *_common(run),
        *_network(python, run),
        "--dest",
        str(folder),
        "--implementation",
        "cp",
        *tags,
    ]
    command += ["--python-version", computer.python_version]
    sources = _as_pip_was_told(python, sources, run)
    for index, these in _indexes(lock, files, sources):
        _pip(python, [*command, *_requirements(these)], sources, run, index=index)


def is_torch_out_of_reach(lock: Lock, python: Path, sources: Sources) -> bool:
    """Whether the usual index lacks the torch of ``lock``, and nobody has said where else packages are.

    Raises:
        EnvironmentProblem: if ``python`` cannot run pip at all.
    """
    if not lock.is_torch_apart or sources.wheels is not None or sources.torch_index is not None:
        return False
    # Whoever has told pip where packages come from wants no others, and has a network where those are what there is.
    with tempfile.TemporaryDirectory(prefix="headland-pip-") as temporary:
        run = Run(lambda _line: None, lambda: False, Path(temporary), Path(temporary))
        try:
            return not has_own_sources(_configuration(python, run))
        except EnvironmentProblem:
            # Debian's Python has pip in its environments alone.
            environment = Path(temporary) / "environment"
            run_module(python, ["venv", str(environment)], f"{python} could not make a virtual environment")
            return not has_own_sources(_configuration(python_of(environment), run))


def _configuration(python: Path, run: Run) -> str:
    """Return what pip was told, asked without what is set here: pip counts variables as part of it."""
    return "\n".join(_pip(python, ["config", "list"], Sources(), run, is_quiet=True))


def _as_pip_was_told(python: Path, sources: Sources, run: Run) -> Sources:
    """Return the sources without what would overrule pip's configuration."""
    if has_own_certificates(_configuration(python, run)):
        return replace(sources, network=replace(sources.network, certificates=None))
    return sources


def _indexes(lock: Lock, files: Sequence[Path], sources: Sources) -> list[tuple[Optional[str], Sequence[Path]]]:
    """Return for each call of pip which index goes before what pip was told, and what to take."""
    if not lock.is_torch_apart or sources.torch_index is None:
        return [(None, files)]
    return [(sources.torch_index, files[:1]), (None, files[1:])]


def _common(run: Run) -> list[str]:
    arguments = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-color", "--progress-bar", "off"]
    return arguments if "PIP_CACHE_DIR" in os.environ else [*arguments, "--cache-dir", str(run.downloads)]


def _network(python: Path, run: Run) -> list[str]:
    arguments = ["--retries", _RETRIES, "--timeout", _TIMEOUT_S]
    found = _VERSION.search("\n".join(_pip(python, ["--version"], Sources(), run, is_quiet=True)))
    is_resuming = found is not None and (int(found[1]), int(found[2])) >= _RESUMES_FROM
    return [*arguments, "--resume-retries", _RETRIES] if is_resuming else arguments


def _requirements(files: Sequence[Path]) -> list[str]:
    return [argument for file in files for argument in ("--requirement", str(file))]


def _pip(
    python: Path,
    arguments: Sequence[str],
    sources: Sources,
    run: Run,
    *,
    index: Optional[str] = None,
    is_quiet: bool = False,
) -> list[str]:
    def hear(line: str) -> None:
        if not is_quiet:
            run.on_line(line)
        failure = recognise(line) if line.startswith(_PIP_TRIES_AGAIN) else None
        if failure is not None and failure.is_lasting:
            raise EnvironmentProblem(explain(_WHAT_FAILED, line), line)

    # The system's temporary folder may be small and in memory; here there is room for what the engine needs.
    places = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(run.temporary))
    return run_module(
        python,
        ["pip", "--disable-pip-version-check", "--no-input", *arguments],
        _WHAT_FAILED,
        on_line=hear,
        is_cancelled=run.is_cancelled,
        # As a variable: other users of the computer could read a password on a command line.
        variables={**places, **sources.network.variables(os.environ), **({"PIP_INDEX_URL": index} if index else {})},
        secrets=sources.secrets,
    )
