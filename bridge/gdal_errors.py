"""GDAL's errors as exceptions, without touching what the rest of QGIS relies on.

``gdal.UseExceptions()`` is a switch for the whole process in older GDAL versions, so a plugin must leave it alone.
Error handlers belong to the thread that pushed them and work with the switch in either position.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from osgeo import gdal

# What a sentence bears; GDAL may quote a damaged file at length.
LONGEST_MESSAGE = 300
_STATEMENT_BEGINS, _STATEMENT_ENDS = "sqlite3_exec(", ") failed: "


class GdalError(RuntimeError):
    """GDAL reported a failure; the text is its message, in one line."""

    def __init__(self, message: str) -> None:
        text = " ".join(_without_statement(message).split())
        super().__init__(text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…")


def _without_statement(message: str) -> str:
    """Return what SQLite says is wrong without the statement at which it is, which GDAL quotes with our texts in it."""
    return message.rpartition(_STATEMENT_ENDS)[2] if message.startswith(_STATEMENT_BEGINS) else message


@contextmanager
def gdal_failures_raised() -> Iterator[Callable[[], None]]:
    """Raise GdalError for any failure that GDAL reports inside; its warnings are dropped.

    Yields a function that raises for what was reported so far, to be called now and then in long work; at the end
    that happens by itself. Datasets that were written have to be let go inside, because some errors show only when
    they are closed.
    """
    messages: list[str] = []

    def check() -> None:
        if messages:
            raise GdalError(messages[0])

    def keep(error_class: int, _number: int, message: str) -> None:
        if error_class >= gdal.CE_Failure:
            messages.append(message)

    gdal.PushErrorHandler(keep)
    try:
        with _datasets_let_go():
            yield check
    except RuntimeError as error:
        # With exceptions switched on, the bindings raise by themselves; otherwise a failed call yields None and what
        # follows stumbles over it, which the message explains better.
        if isinstance(error, GdalError) or type(error) is not RuntimeError:
            raise
        raise GdalError(str(error)) from error
    except (AttributeError, TypeError) as error:
        if not messages:
            raise
        raise GdalError(messages[0]) from error
    except SystemError as error:
        # A message with bytes of a damaged file in it that are no text does not get through the bindings.
        raise GdalError(messages[0] if messages else "it is damaged") from error
    finally:
        gdal.PopErrorHandler()
    check()


@contextmanager
def _datasets_let_go() -> Iterator[None]:
    """Close what functions called inside have open when an exception ends them.

    Before GDAL 3.8 a dataset is closed when nothing refers to it any more, and a traceback refers to all of them: their
    files would stay open, which Windows does not remove, and a dataset that is closed after QGIS has let GDAL go ends
    the process with a crash.
    """
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise
