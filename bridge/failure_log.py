"""The last failures, kept for a bug report: also after QGIS was closed or crashed."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..engine.environment import cache_folder

MOST_KEPT = 5
_LONGEST_DETAILS = 8000


@dataclass(frozen=True)
class KeptFailure:
    """What was said, with its details, and when, in words."""

    when: str
    sentence: str
    details: str


def remember_failure(sentence: str, details: str) -> None:
    """Keep a failure; the oldest makes room. Where nothing can be written, nothing is kept."""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    kept = [*kept_failures(), KeptFailure(now, sentence, details[-_LONGEST_DETAILS:])][-MOST_KEPT:]
    with suppress(OSError):
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(each) for each in kept], indent=1), encoding="utf-8")


def kept_failures() -> list[KeptFailure]:
    """Return what is kept, the oldest first."""
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
        return [KeptFailure(str(each["when"]), str(each["sentence"]), str(each["details"])) for each in content]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _file() -> Path:
    return cache_folder() / "failures.json"
