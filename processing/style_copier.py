"""Gives results that Processing loads the look of their sources."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingUtils,
    QgsRasterLayer,
)

from ..bridge.plan import EnhancePlan
from ..bridge.result_layer import copy_style


class StyleCopier(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded result its source's style, on the main thread."""

    # By output. QGIS keeps none alive until the layer is loaded, which is after the algorithm is gone; as many lie here
    # as results wait to be loaded, or were in a context that was dropped without loading them.
    _waiting: ClassVar[dict[Path, StyleCopier]] = {}

    def __init__(self, plan: EnhancePlan) -> None:
        super().__init__()
        self._plan = plan

    @classmethod
    def for_plan(cls, plan: EnhancePlan) -> StyleCopier:
        """Return one that lives long enough."""
        cls._waiting[plan.output] = cls(plan)
        return cls._waiting[plan.output]

    def postProcessLayer(  # noqa: N802, the name is QGIS's
        self,
        layer: QgsMapLayer,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,  # noqa: ARG002
    ) -> None:
        """Copy the style if the source is still there."""
        source = QgsProcessingUtils.mapLayerFromString(self._plan.source_layer_id, context)
        if isinstance(source, QgsRasterLayer) and isinstance(layer, QgsRasterLayer):
            copy_style(source, layer, tuple(band.number for band in self._plan.bands))
        # QGIS still holds it while this runs, and PyQt's own reference outlives the call.
        self._waiting.pop(self._plan.output, None)
