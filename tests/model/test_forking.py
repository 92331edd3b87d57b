"""A loaded model in processes that were forked from its own: the numbers of the parent, and no waiting without end.

Each program runs by itself, because a fork of the tests' own process would take their threads' locks along.
"""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
BEGIN = """
import multiprocessing, os, signal, sys
import numpy as np
import ribocast
UTRS = ["ACGT" * 12, "TTGCATG" * 10, "A" * 25] * 9
def load():
    return ribocast.load(sys.argv[1], engine=sys.argv[2])
def work(utr):
    return float(model.mrl([utr])[0])
model = load()
expected = model.mrl(UTRS)
def check(found):
    # PyTorch adds up in another order with one thread.
    assert np.allclose(found, expected, rtol=0, atol=0 if sys.argv[2] == "openvino" else 1e-5), (found, expected)
def forked(function):
    child = os.fork()
    if child == 0:
        function()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
PROGRAMS = {
    "pool": """
        with multiprocessing.get_context("fork").Pool(2) as pool:
            check(pool.map(work, UTRS))
    """,
    "executor": """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            check(list(pool.map(work, UTRS)))
    """,
    "as pytest-forked does": """
        forked(lambda: check(model.mrl(UTRS)))
        forked(lambda: check(model.mrl(UTRS)))
        check(model.mrl(UTRS))
    """,
    "a child of a child": """
        forked(lambda: (check(model.mrl(UTRS)), forked(lambda: check(model.mrl(UTRS)))))
        check(model.mrl(UTRS))
    """,
    "a child that ends as Python does": """
        child = os.fork()
        if child == 0:
            check(model.mrl(UTRS))
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    """,
    "a child that throws the model away": """
        def away():
            global model
            del model
            import gc
            gc.collect()
            check(load().mrl(UTRS))
        forked(away)
    """,
    "a model that is gone before the fork": """
        del model
        forked(lambda: check(load().mrl(UTRS)))
    """,
    "threads in a child": """
        from concurrent.futures import ThreadPoolExecutor
        def many():
            with ThreadPoolExecutor(4) as pool:
                for found in pool.map(lambda _: model.mrl(UTRS), range(8)):
                    check(found)
        forked(many)
    """,
    "a fork while another thread predicts": """
        import threading
        stop = threading.Event()
        def on_and_on():
            while not stop.is_set():
                model.mrl(UTRS)
        thread = threading.Thread(target=on_and_on)
        thread.start()
        for _ in range(3):
            forked(lambda: check(model.mrl(UTRS)))
        stop.set()
        thread.join()
    """,
    "torch's loader": """
        import torch
        class Rows(torch.utils.data.Dataset):
            def __len__(self):
                return len(UTRS)
            def __getitem__(self, row):
                return work(UTRS[row])
        loader = torch.utils.data.DataLoader(Rows(), batch_size=4, num_workers=2)
        check(torch.cat(list(loader)).numpy())
    """,
    "joblib, processes of its own": """
        from joblib import Parallel, delayed
        parts = Parallel(n_jobs=2, backend="loky")(delayed(model.mrl)(UTRS[start::3]) for start in range(3))
        check(np.stack(parts, axis=1).ravel())
    """,
    "joblib, forked": """
        from joblib import Parallel, delayed
        check(Parallel(n_jobs=2, backend="multiprocessing")(delayed(work)(utr) for utr in UTRS))
    """,
}


@pytest.mark.parametrize("engine", ["openvino", "torch"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_children_of_a_process_that_predicted_predict_the_same(name, engine):
    if engine == "torch" and name == "a fork while another thread predicts":
        pytest.skip("what PyTorch's allocator holds at that moment is PyTorch's affair")
    if "joblib" in name:
        pytest.importorskip("joblib")
    lines = [line.removeprefix(" " * 8) for line in PROGRAMS[name].splitlines()]
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BEGIN + "\n".join(lines), "default", engine],
        capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
