"""The page for a bug report: what it says, and what it must not."""

from __future__ import annotations

import getpass
import subprocess
import sys
from pathlib import Path

import pytest

from headland.bridge.diagnostics import diagnostics, without_person
from headland.bridge.engine_setup import write_log
from headland.bridge.failure_log import MOST_KEPT, kept_failures, remember_failure
from headland.tests.support.engines import FakeEngine


@pytest.fixture
def anna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person with a home."""
    home = tmp_path / "home" / "annamaria"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(getpass, "getuser", lambda: "annamaria")
    return home


def test_it_tells_versions_places_and_what_went_wrong(fake_engine: FakeEngine) -> None:
    remember_failure("The engine crashed (SIGSEGV).", "Traceback: one\ntwo")
    write_log(["Collecting torch", "It works"])
    page = diagnostics()
    for expected in ("Headland ", "QGIS ", "GDAL ", "Engine: ", "NVIDIA: ", "The engine crashed (SIGSEGV).", "two"):
        assert expected in page
    assert page.rstrip().endswith("It works")


def test_it_has_neither_the_persons_name_nor_home_nor_passwords(
    anna: Path, monkeypatch: pytest.MonkeyPatch, fake_engine: FakeEngine
) -> None:
    monkeypatch.setenv("HEADLAND_PYTHON", str(anna / "bin" / "python3"))
    monkeypatch.setenv("HEADLAND_TORCH_INDEX", "https://builds.example/secret-path/cpu")
    remember_failure(
        f"Could not read {anna}/fields.tif.", "C:\\Users\\AnnaMaria\\x; https://anna:secret@index.example/simple"
    )
    page = diagnostics()
    assert "~/fields.tif" in page
    assert "annamaria" not in page.lower()
    assert "secret" not in page
    assert "https://***@index.example" in page
    assert "HEADLAND_TORCH_INDEX is given" in page
    assert "builds.example" not in page


def test_a_name_that_is_part_of_a_word_does_not_tear_the_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "torch")
    assert without_person("onnxtorch and torch") == "onnxtorch and …"


def test_only_the_last_failures_are_kept_and_survive_the_process() -> None:
    code = (
        "import os; from headland.bridge.failure_log import MOST_KEPT, remember_failure; "
        "[remember_failure(f'Failure {number}.', '') for number in range(MOST_KEPT + 3)]; os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert [each.sentence for each in kept_failures()] == [f"Failure {number}." for number in range(3, MOST_KEPT + 3)]


@pytest.mark.parametrize("content", ["", "{", '[{"when": 1}]', "null"])
def test_a_damaged_file_of_failures_is_no_failure(cache_folder: Path, content: str) -> None:
    remember_failure("One.", "")
    (cache_folder / "failures.json").write_text(content)
    assert kept_failures() == []
    remember_failure("Two.", "")
    assert [each.sentence for each in kept_failures()] == ["Two."]
