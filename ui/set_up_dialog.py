"""The dialog that sets the engine up: what will happen, how it goes, and a log that can be sent."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QLocale, QTimer
from qgis.PyQt.QtGui import QCloseEvent, QIcon
from qgis.PyQt.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..bridge.diagnostics import diagnostics, without_person
from ..bridge.engine_setup import EngineSetUp, engine_state
from ..bridge.estimating import NO_BREAK_SPACE
from ..bridge.words import tr
from ..engine.environment import EnvironmentMissing, engine_python, location
from ..engine.installing.plan import SetUpPlan
from ..engine.installing.renewal import is_outdated
from .messages import show_text
from .notice import Notice
from .set_up_options import SetUpOptions
from .wrapping_label import WrappingLabel

LOOK_DELAY_MS = 300
MOST_LINES = 5000
SMALLEST_WIDTH_PX = 320
STEPS = 1000


class SetUpDialog(QDialog):
    """Looks first, does what is wished when the button is clicked, and may be closed while it works."""

    def __init__(self, set_up: EngineSetUp, icon: QIcon, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("HeadlandSetUpDialog")
        self.setWindowTitle(tr("Headland’s engine"))
        self.setWindowIcon(icon)
        self.setMinimumWidth(SMALLEST_WIDTH_PX)
        self._set_up = set_up
        self._plan: Optional[SetUpPlan] = None
        self._make_widgets()
        self._lay_out()
        self._look_timer = QTimer(self)
        self._look_timer.setSingleShot(True)
        self._look_timer.setInterval(LOOK_DELAY_MS)
        self._connect()
        self._show_state()
        self._show_running(is_running=set_up.is_running)

    def look(self) -> None:
        """Find out anew what a set-up would do."""
        self._plan = None
        self._show_state()
        wishes = self.options.wishes(is_anew=self._has_engine())
        if wishes is None:
            self.plan_label.setText(tr("Say under Options where the packages are."))
        elif not self._set_up.is_running:
            self.plan_label.setText(tr("Looking for a Python and a graphics card…"))
            self._set_up.look(wishes)
        self._enable_buttons()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802, Qt's name
        """Stay in memory: the set-up goes on, and the dock's button shows it again."""
        self.hide()
        event.accept()

    def _make_widgets(self) -> None:
        self.state_label = WrappingLabel()
        self.plan_label = WrappingLabel()
        self.options = SetUpOptions()
        self.notice = Notice()
        self.phase_label = WrappingLabel()
        self.progress_bar = QProgressBar()
        self.progress_bar.setRange(0, STEPS)
        self.progress_bar.setAccessibleName(tr("Progress of the set-up"))
        self.log_box = QgsCollapsibleGroupBox(tr("Log"))
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(MOST_LINES)
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.log.setAccessibleName(tr("Log"))
        self.log.setMinimumHeight(80)
        self.copy_button = QPushButton(tr("Copy"))
        self.copy_button.setToolTip(tr("Copy the log, without your name and passwords"))
        self.save_button = QPushButton(tr("Save…"))
        self.save_button.setToolTip(tr("Save the log, without your name and passwords"))
        self.start_button = QPushButton()
        self.start_button.setDefault(True)
        self.cancel_button = QPushButton(tr("Cancel"))
        self.remove_button = QPushButton(tr("Remove…"))
        self.remove_button.setToolTip(tr("Remove the engine and everything that its set-up has left"))
        self.diagnostics_button = QPushButton(tr("Diagnostics"))
        self.diagnostics_button.setToolTip(tr("One page for a bug report: versions, devices, places, last failures"))
        self.close_button = QPushButton(tr("Close"))

    def _lay_out(self) -> None:
        log_buttons = QHBoxLayout()
        log_buttons.addStretch(1)
        for button in (self.copy_button, self.save_button):
            log_buttons.addWidget(button)
        log_layout = QVBoxLayout(self.log_box)
        log_layout.addWidget(self.log)
        log_layout.addLayout(log_buttons)
        self.log_box.setCollapsed(True)
        main_buttons = QHBoxLayout()
        main_buttons.addWidget(self.start_button, 1)
        main_buttons.addWidget(self.cancel_button, 1)
        other_buttons = QHBoxLayout()
        for button in (self.remove_button, self.diagnostics_button, self.close_button):
            other_buttons.addWidget(button)
        layout = QVBoxLayout(self)
        for widget in (self.state_label, self.plan_label, self.options, self.notice, self.phase_label):
            layout.addWidget(widget)
        layout.addWidget(self.progress_bar)
        layout.addLayout(main_buttons)
        layout.addWidget(self.log_box, 1)
        layout.addStretch(0)
        layout.addLayout(other_buttons)

    def _connect(self) -> None:
        self._look_timer.timeout.connect(self.look)
        self.options.changed.connect(self._on_options_changed)
        self.start_button.clicked.connect(self._start)
        self.cancel_button.clicked.connect(self._cancel)
        self.remove_button.clicked.connect(self._remove)
        self.diagnostics_button.clicked.connect(self._show_diagnostics)
        self.close_button.clicked.connect(self.close)
        self.copy_button.clicked.connect(lambda: QApplication.clipboard().setText(self._log_text()))
        self.save_button.clicked.connect(self._save_log)
        self._set_up.looked.connect(self._on_looked)
        self._set_up.refused.connect(self._on_refused)
        self._set_up.told.connect(self.log.appendPlainText)
        self._set_up.progressed.connect(self._on_progressed)
        self._set_up.finished.connect(self._on_finished)
        self._set_up.failed.connect(self._on_failed)
        self._set_up.cancelled.connect(self._on_cancelled)

    def _on_options_changed(self) -> None:
        """Let nobody start what was planned for other options."""
        self._plan = None
        self._set_up.stop_looking()
        self._enable_buttons()
        self._look_timer.start()

    def _on_looked(self, plan: SetUpPlan) -> None:
        self._plan = plan
        self.notice.say("")
        self.plan_label.setText(_in_words(plan))
        self._enable_buttons()

    def _on_refused(self, sentence: str) -> None:
        self.plan_label.clear()
        self.notice.say(sentence)
        self.options.setCollapsed(False)
        self._enable_buttons()

    def _start(self) -> None:
        if self._plan is None:
            return
        self.log.clear()
        self.notice.say("")
        self._set_up.start(self._plan)
        self._show_running(is_running=self._set_up.is_running)

    def _cancel(self) -> None:
        self.cancel_button.setEnabled(False)
        self.phase_label.setText(tr("Stopping…"))
        self._set_up.cancel()

    def _remove(self) -> None:
        question = tr("Remove the engine? Headland cannot enhance without it; you can set it up again at any time.")
        if QMessageBox.question(self, self.windowTitle(), question) == QMessageBox.StandardButton.Yes:
            self._set_up.remove()
            self._show_running(is_running=self._set_up.is_running)

    def _on_progressed(self, words: str, fraction: float) -> None:
        if self._set_up.is_running and self.cancel_button.isEnabled():
            self.phase_label.setText(words)
            self.progress_bar.setValue(round(STEPS * fraction))

    def _on_finished(self, state: dict[str, Any]) -> None:
        self._show_running(is_running=False)
        self.options.setCollapsed(True)
        self._plan = None
        self._show_state()
        self.plan_label.setText("" if state else tr("The engine is removed."))
        if not state:
            self.look()

    def _on_failed(self, sentence: str, details: str) -> None:
        self._show_running(is_running=False)
        self.notice.say(sentence)
        for line in (*([details] if details and details not in self.log.toPlainText() else []), sentence):
            self.log.appendPlainText(line)
        self.start_button.setText(tr("Try again"))

    def _on_cancelled(self) -> None:
        self._show_running(is_running=False)
        self.notice.say(tr("Cancelled; nothing half-made is left, and what was downloaded is kept for the next try."))

    def _show_running(self, *, is_running: bool) -> None:
        self.options.setEnabled(not is_running)
        self.start_button.setVisible(not is_running)
        for widget in (self.cancel_button, self.progress_bar, self.phase_label):
            widget.setVisible(is_running)
        self.cancel_button.setEnabled(True)
        if is_running:
            self.progress_bar.setValue(0)
            self.phase_label.setText(tr("Beginning…"))
        self._enable_buttons()

    def _show_state(self) -> None:
        """Say what stands, or what the engine is."""
        if self._has_engine():
            is_old = is_outdated(location())
            said = (
                tr("The engine works; this Headland has newer packages for it. {}")
                if is_old
                else tr("The engine is ready. {}")
            )
            self.state_label.setText(said.format(engine_state().get("reason", "")).strip())
            self.start_button.setText(tr("Update engine") if is_old else tr("Set up again"))
        else:
            self.state_label.setText(
                tr("The engine (PyTorch and ONNX Runtime) computes the enhancement, apart from QGIS’s own Python.")
            )
            self.start_button.setText(tr("Set up engine"))

    def _enable_buttons(self) -> None:
        is_running = self._set_up.is_running
        self.start_button.setEnabled(self._plan is not None and not is_running)
        self.remove_button.setEnabled(not is_running and bool(engine_state()))

    def _show_diagnostics(self) -> None:
        show_text(tr("Headland: diagnostics"), diagnostics(), self)

    def _save_log(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, tr("Save the log"), "headland-engine.log", tr("Text (*.log *.txt)"))
        if not name:
            return
        try:
            Path(name).write_text(self._log_text(), encoding="utf-8")
        except OSError as error:
            self.notice.say(tr("The log could not be saved ({}); choose another folder.").format(error.strerror))

    def _log_text(self) -> str:
        return without_person(self.log.toPlainText())

    def _has_engine(self) -> bool:
        with suppress(EnvironmentMissing):
            engine_python()
            return True
        return False


def _in_words(plan: SetUpPlan) -> str:
    """Say what a set-up will download, how large it is, where it goes and what it will compute on."""
    python = without_person(str(plan.python.path))
    if plan.lock is None:
        return "\n".join((tr("{} is tried out and used as it is; nothing is downloaded.").format(python), plan.reason))
    download = tr("Download: about {}").format(_size(plan.download_bytes))
    lines = (
        download if plan.download_bytes else tr("No download: the wheels are there"),
        tr("On the disk: about {}").format(_size(plan.installed_bytes)),
        tr("Folder: {}").format(without_person(str(plan.folder))),
        tr("Made with: Python {version}, {path}").format(version=plan.python.minor_version, path=python),
        plan.reason,
    )
    return "\n".join(lines)


def _size(count: int) -> str:
    if count < 1e9:  # noqa: PLR2004, a gigabyte
        return f"{count / 1e6:.0f}{NO_BREAK_SPACE}MB"
    return f"{QLocale().toString(count / 1e9, 'f', 1)}{NO_BREAK_SPACE}GB"
