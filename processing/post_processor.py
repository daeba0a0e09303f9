"""What is done to a layer once Processing has loaded it."""

from __future__ import annotations

from typing import Callable, ClassVar

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
)

Finish = Callable[[QgsMapLayer, QgsProcessingContext], None]


class PostProcessor(QgsProcessingLayerPostProcessorInterface):
    """Finishes the layer of one file, on the main thread."""

    # QGIS keeps none alive until the layer is loaded, which is after the algorithm is gone; as many lie here as layers
    # wait to be loaded, or were in a context that was dropped without loading them.
    _waiting: ClassVar[set[PostProcessor]] = set()

    def __init__(self, finish: Finish) -> None:
        super().__init__()
        self._finish = finish

    @classmethod
    def of(cls, finish: Finish) -> PostProcessor:
        """Return one that lives long enough."""
        processor = cls(finish)
        cls._waiting.add(processor)
        return processor

    def postProcessLayer(  # noqa: N802, the name is QGIS's
        self,
        layer: QgsMapLayer,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,  # noqa: ARG002
    ) -> None:
        """Finish the layer."""
        self._finish(layer, context)
        # QGIS still holds it while this runs, and PyQt's own reference outlives the call.
        self._waiting.discard(self)
