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
    "draw",
    "draw fast",
    "killed",
    "crash",
    "hang",
    "garbage",
    "out of memory",
    "no result",
    "wrong size",
    "no numbers",
    "no borders",
    "borders elsewhere",
)
# (x, y) in pixels of the result: two lines that meet in a node.
LINES = ([[0, 0], [10, 0], [10, 8]], [[10, 8], [24, 8]])
STRENGTHS = (0.9, 0.4)


def say(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def draw(folder: Path, pictures: int) -> None:
    """Write a preview: every pixel repeated, a part of it unknown; several are large and come ten a second."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    numbers = np.load(folder / "input.npy")[job["preview_bands"]].astype(np.float32)
    factor = job["scale"] if pictures == 1 else 1024 // max(numbers.shape[1:])
    numbers = numbers.repeat(factor, axis=1).repeat(factor, axis=2)
    numbers[:, :, -factor:] = np.nan
    for number in range(pictures):
        time.sleep(0.1 if number else 0.0)
        np.save(folder / "preview.partial.npy", numbers + number)
        (folder / "preview.partial.npy").replace(folder / "preview.npy")
        say(event="preview")


def misbehave(behaviour: str, folder: Path) -> None:
    if behaviour == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif behaviour == "crash":
        os.abort()
    elif behaviour in ("obedient", "draw", "draw fast"):
        if behaviour != "obedient":
            draw(folder, pictures=1 if behaviour == "draw" else 60)
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


def leave_borders(folder: Path, behaviour: str) -> None:
    points = np.array([point for line in LINES for point in line], dtype=float)
    points[-1, 0] += 1e6 if behaviour == "borders elsewhere" else 0.0
    np.save(folder / "border_points.npy", points)
    np.save(folder / "border_offsets.npy", np.cumsum([0, *map(len, LINES)]))
    np.save(folder / "border_strengths.npy", np.array(STRENGTHS))


def maps_confidence(folder: Path) -> bool:
    return bool(json.loads((folder / "job.json").read_text(encoding="utf-8"))["maps_confidence"])


def uncertainty(folder: Path) -> dict[str, Any]:
    bands = len(np.load(folder / "input.npy", mmap_mode="r"))
    return {"uncertain_share": 0.034, "uncertain_from": [40.0] * bands}


def main() -> None:
    behaviour, pid_file, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[-1])
    pid_file.write_text(str(os.getpid()), encoding="utf-8")
    say(event="started", device="a fake", versions={"fake": "1"})
    say(event="progress", phase="Pretending, tile 1 of 2", fraction=0.0)
    say(event="progress", phase="Pretending, tile 2 of 2", fraction=0.5)
    misbehave(behaviour, folder)
    if behaviour != "no result":
        np.save(folder / "output.npy", result(folder, behaviour))
        if json.loads((folder / "job.json").read_text(encoding="utf-8"))["keeps_dip"]:
            # Darker, so that the two can be told from each other.
            np.save(folder / "dip.npy", result(folder, behaviour) / 2)
        if maps_confidence(folder):
            np.save(folder / "confidence.npy", result(folder, behaviour) / 50)
    borders = {}
    if json.loads((folder / "job.json").read_text(encoding="utf-8"))["traces_borders"]:
        borders = {"borders": {"lines": len(LINES)}}
        if behaviour != "no borders":
            leave_borders(folder, behaviour)
    stopped = {"stopped": {"share_done": 0.375, "rest": "enlarged"}} if behaviour == "obedient" else {}
    say(
        event="finished",
        report={
            "consistency": {"rmse": [0.0], "rmse_over_noise": [0.9]},
            "edges_times_sharper": 1.6,
            "seconds": {"pretending": 0.1},
            "doubts": ["speckled", "of another Headland"] if behaviour == "obedient" else [],
            **(uncertainty(folder) if maps_confidence(folder) else {}),
            **({"held_out": {"dip": 9.0, "anchor": 4.0, "gain_db": -3.0, "chosen": "anchor"}} if stopped else {}),
            **stopped,
            **borders,
        },
    )


if __name__ == "__main__":
    main()
