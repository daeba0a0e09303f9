"""What the plugin repository would refuse is refused here first."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from headland.scripts.gate import LARGEST_BYTES, NEEDED_METADATA, zip_problems
from headland.scripts.package import ROOT, make_zip

Entries = dict[str, bytes]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("gate") / "headland.zip"
    make_zip(ROOT, archive)
    return archive


@pytest.fixture
def entries(sound: Path, tmp_path: Path) -> Entries:
    """What is in it but for its large files; the gate finds nothing wrong with that before a test changes it."""
    with zipfile.ZipFile(sound) as content:
        names = [name for name in content.namelist() if not name.endswith((".onnx", ".npz", ".png"))]
        entries = {name: content.read(name) for name in names}
    assert list(zip_problems(written(tmp_path, entries))) == []
    return entries


def written(folder: Path, entries: Entries, mode: int = 0o100644) -> Path:
    archive = folder / "changed.zip"
    with zipfile.ZipFile(archive, "w") as content:
        for name, what in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            content.writestr(entry, what)
    return archive


def test_what_make_package_builds_goes_through(sound: Path) -> None:
    assert list(zip_problems(sound)) == []


CHANGES: dict[str, Callable[[Entries], object]] = {
    "and not headland alone": lambda entries: entries.update({"readme.txt": b""}),
    "LICENSE is missing": lambda entries: entries.pop("headland/LICENSE"),
    "metadata.txt is missing": lambda entries: entries.pop("headland/metadata.txt"),
    "fast.so is a program": lambda entries: entries.update({"headland/engine/fast.so": b""}),
    "set_up.BAT is a program": lambda entries: entries.update({"headland/set_up.BAT": b""}),
    "job.cpython-39.pyc is a cache": lambda entries: entries.update({"headland/__pycache__/job.cpython-39.pyc": b""}),
    ".DS_Store is a cache, or hidden": lambda entries: entries.update({"headland/.DS_Store": b""}),
    "would be unpacked somewhere else": lambda entries: entries.update({"headland/../../.bashrc": b""}),
    "icon is not in the zip": lambda entries: entries.pop("headland/ui/icons/headland.svg"),
    "more than": lambda entries: entries.update({"headland/large.txt": bytes(LARGEST_BYTES)}),
    "metadata.txt cannot be read": lambda entries: entries.update({"headland/metadata.txt": b"name=Headland"}),
}


@pytest.mark.parametrize("problem", CHANGES)
def test_a_zip_that_the_repository_would_refuse_is_refused(entries: Entries, tmp_path: Path, problem: str) -> None:
    CHANGES[problem](entries)
    assert any(problem in found for found in zip_problems(written(tmp_path, entries)))


@pytest.mark.parametrize("entry", NEEDED_METADATA)
def test_metadata_that_lacks_an_entry_is_refused(entries: Entries, tmp_path: Path, entry: str) -> None:
    lines = entries["headland/metadata.txt"].splitlines()
    entries["headland/metadata.txt"] = b"\n".join(line for line in lines if not line.startswith(f"{entry}=".encode()))
    assert f"metadata.txt does not say {entry}" in list(zip_problems(written(tmp_path, entries)))


@pytest.mark.parametrize(("mode", "problem"), [(0o100755, "may be executed"), (0o120777, "is a link")])
def test_programs_and_links_are_refused(entries: Entries, tmp_path: Path, mode: int, problem: str) -> None:
    archive = written(tmp_path, entries, mode)
    assert any(problem in found for found in zip_problems(archive))
