"""Whether a test may be left out: HEADLAND_NO_SKIPS=1, which CI sets, says that nothing is for want of a program."""

from __future__ import annotations

import os
from typing import Union

import pytest

# What no program that could be installed would change: another system, a right, a network, or that nobody asked for it.
# Whatever else a test gives as its reason is a failure then.
REASONS = (
    "asks /proc",
    "no file system may be mounted here",
    "no package index can be reached",
    "taken by make faults",
    "this QGIS crashes",
)


def refuse_skip(report: Union[pytest.TestReport, pytest.CollectReport]) -> None:
    """Make a skip without one of the good reasons a failure, where nothing may be missing."""
    if os.environ.get("HEADLAND_NO_SKIPS") != "1" or not report.skipped or hasattr(report, "wasxfail"):
        return
    _file, _line, reason = report.longrepr
    if not reason.removeprefix("Skipped: ").startswith(REASONS):
        report.outcome = "failed"
        report.longrepr = f"{reason}. HEADLAND_NO_SKIPS says that nothing is missing here."
