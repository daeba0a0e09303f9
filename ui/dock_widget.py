"""The dock: layer, extent, method, Enhance. In the order of the work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

from qgis.core import QgsProject, QgsReferencedRectangle
from qgis.gui import QgsDockWidget, QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QEvent, Qt, QTimer
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..bridge.controller import EnhanceController
from ..bridge.destination import absolute
from ..bridge.enhance import EnhanceResult
from ..bridge.estimating import estimate_plan, in_words
from ..bridge.failure_log import remember_failure
from ..bridge.plan import CannotEnhance, EngineMissing
from ..bridge.prepare import prepare
from ..bridge.request import EnhanceRequest
from ..bridge.words import tr
from . import messages
from .advanced_box import AdvancedBox
from .engine_offer import EngineOffer
from .enhance_button import EnhanceButton
from .extent_row import ExtentChoice, ExtentRow, ExtentSource
from .file_widget import ReadableFileWidget
from .last_choices import choices_of_project, choices_of_user, remember
from .layer_box import LayerBox
from .live_preview import LivePreview
from .method_box import MethodBox
from .notice import Notice
from .optional_row import OptionalRow
from .output_box import OutputBox
from .plan_words import size_in_words
from .queue_box import QueueBox
from .quick_look_button import QuickLookButton
from .resolution_box import ResolutionBox
from .result_panel import ResultPanel
from .run_box import RunBox
from .scale_buttons import ScaleButtons
from .wrapping_label import WrappingLabel

ICON_FILE = Path(__file__).resolve().parent / "icons" / "headland.svg"

# While the map is dragged, checks wait until it rests.
CHECK_DELAY_MS = 150
# What the click is for stands out.
BUTTON_HEIGHT_PX = 32


class EnhanceDock(QgsDockWidget):
    """Says what will come of a click, makes it so, and tells how it goes."""

    def __init__(
        self,
        controller: EnhanceController,
        canvas: QgsMapCanvas,
        message_bar: QgsMessageBar,
        parent: Optional[QWidget] = None,
    ) -> None:
        super().__init__(tr("Enhance extent"), parent)
        self.setObjectName("HeadlandEnhanceDock")
        self.setWindowIcon(QIcon(str(ICON_FILE)))
        self._controller = controller
        self._canvas = canvas
        self._message_bar = message_bar
        self.live_preview = LivePreview(controller, canvas, self)
        self._make_controls(canvas)
        self._lay_out()
        self._check_timer = QTimer(self)
        self._check_timer.setSingleShot(True)
        self._check_timer.setInterval(CHECK_DELAY_MS)
        self._connect()
        self._shown_layer_id = ""
        self._follow_layer()
        self.layer_box.suggest([canvas.currentLayer(), *QgsProject.instance().mapLayers().values()])
        self._recall_choices_of_user()
        self._recall_choices_of_project()
        self._follow_engine()

    def request(self) -> EnhanceRequest:
        """Return what the controls ask for."""
        return EnhanceRequest(
            layer=self.layer_box.currentLayer(),
            extent=self.extent_row.extent,
            resolution=self.resolution_box.resolution,
            bands=self.advanced_box.bands,
            method=self.method_box.method,
            scale=self.scale_buttons.factor,
            preset=self.advanced_box.preset,
            sensor=self.advanced_box.sensor,
            mtf_at_nyquist=self.advanced_box.mtf_at_nyquist,
            seed=self.advanced_box.seed,
            device=self.advanced_box.device,
            model=self.advanced_box.model,
            is_cloud_optimised=self.advanced_box.is_cloud_optimised,
            maps_confidence=self.advanced_box.maps_confidence,
            keeps_dip=self.advanced_box.keeps_dip,
            traces_borders=self.advanced_box.traces_borders,
            output=self.output_box.path,
        )

    def release(self) -> None:
        """Let go of everything outside of the dock; before it is deleted."""
        self._check_timer.stop()
        self.set_up_button.release()
        self.live_preview.release()
        self.result_panel.release()
        self.extent_row.release()
        self.resolution_box.release()
        QgsProject.instance().crsChanged.disconnect(self._check_timer.start)
        QgsProject.instance().layersAdded.disconnect(self.layer_box.suggest)
        QgsProject.instance().readProject.disconnect(self._recall_choices_of_project)
        QgsProject.instance().cleared.disconnect(self._forget_place)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802, Qt's name
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            for box in self.findChildren(ReadableFileWidget):
                box.restyle()

    def _make_controls(self, canvas: QgsMapCanvas) -> None:
        self.layer_box = LayerBox()
        self.extent_row = ExtentRow(canvas)
        self.resolution_box = ResolutionBox(canvas)
        self.method_box = MethodBox()
        self.method_label = WrappingLabel()
        self.scale_buttons = ScaleButtons()
        self.output_box = OutputBox()
        self.advanced_box = AdvancedBox()
        self.result_panel = ResultPanel(canvas)
        self.size_label = WrappingLabel()
        self.estimate_label = WrappingLabel()
        self.notice = Notice()
        self.engine_offer = EngineOffer(self.windowIcon())
        self.set_up_button = self.engine_offer.button
        self.enhance_button = EnhanceButton(self.windowIcon())
        # Until the first check nobody knows what a click would do.
        self.enhance_button.setEnabled(False)
        self.look_button = QuickLookButton(self._controller, self.live_preview)
        self.run_box = RunBox(self._controller, self.live_preview, BUTTON_HEIGHT_PX)
        self.queue_box = QueueBox(self._controller, canvas)
        self.phase_label, self.progress_bar = self.run_box.phase_label, self.run_box.progress_bar
        self.cancel_button = self.run_box.cancel_button
        for button in (self.enhance_button, self.look_button):
            button.setMinimumHeight(BUTTON_HEIGHT_PX)
        tips = (
            (self.layer_box, tr("Layer"), tr("The raster layer to enhance")),
            (
                self.resolution_box,
                tr("Resolution"),
                tr("Size of the pixels to download, in units of the layer’s CRS; 0 for what the map shows"),
            ),
            (self.method_box, tr("Method"), tr("How the picture is made sharper")),
            (
                self.estimate_label,
                tr("Estimate"),
                tr("What it takes on this computer; finished runs make the next estimate better"),
            ),
            (self.output_box, tr("Save to"), tr("Where the GeoTIFF goes; empty for a temporary file")),
        )
        for widget, name, tip in tips:
            widget.setAccessibleName(name)
            widget.setToolTip(tip)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(tr("&Layer"), self.layer_box)
        form.addRow(tr("E&xtent"), self.extent_row)
        self._resolution_row = OptionalRow(form, form.rowCount(), tr("&Resolution"), self.resolution_box)
        form.addRow(tr("&Method"), self.method_box)
        form.addRow("", self.method_label)
        form.addRow(tr("Scale"), self.scale_buttons)
        form.addRow("", self.size_label)
        form.addRow("", self.estimate_label)
        form.addRow(tr("&Save to"), self.output_box)

        settings = QWidget()
        settings_layout = QVBoxLayout(settings)
        settings_layout.addLayout(form)
        settings_layout.addWidget(self.advanced_box)
        settings_layout.addWidget(self.result_panel)
        settings_layout.addStretch(1)
        scroll_area = QScrollArea()
        scroll_area.setWidgetResizable(True)
        scroll_area.setFrameShape(QFrame.Shape.NoFrame)
        scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll_area.setWidget(settings)

        buttons = QHBoxLayout()
        buttons.addWidget(self.enhance_button, 1)
        buttons.addWidget(self.look_button)
        bottom = QVBoxLayout()
        bottom.setContentsMargins(9, 0, 9, 9)
        for widget in (self.notice, self.engine_offer, self.run_box, self.queue_box):
            bottom.addWidget(widget)
        bottom.addLayout(buttons)

        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll_area, 1)
        layout.addLayout(bottom)
        self.setWidget(body)
        self._show_running()

    def _connect(self) -> None:
        self._check_timer.timeout.connect(self._check)
        # layerChanged does not tell when the list moves on because its layer was removed.
        self.layer_box.layerChanged.connect(self._follow_layer)
        self.layer_box.currentIndexChanged.connect(self._follow_layer)
        self.extent_row.changed.connect(self._check_timer.start)
        self.resolution_box.valueChanged.connect(self._check_timer.start)
        self.method_box.currentIndexChanged.connect(self._on_method_changed)
        self.scale_buttons.changed.connect(self._check_timer.start)
        self.output_box.fileChanged.connect(self._check_timer.start)
        self.advanced_box.changed.connect(self._check_timer.start)
        self.advanced_box.preset_row.chosen.connect(self._take_over)
        self.advanced_box.preset_row.save_wanted.connect(self._save_preset)
        QgsProject.instance().crsChanged.connect(self._check_timer.start)
        QgsProject.instance().layersAdded.connect(self.layer_box.suggest)
        QgsProject.instance().readProject.connect(self._recall_choices_of_project)
        QgsProject.instance().cleared.connect(self._forget_place)
        self.enhance_button.clicked.connect(self._start)
        self.look_button.wanted.connect(self._look)
        self._controller.started.connect(self._show_running)
        self.set_up_button.engine_changed.connect(self._on_engine_changed)
        self.advanced_box.engine_row.button.clicked.connect(self.set_up_button.open)
        self._controller.finished.connect(self._on_finished)
        self._controller.looked.connect(self._on_looked)
        self._controller.failed.connect(self._on_failed)
        self._controller.cancelled.connect(self._on_cancelled)
        self._on_method_changed()

    def _follow_layer(self) -> None:
        layer = self.layer_box.currentLayer()
        layer_id = "" if layer is None else layer.id()
        if layer_id != self._shown_layer_id:
            self._shown_layer_id = layer_id
            self.advanced_box.show_bands_of(layer)
            # The pixels of a file have a size.
            is_needed = self.resolution_box.show_for(layer)
            self._resolution_row.set_shown(is_shown=is_needed)
            if is_needed:
                QWidget.setTabOrder(self.extent_row.button, self.resolution_box)
        self._check_timer.start()

    def _on_method_changed(self) -> None:
        self.method_label.setText(self.method_box.explanation)
        self._check_timer.start()

    def _take_over(self, request: EnhanceRequest) -> None:
        self.method_box.choose(request.method)
        self.method_box.stand_in()
        self.scale_buttons.choose(request.scale)
        self.advanced_box.take_over(request)
        self._check_timer.start()

    def _recall_choices_of_user(self) -> None:
        request = choices_of_user()
        if request is not None:
            self._take_over(request)

    def _recall_choices_of_project(self) -> None:
        choices = choices_of_project(QgsProject.instance())
        if choices is None:
            return
        self._take_over(choices.request)
        self.extent_row.choose(choices.extent)
        layer = QgsProject.instance().mapLayer(choices.layer_id)
        if layer is not None:
            self.layer_box.setLayer(layer)
            self.advanced_box.choose_bands(choices.request.bands)

    def _forget_place(self) -> None:
        """Let go of a rectangle in a project that was closed."""
        if self.extent_row.choice.extent is not None:
            self.extent_row.choose(ExtentChoice(ExtentSource.CANVAS))

    def _save_preset(self) -> None:
        self.advanced_box.preset_row.save(self._wished())

    def _follow_engine(self) -> None:
        self.engine_offer.refresh()
        self.method_box.follow_engine(is_there=self.engine_offer.has_engine)
        self.method_label.setText(self.method_box.explanation)

    def _check(self) -> None:
        """Say what a click would give, or what stands in its way."""
        self._follow_engine()
        needs_engine = False
        try:
            plan = prepare(self.request(), QgsProject.instance().transformContext())
        except EngineMissing:
            needs_engine = True
            sentence = tr("{}; set it up below, or choose “Anchor” or “Bicubic”, which work without it.")
            self._show_problem(sentence.format(self.engine_offer.problem))
        except CannotEnhance as problem:
            self._show_problem(str(problem))
        else:
            self._show_problem("")
            self.notice.say(" ".join(plan.cautions))
            self.size_label.setText(size_in_words(plan))
            self.estimate_label.setText(in_words(estimate_plan(plan)))
        self.engine_offer.leave_words(to_others=needs_engine)

    def _start(self) -> None:
        request = self.request()
        try:
            self._controller.start(request, has_preview=True)
        except CannotEnhance as problem:
            # It may be due to what is at work, so the button stays usable.
            self.notice.say(str(problem))
            return
        self.notice.say("")
        remember(self._wished(), self.extent_row.choice, QgsProject.instance())

    def _wished(self) -> EnhanceRequest:
        """Return what would be asked for if there were an engine, to be asked for another time."""
        return replace(self.request(), method=self.method_box.wished)

    def _look(self) -> None:
        visible = QgsReferencedRectangle(self._canvas.extent(), self._canvas.mapSettings().destinationCrs())
        try:
            self._controller.look(self.request(), visible)
        except CannotEnhance as problem:
            self.notice.say(str(problem))

    def _on_finished(self, result: EnhanceResult, layer_id: str) -> None:
        self._show_running()
        typed = self.request().output
        if typed is not None and absolute(typed) == result.output:
            # The next extent must not take this one's file, whose layer is open now.
            self.output_box.setFilePath("")
        # The run has taught something about the next one.
        self._check_timer.start()
        self.result_panel.show_result(result, layer_id)
        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is None:
            messages.say_kept(self._message_bar, result.output, lambda: self._add(result))
        else:
            messages.say_done(self._message_bar, layer.name(), result.summary)

    def _on_looked(self) -> None:
        self._show_running()
        self._check_timer.start()

    def _add(self, result: EnhanceResult) -> None:
        try:
            self._controller.add(result)
        except CannotEnhance as problem:
            messages.say_failed(self._message_bar, str(problem), "")

    def _on_engine_changed(self) -> None:
        self.advanced_box.engine_row.refresh()
        self._check_timer.start()

    def _on_failed(self, sentence: str, details: str) -> None:
        self._show_running()
        # There until something else is chosen: the message bar cuts long sentences, and is soon closed.
        self.notice.say(sentence)
        remember_failure(sentence, details)
        messages.say_failed(self._message_bar, sentence, details)

    def _on_cancelled(self) -> None:
        self._show_running()
        messages.say_cancelled(self._message_bar)

    def _show_running(self) -> None:
        is_running = self._controller.is_running
        if is_running:
            self.run_box.begin()
        else:
            self.run_box.end()
        self.enhance_button.show_running(is_running=is_running)
        self.look_button.setVisible(not is_running)
        self.advanced_box.cache_row.refresh()

    def _show_problem(self, sentence: str) -> None:
        self.notice.say(sentence)
        for button in (self.enhance_button, self.look_button):
            button.setEnabled(not sentence)
        if sentence:
            self.size_label.clear()
            self.estimate_label.clear()
