"""What a set-up is going to do, known before anything is downloaded or changed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

from ..environment import LOCATION_VARIABLE, EnvironmentProblem, is_ready, location, read_ready_file
from .graphics import graphics_cards
from .locks import LOCKS, Build, Choice, Lock, choose_lock
from .pip_install import Sources, is_torch_out_of_reach
from .pythons import Python, find_python
from .renewal import is_outdated
from .torch_index import named_torch_index, without_torch_index


@dataclass(frozen=True)
class Wishes:
    """What somebody may ask for; nothing of it need be.

    Attributes:
        python: the Python to make it with; None for a suitable one.
        build: what it is to compute on.
        sources: where packages come from.
        own_environment: the Python of an environment that has all packages already: it is proved and used as it is.
        is_anew: whether an engine that stands is replaced.
    """

    python: Optional[Path] = None
    build: Build = Build.AUTO
    sources: Sources = field(default_factory=Sources)
    own_environment: Optional[Path] = None
    is_anew: bool = False


@dataclass(frozen=True)
class SetUpPlan:
    """What will be done.

    Attributes:
        folder: where the engine will be.
        python: makes the environment, or is the environment's own.
        lock: what is installed; None to use the environment of ``python`` as it is.
        reason: one sentence on what it will compute on, and why.
        is_for_processor: whether it is CUDA's build only because that computes on the processor as well.
    """

    folder: Path
    python: Python
    lock: Optional[Lock]
    reason: str
    sources: Sources = field(default_factory=Sources)
    is_anew: bool = False
    is_for_processor: bool = False

    @property
    def download_bytes(self) -> int:
        """How much comes over the network, if nothing of it is there from an earlier try."""
        return 0 if self.lock is None or self.sources.wheels is not None else self.lock.download_bytes

    @property
    def installed_bytes(self) -> int:
        """About how much the engine takes in the end."""
        return 0 if self.lock is None else self.lock.installed_bytes

    @property
    def needed_bytes(self) -> int:
        """About how much room it takes meanwhile: each download is kept until the end, and once more while in use."""
        return self.installed_bytes + 2 * self.download_bytes

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do."""
        locks = LOCKS if self.lock is None else (self.lock, *LOCKS)
        return not self.is_anew and is_ready(self.folder) and not is_outdated(self.folder, locks)

    @property
    def is_what_stands(self) -> bool:
        """Whether the engine that stands is made of what this plan would make it of."""
        state = read_ready_file(self.folder) or {}
        if self.lock is None:
            return state.get("python") == str(self.python.path)
        return state.get("lock_sha256") == self.lock.sha256


def make_plan(wishes: Wishes) -> SetUpPlan:
    """Find a Python, look at the graphics card, choose the packages. Takes some seconds.

    Raises:
        EnvironmentProblem: if it cannot be done; the sentence says what is missing.
    """
    folder = location()
    if wishes.own_environment is not None:
        python = Python.describe(wishes.own_environment)
        if python is None:
            raise EnvironmentProblem(
                f"{wishes.own_environment} is no Python that runs; name the Python of the environment with torch, "
                "onnxruntime and numpy."
            )
        # What describes itself is the base installation; the packages are in the environment.
        python = replace(python, path=wishes.own_environment.expanduser().absolute())
        reason = "The packages are those that are installed there."
        return SetUpPlan(folder, python, None, reason, is_anew=wishes.is_anew)
    wheels = wishes.sources.wheels
    if wheels is not None and not any(wheels.glob("*.whl")):
        raise EnvironmentProblem(f"There are no wheels in {wheels}; prepare the folder with make wheelhouse.")
    python = find_python(wishes.python)
    sources = replace(wishes.sources, torch_index=named_torch_index(wishes.sources.torch_index))
    if is_ready(folder) and not is_outdated(folder) and not wishes.is_anew:
        # It stands, so nothing is fetched, and what could be has no say.
        choice = choose_lock(python, wishes.build, graphics_cards())
    else:
        choice = choose_packages(python, wishes.build, sources)
    return SetUpPlan(
        folder, python, choice.lock, choice.reason, sources, wishes.is_anew, is_for_processor=choice.is_for_processor
    )


def choose_packages(python: Python, wish: Build, sources: Sources) -> Choice:
    """Return what to install on this computer, of what can be had.

    Raises:
        EnvironmentProblem: if there is nothing, or not what was wished for.
    """
    cards = graphics_cards()
    choice = choose_lock(python, wish, cards)
    if is_torch_out_of_reach(choice.lock, python.path, sources):
        return without_torch_index(choice, python, wish, cards)
    return choice


def check_room(plan: SetUpPlan) -> None:
    """Raise EnvironmentProblem if the disk has not the room that ``plan`` needs."""
    parent = next(folder for folder in plan.folder.parents if folder.exists())
    free_bytes = shutil.disk_usage(parent).free
    if plan.needed_bytes > free_bytes:
        raise EnvironmentProblem(
            f"The engine needs about {plan.needed_bytes / 1e9:.1f} GB in {plan.folder.parent} while it is set up, "
            f"where {free_bytes / 1e9:.1f} GB are free; free some space, or choose another folder with "
            f"{LOCATION_VARIABLE}."
        )
