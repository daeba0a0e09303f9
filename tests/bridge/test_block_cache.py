"""GDAL's cache of blocks is small while Headland works, and afterwards as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from osgeo import gdal

from headland.bridge.block_cache import SMALL_CACHE_BYTES, small_block_cache

USUAL_BYTES = 3 * SMALL_CACHE_BYTES


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before = gdal.GetCacheMax()
    gdal.SetCacheMax(USUAL_BYTES)
    yield
    gdal.SetCacheMax(before)


def test_it_is_small_inside_and_as_before_outside_also_after_an_error() -> None:
    def job() -> None:
        with small_block_cache():
            assert gdal.GetCacheMax() == SMALL_CACHE_BYTES
            raise KeyError

    with pytest.raises(KeyError):
        job()
    assert gdal.GetCacheMax() == USUAL_BYTES


def test_of_two_jobs_at_a_time_the_last_one_puts_it_back() -> None:
    may_end = threading.Event()
    has_begun = threading.Event()

    def other_job() -> None:
        with small_block_cache():
            has_begun.set()
            may_end.wait(10.0)

    other = threading.Thread(target=other_job)
    with small_block_cache():
        other.start()
        assert has_begun.wait(10.0)
    assert gdal.GetCacheMax() == SMALL_CACHE_BYTES
    may_end.set()
    other.join()
    assert gdal.GetCacheMax() == USUAL_BYTES


def test_one_that_is_smaller_already_stays() -> None:
    gdal.SetCacheMax(1 << 20)
    with small_block_cache():
        assert gdal.GetCacheMax() == 1 << 20
    assert gdal.GetCacheMax() == 1 << 20
