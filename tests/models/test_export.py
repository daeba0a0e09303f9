"""The exported network computes what torch computes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional

from headland.models.card import ModelCard
from headland.models.decrappify.network import Decrappify
from headland.models.training import export_decrappify
from headland.models.training.export_decrappify import (
    Mixture,
    export,
    largest_relative_difference,
    load_network,
    round_weights,
    write_card,
)
from headland.models.training.onnx_weights import onnx_weights


@pytest.fixture(scope="module")
def network() -> Decrappify:
    torch.manual_seed(5)
    network = Decrappify()
    torch.nn.init.normal_(network.residual.weight, std=0.02)
    round_weights(network)
    return network.eval()


@pytest.fixture(scope="module")
def model_file(network: Decrappify, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model_file = tmp_path_factory.mktemp("export") / "model.onnx"
    export(network, model_file)
    return model_file


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (2, 3, 32, 112), (1, 3, 160, 16)])
def test_torch_and_onnx_runtime_agree_at_every_size(
    network: Decrappify, model_file: Path, shape: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(1)
    assert largest_relative_difference(network, model_file, torch.rand(shape, generator=generator)) <= 1e-3


def network_in(model_file: Path) -> Decrappify:
    """Return torch's network with the weights that the file holds, in whichever precision it holds them."""
    network = Decrappify().eval()
    network.load_state_dict(onnx_weights(model_file, network))
    return network


def difference_in_effect(network: Decrappify, model_file: Path) -> float:
    """Return how far torch and ONNX Runtime are apart, relative to what the network changes on blocky fields.

    The network adds to its input: relative to the result, a wrong correction would still look small.
    """
    generator = torch.Generator().manual_seed(2)
    fields = torch.rand(1, 3, 8, 12, generator=generator)
    enlarged = functional.interpolate(fields, scale_factor=16, mode="bicubic", align_corners=False)
    with torch.no_grad():
        expected = network(enlarged)
    session = onnxruntime.InferenceSession(str(model_file), providers=["CPUExecutionProvider"])
    found = torch.from_numpy(np.asarray(session.run(None, {session.get_inputs()[0].name: enlarged.numpy()})[0]))
    return float((found - expected).abs().max() / (expected - enlarged).abs().max())


def test_torch_and_onnx_runtime_agree_on_the_shipped_model() -> None:
    assert difference_in_effect(network_in(export_decrappify.MODEL_FILE), export_decrappify.MODEL_FILE) <= 1e-3


@pytest.mark.parametrize("layer", ["encoder.conv1.weight", "refine_quarter.0.conv1.weight", "residual.weight"])
def test_one_layer_that_is_off_by_a_twentieth_would_be_noticed(layer: str) -> None:
    network = network_in(export_decrappify.MODEL_FILE)
    with torch.no_grad():
        network.get_parameter(layer).mul_(1.05)
    assert difference_in_effect(network, export_decrappify.MODEL_FILE) > 1e-3


def test_the_file_is_small_and_of_a_conservative_opset(model_file: Path) -> None:
    assert model_file.stat().st_size < 9_500_000
    assert onnx.load(model_file).opset_import[0].version == 17


def test_the_card_written_with_the_model_loads(model_file: Path) -> None:
    written = write_card(model_file, {"steps": 0})
    assert ModelCard.load(model_file) == written


def test_the_shipped_model_restores_a_triple_and_keeps_a_plain_field_plain() -> None:
    card = ModelCard.load(export_decrappify.MODEL_FILE)
    session = onnxruntime.InferenceSession(str(card.model_file), providers=["CPUExecutionProvider"])
    (given,), (returned,) = session.get_inputs(), session.get_outputs()
    assert given.shape[1] == returned.shape[1] == card.bands
    plain = np.full((1, card.bands, 6 * card.multiple_px, 5 * card.multiple_px), 0.4, dtype=np.float32)
    restored = session.run([returned.name], {given.name: plain})[0]
    assert restored.shape == plain.shape
    np.testing.assert_allclose(restored[..., 32:-32, 32:-32], 0.4, atol=0.02)


def checkpoint(path: Path, level: float, steps: int) -> Path:
    """Save a network whose weights are all ``level``."""
    state = {name: torch.full_like(value, level) for name, value in Decrappify().state_dict().items()}
    torch.save({"averaged": state, "step": steps, "elapsed_s": 10.0}, path)
    return path


def test_a_share_of_a_sharper_networks_weights_is_mixed_in(tmp_path: Path) -> None:
    first, second = checkpoint(tmp_path / "a.pt", 0.0, 100), checkpoint(tmp_path / "b.pt", 1.0, 50)
    network, figures = load_network(first, Mixture(second, 0.25))
    assert all(torch.equal(weight, torch.full_like(weight, 0.25)) for weight in network.parameters())
    assert figures == {"steps": 150, "training_s": 20}
    with pytest.raises(ValueError, match="between 0 and 1"):
        load_network(first, Mixture(second, 1.5))


def test_a_network_that_fails_the_check_leaves_the_earlier_model(
    network: Decrappify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Measured:
        """Stands for the held-out places."""

        def __init__(self) -> None:
            self.batches = {"any": SimpleNamespace(enlarged=torch.rand(1, 3, 64, 64))}

    monkeypatch.setattr(export_decrappify.Validation, "load", lambda *_: Measured())
    monkeypatch.setattr(export_decrappify, "largest_relative_difference", lambda *_: 0.1)
    torch.save({"averaged": network.state_dict(), "step": 1, "elapsed_s": 1.0}, tmp_path / "checkpoint.pt")
    model = tmp_path / "model.onnx"
    model.write_bytes(b"what was there")
    arguments = [str(tmp_path / "checkpoint.pt"), str(tmp_path), "--model-file", str(model)]
    assert export_decrappify.main(arguments) == 1
    assert "nothing was exported" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "model.onnx"]
    assert model.read_bytes() == b"what was there"
