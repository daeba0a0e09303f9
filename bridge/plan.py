"""What is going to happen, once every check has passed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from ..engine.grid import Grid, Window
from ..engine.job import Job
from .raster_source import BandInfo, Metadata, RasterUri
from .source_files import SourceFile
from .web_source import WebSource


class CannotEnhance(ValueError):
    """The request cannot be carried out; the text is one sentence for people: what is wrong and what to do."""


class EngineMissing(CannotEnhance):
    """The engine environment is not there: setting it up is the remedy.

    Attributes:
        reason: what is wrong, without what to do about it.
        remedy: how the engine is set up.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}.")
        self.reason, self.remedy = reason, remedy


@dataclass(frozen=True)
class EnhancePlan:
    """A checked request as plain values, safe to take into another thread.

    Attributes:
        source: what GDAL opens, or QGIS's provider for map servers.
        source_layer_id, source_name: of the layer in QGIS.
        grid: the whole raster's, with the layer's CRS, which may be another than the file states; of a web layer that
            of the window, in the resolution that was wished for.
        window: the pixels to enhance.
        bands: in the order of the arrays.
        metadata: the raster's own, by domain.
        pixel_size_m: ground size (x, y) of an input pixel in metres, or None where it is unknown.
        job: what the worker is asked to do.
        engine_python: what runs the worker; None where there is no engine and QGIS itself computes.
        output: where the GeoTIFF goes.
        report: where the JSON report goes.
        dip_output: where the GeoTIFF of Deep Image Prior's own picture goes; None if it is not kept.
        confidence: where the GeoTIFF of how far off the result may be goes; None if that is not mapped.
        uncertain_areas: where the GeoPackage of where it is uncertain goes; None as above.
        borders: where the GeoPackage of traced borders goes; None if none are traced.
        is_cloud_optimised: whether the GeoTIFF is to be one.
        is_extent_clipped: whether the wished-for extent reaches beyond the layer by a pixel or more.
        cautions: sentences on what speaks against enhancing this layer, though nothing forbids it.
        has_layer_overrides: whether the user said otherwise in QGIS than the file does: of nodata, or of the CRS.
        source_files: what the source was made of when it was checked; nothing of a map server.
    """

    source: Union[RasterUri, WebSource]
    source_layer_id: str
    source_name: str
    grid: Grid
    window: Window
    bands: tuple[BandInfo, ...]
    metadata: Metadata
    pixel_size_m: Optional[tuple[float, float]]
    job: Job
    engine_python: Optional[Path]
    output: Path
    report: Path
    dip_output: Optional[Path] = None
    confidence: Optional[Path] = None
    uncertain_areas: Optional[Path] = None
    borders: Optional[Path] = None
    is_cloud_optimised: bool = False
    is_extent_clipped: bool = False
    cautions: tuple[str, ...] = ()
    has_layer_overrides: bool = False
    source_files: tuple[SourceFile, ...] = ()

    @property
    def output_grid(self) -> Grid:
        """Where the result's pixels lie."""
        return self.grid.part(self.window).refined(self.job.scale)

    @property
    def is_in_qgis(self) -> bool:
        """Whether QGIS itself computes, for want of an engine."""
        return self.engine_python is None

    @property
    def engine(self) -> str:
        """What computes, for what the result says of itself."""
        return "numpy, inside QGIS" if self.is_in_qgis else "torch, in a process of its own"

    @property
    def title(self) -> str:
        """What is enhanced and how large it is, to be told from other plans in a list."""
        return f"{self.source_name}, {self.window.width_px} × {self.window.height_px} px, ×{self.job.scale}"

    @property
    def files(self) -> tuple[Path, ...]:
        """All that it writes."""
        written = (self.output, self.report, *self._extras)
        return tuple(file for file in written if file is not None)

    @property
    def has_extras(self) -> bool:
        """Whether more layers than one come of it."""
        return any(extra is not None for extra in self._extras)

    @property
    def _extras(self) -> tuple[Optional[Path], ...]:
        return self.dip_output, self.confidence, self.uncertain_areas, self.borders
