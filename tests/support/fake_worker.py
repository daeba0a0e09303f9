"""Stands for the engine's Python: repeats every pixel, or misbehaves as its first argument says.

usage: fake_worker.py BEHAVIOUR PID_FILE [options of Python ...] WORKER_SCRIPT JOB_FOLDER
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

BEHAVIOURS = (
    "repeat",
    "obedient",
    "killed",
    "crash",
    "hang",
    "garbage",
    "out of memory",
    "no result",
    "wrong size",
    "no numbers",
)


def say(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def misbehave(behaviour: str) -> None:
    if behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif behaviour == "crash":
        os.abort()
    elif behaviour == "obedient":
        # Works on until it is told to stop.
        if sys.stdin.readline().strip() != "finish":
            sys.exit(0)
    elif behaviour == "hang":
        # It does not listen either: only killing it helps.
        time.sleep(600)
    elif behaviour == "garbage":
        for number in range(1000):
            sys.stdout.write(f"{number} \N{SNOWMAN} {{\n")
        sys.stdout.flush()
        time.sleep(600)
    elif behaviour == "out of memory":
        say(
            event="failed",
            kind="out_of_memory",
            message="The engine ran out of memory; choose a smaller extent.",
            details="MemoryError",
        )
        sys.exit(1)


def result(folder: Path, behaviour: str) -> np.ndarray:
    scale = json.loads((folder / "job.json").read_text(encoding="utf-8"))["scale"]
    if behaviour == "wrong size":
        scale += 1
    enlarged = np.load(folder / "input.npy").repeat(scale, axis=1).repeat(scale, axis=2).astype(np.float64)
    if behaviour == "no numbers":
        enlarged[:, 0, 0] = np.nan
    return enlarged


def main() -> None:
    behaviour, pid_file, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[-1])
    pid_file.write_text(str(os.getpid()), encoding="utf-8")
    say(event="started", device="a fake", versions={"fake": "1"})
    say(event="progress", phase="Pretending, tile 1 of 2", fraction=0.0)
    say(event="progress", phase="Pretending, tile 2 of 2", fraction=0.5)
    misbehave(behaviour)
    if behaviour != "no result":
        np.save(folder / "output.npy", result(folder, behaviour))
    stopped = {"stopped": {"share_done": 0.375, "rest": "enlarged"}} if behaviour == "obedient" else {}
    say(event="finished", report={"consistency": {"rmse": [0.0]}, "seconds": {"pretending": 0.1}, **stopped})


if __name__ == "__main__":
    main()
