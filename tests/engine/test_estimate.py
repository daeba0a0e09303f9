"""What a job is said to cost before it starts, and what is kept of those that ran."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Optional

import numpy as np
import pytest

from headland.engine import calibration, pipeline
from headland.engine import estimate as estimate_module
from headland.engine.calibration import NUMPY, Machine, Run, job_kind, learn, learn_download, this_machine
from headland.engine.dip import held_out
from headland.engine.dip.educated import FIT_SCALE, FitSettings
from headland.engine.estimate import Estimate, estimate
from headland.engine.in_numpy.run import run_in_numpy
from headland.engine.job import INPUT_FILE, METHODS_WITHOUT_ENGINE, VALID_FILE, Device, Job, Method, Preset, Sensor
from headland.models.dip.prior_network import load_weights
from headland.tests.support.jobs import make_job

HOUR_S = 3600.0
# Its speed, the device that was chosen last, and the ratios.
ENTRY = (
    '{"schema_version": 1, "machines": {"NAME": {"speed": %s, "cores": 2, "start_s": 1, "automatic_device": %s, '
    '"ratios": {%s}}}}'
)
EVERY_METHOD = pytest.mark.parametrize("method", list(Method))


def cost(side_px: int = 256, machine: Optional[Machine] = None, **wishes: object) -> Estimate:
    return estimate(make_job(**wishes), side_px, side_px, machine or Machine())


@EVERY_METHOD
@pytest.mark.parametrize("scale", [2, 4])
def test_cost_grows_linearly_with_the_area(method: Method, scale: int) -> None:
    small, large = (cost(side_px, method=method, scale=scale) for side_px in (2240, 4480))
    assert large.work_s / small.work_s == pytest.approx(4.0, rel=0.05)
    # Memory is set by the tile and not by the extent.
    assert large.memory_bytes == small.memory_bytes


@EVERY_METHOD
def test_a_megapixel_costs_the_same_in_any_extent_of_more_than_one_tile(method: Method) -> None:
    known = {"method": method, "sensor": Sensor.LANDSAT}
    of_any_job_s = cost(16, **known).work_s
    rates = [(cost(side_px, **known).work_s - of_any_job_s) / side_px**2 for side_px in (256, 512, 1024, 4096, 10980)]
    assert max(rates) / min(rates) < 1.15


@EVERY_METHOD
def test_margins_cost_what_they_cost(method: Method) -> None:
    # One tile more a side is little area, but its margins are computed too.
    whole, cut = cost(224, method=method), cost(232, method=method)
    assert cut.work_s - whole.work_s > 2 * (232**2 / 224**2 - 1) * (whole.work_s - cost(16, method=method).work_s)


@EVERY_METHOD
def test_more_bands_cost_more_time_and_memory(method: Method) -> None:
    costs = [cost(method=method, bands=bands) for bands in (1, 3, 4, 12)]
    for fewer, more in zip(costs, costs[1:]):
        assert more.seconds > fewer.seconds
        assert more.memory_bytes > fewer.memory_bytes


@EVERY_METHOD
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("bands", [1, 3, 12, 13, 200])
def test_no_raster_needs_more_than_two_gigabytes_of_memory(method: Method, scale: int, bands: int) -> None:
    for side_px in (512, 10980):
        assert cost(side_px, method=method, scale=scale, bands=bands).memory_bytes < 2e9


def test_more_effort_and_a_larger_scale_factor_cost_more() -> None:
    assert cost(preset=Preset.BALANCED).seconds > 2 * cost().seconds
    assert cost(scale=4).seconds > cost(scale=2).seconds
    assert cost(scale=4).memory_bytes > cost(scale=2).memory_bytes


def test_tracing_borders_costs_time_that_grows_with_the_area() -> None:
    small, large = (cost(side_px, traces_borders=True).work_s - cost(side_px).work_s for side_px in (256, 512))
    assert small > 0.0
    assert large == pytest.approx(4 * small)


def test_the_chain_costs_what_its_stages_cost_together() -> None:
    dip, decrappify, chain = (cost(method=method) for method in (Method.DIP, Method.DECRAPPIFY, Method.CHAIN))
    assert max(dip.seconds, decrappify.seconds) < chain.seconds < dip.seconds + decrappify.seconds


def test_fitting_the_blur_costs_only_where_the_sensor_is_not_known_and_grows_no_further_with_the_area() -> None:
    fits = [
        cost(side_px, sensor=Sensor.AUTO).work_s - cost(side_px, sensor=Sensor.LANDSAT).work_s
        for side_px in (64, 256, 4096)
    ]
    assert 0.0 < fits[0] < fits[1] == pytest.approx(fits[2])
    anchors = [cost(method=Method.ANCHOR, sensor=sensor).seconds for sensor in (Sensor.AUTO, Sensor.LANDSAT)]
    assert anchors[0] == anchors[1]


def test_the_published_method_takes_hours() -> None:
    assert cost(preset=Preset.REFERENCE).seconds > HOUR_S
    # Without Deep Image Prior its preset means nothing.
    anchors = [cost(method=Method.ANCHOR, preset=preset).seconds for preset in (Preset.FAST, Preset.REFERENCE)]
    assert anchors[0] == anchors[1]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("side_px", [40, 100, 224, 300, 4096])
def test_the_estimate_knows_how_many_pixels_are_held_out(side_px: int, scale: int) -> None:
    known = (estimate_module.HELD_OUT_PATCH_PX, estimate_module.HELD_OUT_SHARE, estimate_module.HELD_OUT_PATCHES)
    assert known == (held_out.PATCH_PX, held_out.SHARE_OF_EXTENT, held_out.MOST_PATCHES)
    assert estimate_module.FEWEST_COPY_PX == held_out.FEWEST_COPY_PX
    copy_px = (min(side_px, held_out.PATCH_PX) // scale) ** 2
    patches = held_out.patch_count(side_px, side_px, scale)
    assert estimate_module.held_out_px(side_px, side_px, scale) == patches * copy_px


def test_an_extent_too_small_to_hold_out_pixels_costs_nothing_for_it() -> None:
    assert estimate_module.held_out_px(31, 4096, 4) == 0


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("bands", [1, 3, 4, 12])
@pytest.mark.parametrize("side_px", [184, 224, 512, 1024, 4096])
def test_asking_held_out_pixels_takes_less_than_a_tenth_of_deep_image_prior(
    side_px: int, bands: int, scale: int
) -> None:
    dip_s = estimate_module._dip_seconds_a_pixel(make_job(bands=bands), scale)
    both_s = dip_s + bands * estimate_module._ANCHOR[scale]
    assert estimate_module.held_out_px(side_px, side_px, scale) * both_s < 0.1 * side_px**2 * dip_s


def test_the_estimate_knows_the_settings_of_the_pipeline() -> None:
    for preset, settings in pipeline.FIT_SETTINGS.items():
        known = FitSettings(
            rounds=estimate_module.FIT_ROUNDS,
            patch_px=estimate_module.FIT_PATCH_PX,
            patches=estimate_module.FIT_PATCHES[preset],
            turns=estimate_module.TURNS[preset],
        )
        assert settings == known
        network = load_weights(pipeline.PRIOR_WEIGHTS[preset])
        a_pixel = sum(value.numel() for value in network.body.parameters())
        # Seconds by preset are as the multiply-adds are, nearly: other weights were measured as well.
        assert estimate_module._DIP_TURN[preset][4] / a_pixel == pytest.approx(3.3e-11, rel=0.1)
    assert estimate_module.FIT_SCALE == FIT_SCALE
    assert pipeline.REFERENCE_SETTINGS.iterations == estimate_module.REFERENCE_ITERATIONS
    assert pipeline.REFERENCE_CORE_PX == estimate_module.REFERENCE_CORE_PX


def test_a_machine_twice_as_fast_or_with_more_cores_needs_less_time() -> None:
    slow, fast, wide = (cost(1024, machine).work_s for machine in (Machine(), Machine(speed=2.0), Machine(cores=8)))
    assert fast == pytest.approx(slow / 2)
    assert slow / 4 < wide < slow / 2


def run_of(job: Job, side_px: int, times: float, **what: object) -> Run:
    """Return a run that took so many times what the constants say."""
    said = estimate(job, side_px, side_px, this_machine())
    run = Run(job_kind(job, "cpu"), "cpu", True, said.start_s, said.work_s * times, said.work_s)
    return replace(run, **what)


@pytest.mark.parametrize("method", METHODS_WITHOUT_ENGINE)
@pytest.mark.parametrize("scale", [2, 4])
def test_without_an_engine_cost_grows_with_the_area_and_memory_with_the_tile(method: Method, scale: int) -> None:
    job = make_job(bands=3, method=method, scale=scale)
    small, large = (estimate(job, side_px, side_px, Machine(), is_in_qgis=True) for side_px in (2240, 4480))
    assert large.work_s / small.work_s == pytest.approx(4.0, rel=0.05)
    assert large.memory_bytes == small.memory_bytes < 5e8
    assert (small.start_s, small.device) == (0.0, NUMPY)
    # More cores are of no use to it.
    wide = estimate(job, 2240, 2240, Machine(cores=16), is_in_qgis=True)
    assert wide.seconds == small.seconds


def test_a_first_look_without_an_engine_is_said_to_take_less_than_a_minute() -> None:
    job = make_job(bands=4, method=Method.ANCHOR)
    assert 2.0 < estimate(job, 300, 300, Machine(), is_in_qgis=True).seconds < 20.0


def test_without_an_engine_the_speed_of_such_work_counts_and_no_other() -> None:
    job = make_job(method=Method.ANCHOR)
    usual, slow = (
        estimate(job, 300, 300, Machine(speed=9.0, numpy_speed=speed), is_in_qgis=True) for speed in (1.0, 0.5)
    )
    assert usual.seconds == estimate(job, 300, 300, Machine(), is_in_qgis=True).seconds
    assert slow.seconds == pytest.approx(2 * usual.seconds)
    assert cost(machine=Machine(numpy_speed=0.5)) == cost()


def test_a_measured_speed_is_that_of_the_anchors_own_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        """Takes a hundredth of the speed that the constants were measured at."""

        def __init__(self, _shape: tuple[int, ...]) -> None: ...

        def __call__(self, _image: object, _weight: float, steps: int) -> None:
            time.sleep(3 * steps * calibration.NUMPY_REFERENCE_S)

    monkeypatch.setattr(calibration, "TotalVariationStep", Slow)
    assert 0.2 < calibration._measured_numpy_speed.__wrapped__() < 1 / 3


@pytest.mark.parametrize(("method", "scale"), [(Method.ANCHOR, 4), (Method.ANCHOR, 2), (Method.BICUBIC, 4)])
def test_without_an_engine_the_first_estimate_is_about_what_it_takes(
    tmp_path: Path, method: Method, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The processor's time on both sides: what else the machine is at, says nothing of the estimate.
    monkeypatch.setattr(calibration, "time", SimpleNamespace(perf_counter=time.process_time))
    machine = Machine(numpy_speed=calibration._measured_numpy_speed.__wrapped__())
    job = make_job(bands=3, method=method, scale=scale, preview_bands=(0, 1, 2))
    job.save(tmp_path)
    random = np.random.default_rng(1)
    fields = random.uniform(500, 3000, (3, 25, 25)).repeat(12, axis=1).repeat(12, axis=2)
    np.save(tmp_path / INPUT_FILE, (fields + random.normal(0, 20, fields.shape)).astype(np.uint16))
    np.save(tmp_path / VALID_FILE, np.ones(fields.shape, bool))
    began_s = time.process_time()
    run_in_numpy(tmp_path, lambda _event: None, lambda: False)
    spent_s = time.process_time() - began_s
    # A measurement of some hundredths of a second is off by a quarter; to give the previews their colours is QGIS's.
    assert 0.75 < estimate(job, 300, 300, machine, is_in_qgis=True).work_s / spent_s < 3.0


def test_without_an_engine_the_previews_are_a_good_part_of_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(method=Method.ANCHOR)
    whole = estimate(job, 300, 300, Machine(), is_in_qgis=True)
    for constant in ("_NUMPY_SKETCH", "_NUMPY_PREVIEWS"):
        monkeypatch.setattr(estimate_module, constant, 0.0)
    assert estimate(job, 300, 300, Machine(), is_in_qgis=True).work_s < 0.8 * whole.work_s


def test_what_qgis_itself_took_says_nothing_of_the_worker() -> None:
    before, job = this_machine(), make_job(method=Method.ANCHOR)
    expected = estimate(job, 256, 256, before, is_in_qgis=True)
    learn(Run(job_kind(job, NUMPY), NUMPY, False, None, 3 * expected.work_s, expected.work_s))
    after = this_machine()
    assert estimate(job, 256, 256, after, is_in_qgis=True).seconds > 1.5 * expected.seconds
    assert estimate(job, 256, 256, after) == estimate(job, 256, 256, before)
    # The first start of a worker is still believed as it is.
    learn(run_of(job, 256, 1.0, start_s=7.0))
    assert this_machine().start_s == 7.0


def test_a_finished_run_corrects_the_next_estimate_of_its_kind_and_no_other() -> None:
    job, other = make_job(), make_job(method=Method.ANCHOR)
    before, other_before = (estimate(each, 2000, 2000, this_machine()) for each in (job, other))
    learn(run_of(job, 1000, times=3.0))
    after, other_after = (estimate(each, 2000, 2000, this_machine()) for each in (job, other))
    real_s = before.start_s + 3.0 * before.work_s + before.read_and_write_s
    assert after.seconds == pytest.approx(real_s, rel=0.05)
    assert other_after.seconds == pytest.approx(other_before.seconds)


def test_later_runs_correct_it_further_and_one_odd_one_does_not_overturn_it() -> None:
    job = make_job()
    for _ in range(6):
        learn(run_of(job, 1000, times=2.0))
    assert this_machine().ratio(job_kind(job, "cpu")) == pytest.approx(2.0, rel=0.05)
    learn(run_of(job, 1000, times=1e6))
    assert this_machine().ratio(job_kind(job, "cpu")) < 2.0 * (calibration.LARGEST_RATIO / 2.0) ** 0.6


def test_a_very_short_run_says_little_of_long_ones() -> None:
    job = make_job(method=Method.ANCHOR)
    learn(run_of(job, 16, times=1.0, work_s=0.05, estimated_work_s=1.0))
    assert this_machine().ratio(job_kind(job, "cpu")) > 0.8


def test_a_slow_start_is_learned_and_does_not_count_as_slow_work() -> None:
    job = make_job()
    learn(run_of(job, 1000, times=1.0, start_s=25.0))
    after = estimate(job, 1000, 1000, this_machine())
    assert after.start_s == pytest.approx(25.0)
    assert after.ratio == pytest.approx(1.0)


def test_the_device_that_was_chosen_automatically_is_the_next_estimates(machine_with_card: Callable[[], None]) -> None:
    job = make_job(preset=Preset.BALANCED, method=Method.DIP)
    assert estimate(job, 256, 256, this_machine()).device == "cpu"
    before = estimate(job, 256, 256, this_machine())
    machine_with_card()
    after = estimate(job, 256, 256, this_machine())
    assert after.device == "cuda"
    assert after.seconds < before.seconds
    # Who names a device gets the estimate of that one.
    assert estimate(replace(job, device=Device.CPU), 256, 256, this_machine()).device == "cpu"


@pytest.fixture
def machine_with_card() -> Callable[[], None]:
    job = make_job(method=Method.ANCHOR)
    return lambda: learn(run_of(job, 1000, times=1.0, kind=job_kind(job, "cuda"), device="cuda"))


def test_a_server_that_was_slow_is_expected_to_be_slow_and_no_other_is() -> None:
    assert this_machine().download_s("slow.example", 2_000_000) == 2 * calibration.DOWNLOAD_S
    learn_download("slow.example", 500_000, 20.0)
    assert this_machine().download_s("slow.example", 1_000_000) == pytest.approx(40.0)
    assert this_machine().download_s("other.example", 1_000_000) == calibration.DOWNLOAD_S
    learn_download("slow.example", 1_000_000, 20.0)
    assert this_machine().download_s("slow.example", 1_000_000) == pytest.approx(30.0)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_a_mishap_of_a_download_is_not_believed_and_makes_no_file_unreadable(seconds: float) -> None:
    learn_download("odd.example", 1000, seconds)
    rate = this_machine().downloads["odd.example"]
    assert calibration.SHORTEST_DOWNLOAD_S <= rate <= calibration.LONGEST_DOWNLOAD_S


def test_what_was_kept_when_estimates_were_made_otherwise_is_measured_anew(cache_folder: Path) -> None:
    learn(run_of(make_job(), 1000, times=3.0))
    file = calibration.calibration_file()
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**content, "schema_version": calibration.SCHEMA_VERSION - 1}), encoding="utf-8")
    assert this_machine().ratios == {}


def test_this_machine_is_measured_once_and_kept(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = this_machine()
    for speed in (first.speed, first.numpy_speed):
        assert calibration.SLOWEST <= speed <= calibration.FASTEST
    assert [file.name for file in cache_folder.iterdir()] == ["estimates.json"]
    for measure in ("_measured_speed", "_measured_numpy_speed"):
        monkeypatch.setattr(calibration, measure, lambda: pytest.fail("it was kept"))
    assert this_machine() == first


def test_another_machine_that_shares_the_home_folder_has_its_own_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()
    learn(run_of(job, 1000, times=3.0))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(calibration.platform, "node", lambda: "another")
        assert this_machine().ratios == {}
    assert this_machine().ratio(job_kind(job, "cpu")) > 2.0


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"schema_version": 1}',
        '{"schema_version": 99, "machines": {}}',
        '{"schema_version": 1, "machines": []}',
        '{"schema_version": 1, "machines": {"NAME": null}}',
        '{"schema_version": 1, "machines": {"NAME": {"speed": "fast"}}}',
        ENTRY % ("NaN", "null", ""),
        ENTRY % ("1", '["cpu"]', ""),
        ENTRY % ("1", "null", '"chain, fast, x4, cpu": 1e300'),
    ],
)
def test_a_damaged_file_is_ignored_and_replaced(cache_folder: Path, content: str) -> None:
    expected = this_machine()
    (name,) = json.loads(calibration.calibration_file().read_text(encoding="utf-8"))["machines"]
    calibration.calibration_file().write_text(content.replace("NAME", name), encoding="utf-8")
    assert this_machine() == expected
    learn(run_of(make_job(), 1000, times=2.0))
    assert len(this_machine().ratios) == 1
    assert [file.name for file in cache_folder.iterdir()] == ["estimates.json"]


def test_bytes_that_are_no_text_are_ignored_too(cache_folder: Path) -> None:
    expected = this_machine()
    calibration.calibration_file().write_bytes(b"\xff\xfe\x00" * 100)
    assert this_machine() == expected


def test_a_cache_folder_that_cannot_be_written_is_no_problem(cache_folder: Path) -> None:
    # Where the folder should be lies a file: not even root can write there.
    cache_folder.write_text("in the way")
    learn(run_of(make_job(), 1000, times=2.0))
    assert this_machine().ratios == {}
    assert cost(machine=this_machine()).seconds > 0.0
    assert cache_folder.read_text() == "in the way"


def test_a_file_that_cannot_be_replaced_leaves_no_half_written_one(cache_folder: Path) -> None:
    calibration.calibration_file().mkdir(parents=True)
    (calibration.calibration_file() / "occupied").touch()
    learn(run_of(make_job(), 1000, times=2.0))
    assert [file.name for file in cache_folder.iterdir()] == ["estimates.json"]
