"""All files that come of a run: made beside their places from what the worker left, and published together or not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable, Optional

from ..engine.array_file import ArrayFile, open_array
from ..engine.border_file import read_borders
from ..engine.events import Started
from ..engine.job import CONFIDENCE_FILE, DIP_FILE, OUTPUT_FILE, VALID_FILE
from .border_sink import BorderDescription, StagedBorders
from .geopackage import LayerDescription
from .layer_names import LayerNames
from .plan import EnhancePlan
from .provenance import (
    border_abstract,
    confidence_bands,
    confidence_items,
    dip_items,
    tiff_items,
    uncertain_areas_abstract,
)
from .raster_sink import ResultDescription, ResultUnwritable, StagedGeotiff
from .report import StagedReport
from .staging import NotPutBack, StagedFile
from .uncertain_sink import StagedUncertainAreas
from .words import tr

Tell = Callable[[str, float], None]


class StagedOutputs:
    """The files of one plan; as a context it removes what was not published."""

    def __init__(self, plan: EnhancePlan) -> None:
        self._plan = plan
        self._raster = StagedGeotiff(plan.output)
        self._dip = StagedGeotiff(plan.dip_output, may_replace=False)
        self._confidence = StagedGeotiff(plan.confidence, may_replace=False)
        self._uncertain_areas = StagedUncertainAreas(plan.uncertain_areas)
        self._borders = StagedBorders(plan.borders)
        self._report = StagedReport(plan.report)
        self._open = ExitStack()

    def __enter__(self) -> StagedOutputs:
        for file in self._in_order_of_publishing:
            self._open.enter_context(file)
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def write_rasters(
        self, folder: Path, started: Optional[Started], worker_report: dict[str, Any], tell: Tell
    ) -> None:
        """Turn the worker's arrays into GeoTIFFs, and into the areas that are uncertain.

        Args:
            folder: the job folder.
            started, worker_report: what the worker said.
            tell: told a phase and how much of the rasters is done, from 0 to 1; what it raises ends the writing.

        Raises:
            ResultUnwritable: if GDAL fails, or the worker left something else than it was asked for.
            OSError: if a folder cannot be written to.
        """
        plan = self._plan
        items = tiff_items(plan, started, worker_report)
        described = [(self._raster, OUTPUT_FILE, plan.bands, items)]
        if plan.dip_output is not None:
            described.append((self._dip, DIP_FILE, plan.bands, dip_items(plan, items)))
        if plan.confidence is not None:
            described.append((self._confidence, CONFIDENCE_FILE, confidence_bands(plan), confidence_items(plan, items)))
        count = len(described) + (plan.uncertain_areas is not None)

        def part(number: int, phase: str) -> Callable[[float], None]:
            return lambda done: tell(phase, (number + done) / count)

        for number, (raster, file, bands, notes) in enumerate(described):
            description = ResultDescription(plan.output_grid, bands, plan.metadata, notes, plan.is_cloud_optimised)
            _write_raster(description, folder / file, raster, part(number, tr("Writing the result")))
        if plan.uncertain_areas is not None:
            self._write_uncertain_areas(folder, worker_report, part(count - 1, tr("Outlining what is uncertain")))

    def _write_uncertain_areas(
        self, folder: Path, worker_report: dict[str, Any], on_fraction: Callable[[float], None]
    ) -> None:
        plan = self._plan
        limits = _limits_of(worker_report, len(plan.bands))
        description = LayerDescription(
            plan.grid.part(plan.window), _title_of(plan), uncertain_areas_abstract(plan.source_name)
        )
        with _left_by_worker(folder / CONFIDENCE_FILE) as bounds, open_array(folder / VALID_FILE) as valid:
            self._uncertain_areas.write(description, bounds, valid, limits, on_fraction)

    def write_borders(self, folder: Path, on_fraction: Callable[[float], None]) -> None:
        """Turn the worker's lines into the GeoPackage, if they are wished for; raises as :meth:`write_rasters` does."""
        plan = self._plan
        if plan.borders is None:
            return
        grid, size = plan.output_grid, plan.pixel_size_m
        try:
            lines = read_borders(folder, grid.width_px, grid.height_px)
        except (OSError, ValueError, EOFError) as error:
            raise ResultUnwritable(
                tr("The engine returned no borders that can be read; leave them out, and please report this.")
            ) from error
        size = None if size is None else (size[0] / plan.job.scale, size[1] / plan.job.scale)
        description = BorderDescription(grid, _title_of(plan), border_abstract(plan.source_name), size)
        self._borders.write(description, lines, on_fraction)

    def write_report(self, summary: dict[str, Any]) -> None:
        """Write the report. Raises OSError if its folder cannot be written to."""
        self._report.write(summary)

    @property
    def _in_order_of_publishing(self) -> tuple[StagedFile, ...]:
        # What may replace a file for good comes last.
        return self._report, self._borders, self._uncertain_areas, self._dip, self._confidence, self._raster

    def publish(self) -> None:
        """Give all files their names, or none.

        Raises:
            OSError: if it cannot be done.
            NotPutBack: if, besides, an old file could not come back.
        """
        published: list[StagedFile] = []
        try:
            for file in self._in_order_of_publishing:
                file.publish()
                published.append(file)
        except BaseException as error:
            stuck = [error] if isinstance(error, NotPutBack) else []
            for file in reversed(published):
                try:
                    file.take_back()
                except NotPutBack as other:
                    stuck.append(other)
            if stuck:
                places = tuple(place for each in stuck for place in each.places)
                raise NotPutBack(places, tuple(file for each in stuck for file in each.left)) from error
            raise


def _title_of(plan: EnhancePlan) -> str:
    return LayerNames.of(plan, {}).result


@contextmanager
def _left_by_worker(array: Path) -> Iterator[ArrayFile]:
    """Yield an array of the job folder. Raises ResultUnwritable if it is none."""
    try:
        opened = _open_floats(array)
    except (ValueError, EOFError) as error:
        raise ResultUnwritable(
            tr("The engine left a result that cannot be read; try again, and please report this.")
        ) from error
    with opened:
        yield opened


def _open_floats(file: Path) -> ArrayFile:
    opened = open_array(file)
    if opened.dtype.kind != "f":
        opened.close()
        raise ValueError(f"{file.name} holds {opened.dtype} values")
    return opened


def _write_raster(
    description: ResultDescription, array: Path, raster: StagedGeotiff, on_fraction: Callable[[float], None]
) -> None:
    on_fraction(0.0)
    with _left_by_worker(array) as pixels, open_array(array.with_name(VALID_FILE)) as valid:
        expected = (len(description.bands), description.grid.height_px, description.grid.width_px)
        if pixels.shape != expected:
            raise ResultUnwritable(
                tr("The engine returned a result of another size than it was asked for; please report this.")
            ) from ValueError(f"expected {expected}, got {pixels.shape}")
        raster.write(description, pixels, valid, on_fraction)


def _limits_of(worker_report: dict[str, Any], bands: int) -> list[float]:
    """Return from which error on each band counts as uncertain, in digital numbers."""
    limits = worker_report.get("uncertain_from")
    if (
        isinstance(limits, list)
        and len(limits) == bands
        and all(isinstance(limit, (int, float)) and math.isfinite(limit) and limit > 0 for limit in limits)
    ):
        return limits
    raise ResultUnwritable(
        tr("The engine did not say from which error on an area is uncertain; please report this.")
    ) from ValueError(f"uncertain_from is {limits!r}")
