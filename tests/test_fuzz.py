"""What is fuzzed takes, or refuses in one line, all inputs that reached new code before."""

import contextlib
import importlib.util
import sys
import types

import pytest

from ribocast.errors import RibocastError
from where import ROOT

CORPUS = ROOT / "fuzz" / "corpus"


@pytest.fixture(scope="module")
def targets():
    with pytest.MonkeyPatch.context() as patch:
        # The fuzzer itself is not needed to run what it runs.
        fuzzer = types.SimpleNamespace(instrument_imports=lambda include: contextlib.nullcontext())
        patch.setitem(sys.modules, "atheris", fuzzer)
        spec = importlib.util.spec_from_file_location("targets", ROOT / "fuzz" / "targets.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module.TARGETS


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_inputs_that_were_kept_are_taken_or_refused_in_one_line(targets, name):
    files = sorted((CORPUS / name).iterdir())
    assert files
    for file in files:
        try:
            targets[name](file.read_bytes())
        except RibocastError as error:
            assert len(str(error).splitlines()) == 1, file  # noqa: PT017
