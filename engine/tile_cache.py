"""What one job keeps of its finished tiles, and takes up again where an earlier run of the same job was stopped.

A tile's key is made of everything that its pixels come from: the code and its libraries, the device, the job's
settings, the models, what was measured on or fitted to the whole extent, the tile's place, and the tile's own input
pixels and valid mask with their margin. Change any of these and another key comes out; an estimate that is found is
the one that would be computed again: bit for bit on the processor, but for rounding on a graphics card, where as many
tiles go together as then have room.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from .device import describe
from .job import Job
from .scene import Scene
from .tile_store import TileStore
from .tiling import TileWindow

# What a job says that no pixel depends on, or that is known better by the time: the device, a model by its content.
_NOT_IN_KEY = ("device", "model", "preview_bands", "cache_folder", "cache_limit_bytes", "traces_borders")
# The job's array, its GeoTIFF, and the cloud-optimised one that is made of that may lie on the same disk at a time, and
# nobody is to find it full because of a cache.
_SPARED_TIMES_OUTPUT = 3
_SPARED_BYTES = 1_000_000_000

_ROOT = Path(__file__).resolve().parent.parent
_DTYPE = np.dtype(np.float32)


class TileCache:
    """The finished tiles of one job.

    Args:
        store: where they are; None to keep none.
        recipe: what all tiles of the job have in common.
        spared_bytes: how much room on the disk others need.

    Attributes:
        found: the tiles that an earlier run had kept and this one took, and the first of the bands that were.
    """

    def __init__(self, store: TileStore | None = None, recipe: bytes = b"", spared_bytes: int = 0) -> None:
        self._store, self._recipe, self._spared_bytes = store, recipe, spared_bytes
        self.found: set[tuple[TileWindow, int]] = set()
        # What this very run has kept: taken again, with smaller tiles for lack of memory, it spares nothing.
        self._own: set[str] = set()

    @property
    def is_on(self) -> bool:
        """Whether anything is kept at all."""
        return self._store is not None

    @classmethod
    def of(
        cls,
        job: Job,
        settings: Mapping[str, Any],
        models: Sequence[Mapping[str, str]],
        device: torch.device,
        output_bytes: int,
    ) -> TileCache:
        """Return the cache of ``job``.

        Args:
            settings: of the stages, as far as the job does not say them.
            models: what identifies each model file, and how it is run.
            output_bytes: size of the job's result, for which the disk is to have room.
        """
        if job.cache_folder is None or job.cache_limit_bytes <= 0:
            return cls()
        store = TileStore(Path(job.cache_folder), job.cache_limit_bytes)
        spared_bytes = _SPARED_TIMES_OUTPUT * output_bytes + _SPARED_BYTES
        return cls(store, _recipe(job, settings, models, device), spared_bytes)

    def is_found(self, window: TileWindow, groups: Sequence[slice]) -> bool:
        """Whether any of a tile's groups of bands was taken from what an earlier run had kept.

        Then the run was faster than its method is, by whatever share of the tile.
        """
        return any((window, bands.start) in self.found for bands in groups)

    def holds(self, scene: Scene, window: TileWindow, groups: Sequence[slice], pictures: int) -> bool:
        """Whether all of a tile's groups of bands are kept, in so many pictures, and sound."""
        return all(self._read(scene, window, bands, pictures) is not None for bands in groups)

    def find(self, scene: Scene, window: TileWindow, bands: slice, pictures: int) -> Tensor | None:
        """Return ``bands`` of the tile's pictures on the processor, None if they are not kept.

        They are stacked, (pictures x band, H, W), and zero where the tile has no weight in the result.
        """
        found = self._read(scene, window, bands, pictures)
        if found is None:
            return None
        key, part = found
        rows, columns = _weighted_slices(window, scene.scale)
        whole = torch.zeros((len(part), *window.blending_weights(scene.scale).shape))
        whole[:, rows, columns] = torch.from_numpy(part)
        if key not in self._own:
            self.found.add((window, bands.start))
        return whole

    def keep(self, scene: Scene, window: TileWindow, bands: slice, stacked: Tensor) -> None:
        """Keep ``bands`` of the tile's pictures, stacked, where it has a weight, if there is room."""
        if self._store is None or stacked.dtype != torch.float32:
            return
        rows, columns = _weighted_slices(window, scene.scale)
        part = stacked.detach().cpu().numpy()[:, rows, columns]
        key = self._key(scene, window, bands)
        if self._store.write(key, part, self._spared_bytes):
            self._own.add(key)

    def _read(
        self, scene: Scene, window: TileWindow, bands: slice, pictures: int
    ) -> tuple[str, NDArray[np.float32]] | None:
        """Return the key of ``bands`` of the tile and what is kept of them, None if nothing is."""
        if self._store is None:
            return None
        rows, columns = _weighted_slices(window, scene.scale)
        shape = (pictures * (bands.stop - bands.start), rows.stop - rows.start, columns.stop - columns.start)
        key = self._key(scene, window, bands)
        part = self._store.read(key, _DTYPE, shape)
        return None if part is None else (key, part)

    def _key(self, scene: Scene, window: TileWindow, bands: slice) -> str:
        digest = hashlib.sha256(self._recipe)
        # A float's repr is exact.
        measured = (scene.size_px, scene.scale, scene.normalisation, scene.noise_sd, scene.psfs)
        digest.update(repr((measured, window, bands)).encode())
        rows, columns = window.slices
        for array in (scene.digital_numbers, scene.valid):
            digest.update(array.dtype.str.encode())
            for band in range(bands.start, bands.stop):
                digest.update(np.ascontiguousarray(array[band, rows, columns]).data)
        return digest.hexdigest()


def _recipe(job: Job, settings: Mapping[str, Any], models: Sequence[Mapping[str, str]], device: torch.device) -> bytes:
    """Return what all tiles of the job have in common, in a form of its own for each meaning."""
    wishes = {name: value for name, value in asdict(job).items() if name not in _NOT_IN_KEY}
    machine = {
        "device": describe(device),
        "processor": platform.machine(),
        # The same library takes other instructions on another processor, and rounds otherwise.
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "versions": [module.__version__ for module in (np, onnxruntime, torch)],
    }
    recipe = {"code": _code_sha256(), "machine": machine, "job": wishes, "settings": settings, "models": list(models)}
    return json.dumps(recipe, sort_keys=True).encode()


@lru_cache(maxsize=1)
def _code_sha256() -> str:
    """Return the SHA-256 of the source of everything that a worker may run."""
    digest = hashlib.sha256()
    for room in ("engine", "models"):
        for file in sorted((_ROOT / room).rglob("*.py")):
            name = file.relative_to(_ROOT).as_posix()
            if not name.startswith("models/training/"):
                content = file.read_bytes()
                digest.update(f"{name} {len(content)} ".encode())
                digest.update(content)
    return digest.hexdigest()


def _weighted_slices(window: TileWindow, scale: int) -> tuple[slice, slice]:
    """Return the rows and columns of the tile's high-res pixels that have a weight in the result."""
    weights = window.blending_weights(scale)
    rows, columns = (np.flatnonzero(weights.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
