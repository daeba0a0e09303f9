"""Looks into an ONNX file without running it: is it a plain network, whose every number lies in the file itself?

An ONNX file may name other files to read weights from, bring operators of its own, or loop without end. A network that
restores images needs none of that, and one that a stranger made is data and shall stay data.

The file is a protocol buffer (https://protobuf.dev/programming-guides/encoding/); the field numbers are those of
onnx.proto3. The standard library is enough, so QGIS's process can ask before any work starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Union

MOST_NODES = 100_000
STANDARD_DOMAINS = ("", "ai.onnx")

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_FIXED_LENGTHS = {_FIXED_64: 8, _FIXED_32: 4}
_LONGEST_VARINT = 10

# ModelProto
_GRAPH, _OPSET_IMPORT, _TRAINING_INFO, _FUNCTIONS = 7, 8, 20, 25
# GraphProto
_NODE, _INITIALIZER, _SPARSE_INITIALIZER = 1, 5, 15
# OperatorSetIdProto, NodeProto
_OPSET_DOMAIN, _ATTRIBUTE, _DOMAIN = 1, 5, 7
# AttributeProto
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _SPARSE_TENSOR, _SPARSE_TENSORS = 5, 6, 10, 11, 22, 23
# SparseTensorProto
_SPARSE_PARTS = (1, 2)
# TensorProto
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14

Field = tuple[int, Union[int, memoryview]]


class NotPlain(ValueError):
    """The file is no network that may be run; the text says what is in it, as the end of a sentence."""


def check_plain(content: bytes) -> None:
    """Check that ``content`` is a model with one graph of standard operators, and with all of its numbers inside.

    Raises:
        NotPlain: if it is not.
    """
    graphs = 0
    for number, value in _fields(memoryview(content)):
        if number == _GRAPH:
            graphs += 1
            _check_graph(_message(value))
        elif number == _OPSET_IMPORT:
            _check_domain(_message(value), _OPSET_DOMAIN)
        elif number == _FUNCTIONS:
            raise NotPlain("it brings operators of its own")
        elif number == _TRAINING_INFO:
            raise NotPlain("it holds instructions for training")
    if graphs != 1:
        raise NotPlain("it is no ONNX model")


def _check_graph(graph: memoryview) -> None:
    nodes = 0
    for number, value in _fields(graph):
        if number == _NODE:
            nodes += 1
            _check_node(_message(value))
        elif number == _INITIALIZER:
            _check_tensor(_message(value))
        elif number == _SPARSE_INITIALIZER:
            _check_sparse(_message(value))
    if not 0 < nodes <= MOST_NODES:
        raise NotPlain(f"it has {nodes} operators")


def _check_node(node: memoryview) -> None:
    _check_domain(node, _DOMAIN)
    for number, value in _fields(node):
        if number == _ATTRIBUTE:
            _check_attribute(_message(value))


def _check_attribute(attribute: memoryview) -> None:
    for number, value in _fields(attribute):
        if number in (_SUBGRAPH, _SUBGRAPHS):
            raise NotPlain("it has loops or branches")
        if number in (_TENSOR, _TENSORS):
            _check_tensor(_message(value))
        elif number in (_SPARSE_TENSOR, _SPARSE_TENSORS):
            _check_sparse(_message(value))


def _check_sparse(tensor: memoryview) -> None:
    for number, value in _fields(tensor):
        if number in _SPARSE_PARTS:
            _check_tensor(_message(value))


def _check_tensor(tensor: memoryview) -> None:
    for number, value in _fields(tensor):
        if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
            raise NotPlain("it reads numbers from other files")


def _check_domain(message: memoryview, field: int) -> None:
    for number, value in _fields(message):
        if number == field and bytes(_message(value)).decode("utf-8", "replace") not in STANDARD_DOMAINS:
            raise NotPlain("it needs operators that are not ONNX's own")


def _message(value: Union[int, memoryview]) -> memoryview:
    if isinstance(value, int):
        raise NotPlain("it is damaged")
    return value


def _fields(message: memoryview) -> Iterator[Field]:
    """Yield the number and the value of each field; what is longer than the rest of the file is damage."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise NotPlain("it is damaged")
        if wire_type == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if wire_type == _BYTES:
            length, place = _varint(message, place)
        elif wire_type in _FIXED_LENGTHS:
            length = _FIXED_LENGTHS[wire_type]
        else:
            raise NotPlain("it is damaged")
        if length > len(message) - place:
            raise NotPlain("it is damaged")
        yield number, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the whole number that begins at ``place``, and the place behind it."""
    value = 0
    for index in range(_LONGEST_VARINT):
        if place + index >= len(message):
            break
        byte = message[place + index]
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, place + index + 1
    raise NotPlain("it is damaged")
