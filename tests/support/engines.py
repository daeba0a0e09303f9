"""Engine environments for tests: the real one, and fakes that misbehave on demand."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from headland.engine.environment import READY_FILE, requirements_hash

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


@dataclass(frozen=True)
class FakeEngine:
    """A folder that Headland takes for its engine environment."""

    folder: Path

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    @property
    def shell_pid_file(self) -> Path:
        """There before Python has begun."""
        return self.folder / "shell pid"

    def wait_for_worker(self, timeout_s: float = 10.0) -> int:
        """Return the worker's process id once it runs."""
        deadline = time.monotonic() + timeout_s
        while not (self.pid_file.exists() and self.pid_file.read_text()):
            assert time.monotonic() < deadline, "the worker did not start"
            time.sleep(0.02)
        return int(self.pid_file.read_text())

    def is_worker_alive(self) -> bool:
        """Whether the worker that was started last is still there, be it as a zombie."""
        try:
            os.kill(int(self.shell_pid_file.read_text()), 0)
        except ProcessLookupError:
            return False
        return True


def packages_of(python: Path) -> Path:
    """Return the folder with the packages of an engine, which may be an administrator's and lie anywhere."""
    program = "import importlib.util as found; print(found.find_spec('torch').origin)"
    torch = subprocess.run([str(python), "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    return Path(torch.strip()).parents[1]


def make_fake_engine(folder: Path, behaviour: str = "repeat") -> FakeEngine:
    """Make an engine environment whose Python runs the fake worker, whatever it is asked to run."""
    engine = FakeEngine(folder)
    (folder / "bin").mkdir(parents=True)
    state = {"requirements": requirements_hash(), "versions": {}}
    (folder / READY_FILE).write_text(json.dumps(state), encoding="utf-8")
    python = folder / "bin" / "python"
    command = shlex.join([sys.executable, str(FAKE_WORKER), behaviour, str(engine.pid_file)])
    # Python takes over the shell's process id, and on a busy machine comes long after it.
    pid = f"echo $$ > {shlex.quote(str(engine.shell_pid_file))}"
    python.write_text(f'#!/bin/sh\n{pid}\nexec {command} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return engine
