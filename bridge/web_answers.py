"""What map servers answer: QGIS's data providers show a hole where a server failed, and do not say so to the caller."""

from __future__ import annotations

import threading
from typing import Callable, Optional

from qgis.core import Qgis, QgsApplication, QgsNetworkAccessManager, QgsNetworkReplyContent
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest

from .words import tr

# This is how tile servers say that they have nothing there.
_BLANK_STATUSES = (204, 404, 410)
_LOG_TAG = "WMS"
_GAVE_UP = (QNetworkReply.NetworkError.OperationCanceledError, QNetworkReply.NetworkError.TimeoutError)


class WebAnswers:
    """Hears what servers answer to requests of the thread in which it was made, until it is closed.

    QGIS has one network access manager a thread, so a thread of one's own hears only of its own requests.

    Args:
        server: what to call the server in sentences.
        on_answer: called after each answer, be it good or bad.

    Attributes:
        failure: what went wrong since ``forget``, as a sentence for people, or None. That there is nothing in a place
            is no failure.
    """

    def __init__(self, server: str, on_answer: Callable[[], None]) -> None:
        self.failure: Optional[str] = None
        self._server, self._on_answer = server, on_answer
        self._thread = threading.get_ident()
        self._has_blank = False
        self._odd_type = ""
        self._network = QgsNetworkAccessManager.instance()
        self._log = QgsApplication.messageLog()
        self._network.finished[QgsNetworkReplyContent].connect(self._on_finished)
        # The log belongs to the main thread, but what is logged is told in the thread that does so.
        self._log.messageReceived.connect(self._on_message, Qt.ConnectionType.DirectConnection)

    def forget(self) -> None:
        """Start anew."""
        self.failure, self._has_blank, self._odd_type = None, False, ""

    def close(self) -> None:
        """Hear nothing any more."""
        self._network.finished[QgsNetworkReplyContent].disconnect(self._on_finished)
        self._log.messageReceived.disconnect(self._on_message)

    def _on_finished(self, reply: QgsNetworkReplyContent) -> None:
        status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
        if status in _BLANK_STATUSES:
            self._has_blank = True
        elif reply.error() != QNetworkReply.NetworkError.NoError:
            self.failure = self._sentence(reply, status)
        else:
            content_type = bytes(reply.rawHeader(b"Content-Type")).decode("ascii", "replace").partition(";")[0]
            self._odd_type = "" if content_type.startswith("image/") else content_type
        self._on_answer()

    def _sentence(self, reply: QgsNetworkReplyContent, status: Optional[int]) -> str:
        if status is not None:
            reason = reply.attribute(QNetworkRequest.Attribute.HttpReasonPhraseAttribute) or ""
            what = f"{status} {reason}".strip()
            return tr(
                "The server {server} answered with an error ({what}); try again later, or choose another layer."
            ).format(server=self._server, what=what)
        if reply.error() in _GAVE_UP:
            return tr(
                "The server {server} did not answer in time; try again later, or choose a smaller extent."
            ).format(server=self._server)
        reason = reply.errorString().rstrip(". ")
        return tr("The server {server} cannot be reached ({reason}); check the network and try again.").format(
            server=self._server, reason=reason
        )

    def _on_message(self, _text: str, tag: str, level: Qgis.MessageLevel) -> None:
        """Take a warning as a failure if nothing else explains it: an answer that came, but is no picture."""
        is_ours = threading.get_ident() == self._thread and tag == _LOG_TAG and level != Qgis.MessageLevel.Info
        if is_ours and self.failure is None and not self._has_blank:
            self.failure = tr(
                "The server {server} sent {sent} where a picture was asked for; check on the map whether the layer "
                "still works."
            ).format(server=self._server, sent=self._odd_type or tr("a picture that is damaged"))
