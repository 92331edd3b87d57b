"""The shipped models give the numbers that were written down, whatever the engine, threads and rest of the batch."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch

import ribocast
from ribocast.model.bundle import RUNNING_NAME, open_bundle, shipped_models
from ribocast.model.predictor import to_mrl
from ribocast.sequence.batch import encode
from where import TESTS

FILES = sorted((TESTS / "golden").glob("*.json"))


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def golden(request):
    return json.loads(request.param.read_text(encoding="utf-8"))


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_they_were_written_down_of_the_models_that_are_shipped(golden):
    assert sorted(path.stem for path in FILES) == shipped_models()
    now = hashlib.sha256(open_bundle(golden["model"]).read(RUNNING_NAME)).hexdigest()
    assert golden["sha256"] == now, "the weights are new: python tests/golden/make.py, and look at what changed"
    assert len(set(golden["utrs"])) == 200
    assert len(golden["mrl"]) == 3


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_every_engine_gives_them_with_any_number_of_threads(golden, engine, threads, torch_threads):
    model = ribocast.load(golden["model"], engine=engine, threads=threads)
    outputs = model.outputs(golden["utrs"])
    for name, mrls in golden["mrl"].items():
        card = model.card.assay(name)
        np.testing.assert_allclose(to_mrl(outputs[:, model.number(card)], card), mrls, rtol=0, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_onnx_runtime_gives_them_as_well(golden, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    bundle = open_bundle(golden["model"])
    session = onnxruntime.InferenceSession(bundle.read(RUNNING_NAME), options)
    outputs = session.run(None, {"letters": encode(golden["utrs"])})[0]
    for name, mrls in golden["mrl"].items():
        card = bundle.card.assay(name)
        number = [assay.name for assay in bundle.card.assays].index(name)
        np.testing.assert_allclose(to_mrl(outputs[:, number], card), mrls, rtol=0, atol=1e-4)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_order_and_company_change_nothing(golden, engine, torch_threads):
    model = ribocast.load(golden["model"], engine=engine, threads=1)
    # PyTorch takes its time.
    utrs, random = golden["utrs"][:: 1 if engine == "openvino" else 5], np.random.default_rng(1)
    together = model.outputs(utrs)
    order = random.permutation(len(utrs))
    np.testing.assert_allclose(model.outputs([utrs[row] for row in order]), together[order], rtol=0, atol=1e-5)
    for rows in (1, 7, 64):
        # Of both kinds: those of 50 nt, and those of any length at the end.
        for first in (0, len(utrs) - rows * (len(utrs) // rows > 0)):
            some = model.outputs(utrs[first : first + rows])
            np.testing.assert_allclose(some, together[first : first + rows], rtol=0, atol=1e-5)


# OpenVINO's kernels use no instructions beyond those of the set that is named there.
_WITHOUT_AVX512 = """
import sys, json, numpy as np, ribocast
from ribocast.model.predictor import _MOST_ROWS, to_mrl
golden = json.load(open(sys.argv[1], encoding="utf-8"))
model = ribocast.load(golden["model"], threads=1)
random = np.random.default_rng(0)
for width in (25, 50, 57, 100, 160):
    letters = np.frombuffer(b"ACGT", np.uint8)[random.integers(0, 4, (_MOST_ROWS, width))]
    pairs = np.concatenate(model.engine.run(letters[row : row + 2] for row in range(0, _MOST_ROWS, 2)))
    for rows in (3, 7, 16, 33, 48, 64, 72, 76, _MOST_ROWS):
        assert np.array_equal(model.engine.run([letters[:rows]])[0], pairs[:rows]), f"{rows} rows of {width} nt"
for name, MRLs in golden["mrl"].items():
    card = model.card.assay(name)
    found = to_mrl(model.outputs(golden["utrs"])[:, model.number(card)], card)
    np.testing.assert_allclose(found, MRLs, rtol=0, atol=1e-4)
print("as written down")
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_processors_without_avx512_give_them_too_to_the_bit_in_any_company(path):
    run = subprocess.run(
        [sys.executable, "-c", _WITHOUT_AVX512, str(path)], env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.stdout == "as written down\n", run.stderr
