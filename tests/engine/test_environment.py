"""The engine environment: found, missing, half-made, outdated. How it is made is tested in test_set_up.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headland.engine import environment
from headland.engine.environment import EnvironmentMissing

SCRIPT = Path(environment.__file__)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the engine is looked for; nothing is there yet."""
    folder = tmp_path / "Motor für QGIS"
    monkeypatch.setenv(environment.LOCATION_VARIABLE, str(folder))
    return folder


def make_half(folder: Path) -> None:
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")


def make_whole(folder: Path, requirements: str | None = None) -> Path:
    make_half(folder)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    python.parent.mkdir()
    python.touch()
    state = {"requirements": environment.requirements_hash() if requirements is None else requirements}
    (folder / environment.READY_FILE).write_text(json.dumps(state))
    return python


def test_a_whole_environment_gives_its_python(folder: Path) -> None:
    python = make_whole(folder)
    assert environment.engine_python() == python


def test_a_missing_environment_is_a_sentence_that_says_how_to_make_it(folder: Path) -> None:
    with pytest.raises(EnvironmentMissing, match=r"not set up yet.*environment\.py.*build"):
        environment.engine_python()


def test_a_half_made_environment_is_recognised(folder: Path) -> None:
    make_half(folder)
    with pytest.raises(EnvironmentMissing, match="half set up"):
        environment.engine_python()


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_marker_counts_as_half_made(folder: Path, content: str) -> None:
    make_whole(folder)
    (folder / environment.READY_FILE).write_text(content)
    with pytest.raises(EnvironmentMissing, match="half set up"):
        environment.engine_python()


def test_an_environment_with_other_pins_is_out_of_date(folder: Path) -> None:
    make_whole(folder, requirements="another")
    with pytest.raises(EnvironmentMissing, match="another version"):
        environment.engine_python()


def test_an_environment_whose_python_was_removed_is_missing(folder: Path) -> None:
    make_whole(folder).unlink()
    with pytest.raises(EnvironmentMissing, match="lost its Python"):
        environment.engine_python()


def test_without_a_wish_the_engine_lies_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.LOCATION_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert environment.location() == tmp_path / "headland" / f"engine-{environment.requirements_hash()[:12]}"


def test_the_python_of_an_administrators_environment_is_used(folder: Path, tmp_path: Path) -> None:
    python = make_whole(folder)
    other = tmp_path / "their python"
    other.touch()
    state = {"requirements": environment.requirements_hash(), "python": str(other)}
    (folder / environment.READY_FILE).write_text(json.dumps(state))
    assert environment.engine_python() == other != python


def test_the_command_line_runs_without_the_package_and_says_where_the_engine_is(folder: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), "where"], env=clean, capture_output=True, text=True, check=True
    )
    assert where.stdout.strip() == str(folder)


def test_the_command_line_says_what_it_would_do_and_does_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLAND_TORCH_INDEX", "https://builds.example/cpu")
    plan = subprocess.run(
        [sys.executable, str(SCRIPT), "build", "--plan", "--build", "cpu"], capture_output=True, text=True, check=True
    )
    assert "Computes on the processor, as wished." in plan.stdout
    assert f"Folder: {folder}" in plan.stdout
    assert "MB to download" in plan.stdout
    assert not folder.exists()


def test_the_command_line_ends_a_failure_with_one_sentence(folder: Path) -> None:
    check = subprocess.run([sys.executable, str(SCRIPT), "check"], capture_output=True, text=True, check=False)
    assert check.returncode == 1
    assert "not set up yet" in check.stderr
    assert "Traceback" not in check.stderr
