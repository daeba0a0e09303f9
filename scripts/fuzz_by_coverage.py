"""Fuzz what the engine reads, led by coverage: an input that reaches new code is kept and varied further (libFuzzer).

usage: fuzz_by_coverage.py FOLDER RUNS [KIND …]

FOLDER keeps the inputs that were worth keeping, by kind, for the next time, and those that came through. Each kind runs
in a process of its own, for that is how libFuzzer ends. "make fuzz-coverage" calls it; the same is asked of each input
as in tests/engine/test_fuzzing.py, which draws its inputs by shape and knows nothing of coverage.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris
import numpy as np

with atheris.instrument_imports(include=["headland"]):
    from headland.engine.array_file import open_array
    from headland.engine.border_file import OFFSETS_FILE, POINTS_FILE, STRENGTHS_FILE, read_borders
    from headland.engine.events import NotAnEvent, decode
    from headland.engine.job import INPUT_FILE, JOB_FILE, Device, Job, JobError, Method, Preset, Sensor
    from headland.engine.model_file import SHIPPED_MODEL, fitting_card
    from headland.models.card import CardError
    from headland.models.onnx_graph import NotPlain, check_plain

from headland.tests.support.onnx_models import small_model
from headland.tests.support.sentences import is_one_sentence

LONGEST_BYTES = 4096
SLOWEST_S = 20
MOST_MEMORY_MB = 2048
MODEL = small_model()
JOB = Job(Method.CHAIN, 4, Preset.FAST, Device.AUTO, 0, Sensor.AUTO, ("B04", "B08"))
BORDERS = {
    POINTS_FILE: np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 4.0]]),
    OFFSETS_FILE: np.array([0, 3]),
    STRENGTHS_FILE: np.array([0.9]),
}
EVENTS = (
    {"event": "started", "device": "cpu", "versions": {"torch": "2"}},
    {"event": "progress", "phase": "Measuring", "fraction": 0.5},
    {"event": "finished", "report": {"seconds": {"dip": 1.0}}},
    {"event": "failed", "kind": "internal", "message": "It failed.", "details": ""},
)


class CameThrough(Exception):
    """An input was neither understood nor refused in our own words."""


def refused(sentence: str) -> None:
    """Accept a refusal if it can be shown to a person."""
    if not is_one_sentence(sentence):
        raise CameThrough(sentence)


def events(data: bytes, _folder: Path) -> None:
    """Take a line for what the worker says."""
    try:
        event = decode(data.decode("utf-8", errors="replace"))
    except NotAnEvent:
        return
    if not 0.0 <= getattr(event, "fraction", 0.0) <= 1.0:
        raise CameThrough(repr(event))


def jobs(data: bytes, folder: Path) -> None:
    """Take it for job.json; what loads comes back as it was."""
    (folder / JOB_FILE).write_bytes(data)
    try:
        job = Job.load(folder)
    except JobError as error:
        refused(str(error))
        return
    job.save(folder)
    if Job.load(folder) != job:
        raise CameThrough(repr(job))


def onnx(data: bytes, _folder: Path) -> None:
    """Take it for a model."""
    try:
        check_plain(data)
    except NotPlain as error:
        refused(f"Because {error}.")


def cards(data: bytes, folder: Path) -> None:
    """Take it for the card of a sound model."""
    model = folder / "decrappify.onnx"
    model.write_bytes(MODEL)
    model.with_suffix(".json").write_bytes(data)
    try:
        fitting_card(model, 4)
    except CardError as error:
        refused(str(error))


def arrays(data: bytes, folder: Path) -> None:
    """Take it for an array of a job folder."""
    (folder / INPUT_FILE).write_bytes(data)
    try:
        opened = open_array(folder / INPUT_FILE)
    except (OSError, ValueError, EOFError):
        return
    with opened:
        for band in range(len(opened)):
            if opened[band].shape != opened.shape[1:]:
                raise CameThrough(repr(opened.shape))


def borders(data: bytes, folder: Path) -> None:
    """Take it for one of the files of borders; the first byte says for which."""
    for name, array in BORDERS.items():
        np.save(folder / name, array)
    name = list(BORDERS)[data[0] % len(BORDERS)] if data else POINTS_FILE
    (folder / name).write_bytes(data[1:])
    try:
        lines = read_borders(folder, 10, 8)
    except (OSError, ValueError, EOFError):
        return
    if any(len(lines.line(number)) < 2 for number in range(len(lines))):  # noqa: PLR2004, two ends
        raise CameThrough(repr(lines))


def npy(array: np.ndarray[Any, Any]) -> bytes:
    """Return an array as a file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def seeds() -> dict[str, list[bytes]]:
    """Return sound inputs of each kind, from which it goes on."""
    card = json.loads(SHIPPED_MODEL.with_suffix(".json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        JOB.save(Path(folder))
        job = (Path(folder) / JOB_FILE).read_bytes()
    return {
        "events": [json.dumps(event).encode() for event in EVENTS],
        "jobs": [job],
        "onnx": [MODEL],
        "cards": [json.dumps({**card, "figures": {}, "sha256": hashlib.sha256(MODEL).hexdigest()}).encode()],
        "arrays": [npy(np.zeros((2, 4, 5), dtype)) for dtype in ("float32", "uint16", "bool")],
        "borders": [bytes([number]) + npy(array) for number, array in enumerate(BORDERS.values())],
    }


KINDS: dict[str, Callable[[bytes, Path], None]] = {
    "events": events,
    "jobs": jobs,
    "onnx": onnx,
    "cards": cards,
    "arrays": arrays,
    "borders": borders,
}


def main(arguments: list[str]) -> int:
    """Run each kind in a process of its own; return 1 if an input came through, hung, or took too much memory."""
    folder, runs, kinds = Path(arguments[0]).absolute(), arguments[1], arguments[2:] or list(KINDS)
    failed = [kind for kind in kinds if not _is_withstood(kind, folder, runs)]
    print(f"{len(kinds) - len(failed)} of {len(kinds)} kinds withstood {runs} runs")
    for kind in failed:
        print(f"not {kind}: the input lies in {folder}")
    return 1 if failed else 0


def _is_withstood(kind: str, folder: Path, runs: str) -> bool:
    kept = folder / kind
    kept.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()[kind]):
        (kept / f"seed {number}").write_bytes(seed)
    limits = [f"-max_len={LONGEST_BYTES}", f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MOST_MEMORY_MB}"]
    command = [sys.executable, __file__, "--kind", kind, f"-runs={runs}", *limits, "-print_final_stats=1"]
    command += [f"-artifact_prefix={folder}/came-through-{kind}-", str(kept)]
    return subprocess.run(command, check=False).returncode == 0


def fuzz_one_kind(kind: str, options: list[str]) -> None:
    """Fuzz, in this process; libFuzzer ends it."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        atheris.Setup([sys.argv[0], *options], lambda data: KINDS[kind](data, folder))
        atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--kind"]:
        fuzz_one_kind(sys.argv[2], sys.argv[3:])
    else:
        raise SystemExit(main(sys.argv[1:]))
