"""What servers answer to requests for tiles, which QGIS sends from a thread of its own since 3.24.2."""

from __future__ import annotations

import threading
import time
from typing import Callable

from qgis.core import QgsNetworkAccessManager, QgsNetworkReplyContent, QgsNetworkRequestParameters
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal, pyqtSlot
from qgis.PyQt.QtNetwork import QNetworkRequest

# How QGIS signs its requests for tiles.
_TILE_REQUESTS = "QgsWmsTiledImageDownloadHandler"
# A main thread that serves no events for so long is not waited for.
_LONGEST_WAIT_S = 5.0
_POLL_S = 0.05


class TileAnswers(QObject):
    """Hears the answers to everybody's requests for tiles, until it is closed. For a thread that is not the main one.

    QGIS tells in the main thread what its other threads were answered; there, this object lives.

    Args:
        on_answer: called in the main thread with each answer.
        has_ended: set when nobody waits for the calling thread any more.
    """

    _asked = pyqtSignal()
    _closed = pyqtSignal()

    def __init__(self, on_answer: Callable[[QgsNetworkReplyContent], None], has_ended: threading.Event) -> None:
        super().__init__()
        self._on_answer, self._has_ended = on_answer, has_ended
        self._is_listening = False
        self._has_caught_up = threading.Event()
        self.moveToThread(QCoreApplication.instance().thread())
        self._asked.connect(self._answer)
        self._closed.connect(self._end)
        self.catch_up()

    def catch_up(self) -> None:
        """Wait until all has been told that was answered so far."""
        self._has_caught_up.clear()
        # It waits in the main thread behind the answers that came before.
        self._asked.emit()
        deadline_s = time.monotonic() + _LONGEST_WAIT_S
        while not self._has_caught_up.wait(_POLL_S):
            if self._has_ended.is_set() or time.monotonic() > deadline_s:
                return

    def close(self) -> None:
        """Hear nothing any more."""
        self._closed.emit()

    @pyqtSlot()
    def _answer(self) -> None:
        if not self._is_listening:
            self._is_listening = True
            # The object goes where it lives, and not where the last name for it does.
            self.setParent(QCoreApplication.instance())
            QgsNetworkAccessManager.instance().finished[QgsNetworkReplyContent].connect(self._on_finished)
        self._has_caught_up.set()

    @pyqtSlot()
    def _end(self) -> None:
        if self._is_listening:
            QgsNetworkAccessManager.instance().finished[QgsNetworkReplyContent].disconnect(self._on_finished)
        self.deleteLater()

    def _on_finished(self, reply: QgsNetworkReplyContent) -> None:
        attribute = QNetworkRequest.Attribute(QgsNetworkRequestParameters.RequestAttributes.AttributeInitiatorClass)
        if reply.request().attribute(attribute) == _TILE_REQUESTS:
            self._on_answer(reply)
