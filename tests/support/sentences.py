"""What can be shown to a person."""

from __future__ import annotations


def is_one_sentence(message: str) -> bool:
    """Whether a message can be shown to a person: one line, one sentence, not endless."""
    return "\n" not in message and message.endswith(".") and len(message) < 1000
