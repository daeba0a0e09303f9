"""Finished tiles on disk come back as they were or not at all, whatever happens to the folder."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headland.engine import tile_store
from headland.engine.tile_store import TileStore

KEYS = [f"{number:064x}" for number in range(20)]
PLENTY = 10**9
FLOAT = np.dtype(np.float32)
SHAPE = (2, 30, 40)
FILE_BYTES = 2 * 30 * 40 * 4 + 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Not there yet."""
    return tmp_path / "cäche" / "tiles"


def make_tile(number: float = 0.0) -> NDArray[np.float32]:
    tile = np.random.default_rng(int(number)).standard_normal(SHAPE).astype(np.float32)
    tile[0, 0, :3] = np.nan, -0.0, np.inf
    return tile


def read(store: TileStore, key: str) -> NDArray[Any] | None:
    return store.read(key, FLOAT, SHAPE)


def use(store: TileStore, number: int, ago_s: float, folder: Path) -> None:
    """Keep a tile, so long ago."""
    assert store.write(KEYS[number], make_tile(number), 0)
    then = time.time() - ago_s
    os.utime(folder / f"{KEYS[number]}.tile", (then, then))


def names(folder: Path) -> list[int]:
    """The numbers of the tiles that are kept."""
    return sorted(KEYS.index(file.stem) for file in folder.glob("*.tile"))


def test_a_tile_comes_back_bit_for_bit_in_another_run(folder: Path) -> None:
    tile = make_tile()
    # As the engine has it: a part of something larger.
    assert TileStore(folder, PLENTY).write(KEYS[0], np.pad(tile, 5)[5:-5, 5:-5, 5:-5], 0)
    found = read(TileStore(folder, PLENTY), KEYS[0])
    assert found is not None
    assert found.tobytes() == tile.tobytes()
    assert TileStore(folder, PLENTY).size_bytes == FILE_BYTES


def test_what_was_never_kept_is_not_found(folder: Path) -> None:
    store = TileStore(folder, PLENTY)
    assert read(store, KEYS[0]) is None
    assert store.size_bytes == 0
    store.write(KEYS[0], make_tile(), 0)
    assert read(store, KEYS[1]) is None


@pytest.mark.parametrize(("dtype", "shape"), [(FLOAT, (2, 40, 30)), (np.dtype(np.int32), SHAPE), (FLOAT, (3, 30, 40))])
def test_a_tile_of_another_shape_or_type_is_not_taken(
    folder: Path, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> None:
    store = TileStore(folder, PLENTY)
    store.write(KEYS[0], make_tile(), 0)
    assert store.read(KEYS[0], dtype, shape) is None


def spoil(file: Path, damage: str) -> None:
    content = bytearray(file.read_bytes())
    if damage == "torn":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "longer":
        file.write_bytes(content + b"\0")
    elif damage == "zeros at the end":
        file.write_bytes(content[:-4096] + bytes(4096))
    else:
        content[int(damage)] ^= 1
        file.write_bytes(content)


@pytest.mark.parametrize("damage", ["torn", "empty", "longer", "zeros at the end", "0", "5000", "-1"])
def test_a_damaged_tile_is_thrown_away(folder: Path, damage: str) -> None:
    TileStore(folder, PLENTY).write(KEYS[0], make_tile(), 0)
    file = folder / f"{KEYS[0]}.tile"
    spoil(file, damage)
    assert read(TileStore(folder, PLENTY), KEYS[0]) is None
    assert not file.exists()


def test_a_tile_under_another_ones_name_is_thrown_away(folder: Path) -> None:
    TileStore(folder, PLENTY).write(KEYS[0], make_tile(), 0)
    (folder / f"{KEYS[0]}.tile").rename(folder / f"{KEYS[1]}.tile")
    assert read(TileStore(folder, PLENTY), KEYS[1]) is None


def test_the_folder_is_for_this_user_only(folder: Path) -> None:
    TileStore(folder, PLENTY).write(KEYS[0], make_tile(), 0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    TileStore(folder, PLENTY).write(KEYS[1], make_tile(), 0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_another_users_folder_is_not_touched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TileStore(folder, PLENTY).write(KEYS[0], make_tile(), 0)
    own_id = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own_id + 1)
    store = TileStore(folder, PLENTY)
    assert read(store, KEYS[0]) is None
    assert not store.write(KEYS[1], make_tile(), 0)
    store.clear()
    assert names(folder) == [0]


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    TileStore(elsewhere, PLENTY).write(KEYS[0], make_tile(), 0)
    folder.mkdir(parents=True)
    (folder / f"{KEYS[0]}.tile").symlink_to(elsewhere / f"{KEYS[0]}.tile")
    store = TileStore(folder, PLENTY)
    assert read(store, KEYS[0]) is None
    store.clear()
    shutil.rmtree(folder, ignore_errors=True)
    folder.symlink_to(elsewhere, target_is_directory=True)
    assert read(store, KEYS[0]) is None
    assert not store.write(KEYS[1], make_tile(), 0)
    store.clear()
    assert names(elsewhere) == [0]


def test_beyond_the_limit_the_tile_that_was_used_longest_ago_makes_room(folder: Path) -> None:
    before = TileStore(folder, PLENTY)
    for number, ago_s in enumerate((300, 500, 400)):
        use(before, number, ago_s, folder)
    store = TileStore(folder, 3 * FILE_BYTES)
    # What is looked at is used.
    assert read(TileStore(folder, PLENTY), KEYS[1]) is not None
    assert store.write(KEYS[3], make_tile(), 0)
    assert names(folder) == [0, 1, 3]
    assert store.size_bytes <= 3 * FILE_BYTES


def test_a_lower_limit_holds_from_the_next_tile_on(folder: Path) -> None:
    before = TileStore(folder, PLENTY)
    for number in range(6):
        use(before, number, 600 - number, folder)
    assert TileStore(folder, 2 * FILE_BYTES).write(KEYS[6], make_tile(), 0)
    assert names(folder) == [5, 6]


def test_shrinking_evicts_what_was_used_longest_ago_until_the_limit_holds(folder: Path) -> None:
    for number in range(4):
        use(TileStore(folder, PLENTY), number, 100.0 - number, folder)
    partial = folder / "unfinished-1.partial"
    partial.write_bytes(b"being written")
    TileStore(folder, 2 * FILE_BYTES + 100).shrink()
    assert names(folder) == [2, 3]
    assert partial.exists()
    TileStore(folder, 1).shrink()
    assert names(folder) == []
    TileStore(folder, 0).shrink()
    assert not folder.exists()


def test_an_extent_larger_than_the_limit_keeps_its_first_tiles(folder: Path) -> None:
    for _run in range(2):
        store = TileStore(folder, 3 * FILE_BYTES)
        for number in range(6):
            if read(store, KEYS[number]) is None:
                store.write(KEYS[number], make_tile(number), 0)
        assert names(folder) == [0, 1, 2]


def test_a_tile_larger_than_the_limit_is_not_kept_and_makes_nobody_go(folder: Path) -> None:
    use(TileStore(folder, PLENTY), 0, 100, folder)
    assert not TileStore(folder, FILE_BYTES - 1).write(KEYS[1], make_tile(), 0)
    assert names(folder) == [0]


def test_the_number_of_files_is_limited_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_store, "MOST_FILES", 3)
    for number in range(5):
        use(TileStore(folder, PLENTY), number, 500 - number, folder)
    assert names(folder) == [2, 3, 4]


def test_where_others_need_the_room_on_the_disk_nothing_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TileStore(folder, PLENTY)
    free = shutil.disk_usage(folder.parents[1])._replace(free=50_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: free)
    assert not store.write(KEYS[0], make_tile(), spared_bytes=50_000 - FILE_BYTES + 1)
    assert store.write(KEYS[0], make_tile(), spared_bytes=50_000 - FILE_BYTES)


def test_a_disk_that_fills_up_meanwhile_leaves_no_half_tile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", is_full)
    assert not TileStore(folder, PLENTY).write(KEYS[0], make_tile(), 0)
    assert list(folder.iterdir()) == []


def test_a_place_that_cannot_be_used_is_as_if_nothing_were_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    store = TileStore(tmp_path / "file" / "tiles", PLENTY)
    assert not store.write(KEYS[0], make_tile(), 0)
    assert read(store, KEYS[0]) is None
    assert store.size_bytes == 0
    store.clear()


def test_clearing_removes_the_tiles_and_nothing_else(folder: Path) -> None:
    store = TileStore(folder, PLENTY)
    store.write(KEYS[0], make_tile(), 0)
    store.clear()
    assert not folder.exists()
    store.write(KEYS[0], make_tile(), 0)
    (folder / "notes.tile").write_text("mine")
    (folder / "more").mkdir()
    store.clear()
    assert sorted(file.name for file in folder.iterdir()) == ["more", "notes.tile"]


def test_what_a_killed_program_was_writing_goes_once_it_is_old(folder: Path) -> None:
    store = TileStore(folder, 2 * FILE_BYTES)
    folder.mkdir(parents=True)
    left = folder / "unfinished-abc.partial"
    left.write_bytes(bytes(FILE_BYTES))
    # It may still be being written.
    assert store.write(KEYS[0], make_tile(), 0)
    assert not store.write(KEYS[1], make_tile(), 0)
    assert left.exists()
    then = time.time() - 7200
    os.utime(left, (then, then))
    assert store.write(KEYS[1], make_tile(), 0)
    assert not left.exists()
    assert names(folder) == [0, 1]


def test_several_programs_share_the_folder_and_nobody_gets_a_wrong_tile(folder: Path) -> None:
    tiles = [make_tile(number) for number in range(len(KEYS))]
    wrong: list[str] = []
    until = time.monotonic() + 1.0

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        try:
            while time.monotonic() < until:
                # Each time a new one, as of another program: what it has used itself it would not let go.
                store = TileStore(folder, 8 * FILE_BYTES)
                number = int(random.integers(len(KEYS)))
                found = read(store, KEYS[number])
                if found is not None and found.tobytes() != tiles[number].tobytes():
                    wrong.append(f"tile {number}")
                store.write(KEYS[number], tiles[number], 0)
                if random.random() < 0.02:
                    store.clear()
        except Exception as error:  # noqa: BLE001, a thread's would be lost
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_tile_that_another_program_removes_meanwhile_does_not_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TileStore(folder, PLENTY)
    for number in range(2):
        store.write(KEYS[number], make_tile(number), 0)
    scandir = os.scandir

    @contextmanager
    def remove_one_then_list(where: Path) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(where) as found:
            entries = list(found)
        (folder / f"{KEYS[0]}.tile").unlink()
        yield entries

    monkeypatch.setattr(os, "scandir", remove_one_then_list)
    assert store.size_bytes == FILE_BYTES
