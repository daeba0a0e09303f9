"""What people type for parameters: refused in words before QGIS does it without any."""

from __future__ import annotations

from typing import Any

from ..bridge.plan import CannotEnhance
from ..engine.job import LARGEST_SEED

_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0", "")
EXTENT_NUMBERS = 4
"""xmin, xmax, ymin, ymax."""


def is_four_numbers(text: str) -> bool:
    """Whether ``text`` could be an extent without its CRS."""
    try:
        return len([float(word) for word in text.split(",")]) == EXTENT_NUMBERS
    except ValueError:
        return False


def check_seed(seed: Any) -> None:
    """Raise CannotEnhance if ``seed`` is given and is no whole number in range."""
    if seed in (None, ""):
        return
    try:
        is_fine = 0 <= int(seed) <= LARGEST_SEED
    except (TypeError, ValueError):
        # What is no number may still be an expression of QGIS's; only text that a person typed is looked at.
        is_fine = not isinstance(seed, str)
    if not is_fine:
        raise CannotEnhance(f"The seed is {seed}; it must be a whole number between 0 and {LARGEST_SEED}.")


def as_flag(name: str, value: Any) -> bool:
    """Return whether ``value`` means yes; QGIS takes any word for that but "false", also "no".

    Raises:
        CannotEnhance: if it is a word for neither.
    """
    if not isinstance(value, str):
        return bool(value)
    word = value.strip().lower()
    if word not in (*_YES, *_NO):
        raise CannotEnhance(f"{name} is “{value}”; say yes or no.")
    return word in _YES


def check_model(model: Any) -> None:
    """Raise CannotEnhance if ``model`` is given and its name is not an ONNX file's."""
    if isinstance(model, str) and model and not model.lower().endswith(".onnx"):
        raise CannotEnhance(f"{model} is no ONNX file; choose one whose name ends with .onnx, or none.")


def with_choice_as_text(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with the choice ``name`` as QGIS wants it, so that 4 does as well as "4"."""
    choice = parameters.get(name)
    return {**parameters, name: str(choice)} if isinstance(choice, int) else parameters
