"""Shows the result: a layer with its source's style, directly above it in the layer tree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsLayerTreeGroup,
    QgsLayerTreeLayer,
    QgsLayerTreeNode,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsReadWriteContext,
)
from qgis.PyQt.QtXml import QDomDocument, QDomElement

from .plan import EnhancePlan

# In a style, whatever ends like this and is a number stands for a band.
_BAND_ATTRIBUTES = ("band", "grayBand", "redBand", "greenBand", "blueBand")
# How QGIS shows what a map server sends: as it is. A file with the same colours needs a renderer of bands.
_PICTURE_RENDERER = "singlebandcolordata"
# Of a result: the ids of its source layer, of Deep Image Prior's own picture, and of what veils and what hatches it.
_SOURCE_PROPERTY, _DIP_PROPERTY = "headland/source_layer", "headland/dip_layer"
_CONFIDENCE_PROPERTY, _UNCERTAIN_PROPERTY = "headland/confidence_layer", "headland/uncertain_layer"
_STYLE_CATEGORIES = QgsMapLayer.StyleCategory.Symbology | QgsMapLayer.StyleCategory.Rendering


def add_result(plan: EnhancePlan, output: Path, name: str, project: QgsProject) -> QgsRasterLayer:
    """Add ``output`` to ``project`` under ``name`` and return its layer. On the main thread.

    It lies directly above the source layer and its earlier results, in whatever group that is, and looks like it. If
    the source layer is gone, it lies on top of everything in QGIS's default style. Where other layers go with it, it
    lies there in a group of its own.
    """
    found = project.mapLayer(plan.source_layer_id)
    source = found if isinstance(found, QgsRasterLayer) else None
    layer = open_result(plan, output, name, source)
    layer.setCustomProperty(_SOURCE_PROPERTY, plan.source_layer_id)
    project.addMapLayer(layer, False)
    root = project.layerTreeRoot()
    node = root.findLayer(source.id()) if source is not None else None
    group, place = (root, 0) if node is None else _place_above(node, plan.source_layer_id)
    if plan.has_extras:
        group, place = group.insertGroup(place, name), 0
        group.setCustomProperty(_SOURCE_PROPERTY, plan.source_layer_id)
    group.insertLayer(place, layer)
    return layer


def add_dip(plan: EnhancePlan, file: Path, name: str, result: QgsRasterLayer) -> QgsRasterLayer:
    """Add Deep Image Prior's own picture below ``result``, which knows it from then on; return its layer.

    It is not shown: that is the strength slider's to do, and a layer that nobody can see takes time to draw.
    """
    project = QgsProject.instance()
    found = project.mapLayer(plan.source_layer_id)
    layer = open_result(plan, file, name, found if isinstance(found, QgsRasterLayer) else None)
    layer.setCustomProperty(_SOURCE_PROPERTY, plan.source_layer_id)
    result.setCustomProperty(_DIP_PROPERTY, layer.id())
    project.addMapLayer(layer, False)
    node = project.layerTreeRoot().findLayer(result.id())
    group = node.parent()
    group.insertLayer(group.children().index(node) + 1, layer).setItemVisibilityChecked(False)
    return layer


def mark_as_result(layer: QgsMapLayer, source_layer_id: str) -> None:
    """Let ``layer`` count as a result of its source, which a comparison with that leaves out."""
    layer.setCustomProperty(_SOURCE_PROPERTY, source_layer_id)


def tie_confidence(confidence: QgsMapLayer, result: QgsRasterLayer) -> None:
    """Let ``result`` know the layer that says how far off it may be."""
    result.setCustomProperty(_CONFIDENCE_PROPERTY, confidence.id())


def tie_uncertain_areas(areas: QgsMapLayer, result: QgsRasterLayer) -> None:
    """Let ``result`` know the layer that hatches where it is uncertain."""
    result.setCustomProperty(_UNCERTAIN_PROPERTY, areas.id())


def doubt_ids_of(layer: QgsMapLayer) -> tuple[str, ...]:
    """Return the ids of the layers that say how far off a result may be, and where it is uncertain; those there are."""
    ids = (str(layer.customProperty(name, "")) for name in (_CONFIDENCE_PROPERTY, _UNCERTAIN_PROPERTY))
    return tuple(filter(None, ids))


def dip_id_of(layer: QgsMapLayer) -> str:
    """Return the id of the layer of Deep Image Prior's own picture that goes with a result, "" if there is none."""
    return str(layer.customProperty(_DIP_PROPERTY, ""))


def ids_of_result(result: QgsMapLayer) -> set[str]:
    """Return the ids of a result and of all that shows something of it."""
    return {result.id(), *filter(None, (dip_id_of(result), *doubt_ids_of(result)))}


def result_of(layer: Optional[QgsMapLayer], project: QgsProject) -> Optional[QgsRasterLayer]:
    """Return the result that ``layer`` is, or that it goes with as Deep Image Prior's picture, veil or hatch.

    None if it is none, or if the source that it could be compared with has gone.
    """
    if layer is None or project.mapLayer(source_id_of(layer)) is None:
        return None
    others = project.mapLayers().values()
    result = next((other for other in others if layer.id() in (dip_id_of(other), *doubt_ids_of(other))), layer)
    return result if isinstance(result, QgsRasterLayer) else None


def _place_above(node: QgsLayerTreeNode, source_layer_id: str) -> tuple[QgsLayerTreeGroup, int]:
    """Return the group of the source layer's node, and the place in it that is above all its results."""
    group = node.parent()
    siblings = group.children()
    place = siblings.index(node)
    # Below an earlier result of the same ground nobody would see it.
    while place and _is_result_of(siblings[place - 1], source_layer_id):
        place -= 1
    return group, place


def source_id_of(layer: QgsMapLayer) -> str:
    """Return the id of the layer that ``layer`` is an enhanced copy of, "" if it is none."""
    return str(layer.customProperty(_SOURCE_PROPERTY, ""))


def _is_result_of(node: QgsLayerTreeNode, source_layer_id: str) -> bool:
    if isinstance(node, QgsLayerTreeGroup):
        return str(node.customProperty(_SOURCE_PROPERTY, "")) == source_layer_id
    layer = node.layer() if isinstance(node, QgsLayerTreeLayer) else None
    return layer is not None and source_id_of(layer) == source_layer_id


def open_result(plan: EnhancePlan, output: Path, name: str, source: Optional[QgsRasterLayer]) -> QgsRasterLayer:
    """Return a layer of ``output``, styled like ``source`` if that is given, in no project yet."""
    options = QgsRasterLayer.LayerOptions()
    # The CRS is known; QGIS must not ask for it.
    options.skipCrsValidation = True
    layer = QgsRasterLayer(str(output), name, "gdal", options)
    layer.setCrs(source.crs() if source is not None else QgsCoordinateReferenceSystem.fromWkt(plan.grid.crs_wkt))
    if source is not None:
        copy_style(source, layer, tuple(band.number for band in plan.bands))
    return layer


def copy_style(source: QgsRasterLayer, result: QgsRasterLayer, bands: tuple[int, ...]) -> bool:
    """Make ``result`` look like ``source`` and return whether that was possible.

    It is not if the style shows a band that was not enhanced; then the result keeps QGIS's default style.

    Args:
        bands: the source's band number of each of the result's bands.
    """
    document = QDomDocument()
    source.exportNamedStyle(document, QgsReadWriteContext(), _STYLE_CATEGORIES)
    new_numbers = {old: new for new, old in enumerate(bands, start=1)}
    renderers = document.elementsByTagName("rasterrenderer")
    for index in range(renderers.count()):
        renderer = renderers.at(index).toElement()
        if renderer.attribute("type") == _PICTURE_RENDERER:
            _show_as_colours(renderer)
        if not _renumber(renderer, new_numbers):
            return False
        _renumber_alpha(renderer, new_numbers, _alpha_band(result, len(bands)))
    is_read, _message = result.importNamedStyle(document, _STYLE_CATEGORIES)
    return bool(is_read)


def _show_as_colours(renderer: QDomElement) -> None:
    """Turn the style of a web layer into that of bands 1, 2 and 3 as red, green and blue; opacity stays."""
    renderer.setAttribute("type", "multibandcolor")
    renderer.removeAttribute("band")
    for number, attribute in enumerate(("redBand", "greenBand", "blueBand"), start=1):
        renderer.setAttribute(attribute, str(number))


def _renumber(renderer: QDomElement, new_numbers: Mapping[int, int]) -> bool:
    """Change the band numbers of a style to those of the result; return False if one is not in it."""
    for attribute in _BAND_ATTRIBUTES:
        text = renderer.attribute(attribute)
        # An absent or negative band means none, as for a colour that is not shown.
        if not text or int(text) < 0:
            continue
        if int(text) not in new_numbers:
            return False
        renderer.setAttribute(attribute, str(new_numbers[int(text)]))
    return True


def _renumber_alpha(renderer: QDomElement, new_numbers: Mapping[int, int], own_alpha: int) -> None:
    """Let an alpha band that was not enhanced give way to the result's own."""
    old = int(renderer.attribute("alphaBand", "-1"))
    renderer.setAttribute("alphaBand", str(new_numbers.get(old, own_alpha)))


def _alpha_band(result: QgsRasterLayer, bands: int) -> int:
    """Return the number of the band as which QGIS shows the file's mask, or -1."""
    return bands + 1 if result.bandCount() > bands else -1
