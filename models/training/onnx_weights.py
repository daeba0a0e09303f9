"""Read the weights of an exported Decrappify back into torch's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

HALVED_SUFFIX = "_16_bit"
"""Ends the name of a weight that the file keeps in 16 bits."""


def onnx_weights(model_file: Path, network: nn.Module) -> dict[str, Tensor]:
    """Return the state of ``network`` as the ONNX file holds it, in 32 bits.

    Raises:
        ValueError: if the file lacks a weight of the network, and so holds another one.
    """
    held = {
        tensor.name.removesuffix(HALVED_SUFFIX): numpy_helper.to_array(tensor)
        for tensor in onnx.load(model_file).graph.initializer
    }
    wanted = network.state_dict()
    if missing := sorted(set(wanted) - set(held)):
        raise ValueError(f"{model_file} holds another network: it lacks {missing[0]}.")
    return {name: torch.from_numpy(held[name].astype(np.float32)) for name in wanted}
