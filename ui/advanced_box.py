"""The settings that most people never need, folded away."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.core import QgsRasterLayer
from qgis.gui import QgsCheckableComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QDoubleSpinBox, QFormLayout, QSizePolicy, QSpinBox, QWidget

from ..bridge.request import EnhanceRequest
from ..bridge.web_grid import is_web_layer
from ..bridge.web_source import WEB_BANDS
from ..bridge.words import tr
from ..engine.job import LARGEST_MTF, LARGEST_SEED, SMALLEST_MTF, Device, Preset, Sensor
from .cache_row import CacheLimitBox, CacheRow
from .choice_box import ChoiceBox
from .choices import devices, presets, sensors
from .engine_row import EngineRow
from .file_widget import ReadableFileWidget
from .folding_box import FoldingBox
from .preset_row import PresetRow

DEFAULT_MTF = 0.25


class AdvancedBox(FoldingBox):
    """Bands, preset, sensor, seed, device, model, the result's layout, borders to snap to, cache and engine."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("Advanced"), parent)
        self.preset_row = PresetRow()
        self.bands_box = QgsCheckableComboBox()
        self.bands_box.setDefaultText(tr("All bands"))
        self.bands_box.setSizeAdjustPolicy(QgsCheckableComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.bands_box.setMinimumContentsLength(8)
        self.preset_box = ChoiceBox(presets())
        self.sensor_box = ChoiceBox(sensors())
        self.mtf_box = QDoubleSpinBox()
        self.mtf_box.setRange(SMALLEST_MTF, LARGEST_MTF)
        self.mtf_box.setSingleStep(0.01)
        self.mtf_box.setValue(DEFAULT_MTF)
        self.seed_box = QSpinBox()
        self.seed_box.setRange(0, LARGEST_SEED)
        self.device_box = ChoiceBox(devices())
        self.model_box = ReadableFileWidget(tr("Headland’s own"))
        self.model_box.setFilter("ONNX (*.onnx)")
        self.model_box.setDialogTitle(tr("Choose a Decrappify model"))
        self.cloud_box = QCheckBox(tr("Cloud-optimised"))
        self.dip_box = QCheckBox(tr("Keep DIP, too"))
        self.confidence_box = QCheckBox(tr("Map errors"))
        self.borders_box = QCheckBox(tr("Field borders"))
        self.cache_row = CacheRow()
        self.cache_limit_box = CacheLimitBox()
        self.engine_row = EngineRow()
        self._lay_out()
        self.bands_box.checkedItemsChanged.connect(self.changed)
        for box in (self.preset_box, self.sensor_box, self.device_box):
            box.currentIndexChanged.connect(self.changed)
        self.model_box.fileChanged.connect(self.changed)
        self.mtf_box.valueChanged.connect(self.changed)
        self.cloud_box.toggled.connect(self.changed)
        self.dip_box.toggled.connect(self.changed)
        self.confidence_box.toggled.connect(self.changed)
        self.borders_box.toggled.connect(self.changed)
        self.cache_limit_box.valueChanged.connect(self.cache_row.refresh)
        self.sensor_box.currentIndexChanged.connect(self._enable_mtf)
        self._enable_mtf()
        self.setCollapsed(True)

    @property
    def bands(self) -> tuple[int, ...]:
        """The chosen 1-based band numbers; empty for all."""
        return tuple(int(number) for number in self.bands_box.checkedItemsData())

    @property
    def preset(self) -> Preset:
        """How much effort Deep Image Prior makes."""
        return Preset(self.preset_box.chosen.value)

    @property
    def sensor(self) -> Sensor:
        """Whose blur is undone."""
        return Sensor(self.sensor_box.chosen.value)

    @property
    def mtf_at_nyquist(self) -> Optional[float]:
        """The custom sensor's, or None with another sensor."""
        return self.mtf_box.value() if self.sensor is Sensor.CUSTOM else None

    @property
    def seed(self) -> int:
        """Where random draws start."""
        return self.seed_box.value()

    @property
    def device(self) -> Device:
        """Where the worker computes."""
        return Device(self.device_box.chosen.value)

    @property
    def model(self) -> Optional[Path]:
        """The user's own Decrappify model, or None for the shipped one."""
        path = self.model_box.filePath().strip()
        return Path(path) if path else None

    @property
    def is_cloud_optimised(self) -> bool:
        """Whether the result is to be a cloud-optimised GeoTIFF."""
        return self.cloud_box.isChecked()

    @property
    def maps_confidence(self) -> bool:
        """Whether it is mapped how far off the result may be."""
        return self.confidence_box.isChecked()

    @property
    def keeps_dip(self) -> bool:
        """Whether Deep Image Prior's own picture is kept beside the chain's result."""
        return self.dip_box.isChecked()

    @property
    def traces_borders(self) -> bool:
        """Whether a line layer of likely field borders is to go with the result."""
        return self.borders_box.isChecked()

    def take_over(self, request: EnhanceRequest) -> None:
        """Show the settings of ``request``; the bands, which belong to a layer, stay."""
        self.preset_box.choose(request.preset)
        self.sensor_box.choose(request.sensor)
        if request.mtf_at_nyquist is not None:
            self.mtf_box.setValue(request.mtf_at_nyquist)
        self.seed_box.setValue(request.seed)
        self.device_box.choose(request.device)
        self.model_box.setFilePath(str(request.model) if request.model else "")
        self.cloud_box.setChecked(request.is_cloud_optimised)
        self.confidence_box.setChecked(request.maps_confidence)
        self.dip_box.setChecked(request.keeps_dip)
        self.borders_box.setChecked(request.traces_borders)

    def show_bands_of(self, layer: Optional[QgsRasterLayer]) -> None:
        """Offer the bands of ``layer``."""
        self.bands_box.blockSignals(True)
        self.bands_box.clear()
        if layer is not None and layer.isValid():
            if is_web_layer(layer):
                names = [band.name for band in WEB_BANDS]
            else:
                names = [layer.bandName(number) for number in range(1, layer.bandCount() + 1)]
            for number, name in enumerate(names, start=1):
                self.bands_box.addItemWithCheckState(name, Qt.CheckState.Unchecked, number)
        self.bands_box.blockSignals(False)
        self.changed.emit()

    def choose_bands(self, numbers: tuple[int, ...]) -> None:
        """Tick the bands with these 1-based numbers, as far as the layer has them."""
        for row in range(self.bands_box.count()):
            is_wished = self.bands_box.itemData(row) in numbers
            state = Qt.CheckState.Checked if is_wished else Qt.CheckState.Unchecked
            self.bands_box.setItemCheckState(row, state)

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        rows = (
            (tr("&Preset"), self.preset_row, tr("Settings that are kept under a name")),
            (tr("&Bands"), self.bands_box, tr("The bands to enhance; none ticked means all of them")),
            (tr("&Effort"), self.preset_box, tr("How much effort Deep Image Prior makes")),
            (tr("Se&nsor"), self.sensor_box, tr("Whose blur is undone")),
            (tr("MTF"), self.mtf_box, tr("Modulation transfer at Nyquist of a custom sensor; smaller: more blur")),
            (tr("See&d"), self.seed_box, tr("The same seed on the same computer gives the same pixels")),
            (tr("De&vice"), self.device_box, tr("Where the engine computes")),
            (
                tr("M&odel"),
                self.model_box,
                tr("A Decrappify model of your own; empty for the one that comes with Headland"),
            ),
            (
                tr("&Format"),
                self.cloud_box,
                tr("Write a cloud-optimised GeoTIFF, which web maps and cloud storage read well"),
            ),
            (
                tr("Errors"),
                self.confidence_box,
                tr("Add layers that hatch what is uncertain and, unticked at first, say how far off each pixel may be"),
            ),
            (
                tr("St&ages"),
                self.dip_box,
                tr("Keep what DIP alone gives, too: the strength slider then goes from source over DIP to Decrappify"),
            ),
            (
                tr("&Trace"),
                self.borders_box,
                tr("Add a layer of likely field borders, to snap to and to trace along; each line is a guess"),
            ),
            (tr("&Cache"), self.cache_row, tr("Finished tiles: what was cancelled or crashed goes on where it was")),
            (tr("L&imit"), self.cache_limit_box, tr("How much is kept; the oldest makes room for the new")),
            (tr("En&gine"), self.engine_row, tr("What computes: PyTorch and ONNX Runtime, apart from QGIS’s Python")),
        )
        for label, widget, tip in rows:
            widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            widget.setToolTip(tip)
            widget.setAccessibleName(label.replace("&", ""))
            form.addRow(label, widget)
        # Heard without its label, a box is to say what it does.
        self.cache_limit_box.setAccessibleName(tr("Cache limit"))
        self.confidence_box.setAccessibleName(tr("Map how far off the result may be"))
        self.dip_box.setAccessibleName(tr("Keep what DIP alone gives"))
        self.borders_box.setAccessibleName(tr("Trace field borders"))

    def _enable_mtf(self) -> None:
        self.mtf_box.setEnabled(self.sensor is Sensor.CUSTOM)
