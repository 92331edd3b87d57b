"""Inputs that hold their start codon are recognised, and cut where that is asked for."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ribocast
from ribocast.design import DesignRequest
from ribocast.explain import explain
from ribocast.predict.files import predict_file
from ribocast.sequence.batch import Batch
from ribocast.sequence.start_codon import cut_at_start, cut_pairs, find_start, start_notes
from ribocast.variants.score import score_table

UTR = "ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC"
CODING = "ATG" + "GTGCATCTGACTCCTGAGGAG" * 9


@pytest.fixture(scope="module")
def model():
    return ribocast.load(threads=1)


def starts_of(*utrs):
    return find_start(Batch.of(utrs)).tolist()


@pytest.mark.parametrize(
    "tail", ["ATG", "ATGG", "atgg", "AUGGUG", "ATGGTGCATCT", CODING, CODING[:63] + "TAA", "ATGGATG"]
)
def test_a_start_codon_at_the_end_is_found(tail):
    assert starts_of("ACGT", UTR + tail)[1] == len(UTR) + 4 * (tail == "ATGGATG")


@pytest.mark.parametrize(
    "tail",
    ["", "AT", "ATGA", "TTTATGG", "ATGTAA", "ATGGTGCATCTG", CODING[:177], CODING[:60] + "TAAG", CODING[:54] + "TAA"],
)
def test_other_ends_are_left_alone(tail):
    assert starts_of(UTR + tail) == [len(UTR + tail)]


def test_the_consensus_needs_no_letter_behind_it():
    assert starts_of("TTTTTGCCACCATGA", "TTTTTGCCGCCATGTC", "TTTTTGCCTCCATGA") == [11, 11, 15]


def test_of_several_open_frames_the_first_counts():
    assert starts_of(UTR + CODING + CODING) == [len(UTR)]


def test_few_random_utrs_get_a_note():
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, 50 * 20_000)]
    notes = start_notes(Batch(letters, np.arange(20_001) * 50))
    assert 0.02 < np.mean([bool(note) for note in notes]) < 0.04


def test_sequences_with_wrong_letters_are_not_cut():
    batch = Batch.of_column(pa.array([UTR + "ATGX", UTR + "ATGG", None]))
    assert find_start(batch).tolist() == [len(UTR) + 4, len(UTR), 0]


@given(st.lists(st.text("ACGTUacgN", min_size=1, max_size=90), max_size=6))
def test_cutting_leaves_the_first_letters_of_each(utrs):
    batch = Batch.of(utrs)
    cut, notes = cut_at_start(batch)
    assert [bool(note) for note in notes] == [len(a) < len(b) for a, b in zip(cut.texts, batch.texts, strict=True)]
    for now, was in zip(cut.texts, batch.texts, strict=True):
        assert now
        assert was.startswith(now)
        assert now == was or was[len(now) :].startswith("ATG")


def test_a_coding_sequence_alone_is_told_and_not_cut():
    batch = Batch.of([CODING])
    assert "coding sequence" in start_notes(batch)[0]
    assert cut_at_start(batch)[0].texts == [CODING]


def test_a_pair_is_cut_alike_or_not_at_all():
    refs = Batch.of([UTR + "ATGG", UTR + "ATGG", UTR])
    alts = Batch.of(["G" + UTR + "ATGG", UTR + "ACGG", UTR + "ATG"])
    cut_refs, cut_alts, notes = cut_pairs(refs, alts)
    assert cut_refs.texts == [UTR, UTR + "ATGG", UTR]
    assert cut_alts.texts == ["G" + UTR, UTR + "ACGG", UTR + "ATG"]
    assert [bool(note) for note in notes] == [True, False, False]


def test_predictions_say_and_cut_the_start_codon(model):
    given = [UTR, UTR + "ATG", UTR + "ATGG"]
    plain, cut = model.predict(given), model.predict(given, cut_at_start=True)
    assert plain["note"].str.contains("start codon").tolist() == [False, True, True]
    assert plain["mrl"][2] < plain["mrl"][0] - 2  # read as a UTR with an upstream ATG
    assert cut["mrl"].tolist() == [plain["mrl"][0]] * 3
    assert cut["seq"].tolist() == given
    assert "last 4 nt" in cut["note"][2]
    assert cut["note"][0] == ""


def test_a_file_is_predicted_as_python_does(model, tmp_path):
    table, output = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text(f"seq\n{UTR}\n{UTR}ATG\n{UTR}ATGG\n")
    for cut in (False, True):
        predict_file(model, table, output, cut_at_start=cut, uorf=True)
        found, wanted = pd.read_csv(output, keep_default_na=False), model.predict([UTR, UTR + "ATG", UTR + "ATGG"],
                                                                                  cut_at_start=cut)  # fmt: skip
        assert found["note"].tolist() == wanted["note"].tolist()
        np.testing.assert_allclose(found["mrl"], wanted["mrl"], atol=1e-5)
        assert found["seq"].str.len().tolist() == [50, 53, 54]
        assert found["uatgs"].tolist() == ([0, 0, 0] if cut else [0, 1, 1])


def test_an_explanation_is_of_what_is_left(model):
    assert "start codon" in explain(model, UTR + "ATGG").note
    cut = explain(model, UTR + "ATGG", cut_at_start=True)
    assert (cut.seq, cut.mrl) == (UTR, explain(model, UTR).mrl)
    assert "last 4 nt" in cut.note


def test_variants_are_scored_without_their_start_codon(model, tmp_path):
    changed = UTR[:20] + "ATG" + UTR[23:]
    wanted = ribocast.score_variants(model, [UTR], [changed])
    told = ribocast.score_variants(model, [UTR + "ATGG", UTR], [changed + "ATGG", UTR[:-3] + "ATG"])
    assert told["note"].str.contains("start codon").tolist() == [True, False]  # what a variant makes is no mistake
    table, output = tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text(f"ref,alt\n{UTR}ATGG,{changed}ATGG\n")
    score_table(model, table, output, cut_at_start=True)
    found = pd.read_csv(output)
    cut = ribocast.score_variants(model, [UTR + "ATGG"], [changed + "ATGG"], cut_at_start=True)
    for one in (found, cut):
        np.testing.assert_allclose(one["log2_fold_change"], wanted["log2_fold_change"], atol=1e-5)
        assert "last 4 nt" in one["note"][0]


def test_a_seed_of_designs_is_cut_where_asked():
    told, cut = (DesignRequest(like=UTR + "ATGG", cut_at_start=cut) for cut in (False, True))
    assert any("start codon" in line for line in told.remarks)
    assert any("last 4 nt" in line for line in cut.remarks)
    assert (told.start, cut.start) == (UTR + "ATGG", UTR)
    assert DesignRequest(like=UTR).remarks == []
