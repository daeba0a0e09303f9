"""What bench_quality.py shows: a table, the bars that the chain is held to, and a sheet of crops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import uniform_filter

from headland.models.training.validation import SHEET_ROWS, sheet

CROP_PX = 128
ZOOM = 2
LABEL_PX = 14
COLUMNS = {
    "psnr": ("PSNR (dB)", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "vgg": ("VGG", ".3f"),
    "squeezenet": ("SqueezeNet", ".3f"),
    "rmse_dn": ("RMSE (DN)", ".1f"),
    "angle_deg": ("angle (°)", ".2f"),
    "shift_px": ("shift (px)", ".3f"),
    "hallucination": ("halluc.", ".3f"),
    "omission": ("omission", ".3f"),
    "improvement": ("improv.", ".3f"),
    "border_f": ("border F, half px", ".3f"),
    "border_f_whole": ("whole px", ".3f"),
    "border_precision": ("precision", ".3f"),
    "border_recall": ("recall", ".3f"),
    "rise_px": ("rise (px)", ".2f"),
    "rise_median_px": ("median", ".2f"),
    "overshoot": ("overshoot", ".3f"),
    "seconds": ("seconds", ".2f"),
}
GAIN_DB = {2: 1.5, 4: 1.0}
SQUEEZENET_SHARE = 0.6
RISE_RATIO = 1.25
RISE_RATIO_SCALE = 4
CEILINGS = {"overshoot": 0.05, "angle_deg": 1.0, "shift_px": 0.02, "hallucination": 0.10}
LEAST_IMPROVEMENT = 0.30
# Border F tells images apart only weakly: less than this is no difference.
F_RESOLUTION = 0.0005


def table(results: Mapping[str, Any]) -> str:
    """Return all rows as Markdown: as delivered first, then the other half of each method."""
    lines = [
        f"x{results['scale']}, {len(results['places'])} places, {results['border_profiles']} profiles across borders",
        "",
        "| method | consistency | " + " | ".join(title for title, _ in COLUMNS.values()) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    plain, consistent = results["rows_without_consistency"], results["rows_with_consistency"]
    for name, row in plain.items():
        lines.append(_line(name, "without" if name in consistent else "", row))
        if name in consistent:
            lines.append(_line(name, "with", consistent[name]))
    return "\n".join(lines)


def _line(name: str, consistency: str, row: Mapping[str, float | None]) -> str:
    cells = ("" if (value := row[key]) is None else format(value, form) for key, (_, form) in COLUMNS.items())
    return f"| {name} | {consistency} | " + " | ".join(cells) + " |"


def bars(results: Mapping[str, Any]) -> str:
    """Return a line for each bar of the chain: whether it passes, what is asked and what was measured."""
    return "\n".join(
        f"{'pass' if passes else 'FAIL'}  {sentence}" for passes, sentence in _bars(results["rows"], results["scale"])
    )


def _bars(rows: Mapping[str, Mapping[str, float]], scale: int) -> Iterator[tuple[bool, str]]:
    chain, truth, bicubic = rows["chain"], rows["high_res"], rows["bicubic"]
    others = {name: row for name, row in rows.items() if name not in ("chain", "high_res")}
    for key, title in (("rise_px", "mean rise"), ("squeezenet", "SqueezeNet distance")):
        best = min(others, key=lambda name: others[name][key])
        yield (
            chain[key] < others[best][key],
            f"{title} {chain[key]:.3f}: the least of all ({best} has {others[best][key]:.3f})",
        )
    best = max(others, key=lambda name: others[name]["border_f"])
    yield (
        chain["border_f"] >= others[best]["border_f"] - F_RESOLUTION,
        f"border F {chain['border_f']:.3f}: no worse than any ({best} has {others[best]['border_f']:.3f})",
    )
    share = chain["squeezenet"] / bicubic["squeezenet"]
    yield share <= SQUEEZENET_SHARE, f"SqueezeNet distance {share:.2f} of bicubic's: at most {SQUEEZENET_SHARE}"
    if scale == RISE_RATIO_SCALE:
        ratio = chain["rise_px"] / truth["rise_px"]
        yield ratio <= RISE_RATIO, f"mean rise {ratio:.2f} x the high-res image's: at most {RISE_RATIO}"
    gain_db = chain["psnr"] - bicubic["psnr"]
    yield gain_db >= GAIN_DB[scale], f"PSNR {gain_db:+.2f} dB against bicubic: at least {GAIN_DB[scale]:+.1f}"
    for key, most in CEILINGS.items():
        yield chain[key] <= most, f"{COLUMNS[key][0]} {chain[key]:.3f}: at most {most}"
    yield chain["improvement"] >= LEAST_IMPROVEMENT, f"improvement {chain['improvement']:.3f}: at least .30"


def crop_sheet(
    names: Sequence[str], images: Sequence[Mapping[str, NDArray[np.float32]]], drawn: Sequence[NDArray[np.bool_]]
) -> Image.Image:
    """Lay crops side by side, a row a place and a column a method, each pixel ZOOM times as large.

    Args:
        names: of the places; those of the sheet are evenly spread over them.
        images: of each place, (3, H, W) in 0 to 1 by method.
        drawn: of each place, (H, W), true at field outlines: the crop is where most of them are.
    """
    shown = np.unique(np.linspace(0, len(names) - 1, SHEET_ROWS).astype(int))
    corners = [_busiest_corner(drawn[place]) for place in shown]
    crops = {
        method: torch.stack(
            [
                torch.from_numpy(images[place][method][:, row : row + CROP_PX, column : column + CROP_PX])
                for place, (row, column) in zip(shown, corners, strict=True)
            ]
        )
        for method in images[0]
    }
    picture = sheet(crops, ZOOM)
    draw = ImageDraw.Draw(picture)
    for position, place in enumerate(shown):
        bottom = (position + 1) * CROP_PX * ZOOM + LABEL_PX
        draw.rectangle((0, bottom - LABEL_PX, 7 * len(names[place]), bottom), fill="white")
        draw.text((2, bottom - LABEL_PX + 1), names[place], fill="black")
    return picture


def _busiest_corner(drawn: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first row and column of the crop with the most outlines; the middle one where there are none."""
    rows, columns = (length - CROP_PX for length in drawn.shape)
    if not drawn.any():
        return rows // 2, columns // 2
    # uniform_filter's window is centred, one pixel to the left if its size is even.
    sums = uniform_filter(drawn.astype(np.float64), CROP_PX, mode="constant")
    half = CROP_PX // 2
    inner = sums[half : half + rows + 1, half : half + columns + 1]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    return int(row), int(column)
