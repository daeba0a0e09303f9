"""Deep Image Prior is compared in one run, and what was extrapolated says so."""

from __future__ import annotations

import json
from pathlib import Path

import bench_dip
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with one picture of fields, 64 pixels square."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    fields = np.random.default_rng(0).integers(40, 220, (8, 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
    Image.fromarray(fields.astype(np.uint8)).save(folder / "fields.png")
    return folder


def test_every_method_is_scored_and_the_extrapolation_is_told(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dip.json"
    assert bench_dip.main([str(images), str(out), "--reference-iterations", "3"]) == 0
    methods = json.loads(out.read_text())["methods"]
    assert list(methods) == ["bicubic", "anchor", "fast", "balanced", "reference"]
    assert methods["anchor"]["psnr_y"] > methods["bicubic"]["psnr_y"]
    assert methods["anchor"]["consistency_rmse"] < 1.0 < methods["bicubic"]["consistency_rmse"]
    reference = methods["reference"]
    image = reference["images"]["fields"]
    assert (image["iterations"], reference["is_whole"]) == (3, False)
    assert reference["seconds"] == pytest.approx(2000 * image["iteration_s"])
    assert methods["fast"]["ratio_to_reference"] == pytest.approx(reference["seconds"] / methods["fast"]["seconds"])
    # 64 x 64 pixels, 2000 iterations, forward and backward: about 0.3 M multiply-adds a pixel forward.
    assert reference["multiply_adds"] == pytest.approx(64 * 64 * 2000 * 3 * 0.295e6, rel=0.15)
    assert "run for 3 of 2000 iterations" in capsys.readouterr().out
    assert out.with_suffix(".png").stat().st_size > 1000


@pytest.mark.parametrize("scale", [2, 8])
def test_every_scale_of_the_published_experiments_is_measured(images: Path, tmp_path: Path, scale: int) -> None:
    out = tmp_path / "dip.json"
    bench_dip.main([str(images), str(out), "--scale", str(scale), "--methods", "bicubic", "anchor", "fast"])
    methods = json.loads(out.read_text())["methods"]
    assert methods["fast"]["consistency_rmse"] < 1.0 < methods["bicubic"]["consistency_rmse"]
    assert methods["fast"]["psnr_y"] > methods["bicubic"]["psnr_y"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_dip.main([str(tmp_path), str(tmp_path / "dip.json")])
    assert "there is no picture" in capsys.readouterr().err
