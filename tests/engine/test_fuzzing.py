"""Whatever stands in the files and lines that the engine reads: it is understood, or refused in our own words."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headland.engine.array_file import ArrayFile, open_array
from headland.engine.border_file import OFFSETS_FILE, POINTS_FILE, STRENGTHS_FILE, read_borders
from headland.engine.calibration import calibration_file, this_machine
from headland.engine.events import NotAnEvent, decode
from headland.engine.job import INPUT_FILE, JOB_FILE, VALID_FILE, Job, JobError
from headland.engine.job_arrays import open_inputs
from headland.engine.model_file import SHIPPED_MODEL, fitting_card
from headland.engine.tile_store import TileStore
from headland.models.card import CardError
from headland.models.onnx_graph import NotPlain, check_plain
from headland.tests.support.fuzzing import damaged, damaged_json, fuzzed, json_values, memory_folder, numbers, texts
from headland.tests.support.jobs import make_job
from headland.tests.support.onnx_models import small_model
from headland.tests.support.sentences import is_one_sentence

KEY = "0" * 64
SHAPE = (2, 6, 7)
TILE = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
CARD = {**json.loads(SHIPPED_MODEL.with_suffix(".json").read_text(encoding="utf-8")), "figures": {}}
EVENTS = [
    {"event": "started", "device": "cpu", "versions": {"torch": "2"}},
    {"event": "progress", "phase": "Measuring", "fraction": 0.5},
    {"event": "preview"},
    {"event": "finished", "report": {"seconds": {"dip": 1.0}}},
    {"event": "cancelled"},
    {"event": "failed", "kind": "internal", "message": "It failed.", "details": ""},
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One for all inputs of a kind."""
    with memory_folder() as folder:
        yield folder


def npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npy_with_header(header: str) -> bytes:
    text = (header + "\n").encode("latin-1", "replace")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(500)


headers = st.builds(
    "{{'descr': {!r}, 'fortran_order': {!r}, 'shape': {}, }}".format,
    st.sampled_from(["<f4", "<u2", "|b1", "|O", "|V0", "<U9", ">f8", "<c16", [("a", "<f4")], "x", 3]),
    st.booleans() | st.none(),
    st.lists(numbers | st.sampled_from([2, 6, 7]), max_size=5).map(tuple) | texts,
)
arrays = damaged(npy(TILE)) | headers.map(npy_with_header) | st.binary(max_size=200) | st.just(npy(TILE))
masks = st.just(npy(np.ones(SHAPE, bool))) | arrays


@pytest.mark.timeout(0)
@fuzzed
@given(damaged_json({"schema_version": 1, **json.loads(json.dumps(make_job(2).__dict__))}) | json_values)
def test_job_files(folder: Path, content: Any) -> None:
    (folder / JOB_FILE).write_text(json.dumps(content), encoding="utf-8")
    check_job(folder)


@pytest.mark.timeout(0)
@fuzzed
@given(
    damaged(json.dumps({"schema_version": 1, **json.loads(json.dumps(make_job(2).__dict__))}).encode()) | st.binary()
)
def test_damaged_job_files(folder: Path, content: bytes) -> None:
    (folder / JOB_FILE).write_bytes(content)
    check_job(folder)


def check_job(folder: Path) -> None:
    """Check that a job is whole if it loads, and comes back as it was if it is saved."""
    try:
        job = Job.load(folder)
    except JobError as error:
        assert is_one_sentence(str(error))  # noqa: PT017
        return
    job.save(folder)
    assert Job.load(folder) == job


@pytest.mark.timeout(0)
@fuzzed
@given(arrays, masks)
def test_arrays_of_job_folders(folder: Path, pixels: bytes, valid: bytes) -> None:
    (folder / INPUT_FILE).write_bytes(pixels)
    (folder / VALID_FILE).write_bytes(valid)
    job = make_job(2)
    try:
        low_res, mask = open_inputs(folder, job)
    except JobError as error:
        assert is_one_sentence(str(error))  # noqa: PT017
        return
    with low_res, mask:
        assert low_res.shape == mask.shape
        read_all(low_res)
        read_all(mask)


def read_all(array: ArrayFile) -> None:
    for band in range(len(array)):
        assert array[band].shape == array.shape[1:]


def border_files(*arrays: Any) -> Any:
    """Draw the files of borders, each of them sound, of another shape, or damaged."""
    return st.tuples(
        *(
            st.just(npy(array)) | damaged(npy(array)) | headers.map(npy_with_header) | border_arrays.map(npy)
            for array in arrays
        )
    )


border_arrays = st.lists(numbers | st.sampled_from([0, 2, 4]), max_size=6).map(
    lambda values: np.array([float(min(max(value, -1e300), 1e300)) for value in values])
)
BORDERS = (np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 4.0], [9.0, 4.0]]), np.array([0, 2, 4]), np.array([0.9, 0.4]))


@pytest.mark.timeout(0)
@fuzzed
@given(border_files(*BORDERS))
def test_traced_borders(folder: Path, files: tuple[bytes, bytes, bytes]) -> None:
    for name, content in zip((POINTS_FILE, OFFSETS_FILE, STRENGTHS_FILE), files):
        (folder / name).write_bytes(content)
    try:
        borders = read_borders(folder, 10, 8)
    except (OSError, ValueError, EOFError):
        # QGIS's side says it in its own words.
        return
    for number in range(len(borders)):
        line = borders.line(number)
        assert len(line) >= 2
        assert ((line >= -1) & (line <= 11)).all()
        assert 0.0 <= borders.strengths[number] <= 1.0


@pytest.mark.timeout(0)
@fuzzed
@given(st.sampled_from(EVENTS).flatmap(damaged_json) | json_values, st.booleans())
def test_events(content: Any, is_ascii: bool) -> None:
    check_event(json.dumps(content, ensure_ascii=is_ascii))


@pytest.mark.timeout(0)
@fuzzed
@given(st.sampled_from(EVENTS).flatmap(lambda event: damaged(json.dumps(event).encode())) | st.binary())
def test_lines_of_the_worker(line: bytes) -> None:
    check_event(line.decode("utf-8", errors="replace"))


def check_event(line: str) -> None:
    try:
        event = decode(line)
    except NotAnEvent:
        return
    fraction = getattr(event, "fraction", 0.0)
    assert 0.0 <= fraction <= 1.0
    assert isinstance(getattr(event, "phase", "") + getattr(event, "message", "") + getattr(event, "device", ""), str)


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_brackets_within_brackets_are_no_stack_overflow(folder: Path, depth: int) -> None:
    deep = '{"event": ' * depth
    with pytest.raises(NotAnEvent):
        decode(deep)
    (folder / JOB_FILE).write_text(deep)
    with pytest.raises(JobError):
        Job.load(folder)
    (folder / "deep.onnx").write_bytes(b"")
    (folder / "deep.json").write_text(deep)
    with pytest.raises(CardError):
        fitting_card(folder / "deep.onnx", 4)


@pytest.mark.timeout(0)
@fuzzed
@given(st.binary(max_size=300) | damaged(small_model()))
def test_onnx_files(content: bytes) -> None:
    try:
        check_plain(content)
    except NotPlain as error:
        assert is_one_sentence(f"Because {error}.")  # noqa: PT017


@pytest.mark.timeout(0)
@fuzzed
@given(
    st.just(CARD) | damaged_json(CARD) | json_values,
    st.just(small_model()) | damaged(small_model()),
    st.sampled_from([2, 3, 4]),
)
def test_model_cards(folder: Path, card: Any, model: bytes, scale: int) -> None:
    file = folder / "decrappify.onnx"
    file.write_bytes(model)
    if isinstance(card, dict) and card.get("sha256") == CARD["sha256"]:
        card = {**card, "sha256": hashlib.sha256(model).hexdigest()}
    file.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    try:
        fitting = fitting_card(file, scale)
    except CardError as error:
        assert is_one_sentence(str(error))  # noqa: PT017
        return
    assert scale in fitting.scales


@pytest.mark.timeout(0)
@fuzzed
@given(damaged(npy(TILE)) | st.binary(max_size=500))
def test_tile_files(folder: Path, content: bytes) -> None:
    store = TileStore(folder / "tiles", 10**9)
    assert store.write(KEY, TILE, 0)
    file = folder / "tiles" / f"{KEY}.tile"
    sound = file.read_bytes()
    # Once of another origin, once with its own checksum behind it.
    for fuzz in (content, content[: len(sound) - 32].ljust(len(sound) - 32, b"\0") + sound[-32:]):
        file.write_bytes(fuzz)
        found = store.read(KEY, TILE.dtype, SHAPE)
        assert found is None or (found == TILE).all()
        assert store.write(KEY, TILE, 0)
    found = store.read(KEY, TILE.dtype, SHAPE)
    assert found is not None
    assert found.tobytes() == TILE.tobytes()


@pytest.mark.timeout(0)
@fuzzed
@given(damaged_json({"schema_version": 1, "machines": {}}) | json_values)
def test_what_is_known_of_the_machine(content: Any) -> None:
    file = calibration_file()
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
    assert this_machine().cores >= 1


@pytest.mark.parametrize("name", [JOB_FILE, INPUT_FILE, VALID_FILE])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_job_folders_files_are_files_and_nothing_else(folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    make_job(2).save(tmp_path)
    (tmp_path / INPUT_FILE).write_bytes(npy(TILE))
    (tmp_path / VALID_FILE).write_bytes(npy(np.ones(SHAPE, bool)))
    shutil.move(tmp_path / name, folder / name)
    if kind == "link":
        (tmp_path / name).symlink_to(folder / name)
    elif kind == "pipe":
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).mkdir()
    with pytest.raises(JobError):
        open_inputs(tmp_path, Job.load(tmp_path))


def test_no_file_of_a_job_folder_is_written_through_a_link(folder: Path, tmp_path: Path) -> None:
    precious = folder / "precious"
    precious.write_text("mine")
    (tmp_path / JOB_FILE).symlink_to(precious)
    with pytest.raises(OSError):  # noqa: PT011, whatever the system calls it
        make_job(2).save(tmp_path)
    assert precious.read_text() == "mine"


def test_open_array_closes_what_it_refuses(folder: Path) -> None:
    odd = folder / "odd.npy"
    odd.write_bytes(npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2, 3), }"))
    with pytest.raises(ValueError, match="shape") as refusal:
        open_array(odd)
    # The traceback keeps what the call had alive: a file that was left to the garbage collector is still open.
    assert refusal.tb is not None
    descriptors = list(Path("/proc/self/fd").iterdir())
    assert odd not in [descriptor.readlink() for descriptor in descriptors if descriptor.is_symlink()]
