"""pip, as it is called to fill an engine environment: only what the lock names, only if its SHA-256 agrees."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Optional

from ..environment import EnvironmentProblem
from .failures import explain, recognise
from .locks import Lock, lines_for
from .network import Network, has_own_certificates, has_own_sources
from .running import run_module

_RETRIES = "8"
_TIMEOUT_S = "60"
# pip goes on with a download that broke off from this version on.
_RESUMES_FROM = (25, 1)
_VERSION = re.compile(r"\bpip (\d+)\.(\d+)")
_WHAT_FAILED = "The engine’s packages could not be installed"
# Trying again for a minute, as pip does, changes nothing about these.
_HOPELESS = {"proxy wants a password", "certificate", "SOCKS proxy"}
_PIP_TRIES_AGAIN = "WARNING: Retrying"


@dataclass(frozen=True)
class Sources:
    """Where packages come from. ``wheels`` is a folder that holds all of them; then no network is used."""

    network: Network = field(default_factory=Network)
    wheels: Optional[Path] = None


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
    configuration, sources = _as_pip_was_told(python, sources, run)
    for index, files in _indexes(lock, lock.files, configuration):
        _pip(python, [*command, *index, *_requirements(files)], sources, run)


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
    configuration, sources = _as_pip_was_told(python, sources, run)
    for index, these in _indexes(lock, files, configuration):
        _pip(python, [*command, *index, *_requirements(these)], sources, run)


def _as_pip_was_told(python: Path, sources: Sources, run: Run) -> tuple[str, Sources]:
    """Return pip's configuration, and the sources without what would overrule it."""
    # Asked without what is set here: pip counts variables as part of its configuration.
    configuration = "\n".join(_pip(python, ["config", "list"], Sources(), run, is_quiet=True))
    if has_own_certificates(configuration):
        sources = replace(sources, network=replace(sources.network, certificates=None))
    return configuration, sources


def _indexes(lock: Lock, files: Sequence[Path], configuration: str) -> list[tuple[list[str], Sequence[Path]]]:
    """Return for each call of pip where from, as its arguments, and what."""
    if lock.torch_index is None:
        return [([], files)]
    # Whoever has told pip where packages come from wants no others, and has a network where those are what there is.
    of_torch = [] if has_own_sources(configuration) else ["--index-url", lock.torch_index]
    return [(of_torch, files[:1]), ([], files[1:])]


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


def _pip(python: Path, arguments: Sequence[str], sources: Sources, run: Run, *, is_quiet: bool = False) -> list[str]:
    def hear(line: str) -> None:
        if not is_quiet:
            run.on_line(line)
        failure = recognise(line) if line.startswith(_PIP_TRIES_AGAIN) else None
        if failure is not None and failure.name in _HOPELESS:
            raise EnvironmentProblem(explain(_WHAT_FAILED, line), line)

    # The system's temporary folder may be small and in memory; here there is room for what the engine needs.
    places = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(run.temporary))
    return run_module(
        python,
        ["pip", "--disable-pip-version-check", "--no-input", *arguments],
        _WHAT_FAILED,
        on_line=hear,
        is_cancelled=run.is_cancelled,
        variables={**places, **sources.network.variables(os.environ)},
        secrets=sources.network.secrets,
    )
