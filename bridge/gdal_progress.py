"""Progress of one long call of GDAL's, told on, and able to end it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

GdalCallback = Callable[[float, str, object], int]


@contextmanager
def gdal_progress(on_fraction: Callable[[float], None]) -> Iterator[GdalCallback]:
    """Yield a callback for GDAL that tells ``on_fraction`` how much is done; what that raises is raised at the end."""
    raised: list[BaseException] = []

    def go_on(fraction: float, _message: str, _data: object) -> int:
        # An exception cannot travel through GDAL, so it waits outside. Its traceback would keep GDAL's call, and with
        # it the dataset, which then is not closed before somebody else's work is under way.
        try:
            # Some of GDAL's algorithms count a little beyond the end.
            on_fraction(min(1.0, fraction))
        except BaseException as error:  # noqa: BLE001
            raised.append(error.with_traceback(None))
        return 0 if raised else 1

    try:
        yield go_on
    except RuntimeError:
        if not raised:
            raise
    if raised:
        first = raised[0]
        # The exception refers to this frame, and this frame to it.
        raised.clear()
        raise first
