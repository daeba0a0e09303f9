"""What a person may choose about the engine's set-up; nothing of it need be."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Optional

from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QLabel, QLineEdit, QSizePolicy, QWidget

from ..bridge.words import tr
from ..engine.installing.locks import Build
from ..engine.installing.pip_install import Sources
from ..engine.installing.plan import Wishes
from .choice_box import ChoiceBox
from .choices import Choice
from .file_widget import ReadableFileWidget


class Source(Enum):
    """Where the engine's packages come from."""

    DOWNLOAD = "download"
    WHEELS = "wheels"
    INSTALLED = "installed"


class SetUpOptions(QgsCollapsibleGroupBox):
    """Source, Python, build, index of PyTorch's builds; folded away."""

    changed = pyqtSignal()

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("Options"), parent)
        self.source_box = ChoiceBox(
            (
                Choice(Source.DOWNLOAD, tr("Download"), tr("From the package index, through QGIS’s proxy.")),
                Choice(Source.WHEELS, tr("Folder of wheels"), tr("Without a network; “make wheelhouse” prepares it.")),
                Choice(
                    Source.INSTALLED, tr("Installed already"), tr("An environment with torch, onnxruntime and numpy.")
                ),
            )
        )
        self.wheels_box = ReadableFileWidget(tr("Choose a folder"))
        self.wheels_box.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.wheels_box.setDialogTitle(tr("Choose the folder of wheels"))
        self.environment_box = ReadableFileWidget(tr("Choose its Python"))
        self.environment_box.setDialogTitle(tr("Choose the environment’s Python"))
        self.python_box = ReadableFileWidget(tr("Automatic"))
        self.python_box.setDialogTitle(tr("Choose a Python from 3.10 to 3.14"))
        self.build_box = ChoiceBox(
            (
                Choice(Build.AUTO, tr("Automatic"), tr("The graphics card if one can be used, else the processor.")),
                Choice(Build.CPU, tr("Processor"), tr("The smallest download; works everywhere.")),
                Choice(Build.CUDA, tr("NVIDIA graphics card"), tr("A download of gigabytes.")),
            )
        )
        self.torch_index_box = QLineEdit()
        self.torch_index_box.setPlaceholderText(tr("The usual index"))
        self._lay_out()
        self.torch_index_box.textChanged.connect(self.changed)
        for box in (self.wheels_box, self.environment_box, self.python_box):
            box.fileChanged.connect(self.changed)
        for box in (self.source_box, self.build_box):
            box.currentIndexChanged.connect(self._on_chosen)
        self._on_chosen()
        self.setCollapsed(True)

    def wishes(self, *, is_anew: bool) -> Optional[Wishes]:
        """Return what is asked for; None while a field that is needed is empty."""
        source = self.source_box.chosen.value
        wheels = _path(self.wheels_box) if source is Source.WHEELS else None
        own_environment = _path(self.environment_box) if source is Source.INSTALLED else None
        if source is not Source.DOWNLOAD and wheels is None and own_environment is None:
            return None
        return Wishes(
            python=_path(self.python_box),
            build=Build(self.build_box.chosen.value),
            sources=Sources(
                wheels=wheels,
                torch_index=self.torch_index_box.text().strip() or None if source is Source.DOWNLOAD else None,
            ),
            own_environment=own_environment,
            is_anew=is_anew,
        )

    def _lay_out(self) -> None:
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        rows = (
            (tr("&Source"), self.source_box, tr("Where the engine’s packages come from")),
            (tr("&Wheels"), self.wheels_box, tr("A folder that holds all packages of the engine as wheels")),
            (
                tr("&Environment"),
                self.environment_box,
                tr("The Python of an environment that has torch, onnxruntime and numpy; it is used as it is"),
            ),
            (tr("&Python"), self.python_box, tr("The Python to make the engine with; empty for a suitable one")),
            (tr("&Build"), self.build_box, tr("What the engine is to compute on")),
            (
                tr("&Index of PyTorch’s builds"),
                self.torch_index_box,
                tr("For builds of PyTorch that the usual index lacks; PyTorch’s own pages name it; empty is fine"),
            ),
        )
        for label, widget, tip in rows:
            widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            widget.setToolTip(tip)
            widget.setAccessibleName(label.replace("&", ""))
            if widget is self.torch_index_box:
                # Beside so long a name nothing would be left of the fields in a narrow window.
                above = QLabel(label)
                above.setBuddy(widget)
                form.addRow(above)
                form.addRow(widget)
            else:
                form.addRow(label, widget)
        form.setAlignment(Qt.AlignmentFlag.AlignTop)

    def _on_chosen(self) -> None:
        source = self.source_box.chosen.value
        self.wheels_box.setEnabled(source is Source.WHEELS)
        self.environment_box.setEnabled(source is Source.INSTALLED)
        self.python_box.setEnabled(source is not Source.INSTALLED)
        self.build_box.setEnabled(source is not Source.INSTALLED)
        self.torch_index_box.setEnabled(source is Source.DOWNLOAD)
        self.changed.emit()


def _path(box: ReadableFileWidget) -> Optional[Path]:
    text = box.filePath().strip()
    return Path(text).expanduser() if text else None
