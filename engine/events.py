"""What the worker tells QGIS: one JSON object a line on the worker's standard output."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any, Union


class FailureKind(str, Enum):
    """Why a job failed, coarse enough that each kind has its own advice."""

    OUT_OF_MEMORY = "out_of_memory"
    BAD_INPUT = "bad_input"
    ENVIRONMENT_BROKEN = "environment_broken"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Started:
    """The worker has read its job. ``device`` is the one that it really uses, in words."""

    device: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Progress:
    """``phase`` is a short sentence for people; ``fraction`` is that of the whole job, from 0 to 1."""

    phase: str
    fraction: float


@dataclass(frozen=True)
class Preview:
    """``preview.npy`` is there, or there anew."""


@dataclass(frozen=True)
class Finished:
    """``output.npy`` is whole. ``report`` is the worker's part of REPORT: plain JSON values."""

    report: dict[str, Any]


@dataclass(frozen=True)
class Cancelled:
    """The worker stopped because it was asked to; there is no output."""


@dataclass(frozen=True)
class Failed:
    """``message`` is one sentence for people, ``details`` the traceback for a bug report."""

    kind: FailureKind
    message: str
    details: str = ""


Event = Union[Started, Progress, Preview, Finished, Cancelled, Failed]

_EVENT_TYPES = {
    "started": Started,
    "progress": Progress,
    "preview": Preview,
    "finished": Finished,
    "cancelled": Cancelled,
    "failed": Failed,
}
_NAMES = {event_type: name for name, event_type in _EVENT_TYPES.items()}


class NotAnEvent(ValueError):
    """A line on the worker's standard output that is not part of the protocol."""


def encode(event: Event) -> str:
    """Return the event as one line of ASCII JSON, without the line end."""
    return json.dumps({"event": _NAMES[type(event)], **asdict(event)})


def decode(line: str) -> Event:
    """Return the event that ``line`` holds.

    Raises:
        NotAnEvent: if it holds none, or one with missing, unknown or senseless fields.
    """
    try:
        content = json.loads(line)
        event_type = _EVENT_TYPES[content.pop("event")]
        if set(content) - {field.name for field in fields(event_type)}:
            raise NotAnEvent(f"unknown fields in {line!r}")
        if event_type is Failed:
            content["kind"] = FailureKind(content["kind"])
        event: Event = event_type(**content)
        _check(event)
        return event
    # Brackets within brackets within brackets end in a RecursionError.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotAnEvent(f"not an event: {line[:200]!r}") from error


def _check(event: Event) -> None:
    """Raise TypeError or ValueError if a field has another type or range than it says: QGIS relies on them."""
    for name, value in asdict(event).items():
        if name == "fraction":
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
                raise ValueError(f"{value!r} is no fraction")
        elif name in ("versions", "report"):
            if not isinstance(value, dict):
                raise TypeError(f"{name} is no object")
        elif not isinstance(value, str):
            raise TypeError(f"{name} is no text")
    if isinstance(event, Started) and not all(isinstance(version, str) for version in event.versions.values()):
        raise TypeError("a version is no text")
