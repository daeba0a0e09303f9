"""What a person asks for, as the dock and the Processing algorithm both say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from qgis.core import QgsRasterLayer, QgsReferencedRectangle

from ..engine.job import Device, Method, Preset, Sensor


@dataclass(frozen=True)
class EnhanceRequest:
    """One click on Enhance extent.

    Attributes:
        layer: the raster to enhance; read on the main thread only.
        extent: the wished-for rectangle, in any CRS; None for the whole layer.
        resolution: of a web layer only, the ground size of an input pixel in units of the layer's CRS; None for what
            :func:`.web_grid.default_resolution` chooses.
        bands: 1-based band numbers in the order wished for; empty for all bands.
        mtf_at_nyquist: used only with ``Sensor.CUSTOM``.
        model: the user's own Decrappify model (ONNX, its card beside it); None for the shipped one.
        is_cloud_optimised: whether the result is to be a cloud-optimised GeoTIFF.
        keeps_dip: whether Deep Image Prior's own picture is to be kept beside the result; only the chain has one.
        maps_confidence: whether it is to be mapped how far off the result may be; of the shipped networks that run Deep
            Image Prior.
        traces_borders: whether a line layer of likely field borders is to go with it.
        output: where the GeoTIFF goes; None for a temporary file.
        report: where the JSON report goes; None for beside the output.
    """

    layer: Optional[QgsRasterLayer]
    extent: Optional[QgsReferencedRectangle] = None
    resolution: Optional[float] = None
    bands: tuple[int, ...] = ()
    method: Method = Method.CHAIN
    scale: int = 4
    preset: Preset = Preset.FAST
    sensor: Sensor = Sensor.AUTO
    mtf_at_nyquist: Optional[float] = None
    seed: int = 0
    device: Device = Device.AUTO
    model: Optional[Path] = None
    is_cloud_optimised: bool = False
    keeps_dip: bool = False
    maps_confidence: bool = False
    traces_borders: bool = False
    output: Optional[Path] = None
    report: Optional[Path] = None
