"""How much of a result the map shows: mixed with its source, over Deep Image Prior's own picture where that was kept.

Everything is done with the opacity of layers, so nothing is computed again and the files stay as they are.
"""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer

from ..bridge.result_layer import dip_id_of, doubt_ids_of


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
    result.triggerRepaint()


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
