"""Model cards: the shipped one matches its file; anything else gets a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headland.models import card as card_module
from headland.models.card import CardError, ModelCard, file_sha256

SHIPPED = Path(card_module.__file__).parent / "decrappify" / "decrappify.onnx"


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    model_file = tmp_path / "model.onnx"
    model_file.write_bytes(b"not really a network")
    card = ModelCard(
        name="Test",
        card_file=tmp_path / "model.json",
        model_file=model_file,
        sha256=file_sha256(model_file),
        opset=17,
        bands=3,
        value_range=(0.0, 1.0),
        scales=(2, 4),
        margin_px=64,
        multiple_px=16,
        figures={"steps": 10},
    )
    card.save()
    return model_file


def change(model_file: Path, **entries: Any) -> None:
    card_file = model_file.with_suffix(".json")
    content = json.loads(card_file.read_text(encoding="utf-8"))
    card_file.write_text(json.dumps({**content, **entries}), encoding="utf-8")


def assert_is_a_sentence(error: pytest.ExceptionInfo[CardError], *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("The model ")
    assert message.endswith(".")
    for word in words:
        assert word in message


def test_a_file_is_not_read_again_as_long_as_it_does_not_change(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def spy(path: Path) -> str:
        read.append(path)
        return file_sha256(path)

    monkeypatch.setattr(card_module, "file_sha256", spy)
    ModelCard.load(model_file)
    ModelCard.load(model_file)
    assert read == [model_file]
    model_file.write_bytes(b"another network")
    with pytest.raises(CardError, match="damaged"):
        ModelCard.load(model_file)


def test_the_shipped_card_matches_the_shipped_file() -> None:
    card = ModelCard.load(SHIPPED)
    assert card.bands == 3
    assert card.multiple_px == 16
    assert set(card.scales) == {2, 4}
    assert card.model_file.stat().st_size < 18_000_000


def test_a_card_reads_back_as_it_was_written(model_file: Path) -> None:
    card = ModelCard.load(model_file)
    assert card.value_range == (0.0, 1.0)
    assert card.figures == {"steps": 10}
    assert card.model_file == model_file
    assert card.sha256 == file_sha256(model_file)


def test_a_checksum_may_be_written_in_one_piece(model_file: Path) -> None:
    change(model_file, sha256=file_sha256(model_file).upper())
    assert ModelCard.load(model_file).sha256 == file_sha256(model_file)


def test_a_damaged_model_file_is_named(model_file: Path) -> None:
    model_file.write_bytes(b"half of it")
    with pytest.raises(CardError) as error:
        ModelCard.load(model_file)
    assert_is_a_sentence(error, "damaged", "model.onnx")


def test_a_missing_model_file_is_named(model_file: Path) -> None:
    model_file.unlink()
    with pytest.raises(CardError) as error:
        ModelCard.load(model_file)
    assert_is_a_sentence(error, "missing", "model.onnx")


def test_a_missing_card_is_named(model_file: Path) -> None:
    model_file.with_suffix(".json").unlink()
    with pytest.raises(CardError) as error:
        ModelCard.load(model_file)
    assert_is_a_sentence(error, "missing", "model.json")


def test_a_card_that_is_not_json_is_refused(model_file: Path) -> None:
    model_file.with_suffix(".json").write_text("{", encoding="utf-8")
    with pytest.raises(CardError) as error:
        ModelCard.load(model_file)
    assert_is_a_sentence(error, "cannot be read")


def test_a_card_of_another_schema_is_refused(model_file: Path) -> None:
    change(model_file, schema_version=99)
    with pytest.raises(CardError) as error:
        ModelCard.load(model_file)
    assert_is_a_sentence(error, "another Headland")


def test_a_card_without_an_entry_is_refused(model_file: Path) -> None:
    card_file = model_file.with_suffix(".json")
    content = json.loads(card_file.read_text(encoding="utf-8"))
    del content["sha256"]
    card_file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CardError) as error:
        ModelCard.load(model_file)
    assert_is_a_sentence(error, "lacks", "sha256")


@pytest.mark.parametrize(
    "entry",
    [
        {"bands": "three"},
        {"bands": 0},
        {"margin_px": -1},
        {"multiple_px": 0},
        {"value_range": [0.0]},
        {"value_range": [1.0, 0.0]},
        {"scales": []},
        {"scales": [2.5]},
        {"file": ""},
        {"figures": 3},
    ],
)
def test_a_wrong_entry_is_refused(model_file: Path, entry: dict[str, Any]) -> None:
    change(model_file, **entry)
    with pytest.raises(CardError) as error:
        ModelCard.load(model_file)
    assert_is_a_sentence(error)


def test_a_card_of_another_file_is_refused(model_file: Path) -> None:
    change(model_file, file="../other.onnx")
    with pytest.raises(CardError) as error:
        ModelCard.load(model_file)
    assert_is_a_sentence(error, "belongs to other.onnx")
