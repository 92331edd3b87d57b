"""Descriptions: figures equal to those counted by hand, whatever the size of the pieces that are read."""

import json
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.io.tables import read_chunks
from ribocast.learn.data import describe as module
from ribocast.learn.data.describe import describe
from ribocast.learn.data.simulate import simulate
from ribocast.sequence.letters import is_missing


def test_the_figures_of_a_known_table(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("seq,label\nATGC,1\natgc,2\nAUGC,3\nCCCCCC,4\nXX,5\nCC,much\n")
    found = describe(path)
    assert (found.source, found.rows, found.columns) == ("t.csv", 6, ["seq", "label"])
    assert (found.seq_column, found.label_column) == ("seq", "label")
    assert (found.bad_rows, found.duplicates) == (2, 2)
    assert found.first_fault == "t.csv row 5: 'X' at position 1 is not a nucleotide (A, C, G, T, U or N)"
    assert found.upstream_atg_share == 0.75
    assert found.letters == {"A": 3, "C": 9, "G": 3, "T": 3}
    assert found.lengths == {"min": 4, "median": 4, "max": 6, "distinct": 2}
    assert found.label == {
        "mean": 2.5, "sd": pytest.approx(1.2910, abs=1e-4), "min": 1, "q25": 1.75, "median": 2.5, "q75": 3.25, "max": 4
    }  # fmt: skip
    assert found.sample == [
        {"seq": seq, "label": label}
        for seq, label in zip(
            ["ATGC", "atgc", "AUGC", "CCCCCC", "XX", "CC"], ["1", "2", "3", "4", "5", "much"], strict=True
        )
    ]


UTRS = st.text("ACGTUNacgtun", min_size=1, max_size=12).filter(lambda utr: not is_missing(utr))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(UTRS, st.floats(-9, 9, width=32)), min_size=1, max_size=40),
    piece=st.integers(1, 50),
)
def test_figures_are_those_of_pandas_in_pieces_of_any_size(tmp_path_factory, rows, piece):
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    frame = pd.DataFrame(rows, columns=["utr", "rl"])
    frame.to_csv(path, index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "read_chunks", partial(read_chunks, chunk_rows=piece))
        found = describe(path)
    dna = frame["utr"].str.upper().str.replace("U", "T")
    assert (found.rows, found.bad_rows, found.first_fault) == (len(frame), 0, None)
    assert found.duplicates == dna.duplicated().sum()
    assert found.upstream_atg_share == pytest.approx(dna.str.contains("ATG").mean())
    lengths = dna.str.len()
    assert found.lengths == {
        "min": lengths.min(), "median": lengths.median(), "max": lengths.max(), "distinct": lengths.nunique(),
    }  # fmt: skip
    assert found.letters == pd.Series(list("".join(dna))).value_counts().sort_index().to_dict()
    expected = frame["rl"].describe()
    for ours, theirs in {
        "mean": "mean",
        "min": "min",
        "q25": "25%",
        "median": "50%",
        "q75": "75%",
        "max": "max",
    }.items():
        assert found.label[ours] == pytest.approx(expected[theirs], abs=1e-6)
    assert found.label["sd"] == pytest.approx(0 if len(frame) == 1 else expected["std"], abs=1e-6)
    assert len(found.sample) == min(10, len(frame))


def test_the_sample_is_ten_rows_in_their_order_by_seed(tmp_path):
    path = tmp_path / "t.csv"
    rows = simulate(300, seed=1)[["seq", "mrl"]].assign(number=range(300))
    rows.to_csv(path, index=False)
    first, again, other = (describe(path, seed=seed).sample for seed in (0, 0, 1))
    assert first == again != other
    for sample in (first, other):
        numbers = [int(record["number"]) for record in sample]
        assert len(numbers) == 10
        assert all(before < after for before, after in pairwise(numbers))
        assert [record["seq"] for record in sample] == rows["seq"][numbers].tolist()


def test_every_row_is_as_likely_in_the_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "read_chunks", partial(read_chunks, chunk_rows=7))
    path = tmp_path / "t.csv"
    path.write_text("seq,n\n" + "".join(f"ACGT,{n}\n" for n in range(30)))
    drawn = np.zeros(30)
    for seed in range(300):
        drawn[[int(record["n"]) for record in describe(path, seed=seed).sample]] += 1
    # 100 expected, standard deviation 8.2.
    assert drawn.sum() == 3000
    assert abs(drawn - 100).max() < 35


def test_a_table_without_labels_or_without_usable_rows_is_described_too(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("ACGT\nXX\n")
    found = describe(path)
    assert (found.label, found.label_column, found.bad_rows, found.rows) == (None, None, 1, 2)
    path.write_text("XX\nYY\n")
    found = describe(path)
    assert (found.bad_rows, found.rows, found.letters, found.upstream_atg_share) == (2, 2, {}, 0)


def test_cells_of_any_kind_become_json(tmp_path):
    frame = pd.DataFrame({
        "seq": ["ACGT", "GGATG", None], "label": [1, 2, 3], "count": pd.array([1, None, 3], dtype="Int64"),
        "share": [0.5, np.nan, np.inf], "day": pd.to_datetime(["2020-01-02", None, None]), "raw": [b"a", b"b", b"c"],
        "list": [[1, 2], [], None], "flag": pd.array([True, None, False], dtype="boolean"),
    })  # fmt: skip
    frame.to_parquet(tmp_path / "t.parquet")
    found = describe(tmp_path / "t.parquet")
    sample = json.loads(json.dumps(found.as_dict(), allow_nan=False))["sample"]
    assert [record["count"] for record in sample] == [1, None, 3]
    assert [record["share"] for record in sample] == [0.5, None, "inf"]
    assert [record["flag"] for record in sample] == [True, None, False]
    assert [record["label"] for record in sample] == [1, 2, 3]
    assert sample[0]["day"].startswith("2020-01-02")
    assert [sample[1]["day"], sample[2]["seq"]] == [None, None]
    assert found.bad_rows == 1
