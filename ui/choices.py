"""The words that people choose from, and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..bridge.words import tr
from ..engine.job import Device, Method, Preset, Sensor


@dataclass(frozen=True)
class Choice:
    """One entry of a list: its value, its name and one plain sentence about it."""

    value: Enum
    name: str
    explanation: str


def methods() -> tuple[Choice, ...]:
    """Return what can be done, the best first."""
    return (
        Choice(
            Method.CHAIN,
            tr("DIP, then Decrappify"),
            tr("Removes the pixels, then draws field borders steeper."),
        ),
        Choice(
            Method.DIP,
            tr("Deep Image Prior (DIP)"),
            tr("Removes the pixels and undoes the sensor’s blur, known or fitted. Half the time."),
        ),
        Choice(
            Method.DECRAPPIFY,
            tr("Decrappify only"),
            tr("Decrappify on a smooth enlargement, to see what each stage does alone."),
        ),
        Choice(
            Method.ANCHOR,
            tr("Anchor (no network)"),
            tr("Sharpens by calculation alone: nothing is learned, nothing invented."),
        ),
        Choice(
            Method.BICUBIC,
            tr("Bicubic (plain enlargement)"),
            tr("A smooth enlargement, to compare with: nothing is sharpened. The quickest."),
        ),
    )


def presets() -> tuple[Choice, ...]:
    """Return how much effort Deep Image Prior can make."""
    return (
        Choice(Preset.FAST, tr("Fast"), tr("Seconds to minutes; starts from a trained network.")),
        Choice(Preset.BALANCED, tr("Balanced"), tr("Several times slower, a little more precise.")),
        Choice(
            Preset.REFERENCE, tr("Reference (hours to days)"), tr("The published Deep Image Prior, for comparison.")
        ),
    )


def sensors() -> tuple[Choice, ...]:
    """Return whose blur can be undone."""
    return (
        Choice(Sensor.AUTO, tr("Automatic"), tr("Recognised from band names and pixel size.")),
        Choice(Sensor.SENTINEL_2, tr("Sentinel-2"), tr("The published blur of each Sentinel-2 band.")),
        Choice(Sensor.LANDSAT, tr("Landsat"), tr("The blur of Landsat's multispectral bands.")),
        Choice(Sensor.CUSTOM, tr("Custom MTF"), tr("Enter the sensor's modulation transfer at Nyquist.")),
    )


def devices() -> tuple[Choice, ...]:
    """Return where can be computed."""
    return (
        Choice(Device.AUTO, tr("Automatic"), tr("The graphics card if one works, else the processor.")),
        Choice(Device.CPU, tr("Processor"), tr("Works everywhere.")),
        Choice(Device.CUDA, tr("NVIDIA graphics card"), tr("Needs a CUDA build of torch in the engine.")),
        Choice(Device.MPS, tr("Apple graphics"), tr("Macs with Apple silicon.")),
    )
