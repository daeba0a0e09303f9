"""Which stages a job runs with which settings, what its report says of them, and that each of them does its work."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from headland.engine import device, pipeline, tiling
from headland.engine.bands import band_groups
from headland.engine.dip.educated import FitSettings
from headland.engine.dip.reference import ReferenceSettings
from headland.engine.job import Device, Job, JobError, Method, Preset, Sensor
from headland.engine.model_file import SHIPPED_MODEL
from headland.engine.progress import BadInput, Cancelled
from headland.models.dip.prior_network import load_weights, save_weights

pytestmark = pytest.mark.usefixtures("unquestioned_dip")

JOB = Job(Method.CHAIN, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("red", "green", "blue"))
SIZE_PX = 40


class Watch:
    """Runs jobs and keeps what they tell."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def run(
        self,
        job: Job,
        *,
        bands: int = 3,
        is_cancelled: Callable[[], bool] = lambda: False,
        is_to_finish: Callable[[], bool] = lambda: False,
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return pixels and report of a small blocky scene."""
        rng = np.random.default_rng(4)
        numbers = rng.integers(400, 3000, (bands, SIZE_PX // 8, SIZE_PX // 8)).repeat(8, 1).repeat(8, 2)
        numbers = (numbers + rng.normal(0, 8, numbers.shape)).round().astype(np.uint16)
        output = np.zeros((bands, SIZE_PX * job.scale, SIZE_PX * job.scale), dtype=np.float32)
        job = replace(job, band_names=(*job.band_names, *[""] * bands)[:bands])
        valid = np.ones(numbers.shape, dtype=bool)
        report = pipeline.enhance(job, numbers, valid, output, self._tell, is_cancelled, is_to_finish=is_to_finish)
        return output, report

    def _tell(self, phase: str, fraction: float) -> None:
        self.told.append((phase, fraction))

    def is_in(self, phase: str, step: int = 1) -> Callable[[], bool]:
        """Return what becomes true once that many fractions of a phase were told."""
        return lambda: sum(told.startswith(phase) for told, _ in self.told) >= step


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture(autouse=True)
def short_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.FAST, FitSettings(rounds=2, patch_px=24, patches=1))
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.BALANCED, FitSettings(rounds=1, patch_px=32, patches=2, turns=3))
    monkeypatch.setattr(pipeline, "REFERENCE_SETTINGS", ReferenceSettings(iterations=3))


def test_decrappify_changes_what_deep_image_prior_gives(watch: Watch) -> None:
    (dip, _), (chain, report) = watch.run(replace(JOB, method=Method.DIP)), watch.run(JOB)
    assert np.abs(chain - dip).max() > 5.0 * max(report["noise_sd"])


def test_decrappify_gives_what_the_onnx_file_gives(monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    stage = pipeline.Decrappify.__call__

    def spy(self: pipeline.Decrappify, tile: pipeline.Tile) -> pipeline.Tile:
        restored = stage(self, tile)
        seen.append((tile.estimate, restored.estimate))
        return restored

    monkeypatch.setattr(pipeline.Decrappify, "__call__", spy)
    watch.run(replace(JOB, method=Method.DECRAPPIFY))
    ((enlarged, restored),) = seen
    session = onnxruntime.InferenceSession(str(SHIPPED_MODEL), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: enlarged[None].numpy()})
    np.testing.assert_allclose(restored.numpy(), expected[0], atol=1e-4)
    assert np.abs(restored.numpy() - enlarged.numpy()).max() > 0.01


@pytest.mark.parametrize(
    ("method", "preset", "stages", "models"),
    [
        (Method.ANCHOR, Preset.FAST, {"anchor"}, []),
        (Method.DECRAPPIFY, Preset.FAST, {"enlarge", "decrappify"}, ["decrappify.onnx"]),
        (Method.DIP, Preset.FAST, {"held out", "dip fit", "dip"}, ["prior.npz"]),
        (Method.DIP, Preset.BALANCED, {"held out", "dip fit", "dip"}, ["large_prior.npz"]),
        (Method.DIP, Preset.REFERENCE, {"dip"}, []),
        (Method.CHAIN, Preset.FAST, {"held out", "dip fit", "dip", "decrappify"}, ["prior.npz", "decrappify.onnx"]),
        (Method.CHAIN, Preset.REFERENCE, {"dip", "decrappify"}, ["decrappify.onnx"]),
    ],
)
def test_method_and_preset_decide_the_stages_and_the_models(
    watch: Watch, method: Method, preset: Preset, stages: set[str], models: list[str]
) -> None:
    _, report = watch.run(replace(JOB, method=method, preset=preset))
    assert set(report["seconds"]) == stages | {"measure", "blend", "consistency"}
    assert [model["name"] for model in report["models"]] == models


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        (Preset.FAST, {"rounds": 2, "patch_px": 24, "patches": 1, "turns": 1}),
        (Preset.BALANCED, {"rounds": 1, "patch_px": 32, "patches": 2, "turns": 3}),
    ],
)
def test_a_preset_runs_with_its_own_settings(watch: Watch, preset: Preset, settings: dict[str, int]) -> None:
    _, report = watch.run(replace(JOB, method=Method.DIP, preset=preset))
    assert report["dip"] == settings
    turns = [fraction for phase, fraction in watch.told if phase.startswith("Removing the pixels")]
    assert len(turns) == 1 + settings["turns"]


def test_reference_runs_the_published_network(watch: Watch) -> None:
    _, report = watch.run(replace(JOB, method=Method.DIP, preset=Preset.REFERENCE))
    assert report["dip"]["iterations"] == 3
    assert len([phase for phase, _ in watch.told if phase.startswith("Removing the pixels")]) == 1 + 3


def test_reference_works_on_tiles_that_fit_into_memory(monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    cores: list[int] = []
    plan_tiles = tiling.plan_tiles

    def spy(rows_px: int, columns_px: int, largest_core_px: int, margin_px: int) -> Any:
        cores.append(largest_core_px)
        return plan_tiles(rows_px, columns_px, largest_core_px, margin_px)

    monkeypatch.setattr(tiling, "plan_tiles", spy)
    for preset in (Preset.REFERENCE, Preset.FAST):
        watch.run(replace(JOB, method=Method.DIP, preset=preset))
    assert 64 <= cores[0] <= 96
    assert cores[1] == 224


def test_balanced_makes_more_effort_than_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    fast, balanced = pipeline.FIT_SETTINGS[Preset.FAST], pipeline.FIT_SETTINGS[Preset.BALANCED]
    assert fast == FitSettings(rounds=2, patch_px=96, patches=4, turns=1)
    assert balanced == FitSettings(rounds=2, patch_px=96, patches=12, turns=8)


@pytest.mark.parametrize("sensor", [Sensor.SENTINEL_2, Sensor.LANDSAT, Sensor.CUSTOM])
def test_nothing_is_fitted_if_the_sensor_is_named(watch: Watch, sensor: Sensor) -> None:
    _, report = watch.run(replace(JOB, method=Method.DIP, sensor=sensor, mtf_at_nyquist=0.2))
    assert report["mtf_at_nyquist"] == report["mtf_assumed"]
    assert "dip fit" not in report["seconds"]


def test_nothing_is_fitted_if_the_band_names_tell_the_sensor(watch: Watch) -> None:
    _, report = watch.run(replace(JOB, method=Method.DIP, band_names=("B02", "B03", "B04"), pixel_size_m=(10.0, 10.0)))
    assert report["mtf_at_nyquist"] == [0.26, 0.28, 0.24]
    assert "dip fit" not in report["seconds"]


def test_the_blur_is_fitted_if_no_sensor_is_named(watch: Watch) -> None:
    _, report = watch.run(replace(JOB, method=Method.DIP))
    assert report["mtf_assumed"] == [0.25, 0.25, 0.25]
    assert report["mtf_at_nyquist"] != report["mtf_assumed"]


@pytest.mark.parametrize("wish", [Device.CUDA, Device.MPS])
def test_a_device_that_is_not_there_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, watch: Watch, wish: Device
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(JobError, match=f"The device {wish.value} does not work"):
        watch.run(replace(JOB, method=Method.ANCHOR, device=wish))


def test_auto_passes_over_a_device_that_cannot_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where there is no card, a driver that says there is one ends in the error of a card that cannot compute.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", fail)
    assert device.choose_device(Device.AUTO).type == "cpu"


def fail(*_arguments: Any, **_options: Any) -> torch.Tensor:
    raise RuntimeError("no kernel image is available for execution on the device")


def test_the_report_proves_every_model_file(watch: Watch) -> None:
    _, report = watch.run(JOB)
    prior, decrappify = report["models"]
    assert prior == {"name": "prior.npz", "sha256": sha256(pipeline.PRIOR_WEIGHTS[Preset.FAST])}
    assert decrappify["sha256"] == sha256(SHIPPED_MODEL)
    assert decrappify["provider"] == "CPUExecutionProvider"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "one wrong byte", "something else"])
def test_prior_weights_that_are_missing_or_damaged_are_named(
    monkeypatch: pytest.MonkeyPatch, watch: Watch, tmp_path: Path, damage: str
) -> None:
    whole, weights = pipeline.PRIOR_WEIGHTS[Preset.FAST].read_bytes(), tmp_path / "prior.npz"
    wrong = bytearray(whole)
    wrong[len(whole) // 2] ^= 0xFF
    contents = {"empty": b"", "cut": whole[: len(whole) // 2], "one wrong byte": wrong, "something else": b"hello"}
    if damage != "missing":
        weights.write_bytes(contents[damage])
    monkeypatch.setitem(pipeline.PRIOR_WEIGHTS, Preset.FAST, weights)
    with pytest.raises(BadInput, match=r"prior\.npz is missing or damaged; install Headland again\."):
        watch.run(JOB)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"scales": [4]}, "scale factor 4, not 2"),
        ({"bands": 4}, "takes 4 bands, not 3"),
        ({"value_range": [0.0, 0.5]}, r"values from 0\.0 to 0\.5"),
    ],
)
def test_a_model_that_was_made_for_other_images_is_refused_in_words(
    watch: Watch, tmp_path: Path, entry: dict[str, Any], words: str
) -> None:
    model = Path(shutil.copy(SHIPPED_MODEL, tmp_path))
    card = json.loads(SHIPPED_MODEL.with_suffix(".json").read_text(encoding="utf-8"))
    model.with_suffix(".json").write_text(json.dumps({**card, **entry}), encoding="utf-8")
    with pytest.raises(BadInput, match=words):
        watch.run(replace(JOB, model=str(model)))


def write_model(folder: Path, graph: onnx.GraphProto | None) -> str:
    """Write a network, or garbage for None, with a card that says all is well; return its path."""
    model = folder / "mine.onnx"
    if graph is None:
        model.write_bytes(b"no network")
    else:
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), model)
    card = json.loads(SHIPPED_MODEL.with_suffix(".json").read_text(encoding="utf-8"))
    own = {**card, "name": "Mine", "file": model.name, "sha256": sha256(model)}
    model.with_suffix(".json").write_text(json.dumps(own), encoding="utf-8")
    return str(model)


def negation(shape: list[Any], *, copies: int = 1) -> onnx.GraphProto:
    """A network of one node, by the shape of its input and output."""
    image = partial(onnx.helper.make_tensor_value_info, elem_type=onnx.TensorProto.FLOAT, shape=shape)
    names = [f"out {number}" for number in range(copies)]
    nodes = [onnx.helper.make_node("Neg", ["in"], [name]) for name in names]
    return onnx.helper.make_graph(nodes, "negation", [image("in")], [image(name) for name in names])


def test_a_model_of_ones_own_takes_the_place_of_the_shipped_one(watch: Watch, tmp_path: Path) -> None:
    job = replace(JOB, method=Method.DECRAPPIFY)
    mine = write_model(tmp_path, negation(["batch", 3, "rows", "columns"]))
    (shipped, _), (own, report) = watch.run(job), watch.run(replace(job, model=mine))
    assert report["models"][0]["name"] == "mine.onnx"
    assert np.abs(own - shipped).max() > 100


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (None, "is not used because it is damaged"),
        (negation(["batch", 4, "rows", "columns"]), "one image of 3 bands as its card says"),
        (negation(["batch", 3, 64, 64]), "one image of 3 bands as its card says"),
        (negation(["batch", 3, "rows", "columns"], copies=2), "one image of 3 bands as its card says"),
    ],
    ids=["garbage", "four bands", "one size only", "two results"],
)
def test_a_network_that_is_not_what_its_card_says_is_refused_in_words(
    watch: Watch, tmp_path: Path, graph: onnx.GraphProto | None, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        watch.run(replace(JOB, model=write_model(tmp_path, graph)))


@pytest.mark.parametrize("scale", [2, 4])
def test_the_margin_of_a_tile_covers_what_the_card_asks_for(
    monkeypatch: pytest.MonkeyPatch, watch: Watch, tmp_path: Path, scale: int
) -> None:
    model = Path(shutil.copy(SHIPPED_MODEL, tmp_path))
    card = json.loads(SHIPPED_MODEL.with_suffix(".json").read_text(encoding="utf-8"))
    model.with_suffix(".json").write_text(json.dumps({**card, "margin_px": 200}), encoding="utf-8")
    margins: list[int] = []
    plan_tiles = tiling.plan_tiles

    def spy(rows_px: int, columns_px: int, largest_core_px: int, margin_px: int) -> Any:
        margins.append(margin_px)
        return plan_tiles(rows_px, columns_px, largest_core_px, margin_px)

    monkeypatch.setattr(tiling, "plan_tiles", spy)
    watch.run(replace(JOB, method=Method.DECRAPPIFY, scale=scale, model=str(model)))
    assert margins[0] * scale >= 200


def test_a_worker_with_many_bands_says_after_each_triple_that_it_is_alive(watch: Watch) -> None:
    asked: list[str] = []

    def is_cancelled() -> bool:
        asked.append(watch.told[-1][0] if watch.told else "")
        return False

    watch.run(replace(JOB, preset=Preset.BALANCED), bands=12, is_cancelled=is_cancelled)
    # Each group begins with a word of its own.
    groups = len(band_groups(12))
    for phase, steps in {"Removing the pixels": 4 * 3, "Restoring borders": 4}.items():
        assert len({fraction for told, fraction in watch.told if told.startswith(phase)}) == groups + steps
        assert sum(told.startswith(phase) for told in asked) >= steps


@pytest.mark.parametrize("phase", ["Fitting the blur", "Removing the pixels", "Restoring borders"])
def test_a_job_is_cancelled_within_a_tile(watch: Watch, phase: str) -> None:
    with pytest.raises(Cancelled):
        watch.run(replace(JOB, preset=Preset.BALANCED), bands=6, is_cancelled=watch.is_in(phase, 2))
    assert sum(told.startswith(phase) for told, _ in watch.told) == 2
    assert watch.told[-1][0].startswith(phase)


@pytest.mark.parametrize("preset", list(Preset))
def test_a_job_that_is_to_finish_goes_on_to_the_end_with_what_it_has(watch: Watch, preset: Preset) -> None:
    job = replace(JOB, preset=preset)
    result, report = watch.run(job, is_to_finish=watch.is_in("Removing the pixels", 2))
    assert sum(phase.startswith("Removing the pixels") for phase, _ in watch.told) == 2
    assert result.all()
    assert "decrappify" in report["seconds"]
    assert max(report["consistency"]["rmse_over_noise"]) < 1.5


def test_finishing_averages_the_turns_so_far(monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    job = replace(JOB, method=Method.DIP, preset=Preset.BALANCED, sensor=Sensor.SENTINEL_2)
    early, _ = watch.run(job, is_to_finish=watch.is_in("Removing the pixels", 3))
    two_turns = replace(pipeline.FIT_SETTINGS[Preset.BALANCED], turns=2)
    monkeypatch.setitem(pipeline.FIT_SETTINGS, Preset.BALANCED, two_turns)
    expected, _ = Watch().run(job)
    np.testing.assert_allclose(early, expected, rtol=1e-5)


def test_finishing_the_published_network_keeps_the_current_iterate(
    monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    job = replace(JOB, method=Method.DIP, preset=Preset.REFERENCE)
    early, _ = watch.run(job, is_to_finish=watch.is_in("Removing the pixels", 3))
    monkeypatch.setattr(pipeline, "REFERENCE_SETTINGS", ReferenceSettings(iterations=2))
    expected, _ = Watch().run(job)
    np.testing.assert_allclose(early, expected, rtol=1e-5)


def test_a_tile_that_was_not_begun_before_finishing_gets_the_anchor(watch: Watch) -> None:
    job = replace(JOB, method=Method.DIP, preset=Preset.REFERENCE)
    result, _ = watch.run(job, is_to_finish=lambda: True)
    expected, _ = Watch().run(replace(JOB, method=Method.ANCHOR))
    # Not its very pixels: one more projection follows, which moves them by less than the noise.
    assert np.abs(result - expected).max() < 8.0


def test_other_weights_have_another_hash(monkeypatch: pytest.MonkeyPatch, watch: Watch, tmp_path: Path) -> None:
    network = load_weights(pipeline.PRIOR_WEIGHTS[Preset.FAST])
    torch.nn.init.zeros_(network.tails["2"].weight)
    save_weights(network, tmp_path / "prior.npz")
    shipped = watch.run(replace(JOB, method=Method.DIP))[1]["models"]
    monkeypatch.setitem(pipeline.PRIOR_WEIGHTS, Preset.FAST, tmp_path / "prior.npz")
    assert watch.run(replace(JOB, method=Method.DIP))[1]["models"] != shipped
