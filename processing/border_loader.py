"""Has Processing load traced borders together with their result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingUtils,
    QgsVectorLayer,
)

from ..bridge.border_layer import borders_name, style_borders
from ..bridge.enhance import EnhanceResult
from ..bridge.provenance import describe_borders


def load_borders_with(result: EnhanceResult, output_name: str, context: QgsProcessingContext) -> None:
    """Have the borders loaded, styled and described, if the result is going to be loaded."""
    if result.borders is None or not context.willLoadLayerOnCompletion(str(result.output)):
        return
    details = QgsProcessingContext.LayerDetails(
        borders_name(result.plan), context.project(), output_name, QgsProcessingUtils.LayerHint.Vector
    )
    details.setPostProcessor(BorderDescriber.for_borders(result.borders, result.summary))
    context.addLayerToLoadOnCompletion(str(result.borders), details)


class BorderDescriber(QgsProcessingLayerPostProcessorInterface):
    """Gives loaded borders their style and metadata, on the main thread."""

    # As for :class:`.style_copier.StyleCopier`: QGIS keeps none alive.
    _waiting: ClassVar[dict[Path, BorderDescriber]] = {}

    def __init__(self, file: Path, report: dict[str, Any]) -> None:
        super().__init__()
        self._file, self._report = file, report

    @classmethod
    def for_borders(cls, file: Path, report: dict[str, Any]) -> BorderDescriber:
        """Return one that lives long enough."""
        cls._waiting[file] = cls(file, report)
        return cls._waiting[file]

    def postProcessLayer(  # noqa: N802, the name is QGIS's
        self,
        layer: QgsMapLayer,
        context: QgsProcessingContext,  # noqa: ARG002
        feedback: QgsProcessingFeedback,  # noqa: ARG002
    ) -> None:
        """Style and describe it."""
        if isinstance(layer, QgsVectorLayer):
            style_borders(layer)
            describe_borders(layer, self._report)
        self._waiting.pop(self._file, None)
