"""Folders that were made to harm: refused in one line, and before anything of them is loaded."""

import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.cli import main
from ribocast.errors import RibocastError
from ribocast.learn.networks import ARCHITECTURES, load_network
from ribocast.learn.train.export import to_onnx
from ribocast.model.bundle import (
    CARD_NAME,
    LEARNING_NAME,
    RUNNING_NAME,
    ModelCard,
    open_bundle,
    shipped_models,
    write_bundle,
)
from ribocast.model.onnx_check import OPERATORS, parse_graph, read_graph

helper = onnx.helper
SOURCE = Path(ribocast.__file__).parents[2]
SMALL = {"optimus": {"filters": 8, "dense": 8}, "optimus-profile": {"filters": 8, "dense": 8},
         "framepool": {"filters": 8, "layers": 1},
         "ensemble": {"member": "optimus", "members": 2, "member_settings": {"filters": 8, "dense": 8}}}  # fmt: skip
UTRS = ["ACGT" * 12, "TTGCATG" * 10]


def refused(call, *arguments, **options) -> str:
    with pytest.raises(RibocastError) as caught:
        call(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000
    return str(caught.value)


@pytest.fixture
def forge(framed, tmp_path):
    """Give a function that writes the small network's folder with other files or another card, hashes and all."""
    known = open_bundle(framed)

    def write(card=None, **files):
        files = {RUNNING_NAME: files.get("onnx", known.read(RUNNING_NAME)),
                 LEARNING_NAME: files.get("safetensors", known.read(LEARNING_NAME))}  # fmt: skip
        return write_bundle(tmp_path / "forged", card or known.card, files).folder

    return write


@pytest.fixture
def weights(framed):
    return safetensors.numpy.load(open_bundle(framed).read(LEARNING_NAME))


@pytest.fixture
def graph(framed):
    return onnx.load_from_string(open_bundle(framed).read(RUNNING_NAME))


def changed_card(folder, **changes) -> ModelCard:
    return ModelCard.model_validate({**open_bundle(folder).card.model_dump(), **changes})


# --- the running form ------------------------------------------------------------------------------------------


def put_outside(tensor, location: str, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


@pytest.mark.parametrize("location", ["secret", "../secret", "/etc/passwd", "model.safetensors", "forged/secret"])
def test_numbers_in_another_file_are_refused_wherever_it_is(graph, forge, tmp_path, monkeypatch, location):
    # What reads a network from memory looks for its other files where the user stands.
    largest = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    content = largest.raw_data
    put_outside(largest, location, len(content))
    folder = forge(onnx=graph.SerializeToString())
    for place in (tmp_path / "secret", folder / "secret"):
        place.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    assert "keeps numbers in other files (external data)" in refused(ribocast.load, folder)


def outside(name: str) -> onnx.TensorProto:
    tensor = helper.make_tensor(name, onnx.TensorProto.FLOAT, [4], np.zeros(4, np.float32).tobytes(), raw=True)
    put_outside(tensor, "secret", 16)
    return tensor


def inner_graph(*tensors: onnx.TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [], list(tensors))


def small(*nodes, constants=None, result="x", **more) -> onnx.ModelProto:
    """Make a network of the promised form of some nodes, which begin with `sum`, (rows, 1, 1)."""
    known = {"one": np.array([1]), "values": np.full((1, 2, 14), 0.1, np.float32), **(constants or {})}
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["letters"], ["numbers"], to=onnx.TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["numbers", "one"], ["total"], keepdims=1),
            helper.make_node("Unsqueeze", ["total", "one"], ["sum"]),
            helper.make_node("Add", ["sum", "values"], ["x"]),
            *nodes,
        ],
        "g",
        [helper.make_tensor_value_info("letters", onnx.TensorProto.UINT8, ["rows", "length"])],
        [helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, ["rows", 2, 14])],
        [onnx.numpy_helper.from_array(array, name) for name, array in known.items()],
    )
    return helper.make_model(graph, **{"opset_imports": [helper.make_opsetid("", 20)], "ir_version": 10, **more})


def made(operator: str, inputs, output="y", **attributes) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [output], **attributes)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def with_(change) -> onnx.ModelProto:
    model = small()
    change(model)
    return model


def typed(field: str) -> onnx.TypeProto:
    kind = onnx.TypeProto()
    inner = getattr(kind, field)
    inner.SetInParent()
    for _ in range(40):
        if field in ("sequence_type", "optional_type"):
            inner.elem_type.sequence_type.SetInParent()
            inner = inner.elem_type.sequence_type
            field = "sequence_type"
    return kind


def chain(count: int, operator="Relu") -> list[onnx.NodeProto]:
    return [made(operator, [f"c{number - 1}" if number else "x"], f"c{number}") for number in range(count)]


def doubling() -> onnx.ModelProto:
    parts = [made("Concat", [f"d{n - 1}" if n else "x"] * 2, f"d{n}", axis=1) for n in range(40)]
    return small(*parts)


F, I64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
STRANGE = {
    "outside in a constant": lambda: small(helper.make_node("Constant", [], ["y"], value=outside("v"))),
    "outside in a branch": lambda: small(made("If", ["x"], then_branch=inner_graph(outside("deep")))),
    "outside in a sparse tensor": lambda: with_(lambda model: model.graph.sparse_initializer.append(
        onnx.SparseTensorProto(values=outside("values"), dims=[4]))),
    "outside in a function": lambda: small(functions=[helper.make_function(
        "d", "f", [], ["x"], [helper.make_node("Constant", [], ["x"], value=outside("v"))],
        [helper.make_opsetid("", 20)])]),
    "outside in training": lambda: with_(lambda model: model.training_info.add().initialization.CopyFrom(
        inner_graph(outside("deep")))),
    "a function": lambda: small(functions=[helper.make_function(
        "", "Relu", ["a"], ["b"], [made("Neg", ["a"], "b")], [helper.make_opsetid("", 20)])]),
    "a loop": lambda: small(made("Loop", ["", "", "x"], body=inner_graph())),
    "a scan": lambda: small(made("Scan", ["x"], body=inner_graph(), num_scan_inputs=1)),
    "properties": lambda: with_(lambda model: model.metadata_props.add(key="location", value="/etc/passwd")),
    "properties of a constant": lambda: with_(
        lambda model: model.graph.initializer[0].metadata_props.add(key="location", value="secret")),
    "quantisation": lambda: with_(lambda model: model.graph.quantization_annotation.add(tensor_name="x")),
    "words": lambda: with_(lambda model: setattr(model, "doc_string", "\x1b[2J" * 9999)),
    "another domain": lambda: small(made("Relu", ["x"], domain="com.strange")),
    "one more set of operators": lambda: small(
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]),
    "older operators": lambda: small(opset_imports=[helper.make_opsetid("", 11)]),
    "no operators": lambda: small(opset_imports=[]),
    "an older format": lambda: small(ir_version=3),
    "a format to come": lambda: small(ir_version=99),
    **{operator: lambda operator=operator: small(made(operator, ["x"])) for operator in (
        "Tile", "ConstantOfShape", "NonZero", "Resize", "StringSplit", "RandomNormalLike", "Einsum", "LSTM", "Scatter",
        "SequenceConstruct", "Optional", "Gelu", "Identity", "\x1b[2J", "")},
    "an attribute of another": lambda: small(made("Relu", ["x"], axis=1)),
    "an attribute of another kind": lambda: small(made("Softmax", ["x"], axis=[1])),
    "an attribute without its kind": lambda: with_(
        lambda model: model.graph.node.append(onnx.NodeProto(
            op_type="Softmax", input=["x"], output=["y"], attribute=[onnx.AttributeProto(name="axis", i=1)]))),
    "an attribute twice": lambda: with_(lambda model: model.graph.node[0].attribute.add().CopyFrom(
        model.graph.node[0].attribute[0])),
    **{f"constants of {kind}": lambda kind=kind: with_(lambda model: model.graph.initializer.append(
        onnx.TensorProto(name="k", data_type=kind, dims=[4], raw_data=b"\0" * 4))) for kind in (
        0, 2, 8, 10, 11, 16, 17, 21, 22, 23, 99)},
    "numbers in another field": lambda: with_(
        lambda model: model.graph.initializer.append(helper.make_tensor("k", F, [2], [1, 2]))),
    "text as a constant": lambda: with_(
        lambda model: model.graph.initializer.append(helper.make_tensor("k", onnx.TensorProto.STRING, [1], [b"a"]))),
    "a segment": lambda: with_(lambda model: model.graph.initializer[0].segment.SetInParent()),
    "a constant without numbers": lambda: with_(lambda model: model.graph.initializer.append(
        onnx.TensorProto(name="k", data_type=F, dims=[1 << 20, 1 << 20]))),
    "a negative dimension": lambda: with_(lambda model: model.graph.initializer.append(
        onnx.TensorProto(name="k", data_type=F, dims=[-1, -4], raw_data=b"\0" * 16))),
    "no numbers at all": lambda: small(made("Mul", ["x", "k"]), constants={"k": np.zeros((0, 1 << 30), np.float32)},
                                       result="y"),
    "a constant of many dimensions": lambda: small(constants={"k": np.zeros((1,) * 30, np.float32)}),
    "a constant twice": lambda: with_(
        lambda model: model.graph.initializer.append(onnx.numpy_helper.from_array(whole(7), "one"))),
    "a constant that is the letters": lambda: small(constants={"letters": np.zeros((1, 1), np.float32)}),
    "not a number": lambda: small(constants={"values": np.full((1, 2, 14), np.nan, np.float32)}),
    "an infinite number": lambda: small(constants={"values": np.full((1, 2, 14), -np.inf, np.float32)}),
    "a name without end": lambda: small(made("Relu", ["x"], "y" * 100_000)),
    "two inputs": lambda: with_(lambda model: model.graph.input.add().CopyFrom(model.graph.input[0])),
    "two outputs": lambda: with_(lambda model: model.graph.output.add().CopyFrom(model.graph.output[0])),
    "a sequence of sequences": lambda: with_(
        lambda model: model.graph.input[0].type.CopyFrom(typed("sequence_type"))),
    "an optional input": lambda: with_(lambda model: model.graph.input[0].type.CopyFrom(typed("optional_type"))),
    "a negative length": lambda: with_(
        lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", -5)),
    "a length of its own": lambda: with_(
        lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 1 << 40)),
    "an output that is the input": lambda: with_(lambda model: setattr(model.graph.output[0], "name", "letters")),
    "an output that is a constant": lambda: with_(lambda model: setattr(model.graph.output[0], "name", "values")),
    "an output that is not made": lambda: small(result="nowhere"),
    "a circle": lambda: small(made("Add", ["x", "b"], "a"), made("Relu", ["a"], "b")),
    "used before it is made": lambda: small(made("Relu", ["b"], "a"), made("Relu", ["x"], "b")),
    "made twice": lambda: small(made("Relu", ["x"], "a"), made("Neg", ["x"], "a")),
    "made without a name": lambda: small(made("Relu", ["x"], "")),
    "made of nothing": lambda: small(made("Relu", [""], "y")),
    "20,000 in a row": lambda: small(*chain(20_000)),
    "600 in a row": lambda: small(*chain(600)),
    "6,000 side by side": lambda: small(*[made("Relu", ["x"], f"s{number}") for number in range(6_000)]),
    "of 5,000 inputs": lambda: small(made("Concat", ["x"] * 5_000, axis=1)),
    "10,000 constants": lambda: small(constants={f"k{number}": whole(number) for number in range(10_000)}),
    "a terabyte by Expand": lambda: small(made("Expand", ["x", "k"]), constants={"k": whole(1 << 20, 2, 1 << 19)}),
    "a terabyte by Pad": lambda: small(made("Pad", ["x", "k"], mode="constant"),
                                       constants={"k": whole(0, 0, 0, 0, 0, 1 << 40)}),
    "a terabyte by Range": lambda: small(made("Range", ["k", "l", "m"]), constants={
        "k": np.array(0), "l": np.array(1 << 30), "m": np.array(1)}),
    "a terabyte by Gather": lambda: small(made("Gather", ["values", "k"], "y", axis=0), made(
        "Gather", ["y", "k"], "z", axis=0), made("Gather", ["z", "k"], "w", axis=0),
        constants={"k": np.zeros((100, 100), np.int64)}),
    "a terabyte by sums": lambda: small(made("Add", ["k", "l"]), constants={
        "k": np.zeros((1 << 15, 1), np.float32), "l": np.zeros((1, 1 << 15), np.float32)}),
    "a terabyte by Concat": doubling,
    "much by constants one by one": lambda: small(*[
        made("Expand", ["values", "k"], f"e{number}") for number in range(40)], constants={"k": whole(1 << 18, 2, 14)}),
    "work without end": lambda: small(*[
        made("MatMul", [f"m{number - 1}" if number else "k", "k"], f"m{number}") for number in range(100)],
        constants={"k": np.zeros((2_000, 2_000), np.float32)}),
    "a window that is wide": lambda: small(made(
        "Conv", ["sum", "k"], kernel_shape=[1], pads=[1 << 30, 1 << 30], strides=[1], dilations=[1], group=1,
        auto_pad="NOTSET"), constants={"k": np.zeros((1, 1, 1), np.float32)}),
    "a window of a negative pad": lambda: small(made(
        "Conv", ["sum", "k"], kernel_shape=[1], pads=[-1, 1], strides=[1], dilations=[1], group=1, auto_pad="NOTSET"),
        constants={"k": np.zeros((1, 1, 1), np.float32)}),
    "a step of nothing": lambda: small(made("Range", ["k", "l", "k"]), constants={
        "k": np.array(0), "l": np.array(9)}),
    "a shape that the letters make": lambda: small(
        made("ReduceSum", ["numbers"], "n", keepdims=0), made("Cast", ["n"], "i", to=I64),
        made("Range", ["k", "i", "l"]), constants={"k": np.array(0), "l": np.array(1)}),
    "pieces without number": lambda: small(helper.make_node("Split", ["x"], ["y"], axis=0, num_outputs=1 << 40)),
    "many dimensions": lambda: small(made("Unsqueeze", ["x", "k"]), constants={"k": np.arange(30)}),
    "a place beyond the shape": lambda: small(made("Squeeze", ["x", "k"]), constants={"k": whole(77)}),
    "a shape that does not fit": lambda: small(made("Reshape", ["x", "k"], allowzero=0),
                                               constants={"k": whole(-1, -1)}),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_what_our_networks_do_not_do_is_refused_before_openvino_sees_it(name, forge, monkeypatch):
    monkeypatch.setattr("openvino.Core.read_model", lambda *_: pytest.fail("it was read"))
    assert "model.onnx: " in refused(ribocast.load, forge(onnx=STRANGE[name]().SerializeToString()))


def test_what_they_are_made_from_is_itself_no_reason(forge):
    assert ribocast.load(forge(onnx=small().SerializeToString()), threads=1).mrl(["A" * 9]).shape == (1,)


def test_a_length_at_which_a_network_grows_is_refused_when_it_comes(forge):
    grown = small(
        helper.make_node("Shape", ["letters"], ["wide"], start=1, end=2), made("Mod", ["wide", "k"], "rest", fmod=0),
        made("Mul", ["rest", "l"], "much"), made("Concat", ["much", "one"], "shape", axis=0),
        made("Expand", ["one", "shape"]), constants={"k": whole(50), "l": whole(1 << 31)},
    )  # fmt: skip
    model = ribocast.load(forge(onnx=grown.SerializeToString()), threads=1)
    with contextlib.suppress(RibocastError):  # zero by one: what a runtime makes of it is its own affair
        model.mrl(["A" * 50])
    assert "too much memory for 2 × 57 letters" in refused(model.mrl, ["A" * 57])


def test_too_long_a_sequence_for_a_large_network_is_refused(framed, monkeypatch):
    monkeypatch.setattr("ribocast.model.onnx_cost.MOST_OPERATIONS", 1 << 30)
    model = ribocast.load(framed, threads=1)
    assert model.mrl(["A" * 50]).shape == (1,)
    assert "too much work for 1 × " in refused(model.mrl, ["ACGT" * 25_000])


# --- its bytes -------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    content = b""
    while number > 127:
        content += bytes([number & 127 | 128])
        number >>= 7
    return content + bytes([number])


def field(key: int, content: bytes | int) -> bytes:
    return varint(key) + (varint(content) if isinstance(content, int) else varint(len(content)) + content)


BIT = 1 << 32  # of a key: protobuf throws it away
GRAPH, TENSOR_IN_GRAPH, TEXT = 7 << 3 | 2, 5 << 3 | 2, 2


def in_graph(content: bytes) -> bytes:
    model = small()
    graph = model.graph.SerializeToString() + content
    model.ClearField("graph")
    return model.SerializeToString() + field(GRAPH, graph)


def tensor_with(content: bytes) -> bytes:
    tensor = onnx.TensorProto(name="w", data_type=F, dims=[1]).SerializeToString()
    return in_graph(field(TENSOR_IN_GRAPH, tensor + content))


LOCATION = onnx.StringStringEntryProto(key="location", value="secret").SerializeToString()
SPELLED = {
    "a key of 33 bits to a place elsewhere": lambda: tensor_with(
        field(BIT | 13 << 3 | TEXT, LOCATION) + field(BIT | 14 << 3, 1)),
    "a key of 33 bits": lambda: in_graph(field(BIT | 2 << 3 | TEXT, b"name")),
    "a key of 64 bits": lambda: in_graph(field(1 << 63 | 13 << 3 | TEXT, b"")),
    "a graph behind a key of 33 bits": lambda: small().SerializeToString() + field(
        BIT | GRAPH, small().graph.SerializeToString()),
    "a key longer than it need be": lambda: in_graph(b"\xea\x80\x00\x00"),
    "a number longer than it need be": lambda: tensor_with(b"\x10\x81\x00"),
    "a number of 11 bytes": lambda: tensor_with(b"\x10" + b"\xff" * 10 + b"\x01"),
    "a number of 70 bits": lambda: tensor_with(b"\x10" + b"\xff" * 9 + b"\x7f"),
    "a length of its own": lambda: in_graph(b"\x2a\xff\xff\xff\xff\x0f"),
    "a group": lambda: in_graph(b"\x2b" + b"\x2c"),
    "a group without end": lambda: small().SerializeToString() + b"\x3b" * 5_000,
    "field 0": lambda: in_graph(b"\x02\x00"),
    "packed dimensions": lambda: in_graph(field(TENSOR_IN_GRAPH, b"\x0a\x02\x01\x01\x10\x01B\x01w")),
    "a name as a number": lambda: in_graph(b"\x10\x05"),
    "a kind as a text": lambda: tensor_with(b"\x12\x01\x01"),
    "a kind as four bytes": lambda: tensor_with(b"\x15\x01\x00\x00\x00"),
    "two graphs": lambda: small().SerializeToString() + field(GRAPH, b""),
    "two formats": lambda: small().SerializeToString() + b"\x08\x0a",
    "two names": lambda: in_graph(field(2 << 3 | TEXT, b"other")),
    "two kinds of a constant": lambda: tensor_with(b"\x10\x01"),
    "zeros behind it": lambda: small().SerializeToString() + bytes(8),
    "half a field behind it": lambda: small().SerializeToString() + b"\x3a",
    "a name that is not text": lambda: in_graph(field(1 << 3 | TEXT, field(1 << 3 | TEXT, b"\xff\xfe"))),
    "four bytes that are cut off": lambda: in_graph(field(1 << 3 | TEXT, field(5 << 3 | TEXT, b"\x15\x00"))),
    "many fields": lambda: in_graph(b"j\0" * 1_000_000),
    "text": lambda: b"<net name='ir' version='11'></net>",
    "nothing but a format": lambda: b"\x08\x0a",
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLED)
def test_bytes_that_two_readers_may_take_for_two_things_are_refused(name, forge, monkeypatch):
    monkeypatch.setattr("openvino.Core.read_model", lambda *_: pytest.fail("it was read"))
    assert "model.onnx: " in refused(ribocast.load, forge(onnx=SPELLED[name]()))


# It watches opens in folders that a bundle could name; strace, where it is, sees every one of them.
_WATCHING = r"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
watch = libc.inotify_init1(os.O_NONBLOCK)
folders = {libc.inotify_add_watch(watch, folder.encode(), 0x20): folder for folder in sys.argv[3:]}  # IN_OPEN
import ribocast
if sys.argv[1] == "unchecked":  # the network of a stranger, as OpenVINO alone would take it
    import openvino
    from pathlib import Path
    core = openvino.Core()
    core.compile_model(core.read_model((Path(sys.argv[2]) / "model.onnx").read_bytes()), "CPU")
else:
    try:
        print(ribocast.load(sys.argv[2], threads=1).mrl(["ACGT" * 12]).shape)
    except ribocast.RibocastError as error:
        print(error)
events = b""
try:
    events = os.read(watch, 1 << 20)
except BlockingIOError:
    pass
while events:
    number, size = int.from_bytes(events[:4], "little"), int.from_bytes(events[12:16], "little")
    print("opened:", os.path.join(folders[number], events[16 : 16 + size].rstrip(b"\0").decode()))
    events = events[16 + size :]
"""


def opened_by(how: str, model, *folders, inside) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-P", "-c", _WATCHING, how, str(model), *map(str, folders)], cwd=inside, capture_output=True,
        text=True, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return [line.removeprefix("opened: ") for line in run.stdout.splitlines() if line.startswith("opened: ")]


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_nothing_but_a_models_own_files_is_opened(framed, forge, tmp_path):
    home, keys = tmp_path / "home", tmp_path / "home" / "keys"
    keys.mkdir(parents=True)
    (keys / "secret").write_bytes(np.ones(28, np.float32).tobytes())
    places = b"".join(
        field(BIT | 13 << 3 | TEXT, onnx.StringStringEntryProto(key=key, value=value).SerializeToString())
        for key, value in (("location", "keys/secret"), ("offset", "0"), ("length", "112"))
    )
    model = small()
    values = next(tensor for tensor in model.graph.initializer if tensor.name == "values")
    values.ClearField("raw_data")
    tensor = values.SerializeToString() + places + field(BIT | 14 << 3, 1)
    model.graph.initializer.remove(values)
    graph = model.graph.SerializeToString() + field(TENSOR_IN_GRAPH, tensor)
    model.ClearField("graph")
    hostile = forge(onnx=model.SerializeToString() + field(GRAPH, graph))
    watched = (home, keys, hostile, framed)
    # What is shown here is real: without our check, OpenVINO opens the file.
    assert str(keys / "secret") in opened_by("unchecked", hostile, *watched, inside=home)
    own = {str(hostile / name) for name in (CARD_NAME, RUNNING_NAME, LEARNING_NAME)}
    assert set(opened_by("checked", hostile, *watched, inside=home)) == own
    own = {str(framed / name) for name in (CARD_NAME, RUNNING_NAME, LEARNING_NAME)}
    assert set(opened_by("checked", framed, *watched, inside=home)) == own


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_after_its_imports_a_prediction_opens_nothing_but_the_models_files_and_the_machines_description(framed):
    program = (
        "import sys, os, ribocast, numpy\n"
        "from ribocast.model.bundle import open_bundle\n"
        "ribocast.load(threads=1).mrl(['ACGT'])\n"
        "import onnx.checker\n"
        "os.stat('/from/here/on')\n"
        "ribocast.load(sys.argv[1], threads=1).mrl(['ACGT'])\n"
        "os.stat('/up/to/here')"
    ).replace("os.stat(", "os.path.exists(")
    run = subprocess.run(
        ["strace", "-f", "-e", "trace=open,openat,openat2,stat,newfstatat,statx", sys.executable, "-c", program,
         str(framed)], capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        pytest.skip("strace may not trace here")
    calls = run.stderr[run.stderr.index("/from/here/on") : run.stderr.index("/up/to/here")]
    opened = set(re.findall(r'open(?:at2?)?\([^"]*"([^"]+)"', calls))
    strange = {path for path in opened if not path.startswith((str(framed), "/proc/", "/sys/", sys.prefix,
                                                               sys.base_prefix, str(SOURCE), "/dev/shm"))}  # fmt: skip
    assert {str(framed / name) for name in (CARD_NAME, RUNNING_NAME, LEARNING_NAME)} <= opened
    assert not strange


def test_the_operators_that_are_let_through_are_those_that_our_networks_have(framed, tmp_path):
    used = {}
    networks = [read_graph(open_bundle(name)) for name in (framed, *shipped_models())]
    assays = open_bundle(framed).card.assays[:1]
    for name, entry in ARCHITECTURES.items():
        if name != "framed":
            networks.append(parse_graph(to_onnx(entry.build(assays, **SMALL.get(name, {})).eval())))
    for graph in networks:
        for node in graph.nodes:
            used.setdefault(node.operator, set()).update(node.attributes)
    assert {name: sorted(attributes) for name, attributes in sorted(used.items())} == {
        name: sorted(attributes) for name, attributes in OPERATORS.items()
    }


def test_a_network_is_given_to_openvino_as_it_is_but_for_its_notes(framed):
    for model in (framed, "default"):
        bundle = open_bundle(model)
        expected = onnx.load_from_string(bundle.running.read_bytes())
        expected.graph.ClearField("value_info")
        assert onnx.load_from_string(read_graph(bundle).content) == expected


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_are_walked_or_refused_in_one_line(tmp_path_factory, graph_bytes, card_of, data):
    content = bytearray(graph_bytes)
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(1, len(content)))])
    content = data.draw(st.sampled_from([content, data.draw(st.binary(min_size=1, max_size=200))]))
    folder = tmp_path_factory.getbasetemp() / "walked"
    bundle = write_bundle(folder, card_of, {RUNNING_NAME: content, LEARNING_NAME: b"weights"})
    try:
        read_graph(bundle)
    except RibocastError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017


@pytest.fixture(scope="module")
def graph_bytes(framed):
    return open_bundle(framed).read(RUNNING_NAME)


@pytest.fixture(scope="module")
def card_of(framed):
    return open_bundle(framed).card


# --- the learning form -----------------------------------------------------------------------------------------


def with_header(header: bytes, size: int | None = None, body: bytes = b"\0" * 64) -> bytes:
    return struct.pack("<Q", len(header) if size is None else size) + header + body


def one(**changes) -> bytes:
    return json.dumps({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"\0",
        with_header(b"{}", 2**63),
        with_header(b"{}", 2**40),
        with_header(b"{}", 200_000_000),
        with_header(b"{" * 1000),
        with_header(b'{"a":' * 5000 + b"1" + b"}" * 5000),
        with_header(one(data_offsets=[0, 2**60])),
        with_header(one(data_offsets=[-16, 0])),
        with_header(one(shape=[2**40, 2**40])),
        with_header(one(shape=[-4])),
        with_header(one(dtype="PICKLE")),
        with_header(one()),
        with_header(
            b'{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, '
            b'"x": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}'
        ),
        with_header(b'{"\\u001b[2J": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}'),
        with_header(b"{}" + b" " * (5 << 20)),
        with_header(b"\xff\xfe{}"),
        b"\x80\x05cos\nsystem\n(S'false'\ntR.",
    ],
    ids=range(17),
)
def test_headers_that_lie_are_refused(forge, content):
    assert ": not the weights of framed: " in refused(ribocast.load, forge(safetensors=content), engine="torch")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_cut_weights_are_refused(framed, forge, part):
    content = open_bundle(framed).read(LEARNING_NAME)
    folder = forge(safetensors=content[: int(len(content) * part)])
    assert ": not the weights of framed: " in refused(ribocast.load, folder, engine="torch")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_one_weight_that_is_no_number_is_refused(weights, forge, number):
    weights["stem.weight"].flat[7] = number
    folder = forge(safetensors=safetensors.numpy.save(weights))
    assert "stem.weight holds numbers that are not finite" in refused(ribocast.load, folder, engine="torch")


@pytest.mark.parametrize("change", ["shape", "kind", "missing", "more"])
def test_weights_of_another_form_are_refused_by_name(weights, forge, change):
    bias = weights.pop("stem.bias")
    if change == "shape":
        weights["stem.bias"] = np.append(bias, np.float32(0))
    elif change == "kind":
        weights["stem.bias"] = bias.astype(np.float64)
    elif change == "more":
        weights |= {"stem.bias": bias, "strange": bias}
    message = refused(ribocast.load, forge(safetensors=safetensors.numpy.save(weights)), engine="torch")
    assert ("'strange' is not part of it" if change == "more" else "stem.bias") in message


def test_another_architectures_weights_and_graph_are_refused(framed, fixed, forge):
    other = open_bundle(fixed)
    assert "not the weights of framed" in refused(
        load_network, open_bundle(forge(safetensors=other.read(LEARNING_NAME)))
    )
    assert "where model.json says" in refused(ribocast.load, forge(onnx=other.read(RUNNING_NAME)))


# --- the card --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "changes",
    [
        {"channels": 10**9},
        {"dilations": [1] * 100_000},
        {"dilations": [[1] * 50] * 50},
        {"kernel": 9_999, "dilations": [9_999], "channels": 1},
        {"hairpin_reach": 9_999},
        {"x" * 100_000: 1},
        {"channels": 9_999, "hidden": 9_999, "kernel": 9_999},
        {"hairpin_reach": 10**12},
        {"dilations": [1, 10**9]},
        {"dilations": [[[[1e300]]]]},
        {"channels": -5},
        {"channels": 0},
        {"channels": "many"},
        {"channels": None},
        {"channels": {"a": 1}},
        {"strange": 1},
        {"kernel": 2**63},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_settings_of_giants_and_nonsense_are_refused_without_building_them(framed, forge, changes):
    card = changed_card(framed, settings={**open_bundle(framed).card.settings, **changes})
    refused(ribocast.load, forge(card), engine="torch")


def test_an_ensemble_of_millions_or_of_itself_is_refused(framed, forge):
    for settings_ in (
        {"member": "framed", "members": 10**4},
        {"member": "optimus", "members": 9, "member_settings": {"layers": 9_999}},
        {"member": "ensemble", "members": 1},
    ):
        card = changed_card(framed, architecture="ensemble", settings=settings_)
        assert re.search("members|layers", refused(ribocast.load, forge(card), engine="torch"))
    card = changed_card(framed, architecture="os.system")
    assert "architecture 'os.system'" in refused(ribocast.load, forge(card), engine="torch")


def test_a_card_without_end_is_not_read(framed, tmp_path):
    shutil.copytree(framed, tmp_path / "copy")
    with (tmp_path / "copy" / CARD_NAME).open("wb") as file:
        file.truncate(1 << 40)
    assert "more than 16,777,216 bytes" in refused(open_bundle, tmp_path / "copy")


def test_files_that_are_exchanged_after_the_check_are_noticed(framed, tmp_path):
    shutil.copytree(framed, tmp_path / "copy")
    bundle = open_bundle(tmp_path / "copy")
    for name, load in ((RUNNING_NAME, read_graph), (LEARNING_NAME, load_network)):
        path = bundle.folder / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert refused(load, bundle).endswith("its SHA-256 differs from that in model.json")
        path.unlink()
        assert "is missing, or is a link" in refused(load, bundle)


def test_nothing_is_loaded_before_card_and_hashes_are_right(framed, tmp_path, monkeypatch):
    def loading(*_, **__):
        pytest.fail("it was loaded")

    monkeypatch.setattr("openvino.Core.read_model", loading)
    monkeypatch.setattr("safetensors.torch.load", loading)
    for number, (name, spoil) in enumerate([
        (CARD_NAME, lambda text: text.replace(b'"format_version": 1', b'"format_version": 2')),
        (CARD_NAME, lambda text: text.replace(b'"seed"', b'"sead"')),
        (RUNNING_NAME, lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        (LEARNING_NAME, lambda content: content[:-1] + bytes([content[-1] ^ 1])),
    ]):  # fmt: skip
        folder = tmp_path / str(number)
        shutil.copytree(framed, folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(spoil(content))
        assert (folder / name).read_bytes() != content
        for engine in ("openvino", "torch"):
            refused(ribocast.load, folder, engine=engine)


def spoil(folder, old: str, new: str) -> None:
    text = (folder / CARD_NAME).read_text("utf-8")
    assert old in text
    (folder / CARD_NAME).write_text(text.replace(old, new, 1), "utf-8")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"seed":', '"seed": 1, "seed":', "'seed' is given twice"),
        ('"label_mean":', '"label_mean": 5, "label_mean":', "'label_mean' is given twice"),
        ('"seed":', '"seed": 1, "se\\u0065d":', "'seed' is given twice"),
        ('"citation": "', '"citation": "\\u001b]0;owned\\u0007', "control characters"),
        ('"citation": "', '"citation": "\\u009b31m', "control characters"),
        ('"citation": "', '"citation": "\u202egnp.exe', "control characters"),
        ('"description": "', '"description": "\u2066', "control characters"),
        ('"packages": {', '"packages": {"\\u001b[2J": "1", ', "control characters"),
        ('"licence": "', '"licence": "\\ud800', "control characters"),
        ('"label_scale":', '"label_scale": 1e308, "x":', "label_scale"),
        ('"label_mean":', '"label_mean": -1e308, "x":', "label_mean"),
        ('"fraction_weights": [', '"fraction_weights": [1e308,', "fraction_weights"),
        ('"fraction_weights": [', '"fraction_weights": [' + "1," * 2_000, "fraction_weights"),
        ('"seed":', '"seed": 1e999, "x":', "1e999 is too large a number"),
        ('"settings": {', '"settings": {"a": -1e999, ', "1e999 is too large a number"),
        ('"fixed_length": null', '"fixed_length": 10000000', "fixed_length"),
        ('"name": "', '"name": "' + "x" * 5_000, "name"),
        ('"description": "', '"description": "' + "x" * 50_000, "description"),
        ('"before": "', '"before": "' + "A" * 50_000, "before"),
        ('"max_length":', '"max_length": 1' + "0" * 40 + ', "x":', "max_length"),
        ('"size":', '"size": 99999999999, "x":', "size"),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_a_card_of_two_meanings_or_beyond_measure_is_refused(framed, tmp_path, capsys, old, new, reason):
    shutil.copytree(framed, tmp_path / "copy")
    spoil(tmp_path / "copy", old, new)
    (tmp_path / "in.seq").write_text("ACGT\n")
    for engine in ("openvino", "torch"):
        code = main(["predict", str(tmp_path / "in.seq"), "--model", str(tmp_path / "copy"), "--engine", engine])
        out, said = capsys.readouterr()
        assert (code, out, said.count("\n")) == (2, "", 1)
        assert said.isprintable() or said[:-1].isprintable()
        assert CARD_NAME in said
        assert reason in said


def test_many_assays_are_refused(framed, tmp_path):
    shutil.copytree(framed, tmp_path / "copy")
    card = json.loads((framed / CARD_NAME).read_text("utf-8"))
    card["assays"] = [{**card["assays"][0], "name": f"a{number}"} for number in range(2_000)]
    (tmp_path / "copy" / CARD_NAME).write_text(json.dumps(card), "utf-8")
    assert "assays" in refused(open_bundle, tmp_path / "copy")


@pytest.mark.parametrize("name", [CARD_NAME, RUNNING_NAME, LEARNING_NAME])
@pytest.mark.parametrize("kind", ["link", "dead link", "link in a circle", "pipe", "socket", "folder", "device"])
def test_what_is_no_file_of_the_folder_is_refused_at_once(framed, tmp_path, monkeypatch, name, kind):
    folder = tmp_path / "copy"
    shutil.copytree(framed, folder)
    path = folder / name
    path.rename(tmp_path / "elsewhere")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(folder)  # a socket's path must be short
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(name)
    elif kind == "folder":
        path.mkdir()
    else:
        targets = {"link": tmp_path / "elsewhere", "dead link": "nowhere", "link in a circle": name,
                   "device": "/dev/zero"}  # fmt: skip
        path.symlink_to(targets[kind])
    message = refused(open_bundle, folder)
    assert name in message


def test_a_pipe_that_takes_a_files_place_after_the_check_is_not_waited_for(framed, tmp_path):
    shutil.copytree(framed, tmp_path / "copy")
    bundle = open_bundle(tmp_path / "copy")
    bundle.running.unlink()
    os.mkfifo(bundle.running)
    assert "is missing, or is a link" in refused(read_graph, bundle)


def test_numbers_at_the_edge_of_what_a_card_may_say_stay_numbers(framed, forge):
    card = open_bundle(framed).card.model_dump()
    for assay in card["assays"]:
        assay |= {"label_mean": -1e9, "label_scale": 1e9, "fraction_weights": [1e9, -1e9] * 7}
        assay["composition"] = {"mean": [1e9] * 3, "precision": [[-1e18] * 3] * 3}
        assay["interval"] = {"coverage": 0.9, "edges": [-1e9, 1e9], "below": [1e9] * 3, "above": [1e9] * 3, "rows": 1,
                             "scaling": {name: {"at": [0, 1e-9], "factor": [1, 1e9]}
                                          for name in ("beyond", "unknown", "composition")}}  # fmt: skip
    table = ribocast.load(forge(ModelCard.model_validate(card)), threads=1).predict(["ACGTN" * 100, "A"])
    assert np.isfinite(table[["mrl", "mrl_low", "mrl_high"]].to_numpy()).all()
