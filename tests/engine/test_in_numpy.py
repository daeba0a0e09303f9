"""What QGIS computes itself is what the worker computes: the same methods, to far less than a digital number."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from headland.engine import pipeline as worker_pipeline
from headland.engine.anchor import anchor as torch_anchor
from headland.engine.client import WorkerCancelled, WorkerFailed
from headland.engine.events import Event, FailureKind, Preview, Progress, Started
from headland.engine.forward_model import ForwardModel
from headland.engine.in_numpy import anchor as anchor_module
from headland.engine.in_numpy import pipeline
from headland.engine.in_numpy.anchor import anchor
from headland.engine.in_numpy.banded_matrix import BandedMatrix
from headland.engine.in_numpy.enlargement import enlarge_bicubically
from headland.engine.in_numpy.forward_model import ArrayForwardModel
from headland.engine.in_numpy.run import run_in_numpy
from headland.engine.job import (
    INPUT_FILE,
    OUTPUT_FILE,
    PREVIEW_FILE,
    VALID_FILE,
    Device,
    Job,
    Method,
    Preset,
    Sensor,
)
from headland.engine.measured_extent import measure_extent
from headland.engine.progress import Cancelled
from headland.engine.progress import Progress as ProgressOfJob
from headland.engine.psf import GaussianPsf, LanczosPsf, decimation_matrix
from headland.tests.support.tiles import plan_small_tiles

ROOT = Path(__file__).resolve().parents[2]
METHODS = (Method.ANCHOR, Method.BICUBIC)
# Digital numbers; whole ones are rounded at 0.5.
MOST_APART = 0.15
SENTINEL_2 = tuple(f"B{number:02d}" for number in range(1, 14))


def make_job(method: Method = Method.ANCHOR, scale: int = 4, bands: int = 3, **wishes: Any) -> Job:
    names = ("B04", "B03", "B02") if bands == 3 else SENTINEL_2[:bands]
    job = Job(method, scale, Preset.FAST, Device.CPU, 0, Sensor.SENTINEL_2, names, pixel_size_m=(10.0, 10.0))
    return replace(job, **wishes)


def farmland(bands: int = 3, rows_px: int = 40, columns_px: int = 53) -> NDArray[np.uint16]:
    """Digital numbers (band, row, column) of blocky fields with a little noise."""
    rng = np.random.default_rng(1)
    blocks = rng.integers(400, 3000, (bands, rows_px // 8 + 1, columns_px // 8 + 1)).repeat(8, 1).repeat(8, 2)
    noisy = blocks[:, :rows_px, :columns_px] + rng.normal(0, 8, (bands, rows_px, columns_px))
    return noisy.round().astype(np.uint16)


def in_numpy(
    job: Job, numbers: NDArray[Any], valid: NDArray[np.bool_] | None = None, **callbacks: Any
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    return _enhanced(pipeline.enhance, job, numbers, valid, **callbacks)


def by_worker(
    job: Job, numbers: NDArray[Any], valid: NDArray[np.bool_] | None = None, **callbacks: Any
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    return _enhanced(worker_pipeline.enhance, job, numbers, valid, **callbacks)


def _enhanced(
    enhance: Callable[..., dict[str, Any]],
    job: Job,
    numbers: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    *,
    is_cancelled: Callable[[], bool] = lambda: False,
    is_to_finish: Callable[[], bool] = lambda: False,
    tell: Callable[[str, float], None] = lambda _phase, _fraction: None,
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    valid = np.ones(numbers.shape, dtype=bool) if valid is None else valid
    output = np.zeros((len(numbers), numbers.shape[1] * job.scale, numbers.shape[2] * job.scale), dtype=np.float32)
    report = enhance(job, numbers, valid, output, tell, is_cancelled, is_to_finish=is_to_finish)
    return output, report


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles with cores of 40 pixels, in both."""
    plan_small_tiles(monkeypatch, 40)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bands", [1, 3, 13])
def test_it_gives_the_pixels_and_the_figures_of_the_worker(
    small_tiles: None, method: Method, scale: int, bands: int
) -> None:
    job, numbers = make_job(method, scale, bands), farmland(bands, 90, 53)
    ours, our_report = in_numpy(job, numbers)
    theirs, their_report = by_worker(job, numbers)
    assert our_report["tiles"] == their_report["tiles"] > 1
    # Of a range of some 2600, with a noise of 8: floats that were rounded in another order.
    np.testing.assert_allclose(ours, theirs, rtol=0.0, atol=MOST_APART)
    assert set(our_report) == set(their_report)
    for name in ("mtf_at_nyquist", "noise_sd", "doubts", "models"):
        assert our_report[name] == their_report[name]
    for name in ("rmse", "rmse_over_noise"):
        assert our_report["consistency"][name] == pytest.approx(their_report["consistency"][name], abs=0.01)
    assert our_report["edges_times_sharper"] == pytest.approx(their_report["edges_times_sharper"], rel=1e-3)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_anchor_agrees_with_its_input_and_bicubic_says_that_it_does_not(scale: int) -> None:
    anchored, enlarged = (in_numpy(make_job(method, scale), farmland())[1] for method in METHODS)
    assert max(anchored["consistency"]["rmse_over_noise"]) < 1.2
    assert anchored["edges_times_sharper"] > 1.5
    assert min(enlarged["consistency"]["rmse_over_noise"]) > 3.0
    assert enlarged["edges_times_sharper"] == pytest.approx(1.0)


@pytest.mark.parametrize("method", METHODS)
def test_holes_are_filled_and_what_lies_in_them_never_shows(method: Method) -> None:
    numbers = farmland().astype(np.float32)
    valid = np.ones(numbers.shape, dtype=bool)
    valid[:, 10:20, 12:30] = False
    valid[1] = False
    numbers[~valid] = np.nan
    ours, report = in_numpy(make_job(method), numbers, valid)
    theirs, _ = by_worker(make_job(method), numbers, valid)
    assert np.isfinite(ours).all()
    seen = valid.repeat(4, 1).repeat(4, 2)
    np.testing.assert_allclose(ours[seen], theirs[seen], rtol=0.0, atol=MOST_APART)
    assert report["consistency"]["rmse"][1] == 0.0


def test_an_extent_without_a_valid_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="no valid pixel"):
        in_numpy(make_job(), farmland(), np.zeros((3, 40, 53), dtype=bool))


@pytest.mark.parametrize("method", [Method.CHAIN, Method.DIP, Method.DECRAPPIFY])
def test_what_needs_the_engine_is_refused_in_words(method: Method) -> None:
    with pytest.raises(ValueError, match=f"{method.value} needs the engine; set it up"):
        in_numpy(make_job(method), farmland())


def test_it_is_cancelled_between_two_rounds(small_tiles: None) -> None:
    told: list[str] = []
    with pytest.raises(Cancelled):
        in_numpy(
            make_job(),
            farmland(3, 90, 53),
            tell=lambda phase, _: told.append(phase),
            is_cancelled=lambda: told.count("Sharpening, tile 2 of 6") >= 3,
        )
    assert told[-1] == "Sharpening, tile 2 of 6"


def test_stopped_early_the_rest_is_enlarged_and_the_report_says_so(small_tiles: None) -> None:
    told: list[str] = []
    job, numbers = make_job(), farmland(3, 90, 53)
    early, report = in_numpy(
        job,
        numbers,
        tell=lambda phase, _: told.append(phase),
        is_to_finish=lambda: "Sharpening, tile 3 of 6" in told,
    )
    whole, _ = in_numpy(job, numbers)
    assert report["stopped"]["rest"] == "enlarged"
    assert 0.3 < report["stopped"]["share_done"] < 0.7
    np.testing.assert_array_equal(early[:, :80], whole[:, :80])
    assert (early[:, 200:] != whole[:, 200:]).any()
    assert max(report["consistency"]["rmse_over_noise"]) < 1.2


def test_to_stop_bicubic_early_would_spare_nothing() -> None:
    for enhanced in (in_numpy, by_worker):
        early, report = enhanced(make_job(Method.BICUBIC), farmland(), is_to_finish=lambda: True)
        whole, _ = enhanced(make_job(Method.BICUBIC), farmland())
        np.testing.assert_array_equal(early, whole)
        assert "stopped" not in report


def test_where_memory_runs_out_it_goes_on_in_smaller_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, estimate = farmland(1, 240, 240), pipeline._estimate

    def hungry(work: Any, window: Any, bands: slice, **how: Any) -> Any:
        if window.rows.stop - window.rows.start > 100:
            raise MemoryError
        return estimate(work, window, bands, **how)

    expected, _ = in_numpy(make_job(bands=1), numbers)
    monkeypatch.setattr(pipeline, "_estimate", hungry)
    told: list[str] = []
    got, report = in_numpy(make_job(bands=1), numbers, tell=lambda phase, _: told.append(phase))
    assert "Going on with smaller tiles, for lack of memory" in told
    assert report["tiles"] > 4
    np.testing.assert_allclose(got, expected, atol=3.0)


def traced_peak(side_px: int, bands: int) -> int:
    """Return how many bytes the tiles take beside input and result."""
    numbers = farmland(bands, side_px, side_px)
    output = np.zeros((bands, 2 * side_px, 2 * side_px), dtype=np.float32)
    extent = measure_extent(numbers, np.ones(numbers.shape, dtype=bool), (0.25,) * bands, 2)
    work = pipeline._Work(Method.ANCHOR, extent, output, ProgressOfJob(lambda *_: None, lambda: False), None)
    tracemalloc.start()
    try:
        pipeline._run_tiles(work)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_that_of_a_tile_and_some_bands_whatever_the_extent(
    small_tiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchor_module, "ROUNDS", 1)
    traced_peak(120, 6)
    small = traced_peak(120, 6)
    assert traced_peak(240, 6) < 1.1 * small
    assert traced_peak(120, 13) < 1.4 * small


@pytest.mark.parametrize("psf", [GaussianPsf(0.05), GaussianPsf(0.3), LanczosPsf()])
@pytest.mark.parametrize("scale", [2, 4])
def test_the_forward_model_is_that_of_torch(psf: Any, scale: int) -> None:
    size_px, psfs, dampings = (41, 70), [psf, GaussianPsf(0.25)], (0.003, 0.02)
    low_res = np.random.default_rng(0).uniform(0, 1, (2, *size_px)).astype(np.float32)
    ours, theirs = ArrayForwardModel(psfs, size_px, scale), ForwardModel(psfs, size_px, scale)
    damping, y = torch.tensor(dampings)[:, None, None], torch.from_numpy(low_res)
    enlarged = ours.enlarge(low_res, dampings)
    np.testing.assert_allclose(enlarged, theirs.enlarge(y, damping), atol=1e-4)
    np.testing.assert_allclose(ours.degrade(enlarged), theirs.degrade(torch.from_numpy(enlarged)), atol=1e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_anchor_is_that_of_torch_to_a_hundred_thousandth_of_the_range(scale: int) -> None:
    low_res = np.random.default_rng(0).uniform(0, 1, (3, 40, 53)).astype(np.float32)
    psfs = [GaussianPsf(mtf) for mtf in (0.2, 0.26, 0.35)]
    ours = anchor(low_res, ArrayForwardModel(psfs, (40, 53), scale), (0.003,) * 3)
    theirs = torch_anchor(torch.from_numpy(low_res), ForwardModel(psfs, (40, 53), scale), 0.003)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_enlargement_is_that_of_torch(scale: int) -> None:
    low_res = np.random.default_rng(0).uniform(0, 1, (2, 37, 5)).astype(np.float32)
    theirs = functional.interpolate(torch.from_numpy(low_res)[None], scale_factor=float(scale), mode="bicubic")[0]
    np.testing.assert_allclose(enlarge_bicubically(low_res, scale), theirs, atol=1e-5)


def test_products_with_a_banded_matrix_leave_nothing_out() -> None:
    rng, values = np.random.default_rng(0), decimation_matrix(GaussianPsf(0.2), 75, 4)
    matrix, high, low = BandedMatrix(values), rng.normal(size=(300, 7)), rng.normal(size=(75, 7))
    pairs = (
        (matrix.along_rows(high.astype(np.float32)), values @ high),
        (matrix.along_columns(high.T.astype(np.float32)), (values @ high).T),
        (matrix.back_along_rows(low.astype(np.float32)), values.T @ low),
        (matrix.back_along_columns(low.T.astype(np.float32)), (values.T @ low).T),
    )
    for ours, exact in pairs:
        np.testing.assert_allclose(ours, exact, atol=1e-5)


def write_job(folder: Path, job: Job, numbers: NDArray[Any]) -> None:
    job.save(folder)
    np.save(folder / INPUT_FILE, numbers)
    np.save(folder / VALID_FILE, np.ones(numbers.shape, dtype=bool))


def test_it_takes_the_workers_place_at_the_job_folder(tmp_path: Path) -> None:
    numbers, events = farmland(), list[Event]()
    write_job(tmp_path, make_job(preview_bands=(2, 0)), numbers)
    finished = run_in_numpy(tmp_path, events.append, lambda: False)
    expected, report = in_numpy(make_job(), numbers)
    np.testing.assert_array_equal(np.load(tmp_path / OUTPUT_FILE), expected)
    assert finished.report["consistency"] == report["consistency"]
    assert events[0] == Started("cpu", {"python": sys.version.split()[0], "numpy": np.__version__})
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions == sorted(fractions)
    assert Preview() in events
    np.testing.assert_allclose(np.load(tmp_path / PREVIEW_FILE), expected[[2, 0]], atol=0.01)


def test_cancelled_it_leaves_no_result(tmp_path: Path) -> None:
    write_job(tmp_path, make_job(), farmland())
    with pytest.raises(WorkerCancelled):
        run_in_numpy(tmp_path, lambda _event: None, lambda: True)
    assert not (tmp_path / OUTPUT_FILE).exists()


def test_a_damaged_job_is_refused_as_the_worker_does(tmp_path: Path) -> None:
    write_job(tmp_path, make_job(), farmland())
    (tmp_path / INPUT_FILE).write_bytes(b"nothing")
    with pytest.raises(WorkerFailed, match=r"input\.npy cannot be read") as failed:
        run_in_numpy(tmp_path, lambda _event: None, lambda: False)
    assert failed.value.kind is FailureKind.BAD_INPUT


def test_it_loads_neither_torch_nor_anything_else_of_the_engines(tmp_path: Path) -> None:
    write_job(tmp_path, make_job(), farmland())
    code = (
        "import sys; from pathlib import Path; from headland.engine.in_numpy.run import run_in_numpy; "
        f"run_in_numpy(Path({str(tmp_path)!r}), lambda event: None, lambda: False); "
        "print(sorted({'torch', 'onnxruntime', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
