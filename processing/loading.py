"""Has Processing load what goes with a result together with it, each layer with the look that the dock gives it."""

from __future__ import annotations

import os
from dataclasses import astuple
from pathlib import Path
from typing import Optional

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsVectorLayer,
)

from ..bridge.border_layer import style_borders
from ..bridge.confidence_layer import finish_confidence, shown_band
from ..bridge.enhance import EnhanceResult
from ..bridge.provenance import describe_borders, describe_dip
from ..bridge.result_layer import copy_style, mark_as_result
from ..bridge.uncertain_layer import finish_uncertain_areas
from .help import LABELS
from .post_processor import Finish, PostProcessor

_RASTER, _VECTOR = QgsProcessingUtils.LayerHint.Raster, QgsProcessingUtils.LayerHint.Vector


def prepare_loading(result: EnhanceResult, output: str, names: dict[Path, str], context: QgsProcessingContext) -> None:
    """Have the result look like its source once it is loaded, and what goes with it loaded and finished likewise.

    Nothing is loaded that would not be: where the result stays a file, so does the rest. All have the names that the
    dock gives; the result's own is the user's where there is one.

    Args:
        output: the result's file as Processing spells it, which is how the context knows it.
        names: of the outputs, by file.
    """
    if not context.willLoadLayerOnCompletion(output):
        return
    titles, finisher = result.names, _Finisher(result)
    details = context.layerToLoadOnCompletionDetails(output)
    # A model's output, say, has a name of its own; all others have the parameter's.
    if not details.forceName and details.name == LABELS["OUTPUT"]:
        details.name = titles.result
    details.setPostProcessor(PostProcessor.of(finisher.naming(finisher.finish_result)))
    for file, title, hint, finish in (
        (result.dip_output, titles.dip, _RASTER, finisher.finish_dip),
        (result.confidence, titles.confidence, _RASTER, finisher.finish_confidence),
        (result.uncertain_areas, titles.uncertain_areas, _VECTOR, finisher.finish_uncertain_areas),
        (result.borders, titles.borders, _VECTOR, finisher.finish_borders),
    ):
        if file is not None:
            wanted = QgsProcessingContext.LayerDetails(title, context.project(), names[file], hint)
            # Nobody chose these files' names, and all of a kind have the same layer in them.
            wanted.forceName = True
            wanted.setPostProcessor(PostProcessor.of(finisher.naming(finish)))
            context.addLayerToLoadOnCompletion(str(file), wanted)


class _Finisher:
    """Does to each loaded layer of a result what the dock does."""

    def __init__(self, result: EnhanceResult) -> None:
        self._plan, self._report, self._names = result.plan, result.summary, result.names
        # By the name that is to be; known once the first layer is there.
        self._free_names: Optional[dict[str, str]] = None

    def naming(self, finish: Finish) -> Finish:
        """Return ``finish``, before which the layer gets a name that no layer of another run has."""

        def finish_named(layer: QgsMapLayer, context: QgsProcessingContext) -> None:
            if self._free_names is None:
                free = self._names.apart_from(self._taken_names(context))
                self._free_names = dict(zip(astuple(self._names), astuple(free)))
            # Who has QGIS take the file's name keeps that.
            layer.setName(self._free_names.get(layer.name(), layer.name()))
            finish(layer, context)

        return finish_named

    def _taken_names(self, context: QgsProcessingContext) -> set[str]:
        """Return what the project's layers are called, but for those of this run, which may be there already."""
        layers = [] if context.project() is None else context.project().mapLayers().values()
        return {layer.name() for layer in layers if _file_of(layer) not in self._plan.files}

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


def _file_of(layer: QgsMapLayer) -> Path:
    """Return the file of the layer, spelled as a plan does; of what is none some path that nothing has."""
    return Path(os.path.abspath(layer.source().partition("|")[0]))  # noqa: PTH100, resolve would follow links


def _hide(layer: QgsMapLayer, context: QgsProcessingContext) -> None:
    """Leave the layer unticked in the layer tree, as the dock does, if it is there already."""
    node = context.project().layerTreeRoot().findLayer(layer.id()) if context.project() is not None else None
    if node is not None:
        node.setItemVisibilityChecked(False)
