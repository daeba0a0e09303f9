"""Where nothing may be missing, a test that is left out for want of something is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HOOKS = "from headland.tests.conftest import pytest_make_collect_report, pytest_runtest_makereport"
TESTS = """
import pytest

@pytest.fixture
def program():
    pytest.skip("Qt's lrelease is not installed")

def test_in_its_body(): pytest.skip("no certificate can be made")
def test_in_a_fixture(program): pass
@pytest.mark.skipif(True, reason="this GDAL writes none")
def test_by_its_mark(): pass
@pytest.mark.skipif(True, reason="taken by make faults")
def test_that_nobody_asked_for(): pass
def test_without_the_right(): pytest.skip("no file system may be mounted here")
@pytest.mark.xfail
def test_that_is_to_fail(): raise AssertionError
def test_that_passes(): pass
"""


def outcome(folder: Path, **environment: str) -> str:
    """Return the last line of what pytest says of the tests in ``folder``."""
    # Without plugins it begins sooner.
    variables = {**os.environ, "HEADLAND_NO_SKIPS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    run = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    return run.stdout.splitlines()[-1]


def test_a_skip_for_want_of_something_fails_there_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HOOKS, encoding="utf-8")
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    assert outcome(tmp_path).startswith("1 passed, 5 skipped, 1 xfailed")
    # What is left out before it begins is an error, as pytest calls it.
    said = outcome(tmp_path, HEADLAND_NO_SKIPS="1")
    assert said.startswith("1 failed, 1 passed, 2 skipped, 1 xfailed, 2 errors")


def test_a_file_that_skips_itself_is_an_error_there(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HOOKS, encoding="utf-8")
    (tmp_path / "test_none.py").write_text("import pytest\npytest.importorskip('no_such_module')\n", encoding="utf-8")
    assert outcome(tmp_path, HEADLAND_NO_SKIPS="1").startswith("1 error")
