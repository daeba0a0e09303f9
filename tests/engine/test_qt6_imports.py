"""Under a real PyQt6 every module of QGIS's side is imported, and every enum of Qt that it names is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PyQt6", reason="PyQt6 is not installed: make setup brings it")

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "support" / "qt6_imports.py"


def problems_in(root: Path) -> list[str]:
    """Return what the program finds; another process, since no Python takes two Qts or a stand-in back."""
    answer = subprocess.run(
        [sys.executable, "-B", str(PROGRAM), str(root)], capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin of one module, ``bridge/example.py``, that is written by the test."""
    root = tmp_path / "headland"
    (root / "bridge").mkdir(parents=True)
    for package in (root, root / "bridge"):
        (package / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return root


def test_every_module_is_imported_and_every_scoped_enum_exists() -> None:
    assert problems_in(ROOT) == []


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("from qgis.PyQt.QtWidgets import QDesktopWidget", "cannot import name 'QDesktopWidget'"),
        ("from qgis.PyQt.QtCore import Qt\nalignment = Qt.AlignLeft", "PyQt6 has no Qt.AlignLeft"),
        (
            "from qgis.PyQt.QtCore import Qt\ndef f():\n    return Qt.ItemFlag.Checked",
            "line 3: PyQt6 has no Qt.ItemFlag.Checked",
        ),
    ],
)
def test_what_qt_6_lacks_is_found(plugin: Path, source: str, problem: str) -> None:
    (plugin / "bridge" / "example.py").write_text(source)
    assert problem in "\n".join(problems_in(plugin))


def test_what_qgis_and_qt_6_have_is_left_alone(plugin: Path) -> None:
    (plugin / "bridge" / "example.py").write_text(
        "from qgis.core import Qgis, QgsTask\nfrom qgis.PyQt.QtCore import Qt, pyqtSignal\n"
        "from qgis.PyQt.QtWidgets import QAction\n\n\nclass Work(QgsTask):\n    told = pyqtSignal(str)\n"
        "    checked = Qt.CheckState.Checked\n    level = Qgis.MessageLevel.Warning\n"
    )
    assert problems_in(plugin) == []
