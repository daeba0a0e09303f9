"""What a job will cost, told before it starts: time, the worker's memory, and where it computes.

A job's cost is the sum of its stages' costs, each so much a low-res pixel of its tiles, margins included, because that
is what is computed. The constants are what ``make measure-costs`` measures (scripts/measure_costs.py); what another
machine makes of them is :mod:`.calibration`'s to know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .bands import TRIPLE, band_groups
from .calibration import NUMPY, Machine, job_kind
from .job import METHODS_WITHOUT_ENGINE, Job, Method, Preset
from .model_file import CardError, fitting_card, model_file
from .preview import preview_size_px
from .sensors import is_known
from .tiling import LARGEST_CORE_PX, MARGIN_PX, margin_for, plan_tiles

# Of engine/pipeline.py and engine/dip/, which need torch; a test keeps them the same.
FIT_ROUNDS = 2
FIT_PATCH_PX = 96
FIT_PATCHES = {Preset.FAST: 4, Preset.BALANCED: 12}
TURNS = {Preset.FAST: 1, Preset.BALANCED: 8}
FIT_SCALE = 4
HELD_OUT_PATCH_PX = 96
HELD_OUT_SHARE = 0.04
HELD_OUT_PATCHES = 8
FEWEST_COPY_PX = 8
REFERENCE_ITERATIONS = 2000
REFERENCE_CORE_PX = 80

# Seconds of one core of the machine that all of this was measured on (a virtual one of 2 cores), by scale
# factor: a low-res pixel, or a band or a band triple of it.
_MEASURE = 0.3e-6
_ANCHOR = {2: 2.5e-6, 4: 8.5e-6}
_DIP_TURN = {Preset.FAST: {2: 16.0e-6, 4: 17.3e-6}, Preset.BALANCED: {2: 52.0e-6, 4: 55.0e-6}}
_DIP_BAND = {2: 1.0e-6, 4: 1.9e-6}
_DECRAPPIFY = {2: 19.4e-6, 4: 83.0e-6}
_PROJECTION = {2: 0.2e-6, 4: 0.5e-6}
_BLEND = {2: 0.2e-6, 4: 0.7e-6}
# Tracing borders in small fields of whatever bands: most of it goes into the lines.
_BORDERS = {2: 12e-6, 4: 30e-6}
# An iteration of the published network: a low-res pixel, and what each band adds.
_REFERENCE = {2: 125e-6, 4: 730e-6}
_REFERENCE_BAND = {2: 12e-6, 4: 60e-6}
# What a job takes of any size: choosing a device and the determinism of torch, and opening Decrappify's network.
_JOB_S = 1.35
_OPEN_DECRAPPIFY_S = 0.25
# Reading the layer and writing the GeoTIFF with its overviews, a high-res pixel of a band, in QGIS's process.
_READ_AND_WRITE_S = 0.1e-6
# With numpy, a low-res pixel of a band: the two methods in QGIS's process, and, on one core there as in the worker, the
# comparison with the input.
_NUMPY_ANCHOR = {2: 2.7e-6, 4: 9.0e-6}
_NUMPY_BICUBIC = {2: 0.1e-6, 4: 0.2e-6}
_NUMPY_COMPARED = {2: 0.55e-6, 4: 0.9e-6}
_NUMPY_JOB_S = 0.1
# The preview, a pixel of it: the first picture of all. QGIS gives every later one its colours in the thread that
# computes, which adds so much to all the rest. Processing has none, but too much is said rather than too little.
_NUMPY_SKETCH = 0.8e-6
_NUMPY_PREVIEWS = 0.35
# Of a low-res pixel of a band: how far off it may be, by docs/confidence.md a sixth of the chain's.
_CONFIDENCE = {2: 2.2e-6, 4: 6.0e-6}

# Bytes, the worker's largest resident size: the process with its libraries, and a low-res pixel of the largest tile, in
# the largest group of bands that is worked on at a time.
_PROCESS_BYTES = 340e6
_DECRAPPIFY_PROCESS_BYTES = 60e6
# The published network's weights and what Adam keeps of them.
_REFERENCE_PROCESS_BYTES = 170e6
_ANCHOR_BYTES_A_BAND = {2: 190.0, 4: 750.0}
_DIP_BYTES = {Preset.FAST: {2: 1300.0, 4: 1300.0}, Preset.BALANCED: {2: 2400.0, 4: 3500.0}}
_DIP_BYTES_A_BAND = {2: 150.0, 4: 500.0}
_DECRAPPIFY_BYTES = {2: 2800.0, 4: 13_200.0}
_DECRAPPIFY_BYTES_A_BAND = {2: 180.0, 4: 600.0}
_REFERENCE_BYTES = {2: 40_000.0, 4: 164_000.0}
# In QGIS's process, beside what that takes itself.
_NUMPY_BYTES = 10e6
_NUMPY_BYTES_A_BAND = {2: 170.0, 4: 680.0}
_REFERENCE_BYTES_A_BAND = {2: 100.0, 4: 400.0}


@dataclass(frozen=True)
class Estimate:
    """What a job is expected to cost.

    Attributes:
        start_s: until the worker has its libraries.
        work_s: from then until the worker has its result, by the constants and this machine's speed alone.
        read_and_write_s: QGIS's own part.
        ratio: how many times as long the worker's part took in earlier runs of this kind.
        memory_bytes: at the peak, the worker's, or what QGIS takes in addition, while tiles are as large as planned.
        device: "cpu", "cuda" or "mps"; "numpy" where QGIS itself computes.
    """

    start_s: float
    work_s: float
    read_and_write_s: float
    ratio: float
    memory_bytes: int
    device: str

    @property
    def seconds(self) -> float:
        """The whole, from the click to the result."""
        return self.start_s + self.work_s * self.ratio + self.read_and_write_s


def estimate(job: Job, rows_px: int, columns_px: int, machine: Machine, *, is_in_qgis: bool = False) -> Estimate:
    """Return what ``job`` will cost for an extent of so many low-res pixels on ``machine``.

    Args:
        is_in_qgis: whether there is no engine and QGIS itself computes.
    """
    if is_in_qgis:
        return _estimate_in_qgis(job, rows_px, columns_px, machine)
    device = machine.device_for(job.device)
    tiles = _Tiles.of(job, rows_px, columns_px)
    on_device_s, on_processor_s, alone_s = _core_seconds(job, tiles, rows_px, columns_px)
    work_s = on_device_s / machine.cores_worth(device) + on_processor_s / machine.cores_worth("cpu")
    return Estimate(
        start_s=machine.start_s,
        work_s=work_s + alone_s / machine.speed,
        read_and_write_s=_read_and_write_s(job, rows_px, columns_px) / machine.speed,
        ratio=machine.ratio(job_kind(job, device)),
        memory_bytes=_memory_bytes(job, tiles),
        device=device,
    )


def _estimate_in_qgis(job: Job, rows_px: int, columns_px: int, machine: Machine) -> Estimate:
    tiles, scale, bands = _Tiles.of(job, rows_px, columns_px), job.scale, _bands(job)
    method = _NUMPY_ANCHOR[scale] if job.method is Method.ANCHOR else _NUMPY_BICUBIC[scale]
    work_s = tiles.total_px * bands * (method + _NUMPY_COMPARED[scale] + _BLEND[scale])
    work_s += rows_px * columns_px * bands * _MEASURE + _NUMPY_JOB_S
    shown_rows_px, shown_columns_px = preview_size_px(rows_px * scale, columns_px * scale)
    work_s = work_s * (1.0 + _NUMPY_PREVIEWS) + shown_rows_px * shown_columns_px * _NUMPY_SKETCH
    in_memory = max(group.stop - group.start for group in band_groups(bands))
    return Estimate(
        start_s=0.0,
        work_s=work_s / machine.numpy_speed,
        read_and_write_s=_read_and_write_s(job, rows_px, columns_px) / machine.numpy_speed,
        ratio=machine.ratio(job_kind(job, NUMPY)),
        memory_bytes=int(_NUMPY_BYTES + tiles.largest_px * in_memory * _NUMPY_BYTES_A_BAND[scale]),
        device=NUMPY,
    )


def _read_and_write_s(job: Job, rows_px: int, columns_px: int) -> float:
    return _pictures(job) * rows_px * columns_px * _bands(job) * job.scale**2 * _READ_AND_WRITE_S


@dataclass(frozen=True)
class _Tiles:
    """Low-res pixels with margins: of all together, and of the largest."""

    total_px: int
    largest_px: int

    @classmethod
    def of(cls, job: Job, rows_px: int, columns_px: int) -> _Tiles:
        core_px = REFERENCE_CORE_PX if _is_reference(job) else LARGEST_CORE_PX
        margin_px = _margin_px(job)
        # Tiles are every span of rows with every span of columns: a hundred thousand of them need no list.
        rows = [tile.rows.stop - tile.rows.start for tile in plan_tiles(rows_px, 1, core_px, margin_px)]
        columns = [tile.columns.stop - tile.columns.start for tile in plan_tiles(1, columns_px, core_px, margin_px)]
        return cls(sum(rows) * sum(columns), max(rows) * max(columns))


def _margin_px(job: Job) -> int:
    if not _runs_decrappify(job):
        return MARGIN_PX
    try:
        card = fitting_card(model_file(job.model), job.scale)
    except CardError:
        # The job will not run; what it would have cost may still be asked.
        return MARGIN_PX
    return max(MARGIN_PX, margin_for(card.margin_px, job.scale))


def _core_seconds(job: Job, tiles: _Tiles, rows_px: int, columns_px: int) -> tuple[float, float, float]:
    """Return what can run on a graphics card, what runs on all cores of the processor, and what on one of them."""
    scale, bands = job.scale, _bands(job)
    triples = math.ceil(bands / TRIPLE)
    on_device = on_processor = 0.0
    if job.method is Method.ANCHOR:
        on_device += tiles.total_px * bands * _ANCHOR[scale]
    elif _is_reference(job):
        a_pixel = _REFERENCE[scale] + bands * _REFERENCE_BAND[scale]
        on_device += tiles.total_px * REFERENCE_ITERATIONS * a_pixel
    elif _runs_dip(job):
        on_device += tiles.total_px * _dip_seconds_a_pixel(job, scale)
        both_s = _dip_seconds_a_pixel(job, scale) + bands * _ANCHOR[scale]
        on_device += held_out_px(rows_px, columns_px, scale) * both_s
        if not is_known(job.sensor, job.band_names, job.pixel_size_m):
            on_device += _fitted_px(job.preset, rows_px, columns_px) * _dip_seconds_a_pixel(job, FIT_SCALE)
    if _runs_decrappify(job):
        on_processor += tiles.total_px * triples * _DECRAPPIFY[scale]
    if job.maps_confidence:
        on_device += tiles.total_px * bands * _CONFIDENCE[scale]
    if job.method not in METHODS_WITHOUT_ENGINE:
        on_device += tiles.total_px * bands * _PROJECTION[scale]
    alone = tiles.total_px * bands * (_pictures(job) * _BLEND[scale] + _NUMPY_COMPARED[scale])
    alone += rows_px * columns_px * bands * _MEASURE + _JOB_S
    if _runs_decrappify(job):
        alone += _OPEN_DECRAPPIFY_S
    if job.traces_borders:
        alone += rows_px * columns_px * _BORDERS[scale]
    return on_device, on_processor, alone


def _dip_seconds_a_pixel(job: Job, scale: int) -> float:
    bands = _bands(job)
    return TURNS[job.preset] * math.ceil(bands / TRIPLE) * _DIP_TURN[job.preset][scale] + bands * _DIP_BAND[scale]


def held_out_px(rows_px: int, columns_px: int, scale: int) -> int:
    """Return how many pixels the copies have from which both methods restore held-out pixels."""
    copy_px = tuple(min(HELD_OUT_PATCH_PX, length_px) // scale for length_px in (rows_px, columns_px))
    if min(copy_px) < FEWEST_COPY_PX:
        return 0
    patches = int(HELD_OUT_SHARE * rows_px * columns_px / (HELD_OUT_PATCH_PX // scale) ** 2)
    return max(1, min(HELD_OUT_PATCHES, patches)) * math.prod(copy_px)


def _fitted_px(preset: Preset, rows_px: int, columns_px: int) -> int:
    """Return how many pixels the blur is fitted on, each as often as it is restored: with its patches, in rounds."""
    # An extent no larger than a patch is one; places that are drawn twice count once.
    places = math.prod(max(0, length_px - FIT_PATCH_PX) + 1 for length_px in (rows_px, columns_px))
    patch_px = min(FIT_PATCH_PX, rows_px) * min(FIT_PATCH_PX, columns_px)
    return FIT_ROUNDS * min(FIT_PATCHES[preset], places) * patch_px


def tile_bytes(job: Job, tile_px: int) -> float:
    """Return what the hungriest stage takes for a tile of so many low-res pixels, the process not counted."""
    scale, bands = job.scale, max(group.stop - group.start for group in band_groups(_bands(job)))
    stages_bytes = [bands * _ANCHOR_BYTES_A_BAND[scale]]
    if _is_reference(job):
        stages_bytes.append(_REFERENCE_BYTES[scale] + bands * _REFERENCE_BYTES_A_BAND[scale])
    elif _runs_dip(job):
        stages_bytes.append(_DIP_BYTES[job.preset][scale] + bands * _DIP_BYTES_A_BAND[scale])
    if _runs_decrappify(job):
        stages_bytes.append(_DECRAPPIFY_BYTES[scale] + bands * _DECRAPPIFY_BYTES_A_BAND[scale])
    return float(tile_px * max(stages_bytes))


def _memory_bytes(job: Job, tiles: _Tiles) -> int:
    """Return the worker's largest memory: that of its hungriest stage on the largest tile."""
    process_bytes = _PROCESS_BYTES
    process_bytes += _DECRAPPIFY_PROCESS_BYTES if _runs_decrappify(job) else 0.0
    process_bytes += _REFERENCE_PROCESS_BYTES if _is_reference(job) else 0.0
    return int(process_bytes + tile_bytes(job, tiles.largest_px))


def _bands(job: Job) -> int:
    return len(job.band_names)


def _runs_dip(job: Job) -> bool:
    return job.method in (Method.CHAIN, Method.DIP)


def _is_reference(job: Job) -> bool:
    return _runs_dip(job) and job.preset is Preset.REFERENCE


def _runs_decrappify(job: Job) -> bool:
    return job.method in (Method.CHAIN, Method.DECRAPPIFY)


def _pictures(job: Job) -> int:
    """Return how many rasters of the result's size are made."""
    return 1 + job.keeps_dip + job.maps_confidence
