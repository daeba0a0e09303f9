"""What QGIS throws in C++ and has no name for, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .plan import CannotEnhance
from .words import tr


@contextmanager
def qgis_failures_in_words(name: str) -> Iterator[None]:
    """Turn a nameless failure of QGIS inside into a sentence on the layer ``name``.

    Where a file makes QGIS, or a library below it, throw what the bindings do not know, a bare Exception arrives that
    says "unknown".

    Raises:
        CannotEnhance: in place of that.
    """
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise CannotEnhance(
            tr("QGIS fails at reading “{name}”; check that its file is whole, or choose another layer.").format(
                name=name
            )
        ) from error
