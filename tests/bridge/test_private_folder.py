"""Folders that a crash left are swept up; nothing else ever is."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from headland.bridge.private_folder import ASIDE_PREFIX, LOCK_FILE, SWEPT_AFTER_S, PrivateFolder, sweep

PREFIX = "work-"
LONG_ENOUGH_S = SWEPT_AFTER_S + 60


def make_old(path: Path, age_s: float = LONG_ENOUGH_S) -> Path:
    then = time.time() - age_s
    os.utime(path, (then, then), follow_symlinks=False)
    return path


def left_behind(parent: Path, name: str = f"{PREFIX}left", age_s: float = LONG_ENOUGH_S) -> Path:
    """Make a folder as a process leaves it that is gone."""
    folder = parent / name
    folder.mkdir(mode=0o700)
    (folder / LOCK_FILE).touch()
    (folder / "output.npy").write_text("much")
    return make_old(folder, age_s)


def test_it_is_for_this_user_only_and_gone_afterwards(folder: Path) -> None:
    private = PrivateFolder(folder, PREFIX)
    assert stat.S_IMODE(private.path.stat().st_mode) == 0o700
    private.remove()
    assert list(folder.iterdir()) == []


def test_each_has_another_name_of_eight_letters_or_more(folder: Path) -> None:
    folders = [PrivateFolder(folder, PREFIX) for _ in range(50)]
    names = {private.path.name for private in folders}
    assert len(names) == len(folders)
    assert all(len(name) - len(PREFIX) >= 8 for name in names)
    for private in folders:
        private.remove()


def test_what_a_person_had_before_and_could_not_be_put_back_is_never_swept(folder: Path) -> None:
    left = left_behind(folder)
    (left / f"{ASIDE_PREFIX}0").write_text("mine")
    make_old(left)
    sweep(folder, PREFIX)
    assert (left / f"{ASIDE_PREFIX}0").read_text() == "mine"


def test_a_folder_that_a_full_disk_left_empty_is_removed(folder: Path) -> None:
    left = folder / f"{PREFIX}empty"
    left.mkdir(mode=0o700)
    make_old(left)
    sweep(folder, PREFIX)
    assert not left.exists()


def test_what_a_process_left_that_is_gone_is_removed_unless_it_may_be_new(folder: Path) -> None:
    old = left_behind(folder)
    young = left_behind(folder, f"{PREFIX}young", SWEPT_AFTER_S / 2)
    sweep(folder, PREFIX)
    assert not old.exists()
    assert young.exists()


def test_a_folder_in_use_stays_however_old_it_is(folder: Path) -> None:
    private = PrivateFolder(folder, PREFIX)
    make_old(private.path)
    sweep(folder, PREFIX)
    assert private.path.exists()
    private.remove()


def test_a_persons_own_folder_of_such_a_name_stays(folder: Path) -> None:
    own = folder / f"{PREFIX}of-mine"
    own.mkdir()
    (own / "notes.txt").write_text("mine")
    make_old(own)
    other_name = left_behind(folder, "holiday")
    sweep(folder, PREFIX)
    assert own.exists()
    assert other_name.exists()


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = left_behind(tmp_path)
    link = folder / f"{PREFIX}link"
    link.symlink_to(elsewhere, target_is_directory=True)
    make_old(link)
    inside = left_behind(folder)
    (inside / "link").symlink_to(elsewhere, target_is_directory=True)
    make_old(inside)
    sweep(folder, PREFIX)
    assert not inside.exists()
    assert (elsewhere / "output.npy").exists()


def test_other_users_folders_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = left_behind(folder)
    own_id = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own_id + 1)
    sweep(folder, PREFIX)
    assert other.exists()


def test_a_parent_that_cannot_be_read_does_not_matter(folder: Path) -> None:
    sweep(folder / "nowhere", PREFIX)
