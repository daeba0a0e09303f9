"""Compares a result with its source: swipe, flicker, and how much of it is shown."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QSlider, QVBoxLayout, QWidget

from ..bridge.result_layer import source_id_of
from ..bridge.words import tr
from .compare_tool import CompareTool
from .other_results import bring_others_back, put_others_aside
from .strength import has_dip, show_strength, shown_strength

FULL = 100


class CompareBox(QWidget):
    """A button for the swipe and a slider for the strength of one result, which may go at any time."""

    def __init__(self, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._layer_id = self._source_id = ""
        self._tool = CompareTool(canvas)
        self._earlier_tool: Optional[QgsMapTool] = None
        self.swipe_button = QPushButton(tr("Compare"))
        self.swipe_button.setCheckable(True)
        self.swipe_button.setAutoDefault(False)
        self.swipe_button.setAccessibleName(tr("Compare"))
        self.swipe_button.setToolTip(
            tr("Drag a handle over the map: source on its left, result on its right. Hold F to see the source alone.")
        )
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, FULL)
        self.slider.setPageStep(10)
        # Marks for source, DIP's picture and result; the middle one says what nobody could guess.
        self.slider.setTickInterval(FULL // 2)
        self.slider.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.slider.setAccessibleName(tr("Strength"))
        # A click on it must not take the keys from the map, where F is held.
        self.slider.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        label = QLabel(tr("Strengt&h"))
        label.setBuddy(self.slider)
        self.strength_label = QLabel()
        # Room for the longest text, so that the slider keeps its length.
        self.strength_label.setMinimumWidth(self.fontMetrics().horizontalAdvance("100 %"))
        self.middle_label = QLabel(tr("DIP alone"))
        self.middle_label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        rows = QGridLayout()
        for column, widget in enumerate((label, self.slider, self.strength_label)):
            rows.addWidget(widget, 0, column)
        rows.addWidget(self.middle_label, 1, 1)
        rows.setVerticalSpacing(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.swipe_button)
        layout.addLayout(rows)
        self.swipe_button.toggled.connect(self._on_toggled)
        self.slider.valueChanged.connect(self._on_strength_changed)
        self._canvas.mapToolSet.connect(self._on_tool_set)
        QgsProject.instance().layersWillBeRemoved.connect(self._on_layers_removed)
        self.show_for(None)

    @property
    def layer_id(self) -> str:
        """Of the result that is compared, "" for none."""
        return self._layer_id

    @property
    def tool(self) -> CompareTool:
        """The map tool of the swipe."""
        return self._tool

    def show_for(self, layer: Optional[QgsRasterLayer]) -> None:
        """Compare ``layer`` from now on, on the map as well if that is going on; None for nothing."""
        if layer is None:
            self.swipe_button.setChecked(False)
        if self._layer_id != ("" if layer is None else layer.id()):
            bring_others_back()
            if layer is not None and shown_strength(layer) < 1.0:
                put_others_aside(layer)
        self._layer_id = "" if layer is None else layer.id()
        self._tool.go_on_with(self._layer_id)
        self._source_id = "" if layer is None else source_id_of(layer)
        self.setEnabled(layer is not None)
        self.slider.blockSignals(True)
        self.slider.setValue(FULL if layer is None else round(FULL * shown_strength(layer)))
        is_mixed_of_three = layer is not None and has_dip(layer)
        self.slider.setTickPosition(
            QSlider.TickPosition.TicksBelow if is_mixed_of_three else QSlider.TickPosition.NoTicks
        )
        self.middle_label.setVisible(is_mixed_of_three)
        self.slider.setToolTip(
            tr("From the source (left) over DIP alone (middle) to DIP and Decrappify (right); the files stay")
            if is_mixed_of_three
            else tr("How much of the result is mixed with the source on the map; the file stays as it is")
        )
        self.slider.blockSignals(False)
        self._say_strength()

    def release(self) -> None:
        """Let go of the map and the project."""
        self.show_for(None)
        self._canvas.mapToolSet.disconnect(self._on_tool_set)
        QgsProject.instance().layersWillBeRemoved.disconnect(self._on_layers_removed)
        self._tool.deleteLater()

    def _on_toggled(self, is_checked: bool) -> None:
        if is_checked:
            self._earlier_tool = self._canvas.mapTool()
            self._tool.compare(self._layer_id)
        elif self._canvas.mapTool() is self._tool:
            earlier, self._earlier_tool = self._earlier_tool, None
            self._canvas.unsetMapTool(self._tool)
            if earlier is not None:
                self._canvas.setMapTool(earlier)

    def _on_tool_set(self, new: Optional[QgsMapTool]) -> None:
        if new is not self._tool and self.swipe_button.isChecked():
            # Somebody took another tool; that one stays.
            self._earlier_tool = None
            self.swipe_button.setChecked(False)

    def _on_strength_changed(self, value: int) -> None:
        self._say_strength()
        layer = QgsProject.instance().mapLayer(self._layer_id)
        if isinstance(layer, QgsRasterLayer):
            was_mixed = shown_strength(layer) < 1.0
            show_strength(layer, value / FULL)
            if value == FULL:
                bring_others_back()
            elif not was_mixed:
                put_others_aside(layer)

    def _on_layers_removed(self, layer_ids: list[str]) -> None:
        if {self._layer_id, self._source_id} & set(layer_ids):
            self.show_for(None)

    def _say_strength(self) -> None:
        self.strength_label.setText(f"{self.slider.value()} %")
