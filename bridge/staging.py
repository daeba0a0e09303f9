"""Files that are made first and get their names later, all of them or none."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, TypeVar

from .private_folder import ASIDE_PREFIX, PrivateFolder
from .words import tr

STAGING_PREFIX = ".headland-"


class NotPutBack(RuntimeError):
    """Moves could not be undone; the text is one sentence that says what lies where now.

    Attributes:
        places: "file now lies at place", one for each that was set aside and could not come back.
        left: files that came to their places and could not be taken away again, though there is no result.
    """

    def __init__(self, places: tuple[str, ...], left: tuple[Path, ...] = ()) -> None:
        facts = tr(" and ").join((*places, *(tr("{file} is left over").format(file=file) for file in left)))
        sentence = (
            tr(
                "The result could not be written, nor the folder be left as it was ({facts}); remove what is left over "
                "and move back the rest once it can be written to."
            )
            if left
            else tr(
                "The result could not be written, nor what was there before be put back ({facts}); move it back once "
                "the folder can be written to."
            )
        )
        super().__init__(sentence.format(facts=facts))
        self.places = places
        self.left = left


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
            NotPutBack: if a file has to stay where it is; if it was set aside, the folder stays too, for good.
        """
        stranded: dict[Path, Path] = {}
        left: list[Path] = []
        while self._moves:
            source, target = self._moves.pop()
            try:
                # What was set aside later takes the place even of what could not be taken away from there.
                target.replace(source)
            except OSError:
                if target.parent == self.path:
                    stranded[source] = target
                elif os.path.lexists(target):
                    left.append(target)
            else:
                left = [file for file in left if file != source]
        if stranded or left:
            self._is_to_stay = bool(stranded)
            places = (tr("{file} now lies at {place}").format(file=file, place=at) for file, at in stranded.items())
            # What is moved back takes the place of what is left there.
            raise NotPutBack(tuple(places), tuple(file for file in left if file not in stranded))

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


_Staged = TypeVar("_Staged", bound="StagedFile")


class StagedFile:
    """A file that is made first and gets its name later, when all else is done too; none if there is no path.

    As a context it removes what was not published.
    """

    def __init__(self, path: Optional[Path]) -> None:
        self._path = path
        self._staging: Optional[Staging] = None

    def __enter__(self: _Staged) -> _Staged:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._staging is not None:
            self._staging.remove()

    def publish(self) -> None:
        """Give the file its name; nothing changes if that cannot be done.

        Raises:
            OSError: if it cannot be done.
            ValueError: if nothing was written, though there is a path.
        """
        if self._path is None:
            return
        if self._staging is None:
            raise ValueError(f"nothing was written for {self._path}")
        self._move_to(self._path, self._staging)

    def take_back(self) -> None:
        """Undo ``publish``, as far as no file was replaced for good."""
        if self._staging is not None:
            self._staging.move_back()

    @property
    def folder(self) -> Optional[Path]:
        """Where the file goes."""
        return None if self._path is None else self._path.parent

    def _begin(self) -> tuple[Path, Staging]:
        """Return the path, and a new private folder beside it to make the file in."""
        if self._path is None:
            raise ValueError("no file was wished for")
        self._staging = Staging(self._path)
        return self._path, self._staging

    def _move_to(self, path: Path, staging: Staging) -> None:
        raise NotImplementedError


def check_free(path: Path) -> None:
    """Raise FileExistsError if something has come to ``path`` since it was chosen: it may be somebody's work."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, tr("it came there meanwhile"), str(path))
