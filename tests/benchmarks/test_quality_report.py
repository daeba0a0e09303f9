"""The report holds the chain to its bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quality_report import CROP_PX, ZOOM, bars, crop_sheet, table

PLAIN = {
    "psnr": 26.0,
    "ssim": 0.6,
    "vgg": 0.7,
    "squeezenet": 0.7,
    "rmse_dn": 100.0,
    "angle_deg": 0.4,
    "shift_px": 0.003,
    "hallucination": 0.03,
    "omission": 0.9,
    "improvement": 0.04,
    "border_f": 0.51,
    "border_f_whole": 0.62,
    "border_precision": 0.4,
    "border_recall": 0.6,
    "rise_px": 6.0,
    "rise_median_px": 6.0,
    "overshoot": 0.004,
    "seconds": 0.01,
}
CHAIN = PLAIN | {"psnr": 27.6, "squeezenet": 0.4, "improvement": 0.35, "border_f": 0.55, "rise_px": 2.6}
HIGH_RES = PLAIN | {"squeezenet": 0.0, "border_f": 0.54, "rise_px": 2.2, "seconds": None}


def results(scale: int = 4, **changes: float) -> dict[str, Any]:
    """A benchmark in which the chain passes everything but for ``changes``."""
    rows = {name: dict(PLAIN) for name in ("bicubic", "anchor", "dip", "decrappify")}
    rows |= {"chain": CHAIN | changes, "high_res": dict(HIGH_RES)}
    consistent = {name: row for name, row in rows.items() if name != "high_res"}
    return {
        "scale": scale,
        "places": ["here"],
        "border_profiles": 10,
        "rows": rows,
        "rows_without_consistency": rows,
        "rows_with_consistency": consistent,
    }


def test_a_chain_that_meets_every_bar_passes() -> None:
    lines = bars(results()).splitlines()
    assert len(lines) == 11
    assert all(line.startswith("pass") for line in lines)


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"rise_px": 2.8}, ["mean rise 1.27 x the high-res image's"]),
        ({"squeezenet": 0.43}, ["SqueezeNet distance 0.61 of bicubic's"]),
        ({"border_f": 0.505}, ["border F"]),
        ({"psnr": 26.9}, ["PSNR +0.90 dB"]),
        ({"overshoot": 0.06}, ["overshoot"]),
        ({"angle_deg": 1.1}, ["angle"]),
        ({"shift_px": 0.03}, ["shift"]),
        ({"hallucination": 0.11}, ["halluc."]),
        ({"improvement": 0.29}, ["improvement"]),
        ({"rise_px": 6.5}, ["mean rise 6.500", "mean rise 2.95 x"]),
    ],
)
def test_each_bar_that_is_missed_is_told(changes: dict[str, float], failed: list[str]) -> None:
    missed = [line for line in bars(results(**changes)).splitlines() if line.startswith("FAIL")]
    assert len(missed) == len(failed)
    assert all(words in line for words, line in zip(failed, missed, strict=True))


def test_twice_as_large_the_chain_must_gain_more_and_its_rise_is_only_compared() -> None:
    lines = bars(results(scale=2, psnr=27.4, rise_px=5.0)).splitlines()
    assert [line for line in lines if line.startswith("FAIL")] == ["FAIL  PSNR +1.40 dB against bicubic: at least +1.5"]


def test_the_table_has_each_method_with_and_without_consistency() -> None:
    lines = table(results()).splitlines()
    assert sum(line.startswith("| chain |") for line in lines) == 2
    assert sum(line.startswith("| high_res |") for line in lines) == 1
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_the_sheet_shows_the_crop_with_most_outlines_unsmoothed() -> None:
    image = np.zeros((3, 300, 300), dtype=np.float32)
    image[0, 200, 210] = 1.0
    drawn = np.zeros((300, 300), dtype=bool)
    drawn[[172, 299], 172:300] = drawn[172:300, [172, 299]] = True
    drawn[20, 20:60] = True
    picture = crop_sheet(["north"], [{"dip": image}], [drawn])
    # The crop begins at 172, 172, below a title of 16 pixels.
    left, top = (210 - 172) * ZOOM, 16 + (200 - 172) * ZOOM
    box = picture.crop((left, top, left + ZOOM, top + ZOOM))
    assert set(np.asarray(box).reshape(-1, 3).tolist()[0]) == {255, 0}
    assert picture.getpixel((left - 1, top)) == picture.getpixel((left + ZOOM, top)) == (0, 0, 0)
    assert picture.height == CROP_PX * ZOOM + 16


def test_a_place_without_outlines_shows_its_middle() -> None:
    image = np.zeros((3, 200, 200), dtype=np.float32)
    image[1, 100, 100] = 1.0
    picture = crop_sheet(["town"], [{"dip": image}], [np.zeros((200, 200), dtype=bool)])
    assert picture.getpixel(((100 - 36) * ZOOM, 16 + (100 - 36) * ZOOM)) == (0, 255, 0)
