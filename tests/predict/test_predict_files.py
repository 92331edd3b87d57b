"""Predicting files: every row, in its place, with all it had; or none, and a line that says why."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.errors import RibocastError
from ribocast.predict import files as predicting
from ribocast.predict.files import Predicted, predict_file
from ribocast.sequence.letters import to_dna

ADDED = ["mrl", "mrl_low", "mrl_high", "note"]
UTRS = [f"ACGTTGCAGG{tail}" * 3 for tail in ("ACGTA", "TTGCA", "ATGCC", "GGGCC", "ACACA")]
CELLS = st.text("ab ,\"'\t;#%é=-.0189", max_size=6)


@pytest.fixture(scope="module")
def model(framed):
    return ribocast.load(framed)


@pytest.fixture(params=[1, 3, 16_384], ids="{} rows a piece".format)
def piece(request, monkeypatch):
    monkeypatch.setattr(predicting, "_PREDICT_ROWS", request.param)
    return request.param


def read(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_rows_keep_their_order_their_number_and_their_cells_in_pieces_of_any_size(model, tmp_path, piece):
    random = np.random.default_rng(3)
    utrs = ["".join(random.choice(list("ACGTUNacgtun"), length)) for length in random.integers(1, 131, 40)]
    given_frame = pd.DataFrame({"id": [f"0{n}" for n in range(40)], "Sequence": utrs, "x": ["1e5", "NA", "", " "] * 10})
    given_frame.to_csv(tmp_path / "in.csv", index=False)
    steps = []
    done = predict_file(
        model, tmp_path / "in.csv", tmp_path / "out.csv", assay="egfp_varying25to100", done=steps.append
    )
    got = read(tmp_path / "out.csv")
    assert done == Predicted(40, 0, None, len({to_dna(utr) for utr in utrs}))
    assert got.columns.tolist() == [*given_frame.columns, *ADDED]
    pd.testing.assert_frame_equal(got[given_frame.columns], given_frame)
    table = model.predict(utrs, assay="egfp_varying25to100")
    for name in ADDED[:3]:
        np.testing.assert_allclose(got[name].astype(float), table[name], rtol=0, atol=2e-5)
    assert got["note"].tolist() == table["note"].tolist()
    assert steps == sorted(steps)
    assert steps[-1] == 40
    assert len(steps) == -(-40 // piece)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, st.sampled_from([*UTRS, "", "ACX", "acgun"]), CELLS), min_size=1, max_size=12))
def test_each_row_goes_to_one_of_the_two_files_as_it_was(model, tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    given_frame = pd.DataFrame(rows, columns=["a", "utr", "row"])
    given_frame.to_csv(folder / "in.csv", index=False)
    good = ~given_frame["utr"].isin(["", "ACX"])
    if not good.any():
        with pytest.raises(RibocastError, match="no row is usable"):
            predict_file(model, folder / "in.csv", folder / "out.csv", on_error="skip")
        assert [path.name for path in folder.iterdir()] == ["in.csv"]
        return
    done = predict_file(model, folder / "in.csv", folder / "out.csv", on_error="skip")
    assert (done.rows, done.skipped) == (good.sum(), (~good).sum())
    pd.testing.assert_frame_equal(
        read(folder / "out.csv")[["a", "utr", "row"]], given_frame[good].reset_index(drop=True)
    )
    if done.skipped:
        bad = read(folder / "out.rejected.csv")
        assert bad["row"].astype(int).tolist() == (np.flatnonzero(~good) + 1).tolist()
        pd.testing.assert_frame_equal(
            bad[["a", "utr", "input_row"]].set_axis(["a", "utr", "row"], axis=1),
            given_frame[~good].reset_index(drop=True),
        )
    assert (folder / "out.rejected.csv").exists() == bool(done.skipped)


def test_bad_rows_are_named_by_their_number_in_the_whole_file(model, tmp_path, piece):
    (tmp_path / "in.txt").write_text("\n".join([*UTRS, "ACXT", *UTRS, "", "GG"]) + "\n")
    with pytest.raises(RibocastError, match=r"^in.txt row 6: 'X' at position 3 is not a nucleotide"):
        predict_file(model, tmp_path / "in.txt", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]
    said = []
    done = predict_file(model, tmp_path / "in.txt", tmp_path / "out.tsv.gz", on_error="skip", say=said.append)
    assert done == Predicted(11, 2, tmp_path / "out.rejected.csv", 6)
    assert said == [f"left out 2 bad rows, listed in {tmp_path / 'out.rejected.csv'}"]
    rejected = read(tmp_path / "out.rejected.csv")
    assert rejected.columns.tolist() == ["row", "reason", "seq"]
    assert rejected["row"].tolist() == ["6", "12"]
    assert rejected["reason"][0] == "'X' at position 3 is not a nucleotide (A, C, G, T, U or N)"
    assert rejected["reason"][1] == "the sequence is empty"
    (tmp_path / "good.csv").write_text("seq\nACGT\n")
    predict_file(model, tmp_path / "good.csv", tmp_path / "out.csv", on_error="skip")
    assert not (tmp_path / "out.rejected.csv").exists()


def test_where_no_row_is_usable_the_first_is_named_and_nothing_is_written(model, tmp_path, piece):
    (tmp_path / "in.txt").write_text("XX\nYY\nZZ\nXY\nYX\n")
    with pytest.raises(RibocastError, match=r"^no row is usable; the first: in.txt row 1: 'X' at position 1"):
        predict_file(model, tmp_path / "in.txt", tmp_path / "out.csv", on_error="skip")
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_on_standard_output_bad_rows_are_said(model, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("ACGT\nXX\nGG\n")
    said = []
    done = predict_file(model, tmp_path / "in.txt", None, on_error="skip", say=said.append)
    assert done == Predicted(2, 1, None, 2)
    assert said == [
        "left out: in.txt row 2: 'X' at position 1 is not a nucleotide (A, C, G, T, U or N)",
        "left out 1 bad row",
    ]
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_late_bad_row_leaves_an_older_output_as_it_was(model, tmp_path, piece):
    (tmp_path / "in.txt").write_text("\n".join([*UTRS, "ACXT"]) + "\n")
    (tmp_path / "out.csv").write_text("older")
    with pytest.raises(RibocastError):
        predict_file(model, tmp_path / "in.txt", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "older"


def test_columns_named_like_predictions_are_kept_however_often_it_is_done(model, tmp_path):
    pd.DataFrame({"seq": UTRS, "mrl": list("abcde")}).to_csv(tmp_path / "0.csv", index=False)
    said = []
    for number in range(3):
        predict_file(model, tmp_path / f"{number}.csv", tmp_path / f"{number + 1}.csv", say=said.append)
    got = read(tmp_path / "3.csv")
    assert got["input_mrl"].tolist() == list("abcde")
    assert got.columns.is_unique
    assert len(got.columns) == 2 + 3 * 4
    assert said[0] == "the input has columns named like predictions: mrl is now input_mrl"
    assert said[1].endswith("mrl is now input_input_mrl, mrl_low is now input_mrl_low, "
                            "mrl_high is now input_mrl_high, note is now input_note")  # fmt: skip
    assert len(said) == 3


def test_the_profile_is_added_and_sums_to_one_whose_mean_is_the_mrl(model, tmp_path):
    pd.DataFrame({"seq": UTRS, "r0": 7, "r13": 8}).to_csv(tmp_path / "in.csv", index=False)
    said = []
    predict_file(
        model, tmp_path / "in.csv", tmp_path / "out.csv", assay="egfp_varying25to100", profile=True, say=said.append
    )
    got = pd.read_csv(tmp_path / "out.csv")
    # This library has 13 fractions: the column r13 is the user's own.
    fractions = got[[f"r{number}" for number in range(13)]]
    assert got["r13"].tolist() == [8] * 5
    assert got["input_r0"].tolist() == [7] * 5
    np.testing.assert_allclose(fractions.sum(axis=1), 1, atol=2e-7)
    weights = np.array(model.card.assay("egfp_varying25to100").fraction_weights)
    np.testing.assert_allclose(fractions @ weights, got["mrl"], atol=2e-5)
    assert said == ["the input has columns named like predictions: r0 is now input_r0"]


def test_parquet_keeps_the_kinds_of_its_columns(model, tmp_path, piece):
    frame = pd.DataFrame({
        "seq": UTRS, "count": pd.array([1, None, 3, 4, 5], dtype="Int64"), "share": [0.5, np.nan, 1, 2, 3],
        "day": pd.to_datetime(["2020-01-01"] * 5), "flag": [True, False, True, True, False],
    })  # fmt: skip
    frame.to_parquet(tmp_path / "in.parquet")
    predict_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    got = pd.read_parquet(tmp_path / "out.parquet")
    assert got.columns.tolist() == [*frame.columns, *ADDED]
    assert got["count"].isna().tolist() == [False, True, False, False, False]
    assert got["count"].dropna().tolist() == [1, 3, 4, 5]
    assert got["day"].dtype.kind == "M"
    assert got["flag"].astype(bool).tolist() == frame["flag"].tolist()
    assert got["mrl"].dtype == np.float64
    np.testing.assert_allclose(got["mrl"], model.mrl(UTRS), rtol=0, atol=1e-5)


def test_the_same_rows_in_any_form_give_the_same_mrls(model, tmp_path):
    pd.DataFrame({"utr": UTRS}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"utr": UTRS}).to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    pd.DataFrame({"utr": UTRS}).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    (tmp_path / "a.txt").write_text("\n".join(utr.lower().replace("t", "u") for utr in UTRS))
    (tmp_path / "a.fasta").write_text("".join(f">{n}\n{utr[:20]}\n{utr[20:]}\n" for n, utr in enumerate(UTRS)))
    results = set()
    for path in [path for path in tmp_path.iterdir() if path.name.startswith("a.")]:
        predict_file(model, path, tmp_path / "out.csv")
        results.add(tuple(read(tmp_path / "out.csv")["mrl"]))
    assert len(results) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"assay": "nope"}, "assay 'nope'"),
        ({"column": "nope"}, "no sequence column 'nope'"),
        ({"output": "out.xlsx"}, "out.xlsx: unsupported file extension '.xlsx'"),
        ({"output": "nowhere/out.csv"}, "nowhere/out.csv: folder nowhere"),
        ({"output": "."}, "no file extension|is a directory"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(model, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("ACGT\n")
    with pytest.raises(RibocastError, match=words):
        predict_file(model, "in.txt", **{"output": "out.csv", **options})
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


def test_a_model_of_mrls_alone_gives_no_profile(fixed, tmp_path):
    (tmp_path / "in.txt").write_text("ACGT\n")
    with pytest.raises(RibocastError, match="gives no polysome profile"):
        predict_file(ribocast.load(fixed), tmp_path / "in.txt", tmp_path / "out.csv", profile=True)
    assert not (tmp_path / "out.csv").exists()
