"""Putting a variant of the genome into a spliced 5′ UTR.

An insertion or a deletion among repeated letters can be written at several places and is one and the same variant;
whether it can be scored, and its score, do not depend on which of them was written.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from ribocast.variants.genome import Genome
from ribocast.variants.transcripts import START_CODON, Transcript, reverse_complement

_LONGEST_REPEAT = 2_000
_SPLICE_REGION = 3
"""So many letters of an exon beside an intron are part of its splice site too (as in VEP's splice region)."""


_OUTSIDE = "also changes letters outside the UTR"


class Edit(NamedTuple):
    """Letters ``[begin, end)`` of a contig, 0-based, become `letters`."""

    begin: int
    end: int
    letters: str


class SplicedTranscript(NamedTuple):
    """A transcript with its letters: the 5′ UTR, and the coding sequence's beginning."""

    transcript: Transcript
    utr: str
    coding: str


class UtrEdit(NamedTuple):
    """A change of a spliced UTR: ``[begin, end)`` of it, 0-based and 5′→3′, become `letters`; and what to remark."""

    begin: int
    end: int
    letters: str
    note: str


def trim(pos: int, ref: str, alt: str) -> Edit:
    """Cut what two alleles share at their ends; first the right, as VCF pads indels on their left.

    Parameters
    ----------
    pos : int
        POS of the VCF: of the first letter of `ref`, from 1.
    ref, alt : str
        Alleles on the genome's + strand.
    """
    ref, alt, begin = ref.upper(), alt.upper(), pos - 1
    right = 0
    while right < min(len(ref), len(alt)) and ref[-1 - right] == alt[-1 - right]:
        right += 1
    ref, alt = ref[: len(ref) - right], alt[: len(alt) - right]
    left = 0
    while left < min(len(ref), len(alt)) and ref[left] == alt[left]:
        left += 1
    return Edit(begin + left, begin + len(ref), alt[left:])


def changed_letters(pos: int, ref: str, alt: str) -> list[Edit]:
    """List the letters that differ in two alleles of one length, each an edit; of other lengths, one edit as `trim`.

    What lies between two changed letters stays as it is: a variant that spells it does not touch it.
    """
    if len(ref) != len(alt):
        return [trim(pos, ref, alt)]
    pairs = enumerate(zip(ref.upper(), alt.upper(), strict=True), start=pos - 1)
    return [Edit(at, at + 1, new) for at, (old, new) in pairs if old != new]


def equivalent_edits(genome: Genome, contig: str, edit: Edit) -> list[Edit]:
    """List every way to write an insertion or a deletion, ascending; any other change has one.

    Parameters
    ----------
    genome : Genome
        Where the letters beside it are.
    contig : str
        As the genome calls it.
    edit : Edit
        As `trim` gives it.
    """
    begin, end, letters = edit
    size = end - begin or len(letters)
    if (end > begin) == bool(letters):
        return [edit]
    reach = 4 * size + 64
    while True:
        first = max(0, begin - reach)
        around = genome.letters(contig, first, end + reach)
        unit = letters or around[begin - first : end - first]
        lefts = _shifts(around[: begin - first][::-1], unit[::-1])
        rights = _shifts(around[end - first :], unit)
        # Repeats that fill all that was looked at may go on.
        more = (lefts == begin - first > 0 and first > 0) or rights == reach
        if not more or reach > _LONGEST_REPEAT:
            break
        reach *= 4
    shifts = range(-lefts, rights + 1)
    return [Edit(begin + at, end + at, letters[at % size :] + letters[: at % size]) for at in shifts]


def _shifts(beside: str, unit: str) -> int:
    """Count the letters of `beside` that go on as `unit` does when it is repeated."""
    size = len(unit)
    return next((at for at, letter in enumerate(beside) if letter != unit[at % size]), len(beside))


def place(spliced: SplicedTranscript, changes: Sequence[Sequence[Edit]]) -> list[UtrEdit] | str | None:
    """Find what a variant of one or several changes does to a UTR.

    Parameters
    ----------
    spliced : SplicedTranscript
        The transcript.
    changes : sequence of sequences of Edit
        See `changed_letters`; of each, all ways to write it.

    Returns
    -------
    list of UtrEdit, str or None
        The changes in the UTR, 5′→3′. Else what the variant touches; None if that is nothing.
    """
    places = [map_to_utr(spliced, edits) for edits in changes]
    if touched := {what for one in places if isinstance(one, str) for what in one.split(" and ")}:
        return " and ".join(sorted(touched))
    inside = sorted(one for one in places if isinstance(one, UtrEdit))
    if inside and None in places:
        inside[-1] = inside[-1]._replace(note=join_notes([inside[-1], UtrEdit(0, 0, "", _OUTSIDE)]))
    return inside or None


def join_notes(placed: Sequence[UtrEdit]) -> str:
    """Say what is special about some changes, each remark once."""
    return "; ".join(dict.fromkeys(one.note for one in placed if one.note))


def map_to_utr(spliced: SplicedTranscript, edits: Sequence[Edit]) -> UtrEdit | str | None:
    """Find where a change is in a UTR.

    Parameters
    ----------
    spliced : SplicedTranscript
        The transcript.
    edits : sequence of Edit
        All ways to write the one change; see `equivalent_edits`.

    Returns
    -------
    UtrEdit, str or None
        Where it lies wholly in the UTR: of several places, the one nearest to the start codon. Else what it touches;
        None if that is nothing, or if it can be written behind the start codon: then UTR and ATG stay as they are.
    """
    transcript = spliced.transcript
    inside: list[tuple[int, Edit]] = []
    touched: set[str] = set()
    exons = set()
    for edit in edits:
        found = transcript.touched(edit.begin, edit.end)
        touched.update(found)
        index = None if found else transcript.index(edit.begin, edit.end)
        if index is not None:
            inside.append((index, edit))
            exons.add(next(block for block in transcript.utr if block[0] <= edit.begin <= edit.end <= block[1]))
    if len(exons) > 1:
        return "a splice site"
    if not inside:
        # Between the start codon and what no zone holds, an indel moves over coding letters alone.
        leaves_atg = touched == {START_CODON} and any(not transcript.touched(*edit[:2]) for edit in edits)
        return " and ".join(sorted(touched)) if touched and not leaves_atg else None
    index, edit = max(inside)
    size = edit.end - edit.begin
    if not edit.letters and size == len(spliced.utr):
        return "the whole UTR"
    if not edit.letters and any(edit.begin <= left and right <= edit.end for left, right in transcript.utr):
        return "a whole exon of the UTR"
    letters = edit.letters if transcript.strand == "+" else reverse_complement(edit.letters)
    return UtrEdit(index, index + size, letters, remark(spliced, index, index + size, touched))


def remark(spliced: SplicedTranscript, begin: int, end: int, touched: set[str]) -> str:
    """Say what is special about a change of ``[begin, end)`` of a UTR."""
    notes = []
    if begin == 0:
        notes.append("at the first letter of the UTR")
    length = len(spliced.utr)
    if begin == end == length:
        notes.append("inserted right before the start codon")
    joints = spliced.transcript.splice_ends
    if any(begin < joint + _SPLICE_REGION and end > joint - _SPLICE_REGION for joint in joints):
        notes.append(f"within {_SPLICE_REGION} nt of a splice site")
    if touched:
        notes.append(f"can also be written as touching {' and '.join(sorted(touched))}")
    return "; ".join(notes)


def apply_edits(utr: str, placed: Sequence[UtrEdit]) -> str | None:
    """Apply changes to a UTR; None if two of them overlap."""
    ordered = sorted(placed)
    # Two insertions at one place have no order.
    for first, second in itertools.pairwise(ordered):
        if first.end > second.begin or (first.begin, first.end) == (second.begin, second.end):
            return None
    for one in reversed(ordered):
        utr = utr[: one.begin] + one.letters + utr[one.end :]
    return utr


def utr_position(spliced: SplicedTranscript, placed: UtrEdit) -> int:
    """Return the position that people see: of the first changed letter, −1 being the UTR's last.

    For an insertion, that of the letter right before the inserted ones.
    """
    at = placed.begin - (placed.begin == placed.end)
    return at - len(spliced.utr)
