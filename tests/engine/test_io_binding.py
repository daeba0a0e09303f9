"""Images are restored where torch holds them, and by way of the processor's memory where that cannot be.

On a graphics card this was never run: no machine with one has ONNX Runtime's build for it. The processor is a device as
any other to IO binding, so its way is taken there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
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


def test_bound_memory_gives_the_same_picture(model: OnnxModel, images: torch.Tensor, bound: list[torch.Size]) -> None:
    expected = model(images.numpy())
    np.testing.assert_allclose(model.restore(images).numpy(), expected, atol=1e-6)
    assert bound == [torch.Size((2, 3, 48, 64))]


def test_images_are_left_as_they_were(model: OnnxModel, images: torch.Tensor, bound: list[torch.Size]) -> None:
    before = images.clone()
    model.restore(images)
    assert torch.equal(images, before)


def test_on_the_processor_nothing_is_bound(
    model: OnnxModel, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decrappify, "run_bound", lambda *_: pytest.fail("bound"))
    np.testing.assert_array_equal(model.restore(images).numpy(), model(images.numpy()))


def test_what_cannot_be_bound_goes_by_way_of_the_processors_memory(
    model: OnnxModel, images: torch.Tensor, bound: list[torch.Size], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> torch.Tensor:
        raise RuntimeError("no such device")

    monkeypatch.setattr(decrappify, "run_bound", refuse)
    np.testing.assert_array_equal(model.restore(images).numpy(), model(images.numpy()))


def test_that_memory_ran_out_is_for_the_tiles_to_know(
    model: OnnxModel, images: torch.Tensor, bound: list[torch.Size], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> torch.Tensor:
        raise RuntimeError("Failed to allocate memory for requested buffer")

    monkeypatch.setattr(decrappify, "run_bound", refuse)
    with pytest.raises(RuntimeError, match="allocate"):
        model.restore(images)


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
