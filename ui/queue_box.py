"""What waits for the run that is going on, each with buttons that show where it is and take it out."""

from __future__ import annotations

from typing import Optional

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QToolButton, QVBoxLayout, QWidget

from ..bridge.controller import EnhanceController
from ..bridge.plan import EnhancePlan
from ..bridge.words import tr
from .elided_label import ElidedLabel

# More of them are scrolled.
MOST_ROWS_SHOWN = 4


class QueueBox(QWidget):
    """Lists the controller's queue; takes no room while nothing waits."""

    def __init__(self, controller: EnhanceController, canvas: QgsMapCanvas, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._canvas = canvas
        self.count_label = QLabel()
        self.clear_button = QPushButton(tr("Remove all"))
        self.clear_button.setAutoDefault(False)
        self.clear_button.setAccessibleName(tr("Remove all"))
        self.clear_button.setToolTip(tr("Take everything that waits out of the queue; what is at work goes on"))
        self._scroll_area = QScrollArea()
        self._scroll_area.setWidgetResizable(True)
        self._scroll_area.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        head = QHBoxLayout()
        head.addWidget(self.count_label, 1)
        head.addWidget(self.clear_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(self._scroll_area)
        self.clear_button.clicked.connect(self._remove_all)
        controller.queue_changed.connect(self._list)
        self._list()

    def _list(self) -> None:
        plans = self._controller.waiting
        self.count_label.setText(tr("Waiting: {}").format(len(plans)))
        rows = QWidget()
        layout = QVBoxLayout(rows)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for plan in plans:
            layout.addWidget(_Row(plan, self._controller, self._canvas))
        self._scroll_area.setWidget(rows)
        shown = min(len(plans), MOST_ROWS_SHOWN)
        is_scrolled = len(plans) > MOST_ROWS_SHOWN
        self._scroll_area.setVerticalScrollBarPolicy(
            Qt.ScrollBarPolicy.ScrollBarAlwaysOn if is_scrolled else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        )
        self._scroll_area.setFixedHeight(rows.sizeHint().height() * shown // max(1, len(plans)))
        self.setVisible(bool(plans))

    def _remove_all(self) -> None:
        for plan in self._controller.waiting:
            self._controller.withdraw(plan)


class _Row(QWidget):
    """One that waits."""

    def __init__(self, plan: EnhancePlan, controller: EnhanceController, canvas: QgsMapCanvas) -> None:
        super().__init__()
        label = ElidedLabel()
        label.set_text(plan.title)
        self.show_button = _icon_button("/mActionZoomTo.svg", tr("Show {} on the map").format(plan.title))
        self.show_button.setToolTip(tr("Show on the map"))
        self.remove_button = _icon_button("/mIconClearText.svg", tr("Remove {} from the queue").format(plan.title))
        self.remove_button.setToolTip(tr("Remove from the queue"))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(label, 1)
        layout.addWidget(self.show_button)
        layout.addWidget(self.remove_button)
        self.show_button.clicked.connect(lambda: _show_on_map(plan, canvas))
        # The row goes with the click; it must not while its button is still at it.
        self.remove_button.clicked.connect(lambda: controller.withdraw(plan), Qt.ConnectionType.QueuedConnection)


def _icon_button(icon: str, name: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(QgsApplication.getThemeIcon(icon))
    button.setAutoRaise(True)
    button.setAccessibleName(name)
    return button


def _show_on_map(plan: EnhancePlan, canvas: QgsMapCanvas) -> None:
    """Flash the extent that is going to be enhanced, with the map brought there if it shows another place."""
    crs = QgsCoordinateReferenceSystem.fromWkt(plan.grid.crs_wkt)
    extent = QgsRectangle(*plan.grid.bounds_of(plan.window))
    to_map = QgsCoordinateTransform(
        crs, canvas.mapSettings().destinationCrs(), QgsProject.instance().transformContext()
    )
    try:
        on_map = to_map.transformBoundingBox(extent)
    except QgsCsException:
        # The map's CRS does not reach there, so there is nothing to be shown.
        return
    if not canvas.extent().contains(on_map):
        canvas.zoomToFeatureExtent(on_map)
    canvas.flashGeometries([QgsGeometry.fromRect(extent)], crs)
