"""The command line of the engine environment, for administrators and for ``make``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Optional

from ..engine_users import engine_in_use
from ..environment import LOCATION_VARIABLE, EnvironmentProblem, engine_python, location
from .building import Listener, set_up
from .folders import other_engines, uninstall
from .locks import LOCKS, Build, Lock, lock_named
from .pip_install import Computer, Run, Sources, download, is_torch_out_of_reach
from .plan import Wishes, choose_packages, make_plan
from .proof import prove
from .pythons import Python, find_python
from .renewal import is_outdated
from .running import SetUpCancelled
from .torch_index import TORCH_INDEX_VARIABLE, named_torch_index, why_index_is_needed


def main(arguments: Optional[list[str]] = None) -> int:
    """Run one command and return the exit status."""
    wishes = _parser().parse_args(arguments)
    if wishes.folder is not None:
        os.environ[LOCATION_VARIABLE] = str(wishes.folder.expanduser().absolute())
    try:
        _COMMANDS[wishes.command](wishes)
    except EnvironmentProblem as problem:
        sys.stderr.write(f"{problem.details}\n{problem}\n" if problem.details else f"{problem}\n")
        return 1
    except (KeyboardInterrupt, SetUpCancelled):
        sys.stderr.write("Stopped; nothing half-made is left.\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="environment.py", description="Headland's engine environment: torch and onnxruntime, apart from QGIS."
    )
    parser.add_argument(
        "--folder", type=Path, help=f"where it is (default: ${LOCATION_VARIABLE}, else the user's cache)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="make it, unless it stands with the packages of now")
    build.add_argument("--python", type=Path, help="the Python to make it with (default: a suitable one)")
    build.add_argument("--build", type=Build, choices=list(Build), default=Build.AUTO, help="what it computes on")
    build.add_argument("--wheels", type=Path, metavar="FOLDER", help="install from this folder, without a network")
    build.add_argument("--use-python", type=Path, metavar="PYTHON", help="use this Python's own torch as it is")
    build.add_argument("--anew", action="store_true", help="replace one that stands")
    build.add_argument("--plan", action="store_true", help="only say what would be done")
    commands.add_parser("check", help="try it out with a small enhancement")
    commands.add_parser("where", help="print its folder")
    remove = commands.add_parser("uninstall", help="remove it")
    remove.add_argument(
        "--all", action="store_true", help="and those of other versions of Headland in the user's cache"
    )
    wheelhouse = commands.add_parser(
        "wheelhouse", help="download all wheels into a folder, for computers without a network"
    )
    wheelhouse.add_argument("wheels", type=Path, metavar="FOLDER")
    wheelhouse.add_argument(
        "--lock", choices=[lock.name for lock in LOCKS], help="for which computers (default: such as this)"
    )
    wheelhouse.add_argument("--python-version", help="of their Python, such as 3.12 (default: this one's)")
    wheelhouse.add_argument("--machine", help="their processor, if it is not the usual one: aarch64")
    for command in (build, wheelhouse):
        command.add_argument(
            "--torch-index",
            metavar="URL",
            help="an index of PyTorch's builds, for those that the usual one lacks; PyTorch's own pages name it "
            f"(default: ${TORCH_INDEX_VARIABLE}, where a password is better kept)",
        )
    for command in commands.choices.values():
        command.add_argument("--folder", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _build(wishes: argparse.Namespace) -> None:
    plan = make_plan(
        Wishes(
            python=wishes.python,
            build=wishes.build,
            sources=Sources(
                wheels=wishes.wheels.expanduser().absolute() if wishes.wheels else None, torch_index=wishes.torch_index
            ),
            own_environment=wishes.use_python,
            is_anew=wishes.anew,
        )
    )
    if not plan.is_done:
        _say(plan.reason)
        _say(f"Python: {plan.python.path} ({plan.python.minor_version}). Folder: {plan.folder}.")
        _say(
            f"About {plan.download_bytes / 1e6:.0f} MB to download, {plan.installed_bytes / 1e9:.1f} GB on the disk "
            "in the end."
        )
    if not wishes.plan:
        set_up(plan, Listener(on_line=_say))


def _check(_wishes: argparse.Namespace) -> None:
    with engine_in_use(location(), on_wait=lambda: None):
        proof = prove(engine_python())
    versions = ", ".join(f"{name} {version}" for name, version in proof.versions.items())
    _say(f"The engine in {location()} works, on {proof.device}: {versions}")
    if is_outdated(location()):
        _say("This Headland has newer packages for it: build brings them.")


def _where(_wishes: argparse.Namespace) -> None:
    _say(str(location()))


def _uninstall(wishes: argparse.Namespace) -> None:
    for folder in (location(), *(other_engines() if wishes.all else ())):
        uninstall(folder)
        _say(f"Nothing is left of the engine in {folder}.")


def _wheelhouse(wishes: argparse.Namespace) -> None:
    python = find_python()
    sources = Sources(torch_index=named_torch_index(wishes.torch_index))
    lock = _wheelhouse_lock(wishes.lock, python, sources)
    machine = wishes.machine or (python.machine if wishes.lock is None else lock.machines[0])
    computer = Computer(wishes.python_version or python.minor_version, machine)
    folder = wishes.wheels.expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wheelhouse-", dir=folder) as temporary:
        run = Run(_say, lambda: False, Path(temporary), Path(temporary))
        download(python.path, lock, computer, folder, sources, run)
    _say(f"{folder} holds all of {lock.name} for Python {computer.python_version}.")


def _wheelhouse_lock(name: Optional[str], python: Python, sources: Sources) -> Lock:
    if name is None:
        choice = choose_packages(python, Build.AUTO, sources)
        _say(choice.reason)
        return choice.lock
    lock = lock_named(name)
    if is_torch_out_of_reach(lock, python.path, sources):
        raise EnvironmentProblem(why_index_is_needed(lock))
    return lock


_COMMANDS = {
    "build": _build,
    "check": _check,
    "where": _where,
    "uninstall": _uninstall,
    "wheelhouse": _wheelhouse,
}
