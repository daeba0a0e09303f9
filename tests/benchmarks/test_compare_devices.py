"""The comparison of devices draws the same picture twice where there is but one device, and says what it took."""

from __future__ import annotations

import json
from pathlib import Path

import compare_devices
import pytest


def test_the_processor_agrees_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "devices.json"
    arguments = [str(out), "--device", "cpu", "--size-px", "48", "--methods", "anchor", "dip, fast"]
    assert compare_devices.main(arguments) == 0
    rows = json.loads(out.read_text())["rows"]
    assert list(rows) == ["anchor", "dip, fast"]
    assert all(row["largest_difference"] == 0.0 < row["seconds"] for row in rows.values())
    assert all(row["batched_less_single"] == 0.0 < row["single_seconds"] for row in rows.values())
    assert {row["tiles_at_once"] for row in rows.values()} == {1}, "the processor takes tiles one by one"
    assert "48 x 48 pixels, 4 bands, x4" in capsys.readouterr().out


def test_what_was_measured_is_kept_where_a_later_method_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = compare_devices.compare

    def fail_at_dip(name: str, *arguments: object) -> dict[str, object]:
        if name == "dip, fast":
            raise RuntimeError("the borrowed machine is gone")
        return real(name, *arguments)

    monkeypatch.setattr(compare_devices, "compare", fail_at_dip)
    out = tmp_path / "devices.json"
    with pytest.raises(RuntimeError, match="borrowed"):
        compare_devices.main([str(out), "--device", "cpu", "--size-px", "48", "--methods", "anchor", "dip, fast"])
    assert list(json.loads(out.read_text())["rows"]) == ["anchor"]


def test_the_drawn_scene_looks_like_reflectance() -> None:
    numbers = compare_devices.drawn_scene(64)
    assert numbers.shape == (4, 64, 64)
    assert 500 < numbers.min() < numbers.max() <= 10000
    assert numbers.std() > 300
