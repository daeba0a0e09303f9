"""What all tests need, in either Python."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# "python -m pytest" puts the checkout on the path, where its folder processing/ would hide QGIS's module of that name.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
