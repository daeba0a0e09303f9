"""GDAL's cache of raster blocks, kept small while Headland reads and writes.

GDAL may fill a twentieth of the computer's memory, for what is read once and written once here. The limit is the
process's, so the first job that begins lowers it and the last one that ends puts it back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from osgeo import gdal

# A row of the largest blocks that are usual, 1024 pixels high, of a whole Sentinel-2 tile in four bands and 16 bits.
SMALL_CACHE_BYTES = 96 << 20


class _BlockCache:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._usual_bytes = 0

    @contextmanager
    def kept_small(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._usual_bytes = gdal.GetCacheMax()
                gdal.SetCacheMax(min(self._usual_bytes, SMALL_CACHE_BYTES))
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    gdal.SetCacheMax(self._usual_bytes)


# GDAL has one cache, so there is one of these.
small_block_cache = _BlockCache().kept_small
