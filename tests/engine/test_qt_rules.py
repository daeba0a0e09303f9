"""The rules that let one code run on Qt 5 and Qt 6, read off the source of everything that imports QGIS or Qt."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("bridge", "processing", "scripts", "tests", "ui")
BINDINGS = {"PyQt4", "PyQt5", "PyQt6", "PySide2", "PySide6"}
# Classes of Qt and QGIS, and what they hold by a capital: enum types, enum values, nested classes.
QT_CLASS = re.compile(r"Q(t|gis|gs[A-Z]\w*|[A-Z]\w*)")
# Named constants that are no enums, such as QgsProcessing.TEMPORARY_OUTPUT.
CONSTANT = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+")
# They moved from QtWidgets to QtGui in Qt 6; QGIS's own shim keeps them in QtWidgets.
IN_QTWIDGETS = {"QAction", "QActionGroup", "QShortcut", "QUndoStack", "QUndoCommand"}


def broken_rules(source: str) -> Iterator[str]:
    """Yield a sentence for every place in ``source`` that would not run on Qt 6."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    annotations = {
        part for node in ast.walk(tree) for annotation in _annotations(node) for part in ast.walk(annotation)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"line {node.lineno}: {a.name}" for a in node.names if a.name.partition(".")[0] in BINDINGS)
        elif isinstance(node, ast.ImportFrom):
            yield from _broken_by_import_from(node)
        elif isinstance(node, ast.Attribute):
            if node.attr == "exec_":
                yield f"line {node.lineno}: exec_() is exec() in Qt 6"
            if node not in annotations and _is_unscoped(node, parents.get(node)):
                yield f"line {node.lineno}: {ast.unparse(node)} lacks the name of its enum"


def _broken_by_import_from(node: ast.ImportFrom) -> Iterator[str]:
    module = node.module or ""
    if module.partition(".")[0] in BINDINGS:
        yield f"line {node.lineno}: import it from qgis.PyQt and not from {module}"
    if module == "qgis.PyQt.QtGui":
        yield from (f"line {node.lineno}: {a.name} is in QtWidgets" for a in node.names if a.name in IN_QTWIDGETS)


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    for name in ("annotation", "returns"):
        annotation = getattr(node, name, None)
        if annotation is not None:
            yield annotation


def _is_unscoped(node: ast.Attribute, parent: ast.AST | None) -> bool:
    """Whether it is ``Class.Value`` where ``Class.Enum.Value`` is meant; ``Class.Nested(...)`` is a call."""
    if not isinstance(node.value, ast.Name) or not QT_CLASS.fullmatch(node.value.id):
        return False
    is_continued = isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and parent.func is node)
    return node.attr[0].isupper() and not CONSTANT.fullmatch(node.attr) and not is_continued


def qt_files() -> list[Path]:
    files = [*ROOT.glob("*.py"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))]
    return sorted(file.relative_to(ROOT) for file in files)


@pytest.mark.parametrize("file", qt_files(), ids=str)
def test_the_code_runs_on_qt_5_and_qt_6(file: Path) -> None:
    assert list(broken_rules((ROOT / file).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "from PyQt5.QtCore import Qt",
        "import PyQt6",
        "from qgis.PyQt.QtGui import QAction",
        "area = Qt.RightDockWidgetArea",
        "button = QMessageBox.Yes | QMessageBox.No",
        "level = Qgis.Warning",
        "flag = QgsTask.CanCancel",
        "dialog.exec_()",
    ],
)
def test_what_breaks_a_rule_is_found(source: str) -> None:
    assert list(broken_rules(source))


@pytest.mark.parametrize(
    "source",
    [
        "from qgis.PyQt.QtWidgets import QAction",
        "area = Qt.DockWidgetArea.RightDockWidgetArea",
        "level = Qgis.MessageLevel.Warning",
        "options = QgsRasterLayer.LayerOptions()",
        "output = QgsProcessing.TEMPORARY_OUTPUT",
        "def f(level: Qgis.MessageLevel) -> Qt.ItemFlags: ...",
        "project = QgsProject.instance()",
        "dialog.exec()",
    ],
)
def test_what_keeps_the_rules_is_left_alone(source: str) -> None:
    assert not list(broken_rules(source))
