"""How Headland starts other programs: with an environment that QGIS has not made its own, and out of its way."""

from __future__ import annotations

import os
import subprocess  # nosec B404 # for its constant alone
from pathlib import Path

# For subprocess on Windows; zero, which means nothing, elsewhere.
_NO_CONSOLE_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
# Elsewhere a child lowers its own priority: after fork, Python must not run in it before it becomes the other program.
_BELOW_NORMAL_PRIORITY: int = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
CREATION_FLAGS: int = _NO_CONSOLE_WINDOW | _BELOW_NORMAL_PRIORITY

# What QGIS and its launchers set for themselves would make another Python load QGIS's libraries and data.
_QGIS_ONLY_PREFIXES = ("PYTHON", "PROJ_", "GDAL_", "QT_", "QGIS_", "DYLD_")
_QGIS_ONLY_NAMES = {"LD_LIBRARY_PATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
# QGIS's installers point these into folders of their own, which need not be there (any more).
_CERTIFICATES = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"}


def child_environment() -> dict[str, str]:
    """Return this process's environment variables without those that are meant for QGIS and its Python only."""
    return {name: value for name, value in os.environ.items() if not _is_foreign(name.upper(), value)}


def _is_foreign(name: str, value: str) -> bool:
    if name in _CERTIFICATES:
        return not Path(value).exists()
    return name.startswith(_QGIS_ONLY_PREFIXES) or name in _QGIS_ONLY_NAMES
