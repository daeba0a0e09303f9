"""Takes other results off the map while one is mixed with its source: that alone is to shine through, and be seen.

They are unticked in the layer tree, and marked, so that they come back also in a project that was saved meanwhile.
"""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer

from ..bridge.result_layer import ids_of_result, source_id_of

_PUT_ASIDE_PROPERTY = "headland/put_aside_for_strength"


def put_others_aside(result: QgsRasterLayer) -> None:
    """Untick what of other runs lies where ``result`` does, above it or below."""
    root = QgsProject.instance().layerTreeRoot()
    for layer in _others_of(result):
        node = root.findLayer(layer.id())
        if node is not None and node.itemVisibilityChecked():
            node.setItemVisibilityChecked(False)
            layer.setCustomProperty(_PUT_ASIDE_PROPERTY, True)


def bring_others_back() -> None:
    """Tick whatever was put aside, for whichever result."""
    project = QgsProject.instance()
    for layer in project.mapLayers().values():
        if layer.customProperty(_PUT_ASIDE_PROPERTY) is not None:
            layer.removeCustomProperty(_PUT_ASIDE_PROPERTY)
            node = project.layerTreeRoot().findLayer(layer.id())
            if node is not None:
                node.setItemVisibilityChecked(True)


def _others_of(result: QgsRasterLayer) -> list[QgsMapLayer]:
    source_id, own_ids = source_id_of(result), ids_of_result(result)
    return [
        layer
        for layer in QgsProject.instance().mapLayers().values()
        if layer.id() not in own_ids
        and source_id_of(layer) == source_id
        # Neighbours share an edge, and no more.
        and not layer.extent().intersect(result.extent()).isEmpty()
    ]
