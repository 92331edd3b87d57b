"""The tree of errors: what a caller can do about each, and that nothing raises its root."""

import ast
import inspect
import pickle
from pathlib import Path

import pandas as pd
import pytest

import ribocast
from ribocast import errors
from ribocast.design.folding import free_energy
from ribocast.errors import (
    InputError,
    MissingExtraError,
    ModelError,
    OptionError,
    OutputError,
    RibocastError,
    SequenceError,
    StoppedError,
    UnavailableError,
)
from ribocast.io.locks import alone_at
from ribocast.io.tables import read_chunks
from ribocast.io.writers import open_table
from ribocast.model.stopping import check_stopped, stopping_when
from ribocast.sequence.batch import encode
from where import ROOT

CHILDREN = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, RibocastError)]


def test_an_input_error_ends_when_the_file_is_mended(tmp_path):
    path = tmp_path / "utrs.csv"
    path.write_text("seq\nACGT\n\x00\n")
    with pytest.raises(InputError, match=r"utrs\.csv row 2"):
        list(read_chunks(path))
    path.write_text("seq\nACGT\n")
    assert [chunk.utrs for chunk in read_chunks(path)] == [["ACGT"]]


def test_a_sequence_error_says_which_row_to_leave_out():
    utrs = ["ACGT", "AXGT"]
    with pytest.raises(SequenceError) as caught:
        encode(utrs)
    # As it comes from another process.
    error = pickle.loads(pickle.dumps(caught.value))
    assert str(error) == str(caught.value)
    del utrs[error.row]
    assert encode(utrs).shape == (1, 4)


@pytest.mark.parametrize("option", [{"threads": 0}, {"engine": "abacus"}])
def test_an_option_error_ends_without_the_option(option):
    with pytest.raises(OptionError, match=str(*option.values())):
        ribocast.load(**option)
    assert ribocast.load()


def test_a_model_error_names_the_model_to_replace(tmp_path):
    with pytest.raises(ModelError, match=tmp_path.name):
        ribocast.load(tmp_path)


def test_an_output_error_ends_at_another_place(tmp_path):
    table = pd.DataFrame({"mrl": [7.5]})
    with pytest.raises(OutputError, match="none/out"), open_table(tmp_path / "none" / "out.csv"):
        pass
    with open_table(tmp_path / "out.csv") as sink:
        sink.write(table)
    assert (tmp_path / "out.csv").read_text() == "mrl\n7.5\n"


def test_an_unavailable_error_ends_when_the_other_run_does(tmp_path):
    with alone_at(tmp_path / "out.csv"), pytest.raises(UnavailableError, match=r"out\.csv"):  # noqa: SIM117 (in it)
        with alone_at(tmp_path / "out.csv"):
            pass
    with alone_at(tmp_path / "out.csv"):
        pass


def test_a_missing_extra_names_what_to_install(monkeypatch):
    free_energy.cache_clear()  # another test may have folded it
    monkeypatch.setattr("ribocast.design.folding.vienna", lambda: None)
    with pytest.raises(MissingExtraError, match=r"ribocast\[design\]"):
        free_energy("ACGT")


def test_a_stopped_error_ends_unwanted_work():
    with stopping_when(lambda: True), pytest.raises(StoppedError):
        check_stopped()
    check_stopped()


@pytest.mark.parametrize("kind", CHILDREN)
def test_every_error_is_one_line_and_a_value_error(kind):
    assert issubclass(kind, ValueError)
    assert ribocast.errors is errors
    if kind is not SequenceError:
        assert str(kind("a\n b\r\n")) == "a b"


def test_every_raise_names_what_can_be_done():
    roots = [
        path.name
        for path in Path(ROOT, "src", "ribocast").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise) and node.exc and ast.unparse(node.exc).startswith("RibocastError(")
    ]
    assert roots == []
