"""The zip that people install."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
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


def names_in(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as content:
        return {name.removeprefix("headland/") for name in content.namelist()}


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def test_what_git_does_not_know_stays_out_and_without_git_what_is_no_part_of_a_plugin(
    copy: Path, tmp_path: Path
) -> None:
    clean = names_in(package(copy, tmp_path / "clean.zip"))
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    for name in ("engine/core.dump", "engine/.job.py.swp", "ui/dock.py.orig", "models/scratch.tif", "docs/notes.odt"):
        (copy / name).touch()
    assert names_in(package(copy, tmp_path / "without endings.zip")) == clean
    (copy / "engine" / "trial.py").touch()
    assert names_in(package(copy, tmp_path / "with git.zip")) == clean
    shutil.rmtree(copy / ".git")
    assert names_in(package(copy, tmp_path / "without git.zip")) == clean | {"engine/trial.py"}


def test_a_file_that_is_gone_but_still_known_to_git_does_not_matter(copy: Path, tmp_path: Path) -> None:
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    (copy / "bridge" / "version.py").unlink()
    assert "bridge/version.py" not in names_in(package(copy, tmp_path / "headland.zip"))


def test_what_the_readme_shows_and_links_to_comes_along(copy: Path, tmp_path: Path) -> None:
    readme = (copy / "README.md").read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)", readme) if "://" not in link}
    assert any(link.endswith(".png") for link in links)
    assert links <= names_in(package(copy, tmp_path / "headland.zip"))


def test_a_zip_without_a_model_that_a_card_names_is_not_made(copy: Path, tmp_path: Path) -> None:
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    git(copy, "rm", "--quiet", "--cached", "models/decrappify/decrappify.onnx")
    with pytest.raises(subprocess.CalledProcessError) as failure:
        package(copy, tmp_path / "headland.zip")
    assert "models/decrappify/decrappify.onnx is not among the files that git knows" in failure.value.stderr.decode()
    assert not (tmp_path / "headland.zip").exists()


def documents() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listing.stdout.splitlines()]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_in_the_documents_leads_somewhere_and_nothing_is_left_to_be_filled_in(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert "://" in link or (document.parent / link).exists(), link
    assert not re.findall(r"^.*@[A-Z]+@.*$", text, re.MULTILINE)


def test_the_metadata_names_one_version_and_no_address_of_anybody() -> None:
    metadata = ConfigParser(interpolation=None)
    metadata.read(ROOT / "metadata.txt", encoding="utf-8")
    general = metadata["general"]
    assert general["changelog"].startswith(f"{general['version']}:")
    # RFC 2606 keeps this domain free for ever.
    for name in ("homepage", "repository", "tracker"):
        assert general[name].startswith("https://headland.example.org/")
    assert general["email"].endswith("@example.org")
