"""What map servers answer: QGIS's data providers show a hole where a server failed, and do not say so to the caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable, Optional
from urllib.parse import urlsplit

from qgis.core import Qgis, QgsApplication, QgsNetworkAccessManager, QgsNetworkReplyContent
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest

from .tile_answers import TileAnswers
from .words import tr

# This is how tile servers say that they have nothing there.
_BLANK_STATUSES = (204, 404, 410)
_LOG_TAG = "WMS"
_GAVE_UP = (QNetworkReply.NetworkError.OperationCanceledError, QNetworkReply.NetworkError.TimeoutError)


@dataclass(frozen=True)
class _Answer:
    """What was answered last to requests for one address.

    Attributes:
        failure: what went wrong, as a sentence for people, or "".
        is_blank: whether there is nothing in that place.
        odd_type: what kind of thing was sent that is no picture, or "".
    """

    failure: str = ""
    is_blank: bool = False
    odd_type: str = ""


class WebAnswers:
    """Hears what servers answer to requests of the thread in which it was made, until it is closed.

    QGIS has one network access manager a thread, so a thread of one's own hears only of its own requests. Tiles are
    fetched for all threads together; which of those are this thread's is told by the server, and by what is logged.

    Args:
        server: what to call the server in sentences.
        on_answer: called after each answer, be it good or bad.
        has_ended: set when nobody waits for the thread any more.
    """

    def __init__(self, server: str, on_answer: Callable[[], None], has_ended: threading.Event) -> None:
        self._server, self._on_answer = server, on_answer
        self._thread = threading.get_ident()
        self._own: dict[str, _Answer] = {}
        self._of_tiles: dict[str, _Answer] = {}
        self._warnings: list[str] = []
        self._network = QgsNetworkAccessManager.instance()
        self._log = QgsApplication.messageLog()
        self._network.finished[QgsNetworkReplyContent].connect(self._on_finished)
        # The log belongs to the main thread, but what is logged is told in the thread that does so.
        self._log.messageReceived.connect(self._on_message, Qt.ConnectionType.DirectConnection)
        self._tiles = TileAnswers(self._on_tile, has_ended)

    def forget(self) -> None:
        """Start anew."""
        self._own, self._of_tiles, self._warnings = {}, {}, []

    def close(self) -> None:
        """Hear nothing any more."""
        self._network.finished[QgsNetworkReplyContent].disconnect(self._on_finished)
        self._log.messageReceived.disconnect(self._on_message)
        self._tiles.close()

    def failure(self, has_holes: bool) -> Optional[str]:
        """Return what went wrong since ``forget``, as a sentence for people, or None.

        That there is nothing in a place is no failure.

        Args:
            has_holes: whether something is missing in the picture that QGIS made of the answers.
        """
        if has_holes or self._warnings:
            self._tiles.catch_up()
        answers = [*self._own.values(), *self._missing_tiles(has_holes)]
        failures = (answer.failure for answer in answers if answer.failure)
        return next(failures, None) or self._warning(answers)

    def _missing_tiles(self, has_holes: bool) -> Iterator[_Answer]:
        for url, answer in tuple(self._of_tiles.items()):
            is_named = any(url in warning for warning in self._warnings)
            # After a hundred errors of a layer QGIS names no more.
            if is_named or (has_holes and _site(urlsplit(url).netloc) == _site(self._server)):
                yield answer

    def _warning(self, answers: list[_Answer]) -> Optional[str]:
        """Take a warning as a failure if nothing else explains it: an answer that came, but is no picture."""
        if not self._warnings or any(answer.is_blank for answer in answers):
            return None
        odd_types = (answer.odd_type for answer in reversed(answers) if answer.odd_type)
        return tr(
            "The server {server} sent {sent} where a picture was asked for; check on the map whether the layer "
            "still works."
        ).format(server=self._server, sent=next(odd_types, None) or tr("a picture that is damaged"))

    def _on_finished(self, reply: QgsNetworkReplyContent) -> None:
        self._own[reply.request().url().toString()] = self._answer(reply)
        self._on_answer()

    def _on_tile(self, reply: QgsNetworkReplyContent) -> None:
        url = reply.request().url().toString()
        self._of_tiles[url] = self._answer(reply)
        if _site(urlsplit(url).netloc) == _site(self._server):
            self._on_answer()

    def _on_message(self, text: str, tag: str, level: Qgis.MessageLevel) -> None:
        if threading.get_ident() == self._thread and tag == _LOG_TAG and level != Qgis.MessageLevel.Info:
            self._warnings.append(text)

    def _answer(self, reply: QgsNetworkReplyContent) -> _Answer:
        status = reply.attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
        if status in _BLANK_STATUSES:
            return _Answer(is_blank=True)
        if reply.error() != QNetworkReply.NetworkError.NoError:
            return _Answer(failure=self._sentence(reply, status))
        content_type = bytes(reply.rawHeader(b"Content-Type")).decode("ascii", "replace").partition(";")[0]
        return _Answer(odd_type="" if content_type.startswith("image/") else content_type)

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


def _site(host: str) -> str:
    """Return what the servers of one map have in common, of which there may be several to share the work."""
    return ".".join(host.rpartition("@")[2].split(".")[-2:])
