"""One page for a bug report: versions, devices, places, last failures. No secrets, no user name, no project."""

from __future__ import annotations

import getpass
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from osgeo import gdal
from qgis.core import Qgis
from qgis.PyQt.QtCore import QT_VERSION_STR

from ..engine.environment import EnvironmentMissing, cache_folder, engine_python, location
from ..engine.installing.folders import other_engines
from ..engine.installing.graphics import graphics_cards
from ..engine.installing.network import hide_secrets
from ..engine.installing.torch_index import TORCH_INDEX_VARIABLE
from .engine_setup import engine_state, log_file
from .failure_log import kept_failures
from .version import headland_version

_LAST_LINES = 40
_VARIABLES = ("HEADLAND_ENGINE", "HEADLAND_PYTHON", "HEADLAND_CACHE")
# A name of one or two letters is part of too many words.
_SHORTEST_NAME = 3


def diagnostics() -> str:
    """Return the page. Asks the graphics driver, which takes a moment."""
    return without_person("\n".join(_lines()))


def without_person(text: str) -> str:
    """Return ``text`` with the home folder as ~, and neither user name nor passwords."""
    home = str(Path.home())
    if len(home) > 1:
        for form in {home, home.replace("\\", "/"), home.replace("\\", "\\\\")}:
            text = text.replace(form, "~")
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = ""
    # root and the like say nothing about anybody, and a name as short as a syllable would tear words apart.
    if len(user) >= _SHORTEST_NAME and user not in ("root", "user", "admin"):
        text = re.sub(rf"\b{re.escape(user)}\b", "…", text, flags=re.IGNORECASE)
    return hide_secrets(text)


def _lines() -> Iterator[str]:
    yield f"Headland {headland_version()}, QGIS {Qgis.QGIS_VERSION}, Qt {QT_VERSION_STR}, GDAL {gdal.__version__}"
    yield f"QGIS's Python {platform.python_version()}, numpy {np.__version__}"
    yield f"{platform.platform()}, {platform.machine()}, {os.cpu_count()} cores"
    yield ""
    yield from _engine()
    yield ""
    cards = graphics_cards()
    yield "NVIDIA: " + (
        "; ".join(f"{card.name}, driver {card.driver}, {card.memory_mb} MB" for card in cards) or "none"
    )
    for card in cards:
        yield f"  {card.problem() or 'can be used'}"
    yield ""
    yield f"Cache: {cache_folder()}"
    for name in _VARIABLES:
        if os.environ.get(name):
            yield f"{name}={os.environ[name]}"
    if os.environ.get(TORCH_INDEX_VARIABLE):
        # Its path may be a password.
        yield f"{TORCH_INDEX_VARIABLE} is given"
    yield ""
    yield "Last failures:"
    for failure in kept_failures():
        yield f"- {failure.when}  {failure.sentence}"
        yield from (f"    {line}" for line in failure.details.splitlines()[-_LAST_LINES:])
    yield ""
    yield "End of the last set-up's log:"
    yield from _end_of_log()


def _engine() -> Iterator[str]:
    folder = location()
    yield f"Engine: {folder}"
    try:
        yield f"  Python: {engine_python()}"
    except EnvironmentMissing as missing:
        yield f"  {missing}"
    for name, value in engine_state().items():
        yield f"  {name}: {value}"
    parent = next((each for each in folder.parents if each.exists()), None)
    if parent is not None:
        yield f"  {shutil.disk_usage(parent).free / 1e9:.1f} GB free there"
    for other in other_engines():
        yield f"  another version's: {other}"
    yield f"  QGIS's program: {sys.executable}"


def _end_of_log() -> list[str]:
    try:
        return log_file().read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return ["(none)"]
