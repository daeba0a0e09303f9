"""The list of raster layers."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsRasterLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ..bridge.words import tr


class LayerBox(QgsMapLayerComboBox):
    """Offers the project's raster layers, and none at first."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.setAllowEmptyLayer(True, tr("Choose a raster layer"))
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setSizeAdjustPolicy(QgsMapLayerComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)

    def suggest(self, layers: list[Optional[QgsMapLayer]]) -> None:
        """Choose the first raster file of ``layers`` if nothing is chosen yet."""
        files = (layer for layer in layers if isinstance(layer, QgsRasterLayer) and layer.providerType() == "gdal")
        first = next(files, None)
        if first is not None and self.currentLayer() is None:
            self.setLayer(first)
