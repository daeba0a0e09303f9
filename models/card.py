"""Model cards: what a shipped network needs and promises, and proof that its file is whole.

A card is a JSON file beside its ONNX file. The engine reads it before the network, so that a wrong or damaged file
gives a sentence and not a stack trace. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
READ_BYTES = 1 << 20
# Far beyond what any network for this is; what is larger is not read at all.
LARGEST_CARD_BYTES = 1 << 20
LARGEST_MODEL_BYTES = 1 << 30
LONGEST_NAME = 80
# Larger margins and multiples would ask for more memory than there is.
LARGEST_BANDS, LARGEST_MARGIN_PX, LARGEST_MULTIPLE_PX = 64, 2048, 512
LARGEST_SCALE, LARGEST_OPSET = 64, 1000
REMEDY = "choose another model, or install Headland again if it came with it"


class CardError(ValueError):
    """The model cannot be used; the message is one sentence that says why and what to do."""


@dataclass(frozen=True)
class ModelCard:
    """What the program knows of a network.

    Attributes:
        name: of the model, as a person reads it.
        card_file: where the card was read from.
        model_file: the ONNX file beside it, checked against ``sha256``.
        sha256: of the ONNX file, hexadecimal.
        opset: ONNX operator set of the file.
        bands: bands that go in and come out.
        value_range: (low, high) that the values should have about.
        scales: scale factors of the enlarged images that the network was trained to restore.
        margin_px: pixels at each side of a tile whose result depends noticeably on what lies beyond the tile.
        multiple_px: rows and columns of the input must be multiples of this.
        figures: training and held-out figures, for the report.
    """

    name: str
    card_file: Path
    model_file: Path
    sha256: str
    opset: int
    bands: int
    value_range: tuple[float, float]
    scales: tuple[int, ...]
    margin_px: int
    multiple_px: int
    figures: dict[str, Any]

    @classmethod
    def load(cls, model_file: Path) -> ModelCard:
        """Read the card beside the ONNX file (same name, ending .json) and check the file against it.

        Raises:
            CardError: if either file is missing, the card is not complete, or the ONNX file is not the card's.
        """
        if not model_file.is_file():
            raise CardError(f"The model file {model_file} is missing; {REMEDY}.")
        card_file = model_file.with_suffix(".json")
        card = cls._from_json(card_file, _read_json(card_file))
        if card.model_file != model_file:
            raise CardError(f"The model card {card_file} belongs to {card.model_file.name}; {REMEDY}.")
        try:
            state = model_file.stat()
        except OSError as error:
            raise CardError(f"The model file {model_file} cannot be read ({error.strerror}); {REMEDY}.") from error
        if state.st_size > LARGEST_MODEL_BYTES:
            raise CardError(f"The model file {model_file} is larger than {LARGEST_MODEL_BYTES:.1e} bytes; {REMEDY}.")
        try:
            sha256 = _known_sha256(model_file, state.st_mtime_ns, state.st_size)
        except OSError as error:
            raise CardError(f"The model file {model_file} cannot be read ({error.strerror}); {REMEDY}.") from error
        if sha256 != card.sha256:
            raise CardError(f"The model file {card.model_file} is damaged or is not the card's; {REMEDY}.")
        return card

    @classmethod
    def _from_json(cls, card_file: Path, content: dict[str, Any]) -> ModelCard:
        try:
            low, high = content["value_range"]
            card = cls(
                name=_name(content["name"]),
                card_file=card_file,
                model_file=card_file.with_name(Path(_text(content["file"])).name),
                sha256="".join(_text(content["sha256"]).split()).lower(),
                opset=_whole(content["opset"], most=LARGEST_OPSET),
                bands=_whole(content["bands"], most=LARGEST_BANDS),
                value_range=(float(low), float(high)),
                scales=tuple(_whole(scale, most=LARGEST_SCALE) for scale in content["scales"]),
                margin_px=_whole(content["margin_px"], least=0, most=LARGEST_MARGIN_PX),
                multiple_px=_whole(content["multiple_px"], most=LARGEST_MULTIPLE_PX),
                figures=dict(content["figures"]),
            )
        except KeyError as error:
            raise CardError(f"The model card {card_file} lacks {error}; {REMEDY}.") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise CardError(f"The model card {card_file} has a wrong entry ({_short(error)}); {REMEDY}.") from error
        if not -math.inf < card.value_range[0] < card.value_range[1] < math.inf or not card.scales:
            raise CardError(f"The model card {card_file} has an empty range or no scale factor; {REMEDY}.")
        return card

    def save(self) -> None:
        """Write the card to ``card_file``."""
        # In groups, as people compare it, and so that no scanner takes it for a secret.
        checksum = " ".join(re.findall(".{1,8}", self.sha256))
        content = {"schema_version": SCHEMA_VERSION, **asdict(self), "sha256": checksum, "file": self.model_file.name}
        del content["card_file"], content["model_file"]
        self.card_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal. Raises OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


@lru_cache(maxsize=8)
def _known_sha256(path: Path, _mtime_ns: int, _size: int) -> str:
    """Return the SHA-256 of a file, computed once as long as it does not change: the dock asks at every move."""
    return file_sha256(path)


def _read_json(card_file: Path) -> dict[str, Any]:
    try:
        with card_file.open("rb") as file:
            # What is longer is no card, and cut short no JSON.
            content = json.loads(file.read(LARGEST_CARD_BYTES).decode("utf-8"))
    except FileNotFoundError as error:
        raise CardError(f"The model card {card_file} is missing; {REMEDY}.") from error
    # Brackets within brackets within brackets …
    except (OSError, ValueError, RecursionError) as error:
        raise CardError(f"The model card {card_file} cannot be read ({_short(error)}); {REMEDY}.") from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        raise CardError(
            f"The model card {card_file} is of another Headland; install the model that came with this one."
        )
    return content


def _short(error: Exception) -> str:
    """Return what an error says, in one short line: it may quote the file."""
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is not a text")
    return value


def _name(value: object) -> str:
    """Return a name that can stand in a sentence."""
    name = _text(value)
    if len(name) > LONGEST_NAME or not name.isprintable() or "<" in name:
        raise TypeError(f"{name!r} is no name of at most {LONGEST_NAME} letters")
    return name


def _whole(value: object, *, most: int, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise TypeError(f"{value!r} is not a whole number from {least} to {most}")
    return value
