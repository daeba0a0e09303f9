"""Who uses the engine, and who may replace it: any number at once of the first, or one of the second."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from headland.engine.engine_users import engine_in_use, engine_out_of_use, users_file

HOLD = """
import sys
from pathlib import Path
from headland.engine.engine_users import engine_in_use
with engine_in_use(Path(sys.argv[1]), lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


class LocksOfWindows(types.ModuleType):
    """What Windows's msvcrt does with bytes of files, for the calls that are made of it."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self._held: dict[int, tuple[int, range]] = {}

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert mode == self.LK_NBLCK
        start = os.lseek(descriptor, 0, os.SEEK_CUR)
        wished = (os.fstat(descriptor).st_ino, range(start, start + count))
        others = [held for other, held in self._held.items() if other != descriptor and is_open(other, held[0])]
        if any(file == wished[0] and overlap(held, wished[1]) for file, held in others):
            raise PermissionError(13, "Permission denied")
        self._held[descriptor] = wished


def is_open(descriptor: int, file: int) -> bool:
    try:
        return os.fstat(descriptor).st_ino == file
    except OSError:
        return False


def overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


@pytest.fixture(params=["this system", "win32"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine's folder, here and with the locks of Windows."""
    if request.param == "win32":
        monkeypatch.setitem(sys.modules, "msvcrt", LocksOfWindows())
        monkeypatch.setattr(sys, "platform", "win32")
    folder = tmp_path / "Motor für QGIS" / "engine"
    folder.mkdir(parents=True)
    return folder


def replace(engine: Path) -> None:
    with engine_out_of_use(engine, lambda: False):
        pass


def test_many_use_it_at_once_and_only_then_nobody_replaces_it(engine: Path) -> None:
    replace(engine)
    with engine_in_use(engine, lambda: None):
        with engine_in_use(engine, lambda: None), pytest.raises(BlockingIOError, match="in use"):
            replace(engine)
        with pytest.raises(BlockingIOError, match="in use"):
            replace(engine)
    replace(engine)


def test_whoever_replaces_it_waits_as_long_as_he_likes(engine: Path) -> None:
    with engine_in_use(engine, lambda: None):
        asked: list[bool] = []

        def is_to_wait() -> bool:
            asked.append(True)
            return len(asked) < 3

        with pytest.raises(BlockingIOError), engine_out_of_use(engine, is_to_wait):
            pass
        assert len(asked) == 3


def test_two_never_replace_it_at_once(engine: Path) -> None:
    with engine_out_of_use(engine, lambda: False), pytest.raises(BlockingIOError):
        replace(engine)


def test_a_process_that_was_killed_uses_nothing(tmp_path: Path) -> None:
    user = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "engine")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError):
        replace(tmp_path / "engine")
    user.kill()
    user.communicate()
    replace(tmp_path / "engine")


def test_a_lock_that_was_removed_with_its_engine_is_not_mistaken_for_the_new_ones(engine: Path) -> None:
    with engine_in_use(engine, lambda: None):
        users_file(engine).unlink()
        with engine_in_use(engine, lambda: None), pytest.raises(BlockingIOError):
            replace(engine)


def test_where_nobody_may_make_the_lock_the_engine_is_used_all_the_same(tmp_path: Path) -> None:
    with engine_in_use(tmp_path / "not there" / "engine", lambda: None):
        pass
    assert list(tmp_path.iterdir()) == []


def test_whoever_waits_while_it_is_replaced_can_give_up(engine: Path) -> None:
    def give_up() -> None:
        raise KeyboardInterrupt

    with engine_out_of_use(engine, lambda: False), pytest.raises(KeyboardInterrupt), engine_in_use(engine, give_up):
        pass
    replace(engine)
