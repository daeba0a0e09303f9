"""An ONNX file is data: what reads other files, brings operators of its own or loops is refused before it is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from headland.engine.model_file import SHIPPED_MODEL
from headland.models.onnx_graph import NotPlain, check_plain

SHAPE = ["batch", 3, "rows", "columns"]


def image(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE)


def model_of(*nodes: onnx.NodeProto, weights: tuple[onnx.TensorProto, ...] = ()) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "network", [image("in")], [image("out")], list(weights))
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return model


def refusal(model: onnx.ModelProto) -> str:
    with pytest.raises(NotPlain) as error:
        check_plain(model.SerializeToString())
    return str(error.value)


def weights(name: str = "w") -> onnx.TensorProto:
    tensor: onnx.TensorProto = numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), name)
    return tensor


def external(place: str) -> onnx.TensorProto:
    tensor = weights()
    onnx.external_data_helper.set_external_data(tensor, place)
    tensor.ClearField("raw_data")
    return tensor


def test_the_shipped_network_and_a_small_one_are_plain() -> None:
    check_plain(SHIPPED_MODEL.read_bytes())
    check_plain(model_of(helper.make_node("Mul", ["in", "w"], ["out"]), weights=(weights(),)).SerializeToString())


@pytest.mark.parametrize("place", ["weights.bin", "../../secret", "/etc/passwd"])
def test_weights_in_another_file_are_not_read(place: str) -> None:
    model = model_of(helper.make_node("Mul", ["in", "w"], ["out"]), weights=(external(place),))
    assert refusal(model) == "it reads numbers from other files"


def test_weights_in_another_file_are_found_in_an_attribute_too() -> None:
    constant = helper.make_node("Constant", [], ["w"], value=external("weights.bin"))
    assert refusal(model_of(constant, helper.make_node("Mul", ["in", "w"], ["out"]))) == (
        "it reads numbers from other files"
    )


@pytest.mark.parametrize("domain", ["com.microsoft", "my.own", "ai.onnx.ml"])
def test_operators_that_are_not_onnxs_own_are_refused(domain: str) -> None:
    model = model_of(helper.make_node("Odd", ["in"], ["out"], domain=domain))
    assert refusal(model) == "it needs operators that are not ONNX's own"
    imported = model_of(helper.make_node("Neg", ["in"], ["out"]))
    imported.opset_import.append(helper.make_opsetid(domain, 1))
    assert refusal(imported) == "it needs operators that are not ONNX's own"


def test_functions_of_its_own_are_refused() -> None:
    model = model_of(helper.make_node("Neg", ["in"], ["out"]))
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("mine", "Mine", ["x"], ["y"], [], opset))
    assert refusal(model) == "it brings operators of its own"


def test_loops_and_branches_are_refused() -> None:
    body = model_of(helper.make_node("Neg", ["in"], ["out"])).graph
    assert refusal(model_of(helper.make_node("Loop", ["", "", "in"], ["out"], body=body))) == "it has loops or branches"


def test_a_model_without_operators_or_with_two_graphs_is_none() -> None:
    assert refusal(model_of()) == "it has 0 operators"
    twice = model_of(helper.make_node("Neg", ["in"], ["out"])).SerializeToString()
    with pytest.raises(NotPlain, match="no ONNX model"):
        check_plain(twice + twice)


def test_what_is_longer_than_the_file_is_damage(tmp_path: Path) -> None:
    content = SHIPPED_MODEL.read_bytes()[:200_000]
    with pytest.raises(NotPlain, match="damaged"):
        check_plain(content)
