"""Quality is measured on held-out places only, on the very images that the product delivers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import bench_quality
import numpy as np
import pytest
import torch
from PIL import Image
from restorations import METHODS, Restorer

from headland.engine import pipeline
from headland.engine.job import Device, Job, Method, Preset, Sensor
from headland.models.training.imagery import HELD_OUT_FARMLAND
from headland.models.training.judged_places import FARMLAND
from headland.tests.support.places import make_places

FIELD = [[120, 120], [360, 120], [360, 360], [120, 360]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one held-out place of each set and one for training; fields of 40 pixels, one drawn."""
    farmland = (f"{HELD_OUT_FARMLAND[0]}.png", "41.0--91.0.png")
    others = {
        "naip_urban_0.6m": ("riverside_2016_1.png", "chico_2016_1.png"),
        "ucmerced_0.3m": ("river90.png", "river10.png"),
    }
    highres = tmp_path / "highres"
    make_places(highres, others, fields=6, field_px=40)
    make_places(highres, {FARMLAND: farmland}, fields=12, field_px=40)
    for file in highres.glob("*/*.png"):
        pixels = np.array(Image.open(file))
        pixels[120:360, 120:360] = 230
        Image.fromarray(pixels).save(file)
    (highres / FARMLAND / "field_polygons.json").write_text(json.dumps({file: [FIELD] for file in farmland}))
    return tmp_path


def absolute_distances(images: torch.Tensor, truth: torch.Tensor) -> list[dict[str, float]]:
    """Stand in for the networks, whose weights are no part of the project."""
    distances = (images - truth).abs().mean(dim=(1, 2, 3))
    return [{"vgg": float(distance), "squeezenet": float(distance)} for distance in distances]


def test_only_held_out_places_are_measured_and_only_farmland_has_outlines(data: Path) -> None:
    places = bench_quality.held_out_places(data / "highres", 4)
    assert [(place.name, len(place.outlines)) for place in places] == [
        (HELD_OUT_FARMLAND[0], 1),
        ("riverside_2016_1", 0),
        ("river90", 0),
    ]
    assert [place.truth.shape for place in places] == [(3, 192, 192)] * 3
    assert places[0].outlines[0][0].tolist() == pytest.approx([47.7, 47.7])


def test_a_folder_without_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_quality.main([str(tmp_path), str(tmp_path / "quality.json")])
    assert "No image was found" in capsys.readouterr().err


def test_the_sensor_delivers_whole_numbers_with_the_noise_asked_for() -> None:
    sight = bench_quality.degrade(np.full((3, 256, 256), 0.4, dtype=np.float32), 4, seed=1)
    assert sight.numbers.shape == (3, 64, 64)
    assert sight.numbers.mean() == pytest.approx(4000.0, abs=2.0)
    assert sight.numbers.std() == pytest.approx(30.0, rel=0.05)


def test_the_truth_is_perfect_and_as_consistent_as_the_noise_allows() -> None:
    truth = np.random.default_rng(1).uniform(0.2, 0.8, (3, 16, 16)).repeat(8, axis=1).repeat(8, axis=2)
    truth = truth.astype(np.float32)
    figures = bench_quality.figures(truth, truth, bench_quality.degrade(truth, 4, seed=2))
    assert figures["ssim"] == pytest.approx(1.0)
    assert figures["improvement"] > 0.96
    assert figures["rmse_dn"] == pytest.approx(30.0, rel=0.1)
    shifted = np.roll(truth, 1, axis=2)
    assert bench_quality.figures(shifted, truth, bench_quality.degrade(truth, 4, seed=2))["shift_px"] > 0.15


@pytest.mark.parametrize("method", [Method.DIP, Method.DECRAPPIFY, Method.CHAIN])
def test_consistent_images_are_those_that_the_product_delivers(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    # Drawn fields are no sensor's: the anchor would take Deep Image Prior's place, as it never does in a bench.
    monkeypatch.setattr(pipeline, "hold_out", lambda *_: None)
    fields = np.random.default_rng(5).integers(1000, 5000, (3, 6, 6)).repeat(8, axis=1).repeat(8, axis=2)
    numbers = (fields + np.random.default_rng(6).normal(0.0, 20.0, fields.shape)).round().astype(np.int16)
    delivered = np.zeros((3, 96, 96), dtype=np.float32)
    job = Job(method, 2, Preset.FAST, Device.CPU, 0, Sensor.AUTO, ("B04", "B03", "B02"))
    pipeline.enhance(
        job, numbers, np.ones(numbers.shape, dtype=bool), delivered, lambda _phase, _fraction: None, lambda: False
    )
    restoration = Restorer(2)(numbers)[method.value]
    np.testing.assert_allclose(restoration.consistent, delivered, atol=0.5)
    assert np.abs(restoration.plain - delivered).max() > 1.0


def test_the_networks_see_each_image_beside_the_truth() -> None:
    vgg = SimpleNamespace(features=lambda images: [images * activation for activation in (1, 1, 80.0, 4.5, 0.13)])
    squeezenet = lambda images, truth: (images - truth).square().mean(dim=(1, 2, 3))  # noqa: E731
    truth = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    same, other = bench_quality.Perception(vgg, squeezenet).distances(torch.cat([truth, truth + 0.1]), truth)
    assert same == {"vgg": 0.0, "squeezenet": 0.0}
    # Relative to the mean activation of each block, so all blocks count alike.
    assert other == pytest.approx({"vgg": 0.1, "squeezenet": 0.01}, rel=1e-4)


@pytest.mark.slow
def test_one_run_leaves_every_row_a_table_the_bars_and_a_sheet(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        bench_quality.Perception, "load", lambda _weights: SimpleNamespace(distances=absolute_distances)
    )
    out = tmp_path / "quality.json"
    assert bench_quality.main([str(data), str(out), "--scale", "4"]) == 0
    results = json.loads(out.read_text())
    rows, plain, consistent = (results[f"rows{part}"] for part in ("", "_without_consistency", "_with_consistency"))
    assert list(rows) == [*METHODS, "high_res"]
    assert rows["bicubic"] == plain["bicubic"] != consistent["bicubic"]
    assert rows["chain"] == consistent["chain"] != plain["chain"]
    assert results["border_profiles"] > 20
    assert rows["high_res"]["rise_px"] < rows["dip"]["rise_px"] < rows["bicubic"]["rise_px"]
    assert rows["dip"]["rmse_dn"] < rows["bicubic"]["rmse_dn"]
    assert rows["bicubic"]["improvement"] < rows["dip"]["improvement"] < rows["high_res"]["improvement"]
    assert rows["high_res"]["overshoot"] == 0.0
    printed = capsys.readouterr().out
    assert "| chain | with |" in printed
    assert "SqueezeNet distance" in printed
    with Image.open(out.with_suffix(".png")) as sheet:
        assert sheet.width > 6 * 256
