"""Small trained models that many tests share, and a guard at the network."""

import os
import signal
import sys
from pathlib import Path

import pytest

GUARD = str(Path(__file__).parent / "guard")
sys.path.insert(0, GUARD)
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: F401  (it begins to watch)

# Also over every Python that a test starts.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [GUARD, os.environ.get("PYTHONPATH")]))


from ribocast.learn import fit
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import architecture


@pytest.fixture
def heeded():
    """Have Ctrl-C and the like heeded, by what a test starts too: a background job of a shell ignores them."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def framed(tmp_path_factory):
    """Give the folder of a small network of two assays that knows profiles and takes any length."""
    import pandas as pd

    names = ("egfp_random50", "egfp_varying25to100")
    rows = [
        simulate(800, seed=1).assign(assay=names[0]),
        simulate(800, seed=2, min_length=25, max_length=100)
        .assign(assay=names[1])
        .drop(columns=[f"r{number}" for number in range(14)]),
    ]
    folder = tmp_path_factory.mktemp("models") / "framed"
    fit(
        pd.concat(rows, ignore_index=True), folder, assays={name: ASSAYS[name] for name in names},
        settings={"channels": 16, "dilations": (1, 2)}, recipe=architecture("framed").recipe.with_changes(epochs=2),
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def fixed(tmp_path_factory):
    """Give the folder of a small network that takes 50 nt and gives MRLs alone."""
    folder = tmp_path_factory.mktemp("models") / "fixed"
    rows = simulate(300, seed=1)[["seq", "mrl"]]
    fit(rows, folder, assay="mine", model="attention-2conv",
        recipe=architecture("attention-2conv").recipe.with_changes(epochs=1))  # fmt: skip
    return folder
