"""How much the fuzzing tests do: 500 inputs of each kind, or as many as HEADLAND_FUZZ says ("make fuzz": 10 000).

Failures that hypothesis finds come back on every machine: CI draws the same inputs each time, "make fuzz" new ones.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

INPUTS = int(os.environ.get("HEADLAND_FUZZ", "500"))
fuzzed = settings(
    max_examples=INPUTS,
    derandomize="HEADLAND_FUZZ" not in os.environ,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    # The input is reported as it was drawn: looking for the smallest one that fails takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

# Numbers that parsers stumble over.
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, True, 2**31, 2**63, 2**64, 10**400, 0.5, float("nan"), float("inf"), -0.0, 1e308])
)
texts = st.text(max_size=40) | st.sampled_from(
    ["", "\0", "../../../etc/passwd", "a\nb", "<b>x</b>", "\ud800", "x" * 5000]
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """Draw ``sound`` with some of its bytes changed, cut out, repeated, or all of it cut short."""
    content = bytearray(sound)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(0, 64))
        kind = draw(st.sampled_from(["overwrite", "remove", "insert", "repeat", "cut", "flip"]))
        if kind == "overwrite":
            content[place : place + length] = draw(st.binary(min_size=length, max_size=length))
        elif kind == "remove":
            del content[place : place + length]
        elif kind == "insert":
            content[place:place] = draw(st.binary(max_size=64))
        elif kind == "repeat":
            content[place:place] = content[place : place + length]
        elif kind == "cut":
            del content[place:]
        elif content:
            content[min(place, len(content) - 1)] ^= 1 << draw(st.integers(0, 7))
    return bytes(content)


@st.composite
def damaged_json(draw: st.DrawFn, sound: dict[str, Any], names: Sequence[str] = ()) -> dict[str, Any]:
    """Draw ``sound`` with some entries changed, lost or added."""
    content = dict(sound)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*sound, *names]) | texts)
        if draw(st.integers(0, 4)) == 0:
            content.pop(name, None)
        else:
            content[name] = draw(json_values)
    return content


@contextmanager
def memory_folder() -> Iterator[Path]:
    """Make a folder for many files that lie there one after another, in memory where that is possible."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)
