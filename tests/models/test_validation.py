"""The figures and pictures that tell how training goes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headland.models.training.imagery import TrainingImage
from headland.models.training.perceptual import SqueezeNetDistance
from headland.models.training.validation import PATCH_PX, held_out_patches, loss_curve, psnr_db, sheet

FIRE_WIDTHS = {
    2: (16, 64),
    3: (16, 64),
    4: (32, 128),
    5: (32, 128),
    6: (48, 192),
    7: (48, 192),
    8: (64, 256),
    9: (64, 256),
}


@pytest.fixture
def squeezenet(tmp_path: Path) -> SqueezeNetDistance:
    """A SqueezeNet of the right shapes with random weights."""
    rng = np.random.default_rng(3)
    arrays = {"conv1.weight": rng.normal(0.0, 0.1, (3, 3, 3, 64)), "conv1.bias": np.zeros(64)}
    channels = 64
    for n, (squeezed, expanded) in FIRE_WIDTHS.items():
        for part, (size, given, made) in {
            "squeeze1x1": (1, channels, squeezed),
            "expand1x1": (1, squeezed, expanded),
            "expand3x3": (3, squeezed, expanded),
        }.items():
            arrays[f"fire{n}/{part}.weight"] = rng.normal(0.0, 0.1, (size, size, given, made))
            arrays[f"fire{n}/{part}.bias"] = np.zeros(made)
        channels = 2 * expanded
    np.savez(tmp_path / "squeezenet.npz", **{name: value.astype(np.float16) for name, value in arrays.items()})
    return SqueezeNetDistance(tmp_path / "squeezenet.npz")


def test_psnr_of_a_difference_of_a_tenth_is_20_db() -> None:
    target = torch.full((2, 3, 8, 8), 0.4)
    assert psnr_db(target + 0.1, target) == pytest.approx(20.0, abs=1e-3)


def test_squeezenet_distance_is_zero_for_equal_images_and_grows_with_blur(squeezenet: SqueezeNetDistance) -> None:
    target = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    slight = 0.9 * target + 0.1 * torch.nn.functional.avg_pool2d(target, 5, 1, 2)
    strong = torch.nn.functional.avg_pool2d(target, 5, 1, 2)
    assert squeezenet(target, target).tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    assert bool((squeezenet(slight, target) < squeezenet(strong, target)).all())


def test_a_sheet_has_a_titled_column_for_each_picture() -> None:
    picture = sheet({"before": torch.zeros(2, 3, 20, 30), "after": torch.ones(2, 3, 20, 30)}, zoom=2)
    assert picture.size == (2 * (60 + 4), 80 + 16)
    assert picture.getpixel((10, 50)) == (0, 0, 0)
    assert picture.getpixel((74, 50)) == (255, 255, 255)


def test_the_loss_curve_is_drawn_from_the_log(tmp_path: Path) -> None:
    lines = [{"step": step, "total": 1.0 / step} for step in range(1, 50)] + [{"step": 49, "checkpoint": {}}]
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    loss_curve(tmp_path / "log.jsonl", tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as picture:
        assert picture.size == (900, 400)


def test_a_log_that_is_not_there_or_too_short_draws_nothing(tmp_path: Path) -> None:
    loss_curve(tmp_path / "log.jsonl", tmp_path / "loss.png")
    (tmp_path / "log.jsonl").write_text('{"total": 1.0}\n', encoding="utf-8")
    loss_curve(tmp_path / "log.jsonl", tmp_path / "loss.png")
    assert not (tmp_path / "loss.png").exists()


def test_held_out_patches_come_from_farmland_first_and_once_a_place() -> None:
    pixels = np.full((4, 200, 200), 0.5, dtype=np.float32)
    images = [
        TrainingImage(image_set, f"place {n % 3}", pixels[:bands], 1.0)
        for image_set, bands in (("naip_farmland_1m", 3), ("naip_urban_0.6m", 4))
        for n in range(6)
    ]
    assert held_out_patches(images).shape == (6, 3, PATCH_PX, PATCH_PX)
