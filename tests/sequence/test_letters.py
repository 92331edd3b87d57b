"""Letters: what is accepted, how the rest is named, and right alignment."""

import csv
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ribocast
from ribocast.errors import RibocastError, SequenceError
from ribocast.io.tables import read_table
from ribocast.learn.data.assays import labelled_rows
from ribocast.predict.files import predict_file
from ribocast.sequence.batch import encode, find_faults
from ribocast.sequence.letters import PAD, Fault, is_missing, to_dna

letters = st.sampled_from("ACGTUNacgtun")
utrs = st.text(letters, min_size=1, max_size=60).filter(lambda utr: not is_missing(utr))
batches = st.lists(utrs, max_size=20)
wrong_letters = st.characters().filter(lambda letter: letter not in "ACGTUNacgtun")


def decode(encoded):
    return [bytes(row[row != PAD]).decode("ascii") for row in encoded]


@given(batches)
def test_every_spelling_of_nucleotides_is_accepted(batch):
    assert find_faults(batch) == []


@given(batches)
def test_encoded_letters_are_those_of_dna(batch):
    assert decode(encode(batch)) == list(map(to_dna, batch))


@given(st.lists(utrs, min_size=1, max_size=20))
def test_letters_are_bytes_that_end_at_the_start_codon(batch):
    encoded = encode(batch)
    assert encoded.dtype == np.uint8
    assert encoded.shape == (len(batch), max(map(len, batch)))
    for row, utr in zip(encoded, batch, strict=True):
        padding = len(row) - len(utr)
        assert (row[:padding] == PAD).all()
        assert bytes(row[padding:]).decode("ascii") == to_dna(utr)


@given(st.lists(utrs, min_size=1, max_size=12))
def test_a_sequence_is_encoded_alike_in_any_company(batch):
    together = encode(batch)
    for row, utr in zip(together, batch, strict=True):
        assert bytes(row[-len(utr) :]) == encode([utr]).tobytes()


def test_no_sequences_make_an_array_without_rows():
    assert encode([]).shape == (0, 0)
    assert decode(encode([])) == []
    assert find_faults([]) == []


@pytest.mark.parametrize("batch", [["ACGT", "TTTT"], ["ACGT", "T"]], ids=["one length", "several lengths"])
def test_letters_can_be_changed_whatever_their_lengths(batch):
    encoded = encode(batch)
    encoded[0, 0] = ord("G")
    assert decode(encoded)[0] == "GCGT"


@given(st.text(letters, max_size=60))
def test_dna_spelling_is_upper_case_with_t_and_settles_after_once(utr):
    assert to_dna(utr) == utr.upper().replace("U", "T")
    assert to_dna(to_dna(utr)) == to_dna(utr)


@given(before=st.text(letters, max_size=30), wrong=wrong_letters, after=st.text(max_size=30), row=st.integers(0, 5))
def test_the_first_wrong_letter_is_named_with_its_position_and_row(before, wrong, after, row):
    batch = ["ACGU"] * 6
    batch[row] = before + wrong + after
    (fault,) = find_faults(batch)
    assert fault.row == row
    assert fault.reason == f"{wrong!r} at position {len(before) + 1} is not a nucleotide (A, C, G, T, U or N)"
    with pytest.raises(SequenceError) as caught:
        encode(batch)
    assert (caught.value.row, caught.value.reason) == fault
    assert str(caught.value) == f"row {row + 1}: {fault.reason}"


@pytest.mark.parametrize(
    "letter", ["é", "ß", "A\N{COMBINING ACUTE ACCENT}"[1], "Α", "Ａ", "🧬", "ı", "ſ", "\x00", "\n"]
)
def test_letters_that_only_look_or_uppercase_like_nucleotides_are_wrong(letter):
    (fault,) = find_faults([f"AC{letter}GT"])
    assert repr(letter) in fault.reason
    assert "position 3" in fault.reason


@pytest.mark.parametrize("letter", "XRYKMSWBDHVI-.*? 5")
def test_ambiguity_codes_other_than_n_and_gaps_are_wrong(letter):
    assert len(find_faults([letter, letter.lower()])) == 2


@pytest.mark.parametrize("nothing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT], ids=repr)
def test_a_missing_sequence_is_called_missing(nothing):
    assert find_faults(["ACG", nothing]) == [Fault(1, "the sequence is missing")]


def test_the_first_of_several_faults_is_raised():
    with pytest.raises(SequenceError) as caught:
        encode(["ACG", "AXG", ""])
    assert caught.value.row == 1


def test_an_empty_sequence_is_called_empty():
    assert find_faults(["", "ACG"]) == [Fault(0, "the sequence is empty")]


@pytest.mark.parametrize(
    "value", [5, 1.5, True, b"ACG", ["ACG"], np.zeros((30, 30)), {"a": "\n"}], ids=lambda v: str(type(v))
)
def test_what_is_no_text_is_shown_in_one_short_line(value):
    (fault,) = find_faults([value])
    assert fault.reason.endswith(" is not a sequence")
    assert len(fault.reason.splitlines()) == 1
    assert len(fault.reason) < 1000


@given(st.lists(st.one_of(utrs, st.none(), st.just(""), st.just("ACGX"), st.integers()), max_size=30))
def test_each_bad_row_is_named_once_in_order_and_no_good_one(rows):
    good = [isinstance(row, str) and bool(row) and "X" not in row for row in rows]
    assert [fault.row for fault in find_faults(rows)] == [row for row, is_good in enumerate(good) if not is_good]


@given(st.lists(st.one_of(utrs, st.none(), st.just("AéG"), st.just("")), max_size=20))
def test_a_fault_does_not_depend_on_the_other_rows(rows):
    alone = [Fault(row, fault.reason) for row, utr in enumerate(rows) for fault in find_faults([utr])]
    assert find_faults(rows) == alone


def test_a_series_is_read_by_position_whatever_its_index():
    series = pd.Series(["ACG", "AXG", None], index=[7, 3, 0])
    assert [fault.row for fault in find_faults(series)] == [1, 2]
    assert decode(encode(series[:1])) == ["ACG"]


def test_a_sequence_error_survives_the_way_to_another_process():
    error = SequenceError(3, "the sequence is empty")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.row) == (SequenceError, "row 4: the sequence is empty", 3)


@given(st.text())
def test_a_message_is_one_line_whatever_goes_into_it(text):
    message = str(RibocastError(f"before {text} after"))
    assert len(message.splitlines()) == 1
    assert message.startswith("before")
    assert message.endswith("after")


# --- missing values --------------------------------------------------------------------------------------------

SPELLINGS = ["NA", "NaN", "N/A", "#N/A", "NULL", "None", "<NA>"]
in_any_case = st.sampled_from(SPELLINGS).flatmap(
    lambda word: st.lists(st.booleans(), min_size=len(word), max_size=len(word)).map(
        lambda upper: "".join(a.upper() if up else a.lower() for a, up in zip(word, upper, strict=True))
    )
)
missing_words = st.tuples(st.text(" \t", max_size=2), in_any_case, st.text(" \t", max_size=2)).map("".join)


@given(word=missing_words, before=st.lists(utrs, max_size=3), after=st.lists(utrs, max_size=3))
def test_missing_values_are_known_by_one_rule_in_any_case_and_company(word, before, after):
    assert is_missing(word)
    assert find_faults([*before, word, *after]) == [Fault(len(before), "the sequence is missing")]


@pytest.mark.parametrize("value", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT], ids=repr)
def test_missing_values_of_python_and_pandas_are_missing(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", ["", "N", "A", "AN", "NAA", "ANA", "NNA", "NA NA", "nana", 0, 1.5, np.inf, "NaT"])
def test_what_is_no_missing_value_is_none(value):
    assert not is_missing(value)


@settings(deadline=None, max_examples=25)
@given(word=missing_words, quote=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), data=st.data())
def test_missing_values_are_the_same_in_every_file_and_in_python(word, quote, data, tmp_path_factory, framed_model):
    folder = tmp_path_factory.getbasetemp()
    frame = pd.DataFrame({"seq": ["ACGT", word, "GG"], "mrl": ["1", "2", word], "reads": ["5", word, "7"]})
    ending = data.draw(st.sampled_from(["csv", "tsv", "parquet", "seq", "fa"]))
    path = folder / f"missing.{ending}"
    if ending == "parquet":
        frame.to_parquet(path)
    elif ending in ("csv", "tsv"):
        frame.to_csv(path, index=False, quoting=quote, sep="," if ending == "csv" else "\t")
    else:
        path.write_text("".join(">x\n" * (ending == "fa") + utr + "\n" for utr in frame["seq"]))
    chunk = read_table(path)
    assert chunk.utrs == ["ACGT", None, "GG"]
    assert [fault.reason for fault in chunk.faults(need_label=False)] == ["the sequence is missing"]
    if ending in ("csv", "tsv", "parquet"):
        reasons = [fault.reason for fault in chunk.faults(need_label=True)]
        assert reasons == ["the sequence is missing", "label is missing (column 'mrl')"]
        rows = labelled_rows(frame.assign(seq="ACGTACGT", mrl=[1.0, 2.0, 3.0]), "mine")[0]
        assert rows["reads"].isna().tolist() == [False, True, False]
        with pytest.raises(RibocastError, match="row 2: no assay is named"):
            labelled_rows(frame.assign(seq="ACGTACGT", mrl=[1.0, 2.0, 3.0], assay=["a", word, "a"]))
    for ask in (
        lambda: framed_model.predict(["ACGT", word]), lambda: framed_model.predict(frame),
        lambda: framed_model.predict(frame["seq"]), lambda: framed_model.mrl(["ACGT", word]),
        lambda: ribocast.score_variants(framed_model, ["ACGT"] * 2, ["ACGT", word]),
        lambda: predict_file(framed_model, path, folder / "missing-out.csv"),
    ):  # fmt: skip
        with pytest.raises(RibocastError, match=r"row 2: .*the sequence is missing"):
            ask()


@pytest.fixture(scope="module")
def framed_model(framed):
    return ribocast.load(framed, threads=1)


def test_an_explanation_makes_sequences_that_are_spelled_as_missing_values(framed_model):
    effects = ribocast.explain(framed_model, "NAC", indels=1).effects
    assert (effects[effects["kind"] == "deletion"]["ref"] == "C").any()
    assert effects["mrl"].notna().all()
