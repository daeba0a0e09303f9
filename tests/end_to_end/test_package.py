"""The zip that people install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the checkout with what a working folder gathers besides."""
    folder = tmp_path / "headland copy"
    shutil.copytree(
        ROOT, folder, ignore=shutil.ignore_patterns("build", ".git", ".*cache", "__pycache__", ".hypothesis")
    )
    (folder / "engine" / "__pycache__").mkdir()
    (folder / "engine" / "__pycache__" / "job.cpython-311.pyc").touch()
    return folder


def package(folder: Path, archive: Path) -> Path:
    script = folder / "scripts" / "package.py"
    subprocess.run([sys.executable, str(script), str(archive)], check=True, capture_output=True)
    return archive


def test_the_zip_holds_one_folder_with_what_qgis_needs_and_nothing_else(copy: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(package(copy, tmp_path / "made here" / "headland.zip")) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    assert {name.parts[0] for name in names} == {"headland"}
    files = {str(name.relative_to("headland")) for name in names}
    assert {
        "metadata.txt",
        "__init__.py",
        "plugin.py",
        "LICENSE",
        "engine/worker.py",
        "engine/requirements.txt",
    } <= files
    parts = {part for name in names for part in name.parts}
    assert not parts & {"tests", "scripts", "build", "training", "__pycache__", ".ci", ".git", "Makefile"}


def test_the_same_files_give_the_same_bytes_whenever_and_wherever(copy: Path, tmp_path: Path) -> None:
    first = package(copy, tmp_path / "first.zip").read_bytes()
    os.utime(copy / "__init__.py", (0, 0))
    (copy / "__init__.py").chmod(0o700)
    assert package(copy, tmp_path / "second.zip").read_bytes() == first
