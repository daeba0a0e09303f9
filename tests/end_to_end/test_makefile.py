"""What make and .ci/run say before they do anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # A make that runs these tests would pass its own variables on.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "BUILD"))}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("build", ["/tmp/with a space", ""])
def test_a_build_folder_that_make_cannot_handle_is_refused_in_words(build: str) -> None:
    for run in (make("help", f"BUILD={build}"), make("help", BUILD=build)):
        assert run.returncode != 0
        assert "choose a folder without" in run.stderr


def test_a_parameter_that_is_only_in_the_environment_is_not_ignored_in_silence(tmp_path: Path) -> None:
    arguments = ("--dry-run", "enhance", f"BUILD={tmp_path}")
    run = make(*arguments, INPUT="mine.tif", SEED="7")
    assert "Not used while only in the environment: INPUT SEED." in run.stdout
    assert "INPUT=mine.tif" not in run.stdout
    run = make(*arguments, "INPUT=mine.tif", "EXTENT=1,2,3,4 [it's]")
    assert "only in the environment" not in run.stdout
    assert "'INPUT=mine.tif' 'EXTENT=1,2,3,4 [it'\\''s]'" in run.stdout
    assert "those of the environment do not count" in make("help").stdout


def test_everything_runs_without_leaving_bytecode_in_the_checkout(tmp_path: Path) -> None:
    makefile = tmp_path / "print.mk"
    makefile.write_text("print-it:\n\t@echo $$PYTHONDONTWRITEBYTECODE\n")
    run = make("-f", "Makefile", "-f", str(makefile), "print-it", PYTHONDONTWRITEBYTECODE="")
    assert run.stdout.strip() == "1"


@pytest.mark.parametrize("folder", ["plain", "with a space"])
def test_the_check_builds_in_a_folder_without_spaces_whatever_the_temporary_folder_is(
    tmp_path: Path, folder: str
) -> None:
    temporary, checkout, programs = tmp_path / folder, tmp_path / "checkout", tmp_path / "programs"
    for path in (temporary, checkout / ".ci", programs):
        path.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", checkout / ".ci" / "run")
    shutil.copy(ROOT / "Makefile", checkout / "Makefile")
    # Stands for make: tells where it would build.
    (programs / "make").write_text('#!/bin/sh\necho "$1 in <$BUILD>"\n')
    (programs / "make").chmod(0o755)
    environment = {**os.environ, "TMPDIR": str(temporary), "PATH": f"{programs}:{os.environ['PATH']}"}
    run = subprocess.run([str(checkout / ".ci" / "run")], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    targets, folders = zip(*(line.split(" in ") for line in run.stdout.splitlines()))
    assert targets == ("lint", "gate", "test")
    assert " " not in folders[0]
    assert not Path(folders[0].strip("<>")).exists()
    assert list(temporary.iterdir()) == []
