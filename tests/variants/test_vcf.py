"""VCF: any text is read or refused in one line; what is added to it can be told from what was there, and replaced."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ribocast.errors import RibocastError
from ribocast.variants.vcf import (
    ENTRY,
    INFO_ID,
    LOG2_ID,
    BadRow,
    Record,
    encoded,
    is_sequence,
    read_vcf,
    with_our_header,
    with_our_info,
    without_our_info,
)

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
HEAD = ["##fileformat=VCFv4.2", COLUMNS]
CELLS = st.sampled_from(["chr1", "1", "0", "-1", "²", "٣", "1" * 5000, ".", "", "A", "acgtn", "R", "<DEL>", "A,<DUP>,*",
                         "PASS", "END=9", "AF=1;END=" + "9" * 5000, "END=x"])  # fmt: skip
FIELDS = st.from_regex(r"[A-QS-Z][A-Z0-9]{0,4}(=[a-z0-9.,]{0,6})?", fullmatch=True)
INFO = st.lists(FIELDS, max_size=4).map(lambda fields: ";".join(fields) or ".")
ENTRIES = st.lists(st.tuples(*[st.text(max_size=5)] * len(ENTRY)), min_size=1, max_size=3)
LOG2 = st.lists(st.none() | st.floats(-9, 9), min_size=1, max_size=3)


def rows_of(lines):
    return list(read_vcf(iter([line + "\n" for line in [*HEAD, *lines]]), "t.vcf", lambda: 0).rows)


@given(st.lists(st.sampled_from([*HEAD, "##x", "BCF", "chr1\t1"]) | st.text(max_size=20), max_size=4))
def test_any_header_is_read_or_refused_in_one_line(lines):
    try:
        read = read_vcf(iter(lines), "t.vcf", lambda: 0)
    except RibocastError as error:
        assert str(error).startswith("t.vcf")  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        return
    assert read.header[-1].startswith(COLUMNS)
    assert len(read.header) + len(list(read.rows)) == len(lines)


@given(st.lists(st.lists(CELLS, min_size=7, max_size=9), max_size=5))
def test_every_row_comes_back_cell_by_cell_read_or_with_a_reason(rows):
    found = rows_of(["\t".join(cells) for cells in rows])
    assert [one.cells for one in found] == rows
    assert [one.row for one in found] == list(range(1, len(rows) + 1))
    for one in found:
        if isinstance(one, BadRow):
            assert one.reason.isprintable()
            assert len(one.reason) < 100
            continue
        assert isinstance(one, Record)
        begin, end = one.span
        assert one.pos - 1 <= begin <= one.pos
        assert end > begin
        assert ",".join(one.alts) == one.cells[4]


@pytest.mark.parametrize("position", ["1" * 5000, "9" * 19, "²", "٣", "-1", ""])
def test_what_is_no_position_is_said_and_the_row_is_not_lost(position):
    (row,) = rows_of([f"chr1\t{position}\t.\tA\tC\t.\t.\t."])
    assert isinstance(row, BadRow)
    assert row.reason == f"POS {position[:60]!r} is not a position"


@given(INFO, ENTRIES, LOG2, ENTRIES, LOG2)
def test_a_second_run_replaces_what_the_first_has_added_and_nothing_else(info, first, low, second, high):
    cells = ["chr1", "7", ".", "A", "C", ".", "PASS", info, "GT", "0/1"]
    once = with_our_info(cells, second, high)
    assert with_our_info(with_our_info(cells, first, low), second, high) == once
    assert once[:7] + once[8:] == cells[:7] + cells[8:]
    kept = [field for field in once[7].split(";") if not field.startswith((f"{INFO_ID}=", f"{LOG2_ID}="))]
    assert ";".join(kept) == ("" if info == "." else info)
    (ours,) = [field for field in once[7].split(";") if field.startswith(f"{INFO_ID}=")]
    entries = [entry.split("|") for entry in ours.removeprefix(f"{INFO_ID}=").split(",")]
    # A space and a low line are one, as VCF has no way to write a space.
    plain = [[field.replace(" ", "_") for field in entry] for entry in second]
    assert [[unquote(field) for field in entry] for entry in entries] == plain


@given(INFO, ENTRIES, LOG2)
def test_removing_our_entries_leaves_the_row(info, entries, log2):
    cells = ["chr1", "7", ".", "A", "C", ".", "PASS", info, "GT", "0/1"]
    assert without_our_info(with_our_info(cells, entries, log2)) == cells
    assert without_our_info(cells) is cells
    assert without_our_info(cells[:7]) == cells[:7]


@given(st.lists(st.from_regex(r"##[a-qs-z]+=[a-z<>,]*", fullmatch=True), max_size=4), st.text("abc ", max_size=9))
def test_a_header_describes_what_is_added_once(lines, about):
    header = ["##fileformat=VCFv4.2", *lines, COLUMNS]
    once = with_our_header(header, about)
    assert with_our_header(with_our_header(header, "before"), about) == once
    assert [line for line in once if line in header] == header
    assert sum(f"ID={name}," in line for line in once for name in (INFO_ID, LOG2_ID)) == 2


@given(st.text())
def test_encoded_text_can_stand_in_info(text):
    assert not re.search(r"[ ,;=|:\t\r\n]", encoded(text))
    assert unquote(encoded(text)) == text.replace(" ", "_")


@given(st.text(max_size=6))
def test_a_sequence_is_letters_alone(text):
    assert is_sequence(text) == (text != "" and set(text) <= set("ACGTNacgtn"))
