"""The import rules of ARCHITECTURE.md, read off the import statements of every file of the plugin.

An import inside a function counts like any other; one under ``if TYPE_CHECKING`` never runs and does not count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("bridge", "engine", "models", "processing", "ui")

# What each layer may import of the plugin: itself and what is below. "" is the root: plugin.py and what is beside it.
MAY_IMPORT = {
    "models": {"models"},
    "engine": {"engine", "models"},
    "bridge": {"bridge", "engine"},
    "processing": {"processing", "bridge", "engine"},
    "ui": {"ui", "bridge", "engine"},
    "": {"", "ui", "processing", "bridge", "engine"},
}
QGIS_AND_QT = {"qgis", "osgeo", "PyQt5", "PyQt6", "PySide2", "PySide6", "processing"}
HEAVY = {"torch", "torchvision", "onnx", "onnxruntime"}
QGIS_SIDE_ENGINE = {
    "anchor_settings",
    "array_file",
    "bands",
    "border_file",
    "calibration",
    "child_process",
    "client",
    "consistency",
    "domain",
    "engine_users",
    "environment",
    "estimate",
    "events",
    "grid",
    "inpaint",
    "job",
    "job_arrays",
    "judge",
    "levels",
    "measured_extent",
    "memory",
    "model_file",
    "noise",
    "plain_file",
    "preview",
    "progress",
    "psf",
    "sensors",
    "sharpness",
    "stopped",
    "tile_store",
    "tiling",
    "zero_areas",
}


def imports_of(source: str, module: str) -> Iterator[str]:
    """Yield the modules that ``source`` imports; those of the plugin start with a dot, as in ``.engine.job``.

    ``module`` is its own dotted name below the plugin's root, such as ``bridge.task``. For ``from a import b`` both
    ``a`` and ``a.b`` are yielded: b may be a module.
    """
    for node in _running_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = node.module or ""
            if node.level:
                package = module.split(".")[: -node.level]
                name = "." + ".".join([*package, *filter(None, [name])])
            yield name
            yield from (f"{name.rstrip('.')}.{alias.name}" for alias in node.names)


def _running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _running_nodes(node)


def plugin_modules() -> dict[str, Path]:
    """Return every module of the plugin by its dotted name below the root; a package by that of its ``__init__``."""
    files = [*ROOT.glob("*.py"), *(file for layer in LAYERS for file in (ROOT / layer).rglob("*.py"))]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files}


MODULES = plugin_modules()
IMPORTS = {module: set(imports_of(file.read_text(encoding="utf-8"), module)) for module, file in MODULES.items()}


def layer_of(module: str) -> str:
    first = module.partition(".")[0]
    return first if first in LAYERS else ""


def own_imports(module: str) -> set[str]:
    """Return the plugin's modules that ``module`` imports, with the packages that are run on the way."""
    found = set()
    for name in IMPORTS[module]:
        if not name.startswith("."):
            continue
        parts = name[1:].split(".")
        for length in range(1, len(parts) + 1):
            prefix = ".".join(parts[:length])
            found |= {prefix, f"{prefix}.__init__"} & set(MODULES)
    return found


def foreign_imports(module: str) -> set[str]:
    return {name.partition(".")[0] for name in IMPORTS[module] if not name.startswith(".")} - {"__future__"}


def run_inside_qgis() -> set[str]:
    """Return every module that the QGIS process may come to import."""
    waiting = [module for module in MODULES if layer_of(module) in ("", "bridge", "processing", "ui")]
    waiting += [f"engine.{name}" for name in QGIS_SIDE_ENGINE if f"engine.{name}" in MODULES]
    waiting += [module for module in MODULES if module.startswith(("engine.installing.", "engine.in_numpy."))]
    reached = set()
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += own_imports(module)
    return reached


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_one_way(module: str) -> None:
    wrong = {name for name in own_imports(module) if layer_of(name) not in MAY_IMPORT[layer_of(module)]}
    if module.startswith("models.training."):
        # Training is a program of its own, above the engine.
        wrong = {name for name in wrong if layer_of(name) != "engine"}
    assert not wrong, f"{module} imports {wrong}"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if layer_of(name) in ("engine", "models")))
def test_engine_and_models_know_nothing_of_qgis(module: str) -> None:
    assert not foreign_imports(module) & QGIS_AND_QT


@pytest.mark.parametrize("module", sorted(run_inside_qgis()))
def test_nothing_inside_qgis_imports_torch_or_onnxruntime(module: str) -> None:
    assert not foreign_imports(module) & HEAVY


@pytest.mark.parametrize("module", sorted(name for name in run_inside_qgis() if layer_of(name) in ("engine", "models")))
def test_what_qgis_uses_of_the_engine_needs_only_the_standard_library_and_numpy(module: str) -> None:
    assert foreign_imports(module) <= {*sys.stdlib_module_names, "numpy"}


@pytest.mark.parametrize("module", sorted(run_inside_qgis()))
def test_what_runs_inside_qgis_is_written_for_python_3_9(module: str) -> None:
    source = MODULES[module].read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    if any(isinstance(node, (ast.FunctionDef, ast.AnnAssign)) for node in ast.walk(tree)):
        assert "__future__.annotations" in IMPORTS[module], "annotations are evaluated without it"


def test_only_plugin_py_imports_the_dock_and_the_provider() -> None:
    importers = {
        module
        for module in MODULES
        for name in own_imports(module)
        if layer_of(name) in ("ui", "processing") and layer_of(module) != layer_of(name)
    }
    assert importers <= {"plugin"}


def test_nobody_imports_training() -> None:
    importers = {
        module
        for module in MODULES
        for name in own_imports(module)
        if name.startswith("models.training") and not module.startswith("models.training")
    }
    assert not importers


@pytest.mark.parametrize("module", sorted(MODULES))
def test_the_plugin_imports_itself_relatively(module: str) -> None:
    # Its folder, and with it the package's name, is whatever QGIS's plugin manager makes it.
    assert not foreign_imports(module) & {"headland", "bridge", "engine", "models", "ui"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn as nn", {"torch.nn"}),
        ("from ..engine.job import Job", {".engine.job", ".engine.job.Job"}),
        ("from . import raster_sink", {".bridge", ".bridge.raster_sink"}),
        ("def f():\n    import torch", {"torch"}),
        ("try:\n    import torch\nexcept ImportError:\n    pass", {"torch"}),
        ("if TYPE_CHECKING:\n    import torch", set()),
    ],
)
def test_the_reader_of_imports_sees_what_would_run(source: str, expected: set[str]) -> None:
    assert set(imports_of(source, "bridge.task")) == expected
