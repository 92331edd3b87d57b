"""Where transcripts stand in a genome: 5′ UTRs spliced across introns, on both strands.

Positions inside this module are 0-based and half-open, as Python's slices: a GTF's or GFF3's ``start end``, which are
1-based and both included, become ``start - 1, end``. Nothing else converts them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Span = tuple[int, int]
Strand = Literal["+", "-"]

CODING_LETTERS = 30
"""How much of its own coding sequence a transcript is read with, nt."""
SPLICE_LETTERS = 2
"""How many letters at either end of an intron are its splice sites."""
START_CODON = "the start codon"
_CODON_LETTERS = 3
_COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


class Zone(NamedTuple):
    """A stretch of the genome that a variant must not touch to be scored, and what it is."""

    begin: int
    end: int
    what: str
    joint: int | None
    """An end of it at which an insertion touches it too."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A transcript that has a 5′ UTR and a start codon.

    Attributes
    ----------
    gene, name : str
        As the annotation calls them.
    contig : str
        As the annotation calls it.
    strand : {"+", "-"}
        ``-``: the transcript is the reverse complement of what the genome's file holds.
    utr : tuple of (int, int)
        The exon parts before the start codon; ascending in the genome, 0-based and half-open.
    coding : tuple of (int, int)
        The exon parts from the start codon on, ascending, `CODING_LETTERS` in all, or as many as there are.
    zones : tuple of Zone
        Start codon, splice sites and 5′ end.
    splice_ends : tuple of int
        Joints of exon and intron, as indices into the spliced UTR, 5′→3′ (the length, where the joint is right before
        the start codon).
    """

    gene: str
    name: str
    contig: str
    strand: Strand
    utr: tuple[Span, ...]
    coding: tuple[Span, ...]
    zones: tuple[Zone, ...]
    splice_ends: tuple[int, ...]

    @property
    def length(self) -> int:
        """The UTR's length, nt."""
        return sum(end - begin for begin, end in self.utr)

    def index(self, begin: int, end: int) -> int | None:
        """Return where ``[begin, end)`` of the genome begins in the spliced UTR, read 5′→3′.

        None if it is not wholly within one exon's part of it. With ``begin == end``, the place of an insertion: the
        index that the first inserted letter gets. An insertion right before the start codon is within the UTR, one
        beside an intron or before the first letter is not.
        """
        before = 0
        for left, right in self.utr:
            if left <= begin and end <= right:
                if begin == end and not self._holds_insertion(begin, left, right):
                    return None
                at = before + begin - left
                return at if self.strand == "+" else self.length - at - (end - begin)
            before += right - left
        return None

    def overlaps(self, begin: int, end: int) -> bool:
        """Tell whether ``[begin, end)`` has letters of the UTR, its splice sites or the start codon."""
        spans = (*self.utr, *((zone.begin, zone.end) for zone in self.zones))
        return any(begin < right and end > left for left, right in spans)

    def _holds_insertion(self, at: int, left: int, right: int) -> bool:
        if left < at < right:
            return True
        # Beside the start codon, unless an intron stands between.
        if self.strand == "+":
            return at == right == self.coding[0][0]
        return at == left == self.coding[-1][1]

    def touched(self, begin: int, end: int) -> list[str]:
        """Name what a change of ``[begin, end)`` touches of the start codon, the splice sites and the 5′ end."""
        found = []
        for zone in self.zones:
            if begin == end:
                hit = zone.begin < begin < zone.end or begin == zone.joint
            else:
                hit = begin < zone.end and end > zone.begin
            if hit and zone.what not in found:
                found.append(zone.what)
        return sorted(found)


def build(gene: str, name: str, contig: str, strand: Strand, exons: Iterable[Span], start: int) -> Transcript | str:
    """Cut a transcript's exons at its start codon.

    Parameters
    ----------
    gene, name, contig, strand
        See `Transcript`.
    exons : iterable of (int, int)
        0-based and half-open, in any order; the same exon twice is one.
    start : int
        The joint in the genome at the 5′ side of the start codon's first base: on ``+`` the 0-based position of the A;
        on ``-`` that position plus 1.

    Returns
    -------
    Transcript or str
        Or why there is none, in words.
    """
    blocks = sorted(set(exons))
    if any(left[1] > right[0] for left, right in itertools.pairwise(blocks)):
        return "its exons overlap"
    blocks = _joined(blocks)
    if strand == "+":
        held = any(begin <= start < end for begin, end in blocks)
        utr = [(begin, min(end, start)) for begin, end in blocks if begin < start]
        coding = [(max(begin, start), end) for begin, end in blocks if end > start]
    else:
        held = any(begin < start <= end for begin, end in blocks)
        utr = [(max(begin, start), end) for begin, end in blocks if end > start]
        coding = [(begin, min(end, start)) for begin, end in blocks if begin < start]
    if not held:
        return "its coding sequence does not begin in an exon"
    if not utr:
        return "no 5' UTR"
    codon = first_letters(coding, strand, _CODON_LETTERS)
    if sum(end - begin for begin, end in codon) < _CODON_LETTERS:
        return "its coding sequence is shorter than a start codon"
    zones = [Zone(begin, end, START_CODON, None) for begin, end in codon]
    length = sum(end - begin for begin, end in utr)
    read = blocks if strand == "+" else blocks[::-1]
    ends, spliced = [], 0
    for this, following in itertools.pairwise(read):
        spliced += this[1] - this[0]
        if spliced >= length + _CODON_LETTERS:
            break
        if spliced <= length:
            ends.append(spliced)
        left, right = min(this, following)[1], max(this, following)[0]
        zones.append(Zone(left, min(left + SPLICE_LETTERS, right), "a splice site", left))
        zones.append(Zone(max(right - SPLICE_LETTERS, left), right, "a splice site", right))
    edge = utr[0][0] if strand == "+" else utr[-1][1]
    zones.append(Zone(edge, edge, "the 5' end of the UTR", edge))
    return Transcript(
        gene, name, contig, strand, tuple(utr), tuple(first_letters(coding, strand, CODING_LETTERS)), tuple(zones),
        tuple(ends),
    )  # fmt: skip


def _joined(blocks: list[Span]) -> list[Span]:
    """Make one of exons that touch: there is no intron between them."""
    joined: list[Span] = []
    for begin, end in blocks:
        if joined and joined[-1][1] == begin:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined


def first_letters(blocks: list[Span], strand: Strand, letters: int) -> list[Span]:
    """Return the first `letters` of ascending blocks, as the strand reads them; ascending too."""
    kept: list[Span] = []
    for begin, end in blocks if strand == "+" else blocks[::-1]:
        if not letters:
            break
        take = min(letters, end - begin)
        kept.append((begin, begin + take) if strand == "+" else (end - take, end))
        letters -= take
    return sorted(kept)


def reverse_complement(letters: str) -> str:
    """Read the other strand; upper-case A, C, G, T and N."""
    return letters.translate(_COMPLEMENT)[::-1]
