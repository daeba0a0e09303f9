"""Reads pictures from a map server (WMS, WMTS, XYZ) with QGIS's own data provider.

GDAL cannot: how the server is asked and logged in to, and how its tiles are kept for the next time, is QGIS's business.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Optional, Union
from urllib.parse import SplitResult, parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsDataProvider,
    QgsProviderRegistry,
    QgsRasterBlock,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, QThread

from ..engine.array_file import new_array
from ..engine.grid import Grid, Window
from ..engine.job import INPUT_FILE, VALID_FILE
from .compat import fine_pixels_of_tiles
from .raster_source import BandInfo, SourceUnreadable
from .web_answers import WebAnswers
from .words import tr

# What is asked for at a time: large, because a WMS draws each picture anew; not so large that it refuses.
BLOCK_PX = 1024
# A server of which nothing is heard for so long will not answer; QGIS itself would wait for minutes.
LONGEST_SILENCE_S = 45.0
ATTEMPTS = 3
PAUSE_S = 1.0
# How often a person's wish to cancel is looked at.
POLL_S = 0.1
# QGIS lets go of a server at once; if it does not, nobody waits for it.
LONGEST_GOODBYE_S = 1.0

# QGIS's data types that hold a pixel's colours in one number.
PICTURE_TYPES = (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)

# What QGIS takes a usual screen to have.
SCREEN_DPI = 96

_COLOURS = (("red", gdal.GCI_RedBand), ("green", gdal.GCI_GreenBand), ("blue", gdal.GCI_BlueBand))

WEB_BANDS = tuple(
    BandInfo(
        number=number,
        name=name,
        dtype="uint8",
        nodata=None,
        scale=None,
        offset=None,
        unit="",
        colour=colour,
        is_paletted=False,
        metadata=(),
        # A picture is transparent where there is nothing; black is a colour.
        declares_invalid=True,
    )
    for number, (name, colour) in enumerate(_COLOURS, start=1)
)


@dataclass(frozen=True)
class WebSource:
    """What a thread needs to make a data provider of its own.

    Attributes:
        provider: QGIS's name of it.
        uri: what it opens; it may hold passwords.
    """

    provider: str
    uri: str

    def __str__(self) -> str:
        """Return the address without what may be secret: user, password and what follows a question mark."""
        address = self._address
        return address._replace(netloc=self.server, query="", fragment="").geturl() if address.netloc else address.path

    @property
    def server(self) -> str:
        """What to call the server."""
        return self._address.netloc.rpartition("@")[2] or Path(self._address.path).name

    @property
    def has_tiles(self) -> bool:
        """Whether the server has tiles of pictures, and does not make any picture that it is asked for."""
        return self._is_xyz or self._parameter("tileMatrixSet") != ""

    def finely_drawn(self, fine: int) -> tuple[str, int]:
        """Return what to open, and for how many dots an inch, so that QGIS draws tiles ``fine`` times as large.

        Otherwise it would take those of a finer zoom level. Versions from 3.40 on are known to heed both.
        """
        others = [part for part in self.uri.split("&") if not part.startswith("tilePixelRatio=")]
        own_ratio = int(self._parameter("tilePixelRatio") or 0) or 1
        if self._is_xyz:
            # It takes the tiles to have that many pixels, and repeats what they have instead of smoothing it.
            return "&".join([*others, f"tilePixelRatio={own_ratio * fine}"]), -1
        return "&".join([*others, f"tilePixelRatio={own_ratio}"]), SCREEN_DPI * own_ratio * fine

    @property
    def _is_xyz(self) -> bool:
        return self._parameter("type") == "xyz"

    @property
    def _address(self) -> SplitResult:
        return urlsplit(self._parameter("url"))

    def _parameter(self, name: str) -> str:
        return parse_qs(self.uri).get(name, [""])[0]


def read_web_picture(
    source: WebSource, grid: Grid, bands: Iterable[BandInfo], folder: Path, on_fraction: Callable[[float], None]
) -> None:
    """Write ``input.npy`` and ``valid.npy`` of a job: both (band, row, column), 0 to 255 and True = valid.

    A pixel is invalid, in every band, where the picture is wholly transparent.

    Args:
        grid: all of it is read, and is in memory at once; :mod:`.web_grid` sees to it that it is not too large.
        bands: some of WEB_BANDS.
        on_fraction: told how much is done, from 0 to 1, again and again also while the server is waited for; what it
            raises ends the download.

    Raises:
        SourceUnreadable: if the server fails, is silent for long or has no picture of the place.
        OSError: if ``folder`` cannot hold the arrays.
    """
    picture = _download(source, grid, on_fraction)
    valid = picture[3] > 0
    if not valid.any():
        raise SourceUnreadable(
            tr(
                "The server {server} has no picture of this extent at this resolution; choose another"
                " extent or a coarser resolution."
            ).format(server=source.server)
        )
    bands = tuple(bands)
    shape = (len(bands), grid.height_px, grid.width_px)
    with (
        new_array(folder / INPUT_FILE, np.dtype(np.uint8), shape) as pixel_file,
        new_array(folder / VALID_FILE, np.dtype(np.bool_), shape) as valid_file,
    ):
        for index, band in enumerate(bands):
            pixel_file[index] = picture[band.number - 1]
            valid_file[index] = valid


def _download(source: WebSource, grid: Grid, on_fraction: Callable[[float], None]) -> NDArray[np.uint8]:
    """Return red, green, blue and alpha, (4, row, column)."""
    picture = np.zeros((4, grid.height_px, grid.width_px), np.uint8)
    fine = fine_pixels_of_tiles() if source.has_tiles else 1
    windows = tuple(_blocks(grid.window, max(BLOCK_PX // fine, 1)))
    download = _Download(source, grid, windows, fine)
    download.start()
    try:
        for number, window in enumerate(windows):
            tell = partial(on_fraction, number / len(windows))
            tell()
            rows = slice(window.row_px, window.row_px + window.height_px)
            columns = slice(window.column_px, window.column_px + window.width_px)
            picture[:, rows, columns] = download.next(tell)
    finally:
        download.end()
    on_fraction(1.0)
    return picture


def _blocks(window: Window, side_px: int) -> Iterator[Window]:
    for strip in window.strips(side_px):
        for column in range(0, strip.width_px, side_px):
            yield Window(column, strip.row_px, min(side_px, strip.width_px - column), strip.height_px)


class _Ended(Exception):
    """Nobody waits for the download any more."""


class _Download(threading.Thread):
    """Fetches one window after the other.

    In a thread of its own, because QGIS waits for the server inside of one long call that only another thread can end.

    Args:
        fine: how many pixels a side are drawn for one, of which the middle one is taken; odd.
    """

    def __init__(self, source: WebSource, grid: Grid, windows: Iterable[Window], fine: int) -> None:
        super().__init__(name="headland-download", daemon=True)
        self._source, self._grid, self._windows, self._fine = source, grid, windows, fine
        self._arrived: queue.SimpleQueue[Union[NDArray[np.uint8], BaseException]] = queue.SimpleQueue()
        self._feedback = QgsRasterBlockFeedback()
        self._provider: Optional[QgsRasterDataProvider] = None
        self._spent: list[QgsRasterDataProvider] = []
        self._has_ended = threading.Event()
        self._heard_at_s = time.monotonic()

    def next(self, on_wait: Callable[[], None]) -> NDArray[np.uint8]:
        """Return the next window's (4, row, column). For the thread that started this one.

        Args:
            on_wait: called again and again meanwhile; what it raises goes through.

        Raises:
            SourceUnreadable: if the server fails or is silent.
        """
        while True:
            try:
                arrived = self._arrived.get(timeout=POLL_S)
            except queue.Empty:
                on_wait()
                _serve_main_thread()
                self._check_silence()
                continue
            if isinstance(arrived, BaseException):
                raise arrived
            return arrived

    def end(self) -> None:
        """Give up what is still under way."""
        self._has_ended.set()
        self._feedback.cancel()
        self.join(LONGEST_GOODBYE_S)

    def run(self) -> None:
        """Fetch."""
        # It brings this thread what timers need, those among them that end a request.
        loop = QEventLoop()
        answers = WebAnswers(self._source.server, self._on_answer, self._has_ended)
        try:
            for window in self._windows:
                self._arrived.put(self._fetch(window, answers))
        except _Ended:
            pass
        except BaseException as error:  # noqa: BLE001, the other thread waits for it
            self._arrived.put(error)
        finally:
            answers.close()
            # Where they were made.
            self._provider = None
            self._spent.clear()
            del loop

    def _fetch(self, window: Window, answers: WebAnswers) -> NDArray[np.uint8]:
        """Return the window's (4, row, column), if need be after some attempts."""
        failure = None
        for attempt in range(ATTEMPTS):
            if attempt:
                # A provider keeps its last picture, holes and all; tiles that came are kept elsewhere.
                self._spend_provider()
                self._has_ended.wait(PAUSE_S)
            picture = self._attempt(window, answers)
            failure = answers.failure(has_holes=picture is None or not picture[3].all())
            if self._has_ended.is_set():
                raise _Ended
            if picture is not None and failure is None:
                return picture
        what = tr("The server {server} gave no picture; check on the map whether the layer still works.").format(
            server=self._source.server
        )
        raise SourceUnreadable(failure or what)

    def _spend_provider(self) -> None:
        if self._provider is not None:
            # Where the next one gets its address, Python's name for that one is taken for this one's.
            self._spent.append(self._provider)
            self._provider = None

    def _attempt(self, window: Window, answers: WebAnswers) -> Optional[NDArray[np.uint8]]:
        """Return the window's (4, row, column), with holes where the server failed, or None."""
        answers.forget()
        if self._provider is None:
            self._provider = _provider(self._source, self._fine)
            if self._provider is None:
                return None
            # What was odd about the server's list of layers was not in the way.
            answers.forget()
        bounds = QgsRectangle(*self._grid.bounds_of(window))
        width, height = window.width_px * self._fine, window.height_px * self._fine
        block = self._provider.block(1, bounds, width, height, self._feedback)
        if self._fine > 1:
            # What has just arrived is smoothed, what QGIS has is not.
            block = self._provider.block(1, bounds, width, height, self._feedback)
        return _colours(block, window, self._fine)

    def _on_answer(self) -> None:
        self._heard_at_s = time.monotonic()

    def _check_silence(self) -> None:
        if time.monotonic() - self._heard_at_s > LONGEST_SILENCE_S:
            raise SourceUnreadable(
                tr(
                    "The server {server} did not answer for {longest_silence_s:g} seconds; try again "
                    "later, or choose a smaller extent."
                ).format(server=self._source.server, longest_silence_s=LONGEST_SILENCE_S)
            )


def _serve_main_thread() -> None:
    """Do what waits for the main thread if this is it, as it is in a script: requests that need a login ask there."""
    application = QCoreApplication.instance()
    if application is not None and application.thread() == QThread.currentThread():
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)


def _provider(source: WebSource, fine: int) -> Optional[QgsRasterDataProvider]:
    """Return a provider for the calling thread, or None. It may ask the server what it has."""
    registry = QgsProviderRegistry.instance()
    uri, dpi = (source.uri, -1) if fine == 1 else source.finely_drawn(fine)
    provider = registry.createProvider(source.provider, uri, QgsDataProvider.ProviderOptions())
    if not isinstance(provider, QgsRasterDataProvider) or not provider.isValid():
        return None
    provider.setDpi(dpi)
    return provider


def _colours(block: Optional[QgsRasterBlock], window: Window, fine: int) -> Optional[NDArray[np.uint8]]:
    """Return red, green, blue and alpha, (4, row, column), or None if the provider gave nothing."""
    size = (window.height_px * fine, window.width_px * fine)
    if block is None or block.isEmpty() or (block.height(), block.width()) != size:
        return None
    argb = np.frombuffer(bytes(block.data()), np.uint32).reshape(size)[fine // 2 :: fine, fine // 2 :: fine]
    colours = np.stack([(argb >> shift).astype(np.uint8) for shift in (16, 8, 0, 24)])
    if block.dataType() == Qgis.DataType.ARGB32_Premultiplied:
        alpha = np.maximum(colours[3], 1).astype(np.float32)
        colours[:3] = np.minimum(np.rint(colours[:3] * (255 / alpha)), 255).astype(np.uint8)
    return colours
