"""Placing variants: every way to write an indel is found, and no more of the genome is read than that takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.variants.placement import Edit, UtrEdit, apply_edits, equivalent_edits, trim


class Letters:
    """A contig, as `Genome` gives it, that notes what is read of it."""

    def __init__(self, text):
        self.text, self.read = text, []

    def letters(self, contig, begin, end):
        self.read.append((begin, end))
        return self.text[max(0, begin) : end]


def changed(text, edit):
    return text[: edit.begin] + edit.letters + text[edit.end :]


@given(st.text("AC", min_size=1, max_size=12), st.data())
def test_every_way_to_write_an_indel_is_found(text, data):
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, len(text)))
    letters = data.draw(st.text("AC", min_size=1, max_size=3)) if begin == end else ""
    wanted = changed(text, Edit(begin, end, letters))
    sizes = range(end - begin, end - begin + 1)
    ways = [
        Edit(at, at + size, wanted[at : at + len(letters)])
        for size in sizes for at in range(len(text) - size + 1)
    ]  # fmt: skip
    expected = [way for way in ways if changed(text, way) == wanted]
    assert equivalent_edits(Letters(text), "chr1", Edit(begin, end, letters)) == expected


def test_an_indel_without_repeats_is_read_once():
    genome = Letters("ACGT" * 10_000)
    assert equivalent_edits(genome, "chr1", Edit(2_000, 2_001, "")) == [Edit(2_000, 2_001, "")]
    assert len(genome.read) == 1


@pytest.mark.parametrize("at", [0, 500_000])
def test_a_run_without_end_is_read_in_bounds(at):
    genome = Letters("A" * 1_000_000)
    found = equivalent_edits(genome, "chr1", Edit(at, at + 1, ""))
    assert len(found) > 2_000
    assert max(end - begin for begin, end in genome.read) < 20_000


def test_a_change_of_letters_is_written_one_way_without_reading():
    genome = Letters("")
    assert equivalent_edits(genome, "chr1", Edit(5, 6, "T")) == [Edit(5, 6, "T")]
    assert genome.read == []


@given(st.text("ACG", max_size=6), st.text("ACG", min_size=1, max_size=6), st.text("ACG", min_size=1, max_size=6))
def test_what_alleles_share_is_cut_off(before, ref, alt):
    edit = trim(len(before) + 1, ref, alt)
    assert changed(before + ref, edit) == before + alt
    kept = (before + ref)[edit.begin : edit.end]
    assert not (kept and edit.letters) or (kept[0] != edit.letters[0] and kept[-1] != edit.letters[-1])


@pytest.mark.parametrize(
    ("edits", "result"),
    [
        ([(1, 2, "T"), (3, 3, "GG")], "ATCGGC"),
        ([(3, 3, "GG"), (1, 2, "T")], "ATCGGC"),
        ([(1, 3, ""), (3, 4, "A")], "AA"),
        ([(1, 3, ""), (2, 4, "A")], None),
        ([(2, 2, "A"), (2, 2, "T")], None),
    ],
)
def test_edits_that_overlap_have_no_result(edits, result):
    assert apply_edits("ACCC", [UtrEdit(*edit, "") for edit in edits]) == result
