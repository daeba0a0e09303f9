"""The contract between QGIS and the worker: what is written is what is read, and damage is named."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headland.engine.events import (
    Cancelled,
    Event,
    Failed,
    FailureKind,
    Finished,
    NotAnEvent,
    Preview,
    Progress,
    Started,
    decode,
    encode,
)
from headland.engine.job import (
    JOB_FILE,
    LARGEST_MTF,
    LARGEST_SEED,
    SCALE_FACTORS,
    SMALLEST_MTF,
    Device,
    Job,
    JobError,
    Method,
    Preset,
    Sensor,
)

# A lone surrogate is no text; no file and no layer can name a band so.
texts = st.text(st.characters(exclude_categories=["Cs"]))
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=10,
)
positive = st.floats(min_value=1e-6, max_value=1e6)
jobs = st.builds(
    Job,
    method=st.sampled_from(Method),
    scale=st.sampled_from(SCALE_FACTORS),
    preset=st.sampled_from(Preset),
    device=st.sampled_from(Device),
    seed=st.integers(0, LARGEST_SEED),
    sensor=st.sampled_from(Sensor),
    band_names=st.lists(texts, min_size=1).map(tuple),
    mtf_at_nyquist=st.floats(SMALLEST_MTF, LARGEST_MTF),
    preview_bands=st.sampled_from([(), (0,)]),
    traces_borders=st.booleans(),
    pixel_size_m=st.none() | st.tuples(positive, positive),
)
events = st.one_of(
    st.builds(Started, texts, st.dictionaries(texts, texts)),
    st.builds(Progress, texts, st.floats(0.0, 1.0)),
    st.builds(Finished, st.dictionaries(texts, json_values)),
    st.builds(Cancelled),
    st.builds(Preview),
    st.builds(Failed, st.sampled_from(FailureKind), texts, texts),
)


@given(jobs)
def test_a_saved_job_loads_as_it_was(job: Job) -> None:
    with tempfile.TemporaryDirectory(prefix="jöb ") as folder:
        job.save(Path(folder))
        assert Job.load(Path(folder)) == job


@given(events)
def test_an_encoded_event_is_one_line_of_ascii_and_decodes_as_it_was(event: Event) -> None:
    line = encode(event)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert decode(line) == event


@given(texts)
def test_any_other_line_is_not_an_event(line: str) -> None:
    with pytest.raises(NotAnEvent):
        decode(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"event": "unheard of"}',
        '{"event": ["progress"]}',
        '{"event": "progress", "phase": "P"}',
        '{"event": "progress", "phase": "P", "fraction": 0.5, "surprise": 1}',
        '{"event": "failed", "kind": "boredom", "message": "M"}',
    ],
)
def test_json_that_breaks_the_protocol_is_not_an_event(line: str) -> None:
    with pytest.raises(NotAnEvent):
        decode(line)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    Job(Method.CHAIN, 4, Preset.FAST, Device.AUTO, 0, Sensor.AUTO, ("B02",)).save(tmp_path)
    return tmp_path


def test_a_missing_job_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"job\.json"):
        Job.load(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"{}", b'"text"'])
def test_a_damaged_job_file_is_named(saved: Path, damage: bytes) -> None:
    (saved / JOB_FILE).write_bytes(damage)
    with pytest.raises(JobError, match="job file"):
        Job.load(saved)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema_version", 2),
        ("method", "magic"),
        ("scale", 3),
        ("seed", -1),
        ("seed", LARGEST_SEED + 1),
        ("seed", "0"),
        ("band_names", []),
        ("sensor", "custom"),
        ("mtf_at_nyquist", 1.0),
        ("mtf_at_nyquist", 0.9001),
        ("mtf_at_nyquist", 1e-9),
        ("mtf_at_nyquist", float("nan")),
        ("pixel_size_m", [10.0]),
        ("pixel_size_m", 10.0),
        ("cache_limit_bytes", -1),
        ("cache_limit_bytes", "much"),
        ("surprise", 1),
    ],
)
def test_a_wrong_entry_is_refused(saved: Path, name: str, value: Any) -> None:
    content = json.loads((saved / JOB_FILE).read_text())
    (saved / JOB_FILE).write_text(json.dumps({**content, name: value}))
    with pytest.raises(JobError):
        Job.load(saved)


@pytest.mark.parametrize("name", ["method", "scale", "seed", "band_names", "pixel_size_m"])
def test_a_missing_entry_is_refused(saved: Path, name: str) -> None:
    content = json.loads((saved / JOB_FILE).read_text())
    del content[name]
    (saved / JOB_FILE).write_text(json.dumps(content))
    with pytest.raises(JobError):
        Job.load(saved)


def test_an_mtf_that_no_sensor_has_is_refused_with_the_limits() -> None:
    with pytest.raises(JobError, match=r"The MTF at Nyquist is 0\.9999; it must lie between 0\.01 and 0\.9\."):
        Job(Method.DIP, 2, Preset.FAST, Device.CPU, 0, Sensor.CUSTOM, ("B02",), mtf_at_nyquist=0.9999)
