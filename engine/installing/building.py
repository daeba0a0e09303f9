"""Carries a set-up plan out: environment, packages, proof, and only then its place."""

from __future__ import annotations

import errno
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

from ..environment import (
    LOCATION_VARIABLE,
    READY_FILE,
    EnvironmentProblem,
    python_of,
    read_ready_file,
    requirements_hash,
)
from .failures import explain
from .folders import (
    check_is_ours,
    downloads_folder,
    new_folder,
    only_one_at_a_time,
    put_in_place,
    remove,
    size_bytes,
    tidy_up,
)
from .locks import Build
from .pip_install import Run, install
from .plan import SetUpPlan, check_room
from .proof import Proof, prove
from .running import SetUpCancelled, run_module

# How far a set-up is when each part begins.
_DOWNLOADING, _UNPACKING, _PROVING, _WAITING = 0.03, 0.6, 0.9, 1.0
_LOOKS_EVERY_S = 1.0
_PIP_UNPACKS = "Installing collected packages"


@dataclass(frozen=True)
class Listener:
    """Whom to tell and whom to ask, on the thread that does the work.

    Attributes:
        on_line: told every line of what happens, for a log.
        on_progress: told what is being done, in words, and the share that is done, from 0 to 1.
        is_cancelled: asked several times a second.
    """

    on_line: Callable[[str], None] = lambda _line: None
    on_progress: Callable[[str, float], None] = lambda _phase, _fraction: None
    is_cancelled: Callable[[], bool] = lambda: False


def set_up(plan: SetUpPlan, listener: Optional[Listener] = None) -> dict[str, Any]:
    """Make the engine environment, unless it already stands, and return what is noted of it.

    It is made beside the one that may be there, which works until the new one is proved and no run needs the old one
    any more. Whatever goes wrong, nothing half-made is left but downloads, for the next try; one that is whole and only
    waits gets its place then.

    Raises:
        SetUpCancelled: if the listener asked to stop.
        EnvironmentProblem: in one sentence, why it could not be done.
    """
    listener = Listener() if listener is None else listener
    try:
        plan.folder.parent.mkdir(parents=True, exist_ok=True)
        with only_one_at_a_time(plan.folder):
            is_finished = tidy_up(plan.folder, _patience(listener))
            if not (plan.is_done or (is_finished and plan.is_what_stands)):
                check_is_ours(plan.folder)
                check_room(plan)
                _set_up_anew(plan, listener)
            listener.on_line(f"The engine in {plan.folder} is ready.")
    except OSError as error:
        raise _as_problem(error, plan.folder) from error
    return read_ready_file(plan.folder) or {}


def _set_up_anew(plan: SetUpPlan, listener: Listener) -> None:
    new = new_folder(plan.folder)
    try:
        if plan.lock is None:
            new.mkdir()
            proof = _prove(plan.python.path, listener)
            state: dict[str, Any] = {"python": str(plan.python.path)}
        else:
            _make_environment(plan, new, listener)
            proof = _prove(python_of(new), listener)
            state = {
                "lock": plan.lock.name,
                "lock_sha256": plan.lock.sha256,
                # Not which: a password may be in it, and this goes into bug reports.
                "torch_index_given": "yes" if plan.sources.torch_index else "no",
            }
        note = _note(plan, proof)
        listener.on_line(note)
        state = {
            "requirements": requirements_hash(),
            **state,
            "versions": proof.versions,
            "device": proof.device,
            "provider": proof.provider,
            "reason": note,
        }
        partial = new / f"{READY_FILE}.partial"
        partial.write_text(json.dumps(state, indent=2), encoding="utf-8")
        partial.replace(new / READY_FILE)
        remove(downloads_folder(plan.folder))
        put_in_place(new, plan.folder, _patience(listener))
    except BaseException:
        # A whole one that only could not be moved is finished by the next try.
        if read_ready_file(new) is None:
            remove(new)
        raise


def _make_environment(plan: SetUpPlan, new: Path, listener: Listener) -> None:
    assert plan.lock is not None  # noqa: S101, the caller's branch # nosec B101
    listener.on_line(f"Making the engine environment in {plan.folder} with {plan.python.path} …")
    listener.on_progress("Making an environment", 0.0)
    run_module(
        plan.python.path,
        ["venv", str(new)],
        f"{plan.python.path} could not make a virtual environment",
        on_line=listener.on_line,
        is_cancelled=listener.is_cancelled,
    )
    downloads = downloads_folder(plan.folder)
    temporary = downloads / "temporary"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    progress = _Progress(plan, new, temporary, listener)
    if plan.sources.wheels is not None:
        listener.on_line(f"Installing {plan.lock.name} from {plan.sources.wheels}, without a network …")
    else:
        listener.on_line(f"Installing {plan.lock.name}: a download of about {plan.download_bytes / 1e6:.0f} MB …")
    try:
        install(python_of(new), plan.lock, plan.sources, Run(progress.hear, progress.look, temporary, downloads))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Progress:
    """Turns what pip says and what has come onto the disk into a share of the whole.

    pip itself tells nothing of a download's progress that all its versions would say alike.
    """

    def __init__(self, plan: SetUpPlan, new: Path, temporary: Path, listener: Listener) -> None:
        self._plan, self._new, self._temporary, self._listener = plan, new, temporary, listener
        self._is_unpacking = False
        self._had_bytes = self._most_bytes = 0
        self._looked_at = 0.0

    def hear(self, line: str) -> None:
        """Pass a line of pip on."""
        if line.startswith(_PIP_UNPACKS):
            self._is_unpacking = True
        elif self._is_unpacking:
            # The next call of pip starts with an empty temporary folder.
            self._is_unpacking = False
            self._had_bytes, self._most_bytes = self._had_bytes + self._most_bytes, 0
        self._listener.on_line(line)

    def look(self) -> bool:
        """Tell the share that is done, now and then; return whether to stop."""
        if time.monotonic() - self._looked_at >= _LOOKS_EVERY_S:
            self._tell()
            self._looked_at = time.monotonic()
        return self._listener.is_cancelled()

    def _tell(self) -> None:
        if self._is_unpacking:
            share = min(size_bytes(self._new) / max(self._plan.installed_bytes, 1), 1.0)
            self._listener.on_progress("Unpacking", _UNPACKING + share * (_PROVING - _UNPACKING))
            return
        self._most_bytes = max(self._most_bytes, size_bytes(self._temporary))
        total = max(self._plan.download_bytes, 1)
        done = min(self._had_bytes + self._most_bytes, total)
        words = (
            f"Downloading: {done / 1e6:.0f} of {total / 1e6:.0f} MB" if self._plan.download_bytes else "Reading wheels"
        )
        self._listener.on_progress(words, _DOWNLOADING + done / total * (_UNPACKING - _DOWNLOADING))


def _prove(python: Path, listener: Listener) -> Proof:
    words = "Trying it out with a small enhancement"
    listener.on_line(f"{words} …")
    listener.on_progress(words, _PROVING)
    return prove(
        python,
        lambda fraction: listener.on_progress(words, _PROVING + fraction * (1.0 - _PROVING)),
        listener.is_cancelled,
    )


def _patience(listener: Listener) -> Callable[[], bool]:
    """Return what waits for a run that computes with the engine that stands, until the listener has enough of it."""
    has_told: list[bool] = []

    def is_to_wait() -> bool:
        if listener.is_cancelled():
            raise SetUpCancelled
        if not has_told:
            words = "Waiting until no enhancement runs"
            listener.on_line(f"The new engine is made. {words} …")
            listener.on_progress(words, _WAITING)
            has_told.append(True)
        return True

    return is_to_wait


def _note(plan: SetUpPlan, proof: Proof) -> str:
    """Return one sentence on what the engine computes on, and why it is not what was expected, if it is not."""
    is_for_graphics = plan.lock is not None and plan.lock.build is Build.CUDA and not plan.is_for_processor
    if is_for_graphics and not proof.is_on_graphics:
        return (
            f"The graphics card could not be used after all, so it computes on the processor ({proof.device}); an "
            "update of NVIDIA’s driver may help."
        )
    if proof.is_on_graphics and proof.provider == "CPUExecutionProvider":
        return f"It works ({proof.device}; Decrappify on the processor). {plan.reason}"
    return f"It works ({proof.device}). {plan.reason}"


def _as_problem(error: OSError, folder: Path) -> EnvironmentProblem:
    what = f"The engine cannot be set up in {folder}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentProblem(explain(what, "No space left on device"), str(error))
    return EnvironmentProblem(
        f"{what} ({error.strerror or error}); free the folder or choose another one with {LOCATION_VARIABLE}."
    )
