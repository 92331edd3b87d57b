"""Engines: the same numbers from each, and one line about a network that is not what its card says."""

import importlib
import itertools
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import ribocast
from ribocast.errors import RibocastError
from ribocast.learn.data.simulate import simulate
from ribocast.learn.torch_engine import TorchEngine
from ribocast.model.bundle import open_bundle, write_bundle
from ribocast.model.engine import OpenVinoEngine, start_engine
from ribocast.model.onnx_cost import MOST_OPERATIONS
from ribocast.sequence.batch import encode
from ribocast.sequence.letters import is_missing

SLOW_ROWS = 80  # of a batch
openvino_core = importlib.import_module("openvino").Core
UTRS = st.lists(
    st.text("ACGTUNacgtun", min_size=1, max_size=130).filter(lambda utr: not is_missing(utr)), min_size=1, max_size=12
)


@pytest.fixture(scope="module")
def trio(framed, fixed):
    """Give each model on OpenVINO, PyTorch and ONNX Runtime."""
    return [
        (
            ribocast.load(folder),
            ribocast.load(folder, engine="torch"),
            onnxruntime.InferenceSession(open_bundle(str(folder)).running.read_bytes()),
        )
        for folder in (framed, fixed)
    ]


@settings(max_examples=40, deadline=None)
@given(utrs=UTRS)
def test_openvino_pytorch_and_onnx_runtime_agree(trio, utrs):
    for openvino, torch, session in trio:
        outputs = openvino.outputs(utrs)
        for assay in openvino.card.assays:
            np.testing.assert_allclose(
                openvino.mrl(utrs, assay=assay.name), torch.mrl(utrs, assay=assay.name), rtol=0, atol=1e-4
            )
        letters = encode(utrs)
        if length := openvino.card.fixed_length:
            letters = np.pad(letters[:, -length:], ((0, 0), (max(0, length - letters.shape[1]), 0)))
        np.testing.assert_allclose(session.run(None, {"letters": letters})[0], outputs, rtol=0, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=9), seed=st.integers(0, 99))
def test_more_batches_than_requests_come_back_in_order(trio, cuts, seed):
    random = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGT", np.uint8)
    batches = [letters[random.integers(0, 4, (rows, random.integers(1, 60)))] for rows in cuts * 3]
    together = trio[0][0].engine.run(batches)
    assert [len(output) for output in together] == [len(batch) for batch in batches]
    for batch, output in zip(batches, together, strict=True):
        np.testing.assert_allclose(trio[0][0].engine.run([batch])[0], output, rtol=0, atol=1e-6)
    assert trio[0][0].engine.run([]) == []


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99))
def test_a_run_that_was_broken_off_leaves_the_next_one_right(trio, seed):
    random = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGT", np.uint8)
    batches = [letters[random.integers(0, 4, (18, length))] for length in random.integers(1, 200, 12)]

    def until_it_breaks():
        yield from batches[: random.integers(1, 6)]
        raise KeyboardInterrupt

    engine = trio[0][0].engine
    right = engine.run(batches)
    with pytest.raises(KeyboardInterrupt):
        engine.run(until_it_breaks())
    for output, before in zip(engine.run(batches), right, strict=True):
        np.testing.assert_allclose(output, before, rtol=0, atol=1e-5)


def test_engines_are_chosen_by_name_and_openvino_is_the_default_on_a_cpu(framed):
    bundle = open_bundle(str(framed))
    assert isinstance(start_engine(bundle), OpenVinoEngine)
    assert isinstance(start_engine(bundle, "openvino", threads=1), OpenVinoEngine)
    assert isinstance(start_engine(bundle, "torch"), TorchEngine)


def test_bfloat16_is_near_float32_where_the_processor_has_it_and_refused_elsewhere(framed):
    utrs = simulate(200, seed=4)["seq"].tolist()
    if "BF16" not in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(RibocastError, match="does not multiply in bfloat16; use the engine openvino"):
            ribocast.load(framed, engine="openvino-bf16")
        return
    exact, rounded = (ribocast.load(framed, engine=name) for name in ("openvino", "openvino-bf16"))
    assert rounded.engine.name == "openvino-bf16"
    mrls = exact.mrl(utrs)
    np.testing.assert_allclose(rounded.mrl(utrs), mrls, rtol=0, atol=0.05)
    assert not np.array_equal(rounded.mrl(utrs), mrls)


@pytest.mark.parametrize("threads", [0, -1, 1025, 2**40])
def test_engines_and_threads_that_cannot_be_are_refused(framed, threads):
    with pytest.raises(RibocastError, match="engine 'abacus'; use auto, openvino, openvino-bf16, torch"):
        ribocast.load(framed, engine="abacus")
    with pytest.raises(RibocastError, match=f"threads must be between 1 and 1,024, not {threads:,}"):
        ribocast.load(framed, threads=threads)


def forge(
    framed, folder, *, values=(1, 2, 14), gives=("rows", 2, 14), takes=("rows", "length"), kind=TensorProto.UINT8
):
    """Write a bundle whose hashes fit, but whose network gives a constant, whatever it says that it gives."""
    bundle = open_bundle(str(framed))
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["letters"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["numbers", "last"], ["sum"], keepdims=1),
            helper.make_node("Unsqueeze", ["sum", "last"], ["deep"]),
            helper.make_node("Mul", ["deep", "nothing"], ["none"]),
            helper.make_node("Add", ["none", "values"], ["mrls"]),
        ],
        "forged",
        [helper.make_tensor_value_info("letters", kind, takes)],
        [helper.make_tensor_value_info("mrls", TensorProto.FLOAT, gives)],
        [onnx.numpy_helper.from_array(np.full(values, 0.1, np.float32), "values"),
         onnx.numpy_helper.from_array(np.float32(0), "nothing"), onnx.numpy_helper.from_array(np.array([1]), "last")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    files = {"model.onnx": model.SerializeToString(), "model.safetensors": bundle.learning.read_bytes()}
    write_bundle(folder, bundle.card, files)
    return folder


def forge_slow(framed, folder):
    """Write a bundle whose network takes as much work as is let through."""
    bundle, width = open_bundle(str(framed)), 4096
    operations = SLOW_ROWS * width**2
    names = [f"numbers-{number}" for number in range(MOST_OPERATIONS // operations)]
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["letters"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["numbers", "last"], ["sum"], keepdims=1),
            helper.make_node("Mul", ["sum", "row"], [names[0]]),
            *(helper.make_node("MatMul", [one, "square"], [other]) for one, other in itertools.pairwise(names)),
            helper.make_node("ReduceSum", [names[-1], "last"], ["end"], keepdims=1),
            helper.make_node("Unsqueeze", ["end", "last"], ["deep"]),
            helper.make_node("Mul", ["deep", "values"], ["mrl"]),
        ],
        "slow",
        [helper.make_tensor_value_info("letters", TensorProto.UINT8, ("rows", "length"))],
        [helper.make_tensor_value_info("mrl", TensorProto.FLOAT, ("rows", 2, 14))],
        [onnx.numpy_helper.from_array(np.full((1, 2, 14), 1e-6, np.float32), "values"),
         onnx.numpy_helper.from_array(np.full((width, width), 1 / width, np.float32), "square"),
         onnx.numpy_helper.from_array(np.full((1, width), 1e-6, np.float32), "row"),
         onnx.numpy_helper.from_array(np.array([1]), "last")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    files = {"model.onnx": model.SerializeToString(), "model.safetensors": bundle.learning.read_bytes()}
    write_bundle(folder, bundle.card, files)
    return folder


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_ends_the_run_of_a_strangers_slow_network(framed, tmp_path):
    slow = forge_slow(framed, tmp_path / "slow")
    program = f"""
        import os, signal, threading
        from ribocast.io.interrupts import begin, install
        install()
        begin()
        import numpy as np, ribocast
        engine = ribocast.load({str(slow)!r}).engine
        letters = np.full(({SLOW_ROWS}, 20), 65, np.uint8)
        threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            engine.run([letters] * 20)
        except KeyboardInterrupt:
            print("heard while at work:", engine.is_at_work(), flush=True)
            raise
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120, check=False
    )
    assert "heard while at work: True" in ended.stdout
    assert ended.returncode == 130


def test_a_network_of_the_promised_form_runs(framed, tmp_path):
    forged = ribocast.load(forge(framed, tmp_path / "forged"))
    assert forged.mrl(["A", "C", "G"]) == pytest.approx(0.1 * sum(forged.card.assays[0].fraction_weights))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"values": (3, 2, 14)}, "operator Add does not fit"),
        ({"values": (1, 2, 13)}, r"gives numbers of shape \(2, 2, 13\), not \(2, 2, 14\)"),
        ({"values": (1, 3, 14)}, r"gives numbers of shape \(2, 3, 14\), not \(2, 2, 14\)"),
        ({"gives": (3, 2, 14)}, r"into \(3, 2, 14\), where model.json says .* into \(any, 2, 14\)"),
        ({"gives": ("rows", 2, 13)}, r"into \(any, 2, 13\), where"),
        ({"gives": (3, 28)}, r"does not turn letters"),
        ({"takes": ("rows", 50)}, r"turns letters \(any, 50\) into"),
        ({"takes": ("rows", "length", "depth")}, "does not turn letters"),
        ({"kind": TensorProto.INT32}, "does not turn letters"),
    ],
)
def test_a_network_of_another_form_is_refused_in_one_line(framed, tmp_path, network, words):
    with pytest.raises(RibocastError, match=f"model.onnx: .*{words}") as caught:
        ribocast.load(forge(framed, tmp_path / "forged", **network))
    assert "\n" not in str(caught.value)


def test_what_is_no_network_is_refused_in_one_line(framed, tmp_path):
    bundle = open_bundle(str(framed))
    weights = bundle.learning.read_bytes()
    for number, garbage in enumerate((b"\0", b"not a network\n" * 99, bundle.running.read_bytes()[:1000], weights)):
        folder = tmp_path / str(number)
        write_bundle(folder, bundle.card, {"model.onnx": garbage, "model.safetensors": weights})
        with pytest.raises(RibocastError, match=r"model.onnx: not a network: ") as caught:
            ribocast.load(folder)
        assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused_by_pytorch(framed, fixed, tmp_path):
    ours, other = open_bundle(str(framed)), open_bundle(str(fixed))
    files = {"model.onnx": ours.running.read_bytes(), "model.safetensors": other.learning.read_bytes()}
    write_bundle(tmp_path / "mixed", ours.card, files)
    with pytest.raises(RibocastError, match="not the weights of framed"):
        ribocast.load(tmp_path / "mixed", engine="torch")


WATCHED = """
import os, sys
opened = []
sys.addaudithook(lambda event, details: opened.append(event) if event.startswith("socket.") else None)
import ribocast
ribocast.load(sys.argv[1]).predict(["ACGT"] * 9)
links = [os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")
         if os.path.islink(f"/proc/self/fd/{number}")] if os.path.isdir("/proc/self/fd") else []
opened += [link for link in links if link.startswith("socket:")]
heavy = {"torch", "scipy", "matplotlib", "safetensors", "onnx", "sklearn", "rich"} & set(sys.modules)
if sys.argv[1] != "default":
    heavy.discard("onnx")  # where it is, it looks at what strangers wrote
heavy |= {name for name in sys.modules if name.startswith("openvino_telemetry.")}
print(opened, sorted(heavy))
"""


@pytest.mark.parametrize("model", ["default", "framed"])
def test_predicting_opens_no_socket_and_imports_nothing_of_learning(model, framed):
    watched = subprocess.run(
        [sys.executable, "-c", WATCHED, str(framed) if model == "framed" else model],
        capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert watched.stdout.strip() == "[] []"
    assert watched.stderr == ""


def test_memory_does_not_grow_with_the_lengths_that_were_seen():
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("no /proc here to read memory from")
    program = textwrap.dedent("""
        import numpy as np, ribocast
        from pathlib import Path
        model = ribocast.load(threads=1)
        def resident():
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
        for length in range(224, 24, -1):
            list(model.engine.run([np.full((20, length), 65, np.uint8)]))
            if length == 175:
                before = resident()
        print(resident() - before)
    """)
    grown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert float(grown) < 100
