"""Images are restored where torch holds them, and by way of the processor's memory where that cannot be.

On a graphics card this was never run: no machine with one has ONNX Runtime's build for it. The processor is a device as
any other to IO binding, so its way is taken there.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from headland.engine import decrappify
from headland.engine.decrappify import OnnxModel
from headland.engine.io_binding import run_bound
from headland.engine.model_file import model_file


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return OnnxModel.load(model_file(None), 2, torch.device("cpu"))


@pytest.fixture
def images() -> torch.Tensor:
    """Two images whose sides are no multiples of what the network takes."""
    return torch.rand(2, 3, 40, 52, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The processor taken for a graphics card that network and images share; what was run there."""
    runs: list[torch.Size] = []

    def counted(session: Any, images: torch.Tensor, settings: Any) -> torch.Tensor:
        runs.append(images.shape)
        return run_bound(session, images, settings)

    monkeypatch.setattr(OnnxModel, "_computes_on", lambda *_: True)
    monkeypatch.setattr(decrappify, "run_bound", counted)
    return runs


def test_bound_memory_gives_the_same_picture(
    model: OnnxModel, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with monkeypatch.context() as unbound:
        unbound.setattr(decrappify, "run_bound", lambda *_: pytest.fail("bound on the processor"))
        expected = model(images)
    before, bound = images.clone(), request.getfixturevalue("bound")
    torch.testing.assert_close(model(images), expected, atol=1e-6, rtol=0.0)
    assert bound == [torch.Size((2, 3, 48, 64))]
    assert torch.equal(images, before), "the input was written over"


def refuse_to_bind(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    def refuse(*_: Any) -> torch.Tensor:
        raise RuntimeError(message)

    monkeypatch.setattr(decrappify, "run_bound", refuse)


def test_what_cannot_be_bound_goes_by_way_of_the_processors_memory(
    model: OnnxModel, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = model(images)
    monkeypatch.setattr(OnnxModel, "_computes_on", lambda *_: True)
    refuse_to_bind(monkeypatch, "no such device")
    assert torch.equal(model(images), expected)


def test_that_memory_ran_out_is_for_the_tiles_to_know(
    model: OnnxModel, images: torch.Tensor, bound: list[torch.Size], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_bind(monkeypatch, "Failed to allocate memory for requested buffer")
    with pytest.raises(RuntimeError, match="allocate"):
        model(images)


def test_on_a_card_no_shape_is_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = decrappify.onnxruntime.InferenceSession

    def opened(content: bytes, options: Any, providers: list[Any]) -> Any:
        asked.extend(providers)
        return real(content, options, providers=[providers[-1]])

    monkeypatch.setattr(
        decrappify.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(decrappify.onnxruntime, "InferenceSession", opened)
    OnnxModel.load(model_file(None), 2, torch.device("cuda"))
    first, last = asked
    assert first == ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})
    assert last[0] == "CPUExecutionProvider"
