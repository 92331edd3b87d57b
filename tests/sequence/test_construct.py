"""What stands around a UTR; frames and positions are counted from the start codon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.sequence.construct import EGFP, Construct, frame, position_from_start
from ribocast.sequence.letters import is_missing

utrs = st.text(st.sampled_from("ACGTUNacgtun"), max_size=60).filter(lambda text: not is_missing(text))


@given(before=utrs, after=utrs, utr=utrs)
def test_the_start_codon_stands_where_start_says(before, after, utr):
    construct = Construct(before, "aug" + after)
    whole = construct.around(utr)
    assert whole[construct.start(utr) :].startswith("ATG")
    assert len(whole) == len(before) + len(utr) + 3 + len(after)
    assert set(whole) <= set("ACGTN")


@given(before=utrs, after=utrs, utr=utrs)
def test_rna_and_lower_case_make_the_same_construct(before, after, utr):
    ours = Construct(before, "ATG" + after)
    same = Construct(before.upper().replace("T", "U"), "aug" + after.lower().replace("t", "u"))
    assert ours == same
    assert hash(ours) == hash(same)
    assert ours.around(utr) == same.around(utr.upper().replace("T", "U"))


@given(length=st.integers(1, 200), index=st.integers(0, 199))
def test_frame_counts_from_the_start_codon(length, index):
    upstream = length - index
    assert frame(index, length) == -upstream % 3
    assert position_from_start(index, length) == -upstream
    # Codon after codon downstream, a base in frame 0 comes to the start codon, and no other does.
    assert (frame(index, length) == 0) == (upstream % 3 == 0)


def test_the_last_base_is_minus_one_and_the_codon_before_the_start_is_in_frame():
    assert position_from_start(49, 50) == -1
    assert [frame(index, 50) for index in (44, 47, 48, 49, 50)] == [0, 0, 1, 2, 0]


@pytest.mark.parametrize("after", ["", "A", "AT", "GUGC", "CTGATG", "NTG"])
def test_a_coding_sequence_that_does_not_begin_with_atg_is_refused(after):
    first = after.replace("U", "T")[:3]
    with pytest.raises(RibocastError, match=rf"^construct: the coding sequence begins with '{first}', not with ATG$"):
        Construct("", after)


@pytest.mark.parametrize(
    ("before", "after", "name"), [("ACX", "ATG", "before"), ("", "ATGé", "after"), ("A G", "ATG", "before")]
)
def test_a_wrong_letter_is_named_with_the_piece_it_is_in(before, after, name):
    with pytest.raises(RibocastError, match=rf"^construct, {name}: '.' at position \d is not a nucleotide"):
        Construct(before, after)


def test_a_construct_cannot_be_changed():
    with pytest.raises(AttributeError):
        EGFP.before = "A"


def test_egfp_is_the_construct_of_the_measurements():
    assert EGFP.before == "GGGACATCGTAGAGAGTCGTACTTA"
    assert EGFP.after.startswith("ATGGGCGAATTAAGTAAGGGCGAGGAGCTG")
