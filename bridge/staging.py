"""Files that are made first and get their names later, all of them or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .private_folder import ASIDE_PREFIX, PrivateFolder
from .words import tr

STAGING_PREFIX = ".headland-"


class NotPutBack(RuntimeError):
    """Files that were set aside could not come back; the text is one sentence that says where they lie now.

    Attributes:
        places: "file now lies at place", one for each.
    """

    def __init__(self, places: tuple[str, ...]) -> None:
        super().__init__(
            tr(
                "The result could not be written, nor what was there before be put back ({places}); move it back once "
                "the folder can be written to."
            ).format(places=tr(" and ").join(places))
        )
        self.places = places


class Staging:
    """A private folder beside a file, in which the file is made, and moves out of it that can be taken back.

    It is on the same file system, so that each move is one step. Names inside are short: that of the file itself may
    be as long as the file system allows.

    Attributes:
        path: the folder.
    """

    def __init__(self, beside: Path) -> None:
        self._folder = PrivateFolder(beside.parent, STAGING_PREFIX)
        self.path = self._folder.path
        self._moves: list[tuple[Path, Path]] = []
        self._is_to_stay = False

    def move(self, source: Path, target: Path) -> None:
        """Move a file whose ``target`` is free."""
        source.replace(target)
        self._moves.append((source, target))

    def set_aside(self, path: Path) -> None:
        """Take a file away, if there is one, so that it can come back."""
        # A broken link is something too.
        if os.path.lexists(path):
            self.move(path, self.path / f"{ASIDE_PREFIX}{len(self._moves)}")

    def move_back(self) -> None:
        """Undo every move, the last one first.

        Raises:
            NotPutBack: if a file that was set aside has to stay so; then the folder stays too, for good.
        """
        stranded = []
        while self._moves:
            source, target = self._moves.pop()
            try:
                # What was set aside later takes the place even of what could not be taken away from there.
                target.replace(source)
            except OSError:
                if target.parent == self.path:
                    stranded.append(f"{source} now lies at {target}")
        if stranded:
            self._is_to_stay = True
            raise NotPutBack(tuple(stranded))

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo every move if what is inside fails."""
        try:
            yield
        except BaseException:
            self.move_back()
            raise

    def remove(self) -> None:
        """Remove the folder with what was not moved out of it, or was set aside for good."""
        if self._is_to_stay:
            self._folder.leave()
        else:
            self._folder.remove()
