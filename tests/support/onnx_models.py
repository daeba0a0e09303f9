"""ONNX models for tests, small enough to be damaged everywhere."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def small_model() -> bytes:
    """Return a network as Decrappify's is built, but with a single convolution."""
    weights = numpy_helper.from_array(np.ones((3, 3, 3, 3), np.float16), "w16")
    shape = ["batch", 3, "rows", "columns"]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["w16"], ["w"], to=TensorProto.FLOAT),
            helper.make_node("Conv", ["image", "w"], ["restored"], pads=[1, 1, 1, 1]),
        ],
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("restored", TensorProto.FLOAT, shape)],
        [weights],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(model.SerializeToString())
