"""How much of a result the map shows: mixed with its source, over Deep Image Prior's own picture where that was kept.

Everything is done with the opacity of layers, so nothing is computed again and the files stay as they are. What shines
through is to be the source: other results of it that lie in between are unticked in the layer tree meanwhile.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer

from ..bridge.result_layer import dip_id_of, doubt_ids_of, ids_of_result, source_id_of

# Of a result: the ids of the layers that were unticked so that its source shines through, with commas between.
_UNTICKED_PROPERTY = "headland/unticked_for_strength"


def show_strength(result: QgsRasterLayer, strength: float) -> None:
    """Show so much of ``result``, from 0 to 1.

    Where Deep Image Prior's picture was kept, 0.5 is that picture alone: below it is mixed with the source, above with
    the result.
    """
    dip = _dip_of(result)
    if dip is None:
        result.setOpacity(strength)
    else:
        result.setOpacity(max(0.0, 2.0 * strength - 1.0))
        dip.setOpacity(min(1.0, 2.0 * strength))
        node = QgsProject.instance().layerTreeRoot().findLayer(dip.id())
        if node is not None:
            # At full strength nobody could see it, and it takes time to draw.
            node.setItemVisibilityChecked(strength < 1.0)
        dip.triggerRepaint()
    for layer in map(QgsProject.instance().mapLayer, doubt_ids_of(result)):
        if layer is not None:
            # It speaks of the result's errors, and there are none where only the source is seen.
            layer.setOpacity(strength)
            layer.triggerRepaint()
    if strength < 1.0:
        _untick_others(result)
    else:
        tick_others(result)
    result.triggerRepaint()


def tick_others(result: QgsMapLayer) -> None:
    """Tick what was unticked so that the source of ``result`` shines through."""
    root = QgsProject.instance().layerTreeRoot()
    for node in map(root.findLayer, filter(None, str(result.customProperty(_UNTICKED_PROPERTY, "")).split(","))):
        if node is not None:
            node.setItemVisibilityChecked(True)
    result.removeCustomProperty(_UNTICKED_PROPERTY)


def _untick_others(result: QgsRasterLayer) -> None:
    root = QgsProject.instance().layerTreeRoot()
    unticked = str(result.customProperty(_UNTICKED_PROPERTY, ""))
    for layer in _others_over_source(result):
        node = root.findLayer(layer.id())
        if node.itemVisibilityChecked():
            node.setItemVisibilityChecked(False)
            unticked = ",".join(filter(None, (unticked, layer.id())))
    result.setCustomProperty(_UNTICKED_PROPERTY, unticked)


def _others_over_source(result: QgsRasterLayer) -> list[QgsMapLayer]:
    """Return what of other runs lies between ``result`` and its source, the uppermost first, where it does."""
    # Only what is in the layer tree is in it.
    ids = [layer.id() for layer in QgsProject.instance().layerTreeRoot().layerOrder()]
    source_id = source_id_of(result)
    below = ids[ids.index(result.id()) + 1 :] if result.id() in ids else []
    between = below[: below.index(source_id)] if source_id in below else below
    layers = map(QgsProject.instance().mapLayer, (each for each in between if each not in ids_of_result(result)))
    return [
        layer
        for layer in layers
        # Neighbours share an edge, and no more.
        if source_id_of(layer) == source_id and not layer.extent().intersect(result.extent()).isEmpty()
    ]


def shown_strength(result: QgsRasterLayer) -> float:
    """Return how much of ``result`` is shown now, as :func:`show_strength` takes it."""
    dip = _dip_of(result)
    if dip is None:
        return float(result.opacity())
    node = QgsProject.instance().layerTreeRoot().findLayer(dip.id())
    if node is None or not node.itemVisibilityChecked():
        return 0.5 + result.opacity() / 2
    return float(dip.opacity() + result.opacity()) / 2


def has_dip(result: QgsRasterLayer) -> bool:
    """Whether Deep Image Prior's own picture goes with ``result``."""
    return _dip_of(result) is not None


def _dip_of(result: QgsRasterLayer) -> Optional[QgsMapLayer]:
    return QgsProject.instance().mapLayer(dip_id_of(result))
