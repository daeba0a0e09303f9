"""Arrays in files: a window is read and written as in memory, and nothing else is touched."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headland.engine.array_file import new_array, open_array

SHAPE = (3, 7, 5)


def indices(length: int) -> st.SearchStrategy[Any]:
    ends = st.integers(-length, length) | st.none()
    return st.integers(0, length - 1) | st.builds(slice, ends, ends)


windows = st.tuples(*map(indices, SHAPE)) | st.tuples(*map(indices, SHAPE[:2])) | indices(SHAPE[0])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "größe.npy"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(window=windows)
def test_any_window_reads_and_writes_as_in_memory(file: Path, window: Any) -> None:
    expected = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
    np.save(file, expected)
    with open_array(file) as array:
        np.testing.assert_array_equal(array[window], expected[window])
    with new_array(file, expected.dtype, SHAPE) as array:
        array[:] = expected
        array[window] = expected[window] + 100
        array[window] += 1
    expected[window] += 101
    np.testing.assert_array_equal(np.load(file), expected)


def test_a_new_array_is_zeros_of_its_type_and_can_be_cleared_again(file: Path) -> None:
    with new_array(file, np.dtype(np.float32), SHAPE) as array:
        assert (array.shape, array.dtype, len(array)) == (SHAPE, np.float32, 3)
        array[1] = 7.0
        array.clear()
    np.testing.assert_array_equal(np.load(file), np.zeros(SHAPE, np.float32))


def test_an_array_larger_than_memory_takes_only_the_room_of_what_is_written(file: Path) -> None:
    shape = (2, 100_000, 100_000)
    with new_array(file, np.dtype(np.float64), shape) as array:
        array[1, 99_990:, 99_990:] = 5.0
        np.testing.assert_array_equal(array[1, 99_989:99_991, 99_989:99_991], [[0.0, 0.0], [0.0, 5.0]])
    assert file.stat().st_size > 1e11
    assert file.stat().st_blocks * 512 < 1e6


@pytest.mark.parametrize(
    "values",
    [np.zeros((3, 4)), np.zeros((1, 2, 3), order="F") + np.arange(6).reshape((1, 2, 3), order="F")],
    ids=["two axes", "columns first"],
)
def test_other_arrays_are_refused(file: Path, values: np.ndarray) -> None:
    np.save(file, np.asfortranarray(values) if values.ndim == 3 else values)
    with pytest.raises(ValueError, match="is expected"):
        open_array(file)


def test_objects_are_never_unpickled(file: Path) -> None:
    np.save(file, np.full((1, 1, 1), {"a": 1}), allow_pickle=True)
    with pytest.raises(ValueError, match="numbers are expected"):
        open_array(file)


def test_a_file_that_ends_too_soon_is_refused_or_told(file: Path) -> None:
    np.save(file, np.ones(SHAPE))
    with open_array(file) as array:
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(EOFError):
            _ = array[2]
    with pytest.raises(ValueError, match="ends before"):
        open_array(file)


def test_a_window_has_no_steps(file: Path) -> None:
    with new_array(file, np.dtype(np.uint8), SHAPE) as array, pytest.raises(IndexError, match="steps"):
        _ = array[:, ::2]


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_is_an_error_and_not_the_end_of_the_process(file: Path) -> None:
    with new_array(file, np.dtype(np.uint8), (1, 100, 1000)) as array, files_no_larger_than(50_000):
        array[0, :49] = 1
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            array[0, 49:60] = 1
