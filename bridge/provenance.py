"""What a result says of itself: in the TIFF and in the layer's metadata, it is enhanced and not measured."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Optional

from osgeo import gdal
from qgis.core import QgsLayerMetadata, QgsMapLayer

from ..engine.events import Started
from ..engine.job import Method
from .doubts import anchor_stands_in, share_of_zeros_in
from .plan import EnhancePlan
from .raster_source import CONFIDENCE_ITEM, NATURE, NATURE_ITEM, BandInfo
from .version import headland_version

UNKNOWN_NATURE = "not known, as the anchor took the place of Deep Image Prior: the whole range stands for it"
CONFIDENCE_NATURE = "nine pixels of ten are off by less than this"
BORDERS_NATURE = "traced by machine, not surveyed"
STAND_IN = "the anchor in place of Deep Image Prior"


def tiff_items(plan: EnhancePlan, started: Optional[Started], worker_report: dict[str, Any]) -> dict[str, str]:
    """Return the metadata items of the GeoTIFF, all of them text.

    Args:
        started: what the worker said of itself, if it said anything.
        worker_report: what it did and measured.
    """
    job, window = plan.job, plan.window
    versions = {"headland": headland_version(), **(started.versions if started else {})}
    items = {
        "TIFFTAG_SOFTWARE": f"Headland {headland_version()}",
        "TIFFTAG_IMAGEDESCRIPTION": f"{plan.source_name}, enhanced x{job.scale} ({NATURE})",
        NATURE_ITEM: NATURE,
        "HEADLAND_INPUT": str(plan.source),
        "HEADLAND_WINDOW": f"{window.column_px},{window.row_px},{window.width_px},{window.height_px}",
        "HEADLAND_BANDS": ",".join(str(band.number) for band in plan.bands),
        "HEADLAND_METHOD": job.method.value,
        "HEADLAND_SCALE": str(job.scale),
        "HEADLAND_PRESET": job.preset.value,
        "HEADLAND_SENSOR": job.sensor.value,
        "HEADLAND_SEED": str(job.seed),
        "HEADLAND_MODELS": _models(worker_report),
        "HEADLAND_ENGINE": plan.engine,
        "HEADLAND_DEVICE": worker_report.get("device") or (started.device if started else ""),
        "HEADLAND_VERSIONS": "; ".join(f"{name} {version}" for name, version in versions.items()),
        "HEADLAND_RMSE_OVER_NOISE": _ratios(worker_report),
        "HEADLAND_STAND_IN": STAND_IN if anchor_stands_in(worker_report) else "",
        "HEADLAND_STOPPED": json.dumps(worker_report["stopped"]) if "stopped" in worker_report else "",
    }
    return {name: text for name, text in items.items() if text}


def dip_items(plan: EnhancePlan, items: dict[str, str]) -> dict[str, str]:
    """Return the metadata items of Deep Image Prior's own picture, made of those of the result that builds on it."""
    method, how = (Method.ANCHOR, STAND_IN) if "HEADLAND_STAND_IN" in items else (Method.DIP, "Deep Image Prior alone")
    return {
        **{name: text for name, text in items.items() if name != "HEADLAND_RMSE_OVER_NOISE"},
        "TIFFTAG_IMAGEDESCRIPTION": f"{plan.source_name}, {how} x{plan.job.scale} ({NATURE})",
        "HEADLAND_METHOD": method.value,
    }


def confidence_bands(plan: EnhancePlan) -> tuple[BandInfo, ...]:
    """Return the bands of the map of how far off the result may be: numbers of the same unit, without its offset."""
    return tuple(
        replace(
            band,
            name=f"{band.name} error" if band.name else "error",
            dtype="float32",
            nodata=None,
            offset=None,
            colour=gdal.GCI_Undefined,
            metadata=(),
        )
        for band in plan.bands
    )


def confidence_items(plan: EnhancePlan, items: dict[str, str]) -> dict[str, str]:
    """Return the metadata items of that map, made of those of the result."""
    nature = UNKNOWN_NATURE if "HEADLAND_STAND_IN" in items else CONFIDENCE_NATURE
    return {
        **{name: text for name, text in items.items() if name != NATURE_ITEM},
        "TIFFTAG_IMAGEDESCRIPTION": f"{plan.source_name}, enhanced x{plan.job.scale}: {nature}",
        CONFIDENCE_ITEM: nature,
    }


def describe_layer(layer: QgsMapLayer, report: dict[str, Any]) -> None:
    """Write what the report says into the metadata of a result's layer, which QGIS keeps in the project."""
    source = report["input"]
    abstract = (
        f"{source['layer']}, enhanced ×{report['scale']} by Headland: {NATURE}. Detail finer than a pixel is inferred."
    )
    _describe(layer, report, source["source"], abstract, NATURE)


def describe_dip(layer: QgsMapLayer, report: dict[str, Any]) -> None:
    """Write likewise what Deep Image Prior's own picture is."""
    source = report["input"]
    method = STAND_IN if anchor_stands_in(report) else "Deep Image Prior alone"
    abstract = f"{source['layer']}, ×{report['scale']} by Headland, as made by {method}: {NATURE}."
    _describe(layer, report, source["source"], abstract, NATURE)


def describe_confidence(layer: QgsMapLayer, report: dict[str, Any]) -> None:
    """Write likewise what the numbers of the map of possible errors mean."""
    nature = UNKNOWN_NATURE if anchor_stands_in(report) else CONFIDENCE_NATURE
    abstract = f"How far off {report['input']['layer']}, as enhanced by Headland, may be: {nature}."
    _describe(layer, report, report["output"], abstract, "possible error")


def describe_uncertain_areas(layer: QgsMapLayer, report: dict[str, Any]) -> None:
    """Write likewise what the outlined areas are."""
    _describe(layer, report, report["output"], uncertain_areas_abstract(report["input"]["layer"]), "uncertain areas")


def describe_borders(layer: QgsMapLayer, report: dict[str, Any]) -> None:
    """Write likewise what traced borders are: a guess."""
    _describe(layer, report, report["output"], border_abstract(report["input"]["layer"]), "field borders")


def _describe(layer: QgsMapLayer, report: dict[str, Any], parent: str, abstract: str, keyword: str) -> None:
    metadata = QgsLayerMetadata()
    metadata.setTitle(layer.name())
    metadata.setType("dataset")
    metadata.setParentIdentifier(parent)
    metadata.setAbstract(abstract)
    metadata.setKeywords({"headland": [keyword, report["method"]]})
    metadata.setHistory(history_of(report))
    metadata.setCrs(layer.crs())
    layer.setMetadata(metadata)


def uncertain_areas_abstract(source_name: str) -> str:
    """Return what people should know of the areas in which the enhanced copy of a layer is uncertain."""
    return (
        f"Where {source_name}, as enhanced by Headland, may be off by a quarter of its bands' usual range or more, on "
        "average: about as much as neighbouring fields differ. Outside it may be off as well, but by less."
    )


def border_abstract(source_name: str) -> str:
    """Return what people should know of the borders that were traced in the enhanced copy of a layer."""
    return (
        f"Likely field borders in {source_name}, as enhanced by Headland: {BORDERS_NATURE}. Each line is a guess; its "
        "strength, from 0 to 1, says how likely it is a border that a person would draw."
    )


def history_of(report: dict[str, Any]) -> list[str]:
    """Return what was done to what, by what, a line each, with the time."""
    source, window, versions = report["input"], report["window"], report["versions"]
    bands = ", ".join(str(band["number"]) for band in report["bands"])
    worker = "".join(f", {name} {version}" for name, version in versions["worker"].items())
    size, corner = f"{window['width_px']} × {window['height_px']}", (window["column_px"], window["row_px"])
    lines = [
        f"Input: {source['source']}",
        f"Window: {size} pixels from column {corner[0]}, row {corner[1]}; bands {bands}",
        f"Method: {report['method']}, {report['preset']}, ×{report['scale']}, sensor {report['sensor']}",
        f"Seed and device: seed {report['seed']}, on {report['device']}",
        f"Engine: {report['engine']}",
        f"Models: {_models(report) or 'none'}",
        f"Versions: Headland {versions['headland']}, QGIS {versions['qgis']}, GDAL {versions['gdal']}{worker}",
        f"Difference from the input over its noise, by band: {_ratios(report) or 'not known'}",
    ]
    if anchor_stands_in(report):
        lines.append(f"Made by {STAND_IN}: held-out pixels {json.dumps(report['held_out'])}")
    share = share_of_zeros_in(report)
    if share:
        lines.append(
            f"Nodata: areas that are 0 in every band, {share:.2%} of the window, which the input does not declare"
        )
    if "stopped" in report:
        lines.append(f"Stopped early: {json.dumps(report['stopped'])}")
    if "borders" in report:
        lines.append(
            f"Field borders: {report['borders']['lines']} lines, {BORDERS_NATURE}, in {report['borders']['file']}"
        )
    return [f"{report['created']} {line}" for line in lines]


def _models(report: dict[str, Any]) -> str:
    return "; ".join(f"{model['name']} sha256:{model['sha256']}" for model in report.get("models", ()))


def _ratios(report: dict[str, Any]) -> str:
    ratios = report.get("consistency", {}).get("rmse_over_noise", ())
    return ", ".join("unknown" if ratio is None else f"{ratio:.3f}" for ratio in ratios)
