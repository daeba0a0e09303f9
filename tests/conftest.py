"""What all tests need, in either Python."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from headland.tests.support.skips import refuse_skip

ROOT = Path(__file__).resolve().parents[1]

# "python -m pytest" puts the checkout on the path, where its folder processing/ would hide QGIS's module of that name.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]


EXIT_STATUS = pytest.StashKey[int]()
PROJECT = pytest.StashKey[object]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Hold Python's half of QGIS's project, for pytest-qgis connects a builtin function to a signal of it.

    Where PyQt5's half of a QObject is collected in a cycle, as with the frames of an exception, functions that are
    connected to its signals are lost; pytest-qgis then fails at the end, as it cannot disconnect its own.
    """
    if "qgis.core" in sys.modules:
        session.config.stash[PROJECT] = sys.modules["qgis.core"].QgsProject.instance()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[EXIT_STATUS] = int(exitstatus)
    if "qgis.core" in sys.modules:
        # pytest-qgis has ended QGIS by now: what of its objects is collected while the summary is written crashes
        # (QGIS 3.40 and 3.44).
        gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End here where QGIS was in the process, with the tests' own verdict.

    Python takes QGIS's bindings apart in no particular order when it ends, and has crashed at that after every test had
    passed. QGIS itself never ends so.
    """
    if "qgis.core" in sys.modules and EXIT_STATUS in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[EXIT_STATUS])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that is not the user's, not there yet."""
    folder = tmp_path_factory.mktemp("cache") / "headland"
    monkeypatch.setenv("HEADLAND_CACHE", str(folder))
    return folder
