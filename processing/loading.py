"""Has Processing load what goes with a result together with it, each layer with the look that the dock gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsVectorLayer,
)

from ..bridge.border_layer import borders_name, style_borders
from ..bridge.confidence_layer import confidence_name, finish_confidence, shown_band
from ..bridge.enhance import EnhanceResult
from ..bridge.provenance import describe_borders, describe_dip
from ..bridge.result_layer import copy_style, dip_name, mark_as_result
from ..bridge.uncertain_layer import finish_uncertain_areas, uncertain_areas_name
from .post_processor import PostProcessor

_RASTER, _VECTOR = QgsProcessingUtils.LayerHint.Raster, QgsProcessingUtils.LayerHint.Vector


def prepare_loading(result: EnhanceResult, output: str, names: dict[Path, str], context: QgsProcessingContext) -> None:
    """Have the result look like its source once it is loaded, and what goes with it loaded and finished likewise.

    Nothing is loaded that would not be: where the result stays a file, so does the rest.

    Args:
        output: the result's file as Processing spells it, which is how the context knows it.
        names: of the outputs, by file.
    """
    if not context.willLoadLayerOnCompletion(output):
        return
    plan, finisher = result.plan, _Finisher(result)
    details = context.layerToLoadOnCompletionDetails(output)
    details.setPostProcessor(PostProcessor.of(finisher.finish_result))
    for file, title, hint, finish in (
        (result.dip_output, dip_name(plan, result.summary), _RASTER, finisher.finish_dip),
        (result.confidence, confidence_name(plan), _RASTER, finisher.finish_confidence),
        (result.uncertain_areas, uncertain_areas_name(plan), _VECTOR, finisher.finish_uncertain_areas),
        (result.borders, borders_name(plan), _VECTOR, finisher.finish_borders),
    ):
        if file is not None:
            wanted = QgsProcessingContext.LayerDetails(title, context.project(), names[file], hint)
            wanted.setPostProcessor(PostProcessor.of(finish))
            context.addLayerToLoadOnCompletion(str(file), wanted)


class _Finisher:
    """Does to each loaded layer of a result what the dock does."""

    def __init__(self, result: EnhanceResult) -> None:
        self._plan, self._report = result.plan, result.summary

    def finish_result(self, layer: QgsMapLayer, context: QgsProcessingContext) -> None:
        """Finish the result: the dock knows it as one from then on."""
        self._style_like_source(layer, context)
        mark_as_result(layer, self._plan.source_layer_id)

    def _style_like_source(self, layer: QgsMapLayer, context: QgsProcessingContext) -> None:
        """Copy the source's style if the source is still there."""
        source = self._source(context)
        if source is not None and isinstance(layer, QgsRasterLayer):
            copy_style(source, layer, self._bands)

    def finish_dip(self, layer: QgsMapLayer, context: QgsProcessingContext) -> None:
        """Finish Deep Image Prior's own picture."""
        self._style_like_source(layer, context)
        mark_as_result(layer, self._plan.source_layer_id)
        describe_dip(layer, self._report)
        _hide(layer, context)

    def finish_confidence(self, layer: QgsMapLayer, context: QgsProcessingContext) -> None:
        """Finish what says how far off the result may be: of the band that the source's style shows first."""
        if not isinstance(layer, QgsRasterLayer):
            return
        source = self._source(context)
        seen = 0 if source is None else shown_band(source)
        band = self._bands.index(seen) + 1 if seen in self._bands else 1
        finish_confidence(layer, band, self._plan, self._report)
        _hide(layer, context)

    def finish_uncertain_areas(self, layer: QgsMapLayer, _context: QgsProcessingContext) -> None:
        """Finish the areas that are uncertain."""
        if isinstance(layer, QgsVectorLayer):
            finish_uncertain_areas(layer, self._report)

    def finish_borders(self, layer: QgsMapLayer, _context: QgsProcessingContext) -> None:
        """Finish traced borders."""
        if isinstance(layer, QgsVectorLayer):
            style_borders(layer)
            describe_borders(layer, self._report)

    @property
    def _bands(self) -> tuple[int, ...]:
        return tuple(band.number for band in self._plan.bands)

    def _source(self, context: QgsProcessingContext) -> Optional[QgsRasterLayer]:
        found = QgsProcessingUtils.mapLayerFromString(self._plan.source_layer_id, context)
        return found if isinstance(found, QgsRasterLayer) else None


def _hide(layer: QgsMapLayer, context: QgsProcessingContext) -> None:
    """Leave the layer unticked in the layer tree, as the dock does, if it is there already."""
    node = context.project().layerTreeRoot().findLayer(layer.id()) if context.project() is not None else None
    if node is not None:
        node.setItemVisibilityChecked(False)
