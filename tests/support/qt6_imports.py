"""A program: imports every module of the plugin that QGIS loads, under the real PyQt6 and a stand-in for QGIS.

Prints a line for each module that cannot be imported, and for each name such as ``Qt.CheckState.Checked`` in its source
that Qt 6 does not have. QGIS's own names say yes to everything: whether QGIS has them is for the tests in a real one.

usage: qt6_imports.py ROOT        (the checkout; PYTHONPATH has it as the package headland)
"""

from __future__ import annotations

import ast
import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LAYERS = ("bridge", "processing", "ui")
# In Qt 6 they are in QtGui; QGIS's shim keeps them where they were.
MOVED_TO_QTGUI = ("QAction", "QActionGroup", "QShortcut")
_SHIM = "qgis.PyQt"


class AnyMember(type):
    """A class that has whatever it is asked for, as classes of the same kind."""

    def __getattr__(cls, name: str) -> AnyMember:
        if name.startswith("__"):
            raise AttributeError(name)
        return AnyMember(name, (), {})


class StandIn(types.ModuleType):
    """A module that has every class there could be."""

    def __getattr__(self, name: str) -> AnyMember:
        if name.startswith("__"):
            raise AttributeError(name)
        member = AnyMember(name, (), {})
        setattr(self, name, member)
        return member


def stand_in_for_qgis() -> None:
    """Put the modules of QGIS and GDAL in place; ``qgis.PyQt`` is PyQt6 itself, as QGIS 4 hands it on."""
    for name in ("qgis", "qgis.core", "qgis.gui", "qgis.utils", "osgeo"):
        sys.modules[name] = StandIn(name)
        # A package: there may be modules in it.
        sys.modules[name].__path__ = []
    shim = sys.modules[_SHIM] = types.ModuleType(_SHIM)
    shim.__path__ = []
    for part in ("QtCore", "QtGui", "QtNetwork", "QtWidgets", "QtXml"):
        real = importlib.import_module(f"PyQt6.{part}")
        module = types.ModuleType(f"{_SHIM}.{part}")
        module.__dict__.update({name: value for name, value in vars(real).items() if not name.startswith("__")})
        sys.modules[module.__name__] = module
        setattr(shim, part, module)
    for name in MOVED_TO_QTGUI:
        setattr(sys.modules[f"{_SHIM}.QtWidgets"], name, getattr(sys.modules[f"{_SHIM}.QtGui"], name))


def plugin_files(root: Path) -> list[Path]:
    """Return the plugin's files that QGIS's process may load, relative to ``root``."""
    files = [*root.glob("*.py"), *(file for layer in LAYERS for file in (root / layer).rglob("*.py"))]
    return sorted(file.relative_to(root) for file in files)


def missing_names(source: str) -> Iterator[str]:
    """Yield each dotted name of a class of Qt in ``source`` that PyQt6 has not."""
    tree = ast.parse(source)
    classes = dict(_imported_from_qt(tree))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or isinstance(parents[node], ast.Attribute):
            continue
        # A call or an item on the way, and it is no name of a class's any more.
        first, *rest = ast.unparse(node).split(".")
        if all(map(str.isidentifier, rest)) and first in classes and not _has(classes[first], rest):
            yield f"line {node.lineno}: PyQt6 has no {ast.unparse(node)}"


def _imported_from_qt(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_SHIM}."):
            module = sys.modules[node.module or ""]
            yield from ((a.asname or a.name, getattr(module, a.name)) for a in node.names if hasattr(module, a.name))


def _has(owner: Any, names: list[str]) -> bool:
    for name in names:
        if not hasattr(owner, name):
            return False
        owner = getattr(owner, name)
    return True


def problems(root: Path) -> Iterator[str]:
    """Yield a sentence for all that would not run on Qt 6."""
    for file in plugin_files(root):
        module = ".".join(("headland", *file.with_suffix("").parts)).removesuffix(".__init__")
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001, whatever it is, it is what is looked for
            yield f"{file}: {type(error).__name__}: {error}"
        for problem in missing_names((root / file).read_text(encoding="utf-8")):
            yield f"{file}, {problem}"


if __name__ == "__main__":
    stand_in_for_qgis()
    sys.stdout.writelines(f"{problem}\n" for problem in problems(Path(sys.argv[1])))
