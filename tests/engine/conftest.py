"""What the engine's tests have in common."""

from __future__ import annotations

import pytest


@pytest.fixture
def unquestioned_dip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Deep Image Prior in its place.

    Many tests draw small fields whose hard edges lie on the grid of the held-out pixels' copies, as no sensor's do: of
    those the anchor is rightly the better judge. ``test_held_out.py`` asks real farmland.
    """
    monkeypatch.setattr("headland.engine.pipeline.hold_out", lambda *_: None)
