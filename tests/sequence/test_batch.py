"""Many sequences as one row of bytes: what Python says of each, said of all."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ribocast.sequence.batch import Batch, encode, find_faults, read_batch
from ribocast.sequence.letters import PAD, to_dna

UTRS = st.lists(st.text("ACGTUNacgtun", min_size=1, max_size=20), max_size=12)
TEXTS = st.lists(st.one_of(st.none(), st.text("ACGTUNacgtunXé-\n", max_size=9)), max_size=12)
KINDS = st.sampled_from([pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])


@given(utrs=UTRS, seed=st.integers(0, 99))
def test_any_rows_come_back_as_encode_has_them(utrs, seed):
    batch = Batch.of(utrs)
    rows = np.random.default_rng(seed).permutation(len(utrs))[: len(utrs) // 2 + 1]
    np.testing.assert_array_equal(batch.rows(rows), encode([to_dna(utrs[row]) for row in rows]))
    assert batch.lengths.tolist() == [len(utr) for utr in utrs]
    for letter in "ATN":
        assert batch.count(letter.encode()).tolist() == [to_dna(utr).count(letter) for utr in utrs]


@given(utrs=UTRS.filter(bool), width=st.integers(0, 30))
def test_rows_may_be_wider_than_the_longest_sequence(utrs, width):
    rows = Batch.of(utrs).rows(np.arange(len(utrs)), width)
    wide = max(width, *map(len, utrs))
    assert [row.tobytes().decode() for row in rows] == [to_dna(utr).rjust(wide, chr(PAD)) for utr in utrs]


class Once(list):
    """A list that is to be joined, and not gone through again."""

    joined = False

    def __iter__(self):
        assert not self.joined, "each was looked at"
        self.joined = True
        return super().__iter__()


@pytest.mark.parametrize("utrs", [["ACGT", "TTTT"], ["acgu", "ACGU"], ["A", "C", "G"], ["ACGT"], ["ACGTA"] * 9])
def test_sequences_of_one_length_are_read_without_a_step_for_each(utrs):
    assert Batch.of(Once(utrs)).texts == [to_dna(utr) for utr in utrs]
    if len(utrs[0]) > 3:
        batch, faults = read_batch(Once(utrs), longest=len(utrs[0]))
        assert (batch.texts, faults) == ([to_dna(utr) for utr in utrs], [])


@given(utrs=st.lists(st.text("ACGT", min_size=1, max_size=5), max_size=5), longest=st.integers(1, 5))
def test_sequences_beyond_the_longest_are_named_with_both_lengths(utrs, longest):
    faults = read_batch(utrs, longest)[1]
    assert [fault.row for fault in faults] == [row for row, utr in enumerate(utrs) if len(utr) > longest]
    for fault in faults:
        assert {str(len(utrs[fault.row])), str(longest)} <= set(re.findall(r"\d+", fault.reason))


@given(st.lists(UTRS, min_size=1, max_size=3))
def test_sequences_are_put_behind_one_another(parts):
    joined, whole = (
        Batch.joined([Batch.of(part) for part in parts]),
        Batch.of([utr for part in parts for utr in part]),
    )
    assert (joined.texts, joined.checksum) == (whole.texts, whole.checksum)


@settings(deadline=None)  # Arrow loads what it needs at the first call
@given(texts=TEXTS, kind=KINDS, cut=st.integers(0, 12), longest=st.integers(1, 9))
def test_columns_of_any_kind_and_cut_are_taken_as_python_takes_them(texts, kind, cut, longest):
    whole = pa.chunked_array([texts[:cut], texts[cut:]], pa.string()).cast(kind)
    for column, part in ((whole, texts), (whole.slice(cut), texts[cut:]), (whole.slice(0, cut), texts[:cut])):
        batch = Batch.of_column(column)
        bad = {fault.row for fault in find_faults(part)} | {
            row
            for row, text in enumerate(part)
            if text and (len(text.encode()) > longest or to_dna(text) in ("NA", "NAN"))
        }
        assert batch.suspects(longest).tolist() == sorted(bad)
        for row in set(range(len(part))) - bad:
            assert (
                batch.rows(np.array([row])).tobytes().decode()
                == batch.take(np.array([row])).texts[0]
                == to_dna(part[row])
            )


def test_what_is_no_text_is_suspect():
    assert Batch.of_column(pa.array([1, None, 3])).suspects(9).tolist() == [0, 1, 2]


@given(UTRS)
def test_different_sequences_are_found_in_any_spelling_in_the_order_in_which_they_come(utrs):
    found, number_of = Batch.of(utrs).distinct()
    assert found.texts == list(dict.fromkeys(map(to_dna, utrs)))
    assert found.take(number_of).texts == [to_dna(utr) for utr in utrs]
    assert Batch.of(found.texts).checksum == found.checksum


@given(one=UTRS, other=UTRS)
def test_checksums_tell_sequences_apart(one, other):
    same = [*map(to_dna, one)] == [*map(to_dna, other)]
    assert (Batch.of(one).checksum == Batch.of(other).checksum) == same
