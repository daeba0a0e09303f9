"""Whatever the worker leaves in the job folder: all files of a result appear, whole, or none does, and one sentence."""

from __future__ import annotations

import io
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext, QgsRasterLayer

from headland.bridge import enhance as enhance_module
from headland.bridge.enhance import EnhanceFailed, enhance
from headland.bridge.plan import EnhancePlan
from headland.bridge.prepare import prepare
from headland.bridge.request import EnhanceRequest
from headland.engine.border_file import OFFSETS_FILE, POINTS_FILE, STRENGTHS_FILE
from headland.engine.events import Event, Finished, Started
from headland.engine.job import CONFIDENCE_FILE, DIP_FILE, OUTPUT_FILE
from headland.tests.support.fault_rig import EXTRAS
from headland.tests.support.fuzzing import INPUTS, damaged, fuzzed, json_values
from headland.tests.support.rasters import fields, write_raster
from headland.tests.support.sentences import is_one_sentence

SHAPE = (2, 36, 40)
PIXELS = np.linspace(100.0, 4000.0, num=int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


odd_values = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -1e30, 1e38, -0.0])


@st.composite
def odd_pixels(draw: st.DrawFn) -> bytes:
    """Draw an array of the right shape some of whose values are none, or absurd."""
    pixels = PIXELS.copy()
    for _ in range(draw(st.integers(1, 3))):
        band, row, column = (draw(st.integers(0, length - 1)) for length in SHAPE)
        pixels[band, row : row + draw(st.integers(1, 20)), column:] = draw(odd_values)
    return npy(pixels)


@st.composite
def other_arrays(draw: st.DrawFn) -> bytes:
    """Draw a sound array of another shape or type."""
    shape = draw(st.lists(st.sampled_from([0, 1, 2, 18, 36, 40, 80]), max_size=4))
    dtype = draw(st.sampled_from(["f4", "f8", "f2", "u2", "i8", "?", "c8", "S3", ">f4"]))
    return npy(np.zeros(shape, dtype))


def mostly(sound: Any, odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw what is sound three times of four: where all is odd, what comes first is all that is looked at."""
    return st.integers(0, 3).flatmap(lambda number: odd if number == 0 else st.just(sound))


def odd_files(sound: bytes) -> st.SearchStrategy[Any]:
    return odd_pixels() | other_arrays() | damaged(sound) | st.none()


BORDERS = {
    POINTS_FILE: np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 4.0]]),
    OFFSETS_FILE: np.array([0, 3]),
    STRENGTHS_FILE: np.array([0.9]),
}
job_folders_left = st.fixed_dictionaries(
    {
        **{name: mostly(npy(PIXELS), odd_files(npy(PIXELS))) for name in (OUTPUT_FILE, DIP_FILE, CONFIDENCE_FILE)},
        **{name: mostly(npy(array), damaged(npy(array)) | st.none()) for name, array in BORDERS.items()},
    }
)
limits = mostly([2000.0, 2000.0], st.lists(st.floats() | st.integers(), max_size=3) | json_values)


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """One for all inputs, in memory where that is possible: there are many."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture
def plan(memory: Path, fake_engine: Any) -> EnhancePlan:
    results = memory / "results"
    results.mkdir(exist_ok=True)
    layer = QgsRasterLayer(str(write_raster(memory / "source.tif", fields(2, 18, 20), nodata=0)), "fuzz")
    request = EnhanceRequest(layer, scale=2, output=results / "sharper.tif", **EXTRAS)
    return prepare(request, QgsCoordinateTransformContext())


def worker_that_leaves(files: dict[str, Any], report: dict[str, Any]) -> Callable[..., Finished]:
    def run_worker(_python: Path, folder: Path, on_event: Callable[[Event], None], *_: Any, **_options: Any) -> Any:
        on_event(Started("a fake", {"fake": "1"}))
        for name, content in files.items():
            if content is not None:
                (folder / name).write_bytes(content)
        return Finished(report)

    return run_worker


@pytest.mark.timeout(0)
def test_job_folders_that_the_worker_leaves(plan: EnhancePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: Counter[str] = Counter()

    @fuzzed
    @given(job_folders_left, limits)
    def check(files: dict[str, Any], uncertain_from: Any) -> None:
        report = {"consistency": {}, "seconds": {}, "uncertain_from": uncertain_from}
        monkeypatch.setattr(enhance_module, "run_worker", worker_that_leaves(files, report))
        try:
            enhance(plan, lambda *_: None, lambda: False)
        except EnhanceFailed as failure:
            outcomes[failure.sentence[:30]] += 1
            assert is_one_sentence(failure.sentence)  # noqa: PT017
            assert "unexpected" not in failure.sentence, failure.details  # noqa: PT017
            assert list(plan.output.parent.iterdir()) == []
            return
        outcomes["whole"] += 1
        check_whole(plan)
        for file in plan.output.parent.iterdir():
            file.unlink()

    check()
    # Neither is all refused, nor all taken.
    assert 0.05 * INPUTS < outcomes["whole"] < 0.9 * INPUTS
    assert len(outcomes) > 4


def check_whole(plan: EnhancePlan) -> None:
    assert set(plan.output.parent.iterdir()) == set(plan.files)
    for file in plan.files:
        if file.suffix == ".tif":
            dataset = gdal.Open(str(file))
            assert (dataset.RasterCount, dataset.RasterYSize, dataset.RasterXSize) == SHAPE
        elif file.suffix == ".gpkg":
            assert gdal.OpenEx(str(file), gdal.OF_VECTOR).GetLayer(0).GetFeatureCount() >= 0


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    yield
    gdal.PopErrorHandler()
