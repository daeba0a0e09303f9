"""Which Decrappify model a job uses: the shipped one, or the user's own, if its card says that it fits.

QGIS asks before any work starts, the worker once more before it opens the file; the standard library is enough.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Optional

from ..models.card import REMEDY, CardError, ModelCard
from ..models.onnx_graph import NotPlain, check_plain
from .bands import TRIPLE

__all__ = ["SHIPPED_MODEL", "CardError", "fitting_card", "model_file"]

SHIPPED_MODEL = Path(__file__).resolve().parent.parent / "models" / "decrappify" / "decrappify.onnx"
# The levels that the valid pixels of an extent are stretched to; networks were trained on images stretched like that.
LOW_LEVEL, HIGH_LEVEL = 0.05, 0.9


def model_file(chosen: Optional[str]) -> Path:
    """Return the ONNX file of the user's choice, or the shipped one if there is none."""
    return Path(chosen) if chosen else SHIPPED_MODEL


def fitting_card(path: Path, scale: int) -> ModelCard:
    """Return the card of the ONNX file, whose SHA-256 is checked.

    Raises:
        CardError: if card or file is missing or damaged, they do not belong together, the network was not made for
            band triples, enlarged by ``scale``, in the scene's levels, or the file is more than a plain network.
    """
    card = ModelCard.load(path)
    if scale not in card.scales:
        known = " and ".join(str(known) for known in card.scales)
        raise CardError(
            f"The model {card.name} knows the scale factor {known}, not {scale}; choose another scale or model."
        )
    if card.bands != TRIPLE:
        raise CardError(f"The model {card.name} takes {card.bands} bands, not {TRIPLE}; choose another model.")
    low, high = card.value_range
    if not low <= LOW_LEVEL < HIGH_LEVEL <= high:
        raise CardError(
            f"The model {card.name} takes values from {low} to {high}, not {LOW_LEVEL} to {HIGH_LEVEL}; choose another "
            "model."
        )
    try:
        state = path.stat()
        _check_plain(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise CardError(f"The model file {path} cannot be read ({error.strerror}); {REMEDY}.") from error
    return card


@lru_cache(maxsize=8)
def _check_plain(path: Path, _mtime_ns: int, _size: int) -> None:
    """Raise CardError if the file is more than a network; looked at once as long as it does not change."""
    try:
        check_plain(path.read_bytes())
    except NotPlain as error:
        raise CardError(f"The model file {path} is not used because {error}; {REMEDY}.") from error
