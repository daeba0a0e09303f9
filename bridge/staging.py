"""Files that are made first and get their names later, all of them or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .private_folder import PrivateFolder

STAGING_PREFIX = ".headland-"


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

    def move(self, source: Path, target: Path) -> None:
        """Move a file whose ``target`` is free."""
        source.replace(target)
        self._moves.append((source, target))

    def set_aside(self, path: Path) -> None:
        """Take a file away, if there is one, so that it can come back."""
        # A broken link is something too.
        if os.path.lexists(path):
            self.move(path, self.path / f"old-{len(self._moves)}")

    def move_back(self) -> None:
        """Undo every move, the last one first."""
        while self._moves:
            source, target = self._moves[-1]
            target.replace(source)
            self._moves.pop()

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo every move if what is inside fails."""
        try:
            yield
        except BaseException:
            self.move_back()
            raise

    def remove(self) -> None:
        """Remove the folder with what was not moved out of it, or was set aside."""
        self._folder.remove()
