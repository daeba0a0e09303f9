"""The files that a raster is made of, and whether somebody changed them while they were worked with."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .raster_source import SourceUnreadable
from .words import tr

# QGIS itself writes these beside a raster when it shows it: statistics and overviews, not what was measured.
_WRITTEN_BY_VIEWING = (".aux.xml", ".ovr")
# Into a virtual raster itself GDAL writes the statistics, when QGIS lets go of it.
_VIRTUAL_RASTER = ".vrt"
_STATISTICS = re.compile(
    rb'<MDI key="STATISTICS_[^<]*</MDI>|<Histograms>.*?</Histograms>|<Metadata>\s*</Metadata>|\s+', re.DOTALL
)
# Of a longer one only size and time are looked at: a plan is made anew whenever the map moves.
_LONGEST_VIRTUAL_RASTER = 4_000_000


class SourceChanged(SourceUnreadable):
    """What was read is neither the old raster nor the new one; the text is one sentence for people."""


@dataclass(frozen=True)
class SourceFile:
    """A file as it was at one moment.

    Attributes:
        state: its size and when it was written, or of a virtual raster the length and a checksum of all but its
            statistics; None if it is not there, or no file of the operating system, of which nothing can be told. Not
            its inode: some network file systems make that up anew.
    """

    path: Path
    state: Optional[tuple[int, int]]

    @classmethod
    def now(cls, path: Path) -> SourceFile:
        """Return the file as it is now."""
        try:
            found = path.stat()
            # A folder changes whenever something is put beside the raster in it.
            if not stat.S_ISREG(found.st_mode):
                return cls(path, None)
            if path.suffix.lower() == _VIRTUAL_RASTER and found.st_size <= _LONGEST_VIRTUAL_RASTER:
                return cls(path, _without_statistics(path.read_bytes()))
        except (OSError, ValueError):
            return cls(path, None)
        return cls(path, (found.st_size, found.st_mtime_ns))


def _without_statistics(content: bytes) -> tuple[int, int]:
    """Return the length and a checksum of what a virtual raster says of its pixels."""
    previous = b""
    # What held nothing but statistics goes with them.
    while content != previous:
        previous, content = content, _STATISTICS.sub(b"", content)
    return len(content), int.from_bytes(hashlib.sha256(content).digest()[:8], "big")


def source_files(paths: Iterable[Path]) -> tuple[SourceFile, ...]:
    """Return the files with pixels among ``paths``, as they are now."""
    return tuple(SourceFile.now(path) for path in paths if not path.name.endswith(_WRITTEN_BY_VIEWING))


@contextmanager
def unchanged(files: Iterable[SourceFile]) -> Iterator[None]:
    """See to it that what is read inside is what ``files`` were.

    Pixels of two versions would stand side by side in one result, and the new version may lie somewhere else.

    Raises:
        SourceChanged: before or after, if any file is not what it was; also instead of a SourceUnreadable, for which
            that is the reason.
    """
    files = tuple(files)
    _check(files)
    try:
        yield
    except SourceUnreadable:
        _check(files)
        raise
    _check(files)


def _check(files: Iterable[SourceFile]) -> None:
    for file in files:
        if SourceFile.now(file.path) != file:
            raise SourceChanged(
                tr(
                    "{file} was changed, replaced or removed after it had been chosen, so nothing was made of it; wait "
                    "until it is whole and start again."
                ).format(file=file.path)
            )
