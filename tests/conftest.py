"""Small trained models that many tests share, and a guard at the network."""

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

GUARD = str(Path(__file__).parent / "guard")
sys.path.insert(0, GUARD)
sys.modules.pop("sitecustomize", None)
import sitecustomize  # noqa: F401  (it begins to watch)

# Networks this small train faster in one thread. Threads of OpenMP that wait burn the core that another worker needs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Also over every Python that a test starts.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [GUARD, os.environ.get("PYTHONPATH")]))


from ribocast.io.locks import FileLock
from ribocast.learn import fit
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import architecture


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Run a single file in the process that was started: workers would only take time to start."""
    files = {Path(str(argument).partition("::")[0]) for argument in config.args}
    return 0 if len(files) == 1 and files.pop().is_file() else None


@contextmanager
def made_once(tmp_path_factory, name):
    """Give a model's folder, the same in all workers, and whether it is still to be made."""
    base = tmp_path_factory.getbasetemp()
    models = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "models"
    models.mkdir(exist_ok=True)
    with FileLock(models / f"{name}.lock"):
        # A bundle's model.json is its last file.
        yield models / name, not (models / name / "model.json").exists()


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
    with made_once(tmp_path_factory, "framed") as (folder, is_missing):
        if is_missing:
            fit(pd.concat(rows, ignore_index=True), folder, assays={name: ASSAYS[name] for name in names},
                settings={"channels": 16, "dilations": (1, 2)},
                recipe=architecture("framed").recipe.with_changes(epochs=2))  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def fixed(tmp_path_factory):
    """Give the folder of a small network that takes 50 nt and gives MRLs alone."""
    rows = simulate(300, seed=1)[["seq", "mrl"]]
    with made_once(tmp_path_factory, "fixed") as (folder, is_missing):
        if is_missing:
            fit(rows, folder, assay="mine", model="attention-2conv",
                recipe=architecture("attention-2conv").recipe.with_changes(epochs=1))  # fmt: skip
    return folder
