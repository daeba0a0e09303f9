"""The engine environment: found, missing, half-made, outdated. The real build is what ``make setup`` does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headland.engine import environment
from headland.engine.environment import EnvironmentMissing, EnvironmentProblem

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


def test_building_what_stands_does_nothing(folder: Path) -> None:
    python = make_whole(folder)
    lines: list[str] = []
    assert environment.build(on_line=lines.append) == python
    assert len(lines) == 1


def test_a_half_made_environment_is_removed_before_it_is_built_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_half(folder)
    leftover = folder / "leftover"
    leftover.touch()
    monkeypatch.setattr(environment, "_build_anew", lambda *_arguments: None)
    environment.build(python=Path(sys.executable))
    assert not leftover.exists()


def test_a_folder_with_other_files_is_never_removed(folder: Path) -> None:
    folder.mkdir()
    thesis = folder / "thesis.odt"
    thesis.touch()
    with pytest.raises(EnvironmentProblem, match="other files"):
        environment.build(python=Path(sys.executable))
    assert thesis.exists()


def test_two_builds_at_once_are_refused(folder: Path) -> None:
    # flock belongs to an open file, so a second opening in this process stands for a second process.
    with environment._only_one_build(folder), pytest.raises(EnvironmentProblem, match="another program"):
        environment.build(python=Path(sys.executable))


def test_a_failed_installation_leaves_no_marker_and_says_what_failed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("headland-has-no-such-package==1\n")
    monkeypatch.setattr(environment, "REQUIREMENTS_FILE", requirements)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(EnvironmentProblem, match="could not be installed") as caught:
        environment.build()
    assert "headland-has-no-such-package" in caught.value.details
    with pytest.raises(EnvironmentMissing, match="half set up"):
        environment.engine_python()


def test_a_listener_that_raises_stops_the_installation(folder: Path) -> None:
    def stop(line: str) -> None:
        raise InterruptedError("the person pressed Cancel")

    with pytest.raises(EnvironmentProblem, match="pressed Cancel"):
        environment.build(on_line=stop)
    assert not (folder / environment.READY_FILE).exists()


def test_a_virtual_environments_python_stands_for_its_base() -> None:
    found = environment.find_python(Path(sys.executable))
    is_virtual = subprocess.run(
        [str(found), "-I", "-c", "import sys; print(sys.prefix != sys.base_prefix)"], capture_output=True, check=True
    )
    assert is_virtual.stdout.strip() == b"False"


def test_a_wished_python_that_does_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="no python here does not run"):
        environment.find_python(tmp_path / "no python here")


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"version": [3, 9, 18]}, "is Python 3.9.18"),
        ({"version": [3, 99, 0]}, "is Python 3.99.0"),
        ({"is_64_bit": False}, "32-bit"),
        ({"makes_environments": False}, "ensurepip"),
    ],
)
def test_an_unsuitable_python_is_refused_with_the_reason(
    tmp_path: Path, facts: dict[str, object], problem: str
) -> None:
    answer = {"version": [3, 11, 2], "base": "/usr/bin/python3", "is_64_bit": True, "makes_environments": True, **facts}
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    python.chmod(0o755)
    with pytest.raises(EnvironmentProblem, match=problem):
        environment.find_python(python)


def test_the_command_line_runs_without_the_package_and_says_where_the_engine_is(folder: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), "where"], env=clean, capture_output=True, text=True, check=True
    )
    assert where.stdout.strip() == str(folder)


def test_the_command_line_ends_a_failure_with_one_sentence(folder: Path) -> None:
    check = subprocess.run([sys.executable, str(SCRIPT), "check"], capture_output=True, text=True, check=False)
    assert check.returncode == 1
    assert "not set up yet" in check.stderr
    assert "Traceback" not in check.stderr
