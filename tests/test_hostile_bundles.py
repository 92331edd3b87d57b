"""Folders that were made to harm: refused in one line, and before anything of them is loaded."""

import json
import shutil
import struct

import numpy as np
import onnx
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.bundle import (
    CARD_NAME,
    LEARNING_NAME,
    RUNNING_NAME,
    ModelCard,
    open_bundle,
    write_bundle,
)
from ribocast.errors import RibocastError
from ribocast.graph_file import read_graph
from ribocast.learn.models import load_network

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


def test_numbers_in_another_file_are_found_in_every_corner_of_a_network(forge):
    helper = onnx.helper

    def outside(name: str) -> onnx.TensorProto:
        tensor = helper.make_tensor(name, onnx.TensorProto.FLOAT, [4], np.zeros(4, np.float32).tobytes(), raw=True)
        put_outside(tensor, "secret", 16)
        return tensor

    inner = helper.make_graph([], "inner", [], [], [outside("deep")])
    sparse = onnx.SparseTensorProto(values=outside("values"), dims=[4])
    models = [
        helper.make_model(
            helper.make_graph([helper.make_node("Constant", [], ["x"], value=outside("v"))], "g", [], [])
        ),
        helper.make_model(helper.make_graph([helper.make_node("If", ["c"], ["x"], then_branch=inner)], "g", [], [])),
        helper.make_model(helper.make_graph([], "g", [], [], sparse_initializer=[sparse])),
        helper.make_model(
            helper.make_graph([], "g", [], []),
            functions=[helper.make_function(
                "d", "f", [], ["x"], [helper.make_node("Constant", [], ["x"], value=outside("v"))],
                [helper.make_opsetid("", 20)],
            )],
        ),
    ]  # fmt: skip
    training = helper.make_model(helper.make_graph([], "g", [], []))
    training.training_info.add().initialization.CopyFrom(inner)
    for model in [*models, training]:
        bundle = open_bundle(forge(onnx=model.SerializeToString()))
        assert "external data" in refused(read_graph, bundle)


def test_a_network_that_refers_to_nothing_is_given_as_it_is(framed):
    for model in (framed, "default"):
        bundle = open_bundle(model)
        assert read_graph(bundle) == bundle.running.read_bytes()


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
        assert read_graph(bundle) == content
    except RibocastError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017


@pytest.fixture(scope="module")
def graph_bytes(framed):
    return open_bundle(framed).read(RUNNING_NAME)


@pytest.fixture(scope="module")
def card_of(framed):
    return open_bundle(framed).card


def test_graphs_inside_graphs_without_end_are_refused(forge):
    content = b""
    for field in [6, 5, 1] * 200 + [7]:  # a graph in an attribute of a node of a graph …, in a model
        size = bytes([len(content) & 127 | 128, len(content) >> 7])
        content = bytes([field << 3 | 2]) + size + content
    bundle = open_bundle(forge(onnx=content))
    assert "no ONNX file, or is cut off" in refused(read_graph, bundle)


def test_not_finite_weights_predict_nothing(graph, forge):
    for tensor in graph.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.raw_data) > 100:
            tensor.raw_data = np.full(len(tensor.raw_data) // 4, np.nan, np.float32).tobytes()
    model = ribocast.load(forge(onnx=graph.SerializeToString()))
    assert refused(model.mrl, UTRS) == "the network gives numbers that are not finite"


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
        with_header(b"\xff\xfe{}"),
        b"\x80\x05cos\nsystem\n(S'false'\ntR.",
    ],
    ids=range(14),
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
    assert ("'strange' is no part of it" if change == "more" else "stem.bias") in message


def test_another_architectures_weights_and_graph_are_refused(framed, fixed, forge):
    other = open_bundle(fixed)
    assert "not the weights of framed" in refused(
        load_network, open_bundle(forge(safetensors=other.read(LEARNING_NAME)))
    )
    model = ribocast.load(forge(onnx=other.read(RUNNING_NAME)))
    assert refused(model.mrl, UTRS)


# --- the card --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    "changes",
    [
        {"channels": 10**9},
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
    ids=str,
)
def test_settings_of_giants_and_nonsense_are_refused_without_building_them(framed, forge, changes):
    card = changed_card(framed, settings={**open_bundle(framed).card.settings, **changes})
    refused(ribocast.load, forge(card), engine="torch")


def test_an_ensemble_of_millions_or_of_itself_is_refused(framed, forge):
    for settings_ in ({"member": "framed", "members": 10**4}, {"member": "ensemble", "members": 1}):
        card = changed_card(framed, architecture="ensemble", settings=settings_)
        assert "members" in refused(ribocast.load, forge(card), engine="torch")
    card = changed_card(framed, architecture="os.system")
    assert "no architecture 'os.system'" in refused(ribocast.load, forge(card), engine="torch")


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
        assert refused(load, bundle).endswith("its SHA-256 is not the one in model.json")
        path.unlink()
        assert "is missing, or is a link" in refused(load, bundle)


def test_nothing_is_loaded_before_card_and_hashes_are_right(framed, tmp_path, monkeypatch):
    def loading(*_, **__):
        pytest.fail("it was loaded")

    monkeypatch.setattr("ribocast.engine._import_openvino", loading)
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
