"""A strict reading of an ONNX file before anything else reads it.

What runs a network knows some two hundred operators, loops, functions, and numbers that are kept in other files. Ours
are made of a few of these. So only what `ribocast.learn.train.export` writes is let through: the fields of `onnx.proto`
that are known here, each once and spelled in the one shortest way, so that no other reader can see anything else in the
same bytes; operators that are known here; numbers in the file itself. How much work it is to run is bounded by
`ribocast.model.onnx_cost`.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import ModelError, RibocastError
from ribocast.model.bundle import RUNNING_NAME, Bundle

# OpenVINO's work before the first run grows with the square of some of these.
MOST_NODES, DEEPEST, MOST_INPUTS, MOST_CONSTANTS = 5_000, 500, 500, 5_000
_MOST_FIELDS, _MOST_DIMENSIONS, _LARGEST_DIMENSION, _LONGEST_NAME = 500_000, 8, (1 << 31) - 1, 1_000
OPSET, _FORMATS = 20, range(8, 14)
_FLOAT, _UINT8, _INT64 = 1, 2, 7
TYPES: dict[int, np.dtype[Any]] = {_FLOAT: np.dtype("<f4"), _INT64: np.dtype("<i8")}
"""Numbers that constants may be, by what ONNX calls them."""

OPERATORS = {
    "Add": (), "Cast": ("to",), "Clip": (), "Concat": ("axis",),
    "Conv": ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"),
    "Div": (), "Equal": (), "Expand": (), "Gather": ("axis",), "GatherND": ("batch_dims",),
    "Gemm": ("alpha", "beta", "transA", "transB"), "Greater": (), "Log": (), "MatMul": (), "Max": (),
    "MaxPool": ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"),
    "Mod": ("fmod",), "Mul": (), "Neg": (), "Pad": ("mode",), "Range": (), "ReduceMax": ("keepdims",),
    "ReduceMean": ("keepdims", "noop_with_empty_axes"), "ReduceSum": ("keepdims", "noop_with_empty_axes"), "Relu": (),
    "Reshape": ("allowzero",), "Shape": ("end", "start"), "Slice": (), "Softmax": ("axis",),
    "Split": ("axis", "num_outputs"), "Squeeze": (), "Sub": (), "Transpose": ("perm",), "Unsqueeze": (), "Where": (),
}  # fmt: skip
"""What our networks are made of, and the attributes that each has."""

Message = dict[str, Any]


class _Field(NamedTuple):
    """What stands behind a field's number: its name, what it holds (or the message that it is), and whether often."""

    name: str
    kind: str
    often: bool = False


# Of onnx.proto: what `ribocast.learn.train.export` writes, and nothing else.
_FIELDS = {
    "model": {1: _Field("ir_version", "int"), 2: _Field("producer_name", "text"),
              3: _Field("producer_version", "text"), 7: _Field("graph", "graph"),
              8: _Field("opset_import", "opset", often=True)},
    "opset": {1: _Field("domain", "text"), 2: _Field("version", "int")},
    "graph": {1: _Field("node", "node", often=True), 2: _Field("name", "text"),
              5: _Field("initializer", "tensor", often=True), 11: _Field("input", "value", often=True),
              12: _Field("output", "value", often=True), 13: _Field("value_info", "left out", often=True)},
    "node": {1: _Field("input", "text", often=True), 2: _Field("output", "text", often=True),
             3: _Field("name", "text"), 4: _Field("op_type", "text"),
             5: _Field("attribute", "attribute", often=True)},
    "attribute": {1: _Field("name", "text"), 2: _Field("f", "float"), 3: _Field("i", "int"), 4: _Field("s", "text"),
                  8: _Field("ints", "int", often=True), 20: _Field("type", "int")},
    "tensor": {1: _Field("dims", "int", often=True), 2: _Field("data_type", "int"), 8: _Field("name", "text"),
               9: _Field("raw_data", "bytes")},
    "value": {1: _Field("name", "text"), 2: _Field("type", "type")},
    "type": {1: _Field("tensor_type", "tensor type")},
    "tensor type": {1: _Field("elem_type", "int"), 2: _Field("shape", "shape")},
    "shape": {1: _Field("dim", "dimension", often=True)},
    "dimension": {1: _Field("dim_value", "int"), 2: _Field("dim_param", "text")},
}  # fmt: skip
_ELSEWHERE = {13, 14}  # of a tensor: external_data, data_location
_VARINT, _LENGTH, _FOUR_BYTES = 0, 2, 5
# The field that has an attribute's value, by its type.
_VALUES = {1: "f", 2: "i", 3: "s", 7: "ints"}


class Node(NamedTuple):
    """An operator that is applied: to which tensors, and what it makes of them. An input left out has no name."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """A network that was read.

    Attributes
    ----------
    nodes : tuple of Node
        Each behind those that it needs.
    constants : dict of str to numpy.ndarray
        float32 or int64.
    letters, outputs : tuple of str and list
        The name and shape of what goes in, uint8, and comes out, float32; None where a dimension is free.
    content : bytes
        The file without its notes on the shapes in between, which nothing needs.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, NDArray[Any]]
    letters: tuple[str, list[int | None]]
    outputs: tuple[str, list[int | None]]
    content: bytes


def read_graph(bundle: Bundle) -> Graph:
    """Read a bundle's ONNX file.

    Raises
    ------
    RibocastError
        If it is not the file that ``model.json`` describes, or anything else than what `ribocast.learn.train.export`
        writes.
    """
    data = bundle.read(RUNNING_NAME)
    try:
        graph = parse_graph(data)
        shapes = [[None, bundle.card.fixed_length], [None, len(bundle.card.assays), bundle.card.width]]
        if [graph.letters[1], graph.outputs[1]] != shapes:
            raise ModelError(
                f"it turns letters {spell_shape(graph.letters[1])} into {spell_shape(graph.outputs[1])}, where "
                f"model.json says {spell_shape(shapes[0])} into {spell_shape(shapes[1])}"
            )
        if not bundle.is_shipped:
            _check_again(graph.content)
    except RibocastError as error:
        raise ModelError(f"{bundle.running}: not a network: {error}") from None
    return graph


def spell_shape(shape: Sequence[int | None]) -> str:
    """Write a shape of which some dimensions are free."""
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"


def _check_again(content: bytes) -> None:
    """Have the ``onnx`` package look too, where it is: it comes with the extra ``learn``."""
    try:
        checker = importlib.import_module("onnx.checker")
    except ImportError:
        return
    try:
        checker.check_model(content)
    except checker.ValidationError as error:
        raise ModelError(str(error)[:200]) from None


def parse_graph(data: bytes) -> Graph:
    """Read an ONNX file.

    Raises
    ------
    RibocastError
        With the reason, if it is cut off or is anything else than what `ribocast.learn.train.export` writes.
    """
    reader = _Reader(data)
    try:
        model, rest = reader.message("model", 0, len(data))
    except (IndexError, UnicodeDecodeError):
        raise ModelError("it is not an ONNX file, or is cut off") from None
    if "graph" not in model or model.get("ir_version") not in _FORMATS:
        raise _refusal(f"has the format {model.get('ir_version')}" if "graph" in model else "holds no graph")
    graph = model["graph"]
    content = b"".join([rest, _varint(7 << 3 | _LENGTH), _varint(len(reader.graph)), reader.graph])
    versions = [(entry.get("domain", ""), entry.get("version")) for entry in model.get("opset_import", [])]
    if versions != [("", OPSET)]:
        raise _refusal(f"uses the operator sets {str(versions)[:100]}, not {OPSET} alone")
    inputs, outputs = ([_described(value) for value in graph.get(name, [])] for name in ("input", "output"))
    if len(inputs) != 1 or len(outputs) != 1:
        raise _refusal(f"has {len(inputs)} inputs and {len(outputs)} outputs")
    (letters, taken, into), (result, given, out) = inputs[0], outputs[0]
    if (taken, len(into), given, len(out)) != (_UINT8, 2, _FLOAT, 3):
        raise ModelError("it does not turn letters (rows, length) into numbers (rows, assays, width)")
    constants = _constants(graph.get("initializer", []))
    nodes = tuple(_node(node) for node in graph.get("node", []))
    if letters in constants:
        raise _refusal(f"makes {letters!r:.80} twice")
    _check_order(nodes, {letters, *constants}, result)
    return Graph(nodes, constants, (letters, into), (result, out), content)


def _refusal(what: str) -> RibocastError:
    return ModelError(f"it {what}; ribocast's networks do not")


def _described(value: Message) -> tuple[str, int, list[int | None]]:
    """Return the name, the kind of number and the shape of what goes in or comes out."""
    tensor = value.get("type", {}).get("tensor_type", {})
    shape = []
    for dimension in tensor.get("shape", {}).get("dim", []):
        if len(dimension) != 1:
            raise _refusal("has a dimension that is a number and a name, or neither")
        if not 0 < dimension.get("dim_value", 1) <= _LARGEST_DIMENSION:
            raise _refusal(f"has a dimension of {dimension['dim_value']}")
        shape.append(dimension.get("dim_value"))
    return value.get("name", ""), tensor.get("elem_type", 0), shape


def _constants(tensors: list[Message]) -> dict[str, NDArray[Any]]:
    if len(tensors) > MOST_CONSTANTS:
        raise ModelError(f"it has {len(tensors):,} constants; the maximum is {MOST_CONSTANTS:,}")
    constants: dict[str, NDArray[Any]] = {}
    for tensor in tensors:
        name, shape, raw = tensor.get("name", ""), tensor.get("dims", []), tensor.get("raw_data", b"")
        kind = TYPES.get(tensor.get("data_type", 0))
        if kind is None:
            raise _refusal(f"has the constant {name!r:.80} of data type {tensor.get('data_type')}")
        if len(shape) > _MOST_DIMENSIONS or any(not 0 <= size <= _LARGEST_DIMENSION for size in shape):
            raise _refusal(f"has the constant {name!r:.80} of shape {str(shape)[:80]}")
        if math.prod(shape) * kind.itemsize != len(raw):
            raise ModelError(f"its constant {name!r:.80} of shape {str(shape)[:80]} is {len(raw):,} bytes")
        numbers = np.frombuffer(raw, kind).reshape(shape)
        if not np.isfinite(numbers).all():
            raise ModelError(f"its constant {name!r:.80} holds numbers that are not finite")
        if not name or name in constants:
            raise _refusal(f"makes {name!r:.80} twice" if name else "has a constant without a name")
        constants[name] = numbers
    return constants


def _node(node: Message) -> Node:
    operator, attributes = node.get("op_type", ""), {}
    if operator not in OPERATORS:
        raise _refusal(f"uses the operator {operator!r:.80}")
    for attribute in node.get("attribute", []):
        name, kind = attribute.get("name", ""), _VALUES.get(attribute.get("type", 0), "")
        # An empty list is not written as a field at all.
        if not attribute.keys() - {kind} == {"name", "type"} or name in attributes:
            raise _refusal(f"has an attribute {name!r:.80} of {operator} that is not one value")
        if name not in OPERATORS[operator]:
            raise _refusal(f"has the attribute {name!r:.80} of {operator}")
        attributes[name] = attribute.get(kind, [])
    return Node(operator, tuple(node.get("input", [])), tuple(node.get("output", [])), attributes)


def _check_order(nodes: tuple[Node, ...], known: set[str], result: str) -> None:
    """See that each tensor is made once and before it is used, and that no chain of them is too long."""
    if len(nodes) > MOST_NODES:
        raise ModelError(f"it has {len(nodes):,} operators; the maximum is {MOST_NODES:,}")
    depths = dict.fromkeys(known, 0)
    for node in nodes:
        for name in filter(None, node.inputs):
            if name not in depths:
                raise _refusal(f"uses {name!r:.80} before it is made")
        depth = 1 + max((depths[name] for name in node.inputs if name), default=0)
        if depth > DEEPEST:
            raise ModelError(f"it has more than {DEEPEST:,} operators in a row")
        if not node.outputs or not any(node.inputs):
            raise _refusal(f"has {node.operator} without an {'in' if node.outputs else 'out'}put")
        if max(len(node.inputs), len(node.outputs)) > MOST_INPUTS:
            raise ModelError(f"its operator {node.operator} has more than {MOST_INPUTS:,} inputs or outputs")
        for name in node.outputs:
            if not name or name in depths:
                raise _refusal(f"makes {name!r:.80} twice" if name else f"leaves an output of {node.operator} out")
            depths[name] = depth
    if result in known or result not in depths:
        raise ModelError("it does not make what it gives")


class _Reader:
    """Bytes as messages of protobuf, and what stood in the graph but the notes on shapes."""

    def __init__(self, data: bytes) -> None:
        self._data, self._fields = data, 0
        self._known: dict[tuple[str, bytes], Message] = {}
        self.graph = b""

    def message(self, kind: str, at: int, end: int) -> tuple[Message, bytes]:
        """Read one message; also return the bytes of its fields but the graph, and those that are left out."""
        data, fields = self._data, _FIELDS[kind]
        message: Message = {}
        kept = []
        while at < end:
            self._fields += 1
            if self._fields > _MOST_FIELDS:
                raise ModelError(f"it has more than {_MOST_FIELDS:,} fields")
            start = at
            key, at = self._number(at)
            field = fields.get(key >> 3)
            if field is None:
                if kind == "tensor" and key >> 3 & (1 << 29) - 1 in _ELSEWHERE:
                    raise ModelError("it keeps numbers in other files (external data), which is not allowed")
                raise _refusal(f"has the field {key >> 3} of kind {kind!r}")
            name, holds, often = field
            value: Any
            if holds == "int":
                wire = _VARINT
                value, at = self._number(at)
                value -= value >> 63 << 64
            elif holds == "float":
                wire = _FOUR_BYTES
                value = float(np.frombuffer(data[at : at + 4], "<f4")[0]) if at + 4 <= end else math.nan
                at += 4
            else:
                wire = _LENGTH
                size, at = self._number(at)
                stop = at + size
                if stop > end:
                    raise IndexError
                if holds == "text":
                    if size > _LONGEST_NAME:
                        raise _refusal(f"has a name of {size:,} bytes")
                    value = data[at:stop].decode("utf-8")
                elif holds == "bytes":
                    value = memoryview(data)[at:stop]
                elif holds == "graph":
                    value, self.graph = self.message(holds, at, stop)
                elif holds != "left out":
                    value = self._small(holds, at, stop) if size < 64 else self.message(holds, at, stop)[0]
                at = stop
            if key & 7 != wire or at > end:
                raise IndexError
            if holds not in ("left out", "graph"):
                kept.append(data[start:at])
            if holds == "left out":
                continue
            if often:
                message.setdefault(name, []).append(value)
            elif name in message:
                raise _refusal(f"has {name} twice in a {kind}")
            else:
                message[name] = value
        return message, b"".join(kept) if kind in ("model", "graph") else b""

    def _small(self, kind: str, at: int, stop: int) -> Message:
        """Read a message that others are likely to be the same as."""
        content = kind, self._data[at:stop]
        if content not in self._known:
            self._known[content] = self.message(kind, at, stop)[0]
        return self._known[content]

    def _number(self, at: int) -> tuple[int, int]:
        """Read a number of seven bits a byte, the lowest first; return it and where it ends."""
        number = self._data[at]
        if number < 128:
            return number, at + 1
        number &= 127
        for shift in range(7, 70, 7):
            at += 1
            byte = self._data[at]
            number |= (byte & 127) << shift
            if byte < 128:
                # Neither longer than it need be, nor more than 64 bits.
                if byte == 0 or number >> 64:
                    break
                return number, at + 1
        raise IndexError


def _varint(number: int) -> bytes:
    content = bytearray()
    while number > 127:
        content.append(number & 127 | 128)
        number >>= 7
    content.append(number)
    return bytes(content)
