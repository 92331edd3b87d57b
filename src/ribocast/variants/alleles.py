"""Variants of a genome: what alleles do to 5′ UTRs, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ribocast.errors import InputError
from ribocast.model.predictor import Predictor
from ribocast.variants.placement import (
    Edit,
    SplicedTranscript,
    UtrEdit,
    apply_edits,
    changed_letters,
    equivalent_edits,
    join_notes,
    place,
    remark,
    utr_position,
)
from ribocast.variants.score import pair_faults, score_variants
from ribocast.variants.transcripts import reverse_complement
from ribocast.variants.utrs import GenomeUtrs, own_construct
from ribocast.variants.vcf import NO_CHANGE, Record, is_sequence, kind_of

if TYPE_CHECKING:
    import pandas as pd

LOCUS_COLUMNS = ("chrom", "pos", "id", "ref", "alt", "gene", "transcript", "utr_position")
_NUMBERS = ("ref_mrl", "alt_mrl", "log2_fold_change", "log2_low", "log2_high")
COLUMNS = (*LOCUS_COLUMNS, *_NUMBERS, "consequence", "note")
"""What a table of variants of a genome has: one row per variant and transcript."""
REACH = 2_500
"""How far from a UTR, nt, rows are looked at: an insertion among repeats can be written that far from it."""
_DIGITS = 5


class UtrAllele(NamedTuple):
    """An allele in a transcript: what its row says, and the pair of UTRs to score, or why there is none."""

    record: int
    allele: int
    cells: tuple[str, int, str, str, str, str, str]
    utr_position: int | None
    spliced: SplicedTranscript
    alt: str | None
    words: str


def find_alleles(utrs: GenomeUtrs, record: Record, number: int = 0) -> list[UtrAllele]:
    """Find what the alleles of a VCF's row do to UTRs, in the order of alleles and transcripts.

    Parameters
    ----------
    utrs : GenomeUtrs
        The UTRs.
    record : Record
        The row.
    number : int
        Given back as `UtrAllele.record`.

    Raises
    ------
    RibocastError
        If REF is not what the genome has there, near a UTR or not; a contig that the genome lacks is not looked at.
    """
    begin, end = record.pos - 1, record.pos - 1 + len(record.ref)
    if not all(map(is_sequence, record.alts)):
        begin, end = min(begin, record.span[0]), max(end, record.span[1])
    # What keeps its length cannot move among repeats.
    reach = 0 if all(len(alt) == len(record.ref) for alt in record.alts) else REACH
    contig = utrs.genome.contig(record.chrom)
    if contig is None:
        return []
    check_ref(utrs, contig, record)
    # Positions can be any number; a contig is only so long.
    length = utrs.genome.length(contig)
    near = utrs.near(record.chrom, min(begin - reach, length), min(end + reach, length))
    if not near:
        return []
    found: list[UtrAllele] = []
    for allele, alt in enumerate(record.alts):
        if alt in NO_CHANGE:
            continue
        changes, (low, high) = None, record.span
        if is_sequence(alt):
            changes = ways_to_write(utrs, contig, record.pos, record.ref, alt)
            if not changes:
                continue
            # With a letter on either side, for insertions.
            low, high = changes[0][0].begin - 1, changes[-1][-1].end + 1
        for which in near:
            one = utrs.transcripts[which]
            if not one.overlaps(low, high):
                continue
            spliced = utrs.read(which)
            cells = (record.chrom, record.pos, record.cells[2], record.ref, alt, one.gene, one.name)
            if changes is None:
                found.append(UtrAllele(number, allele, cells, None, spliced, None, f"{kind_of(alt)}: not scored"))
                continue
            placed = place(spliced, changes)
            if isinstance(placed, str):
                words = f"touches {placed}: not scored"
                found.append(UtrAllele(number, allele, cells, None, spliced, None, words))
            elif placed is not None:
                utr, notes = apply_edits(spliced.utr, placed), join_notes(placed)
                found.append(UtrAllele(number, allele, cells, utr_position(spliced, placed[0]), spliced, utr, notes))
    return found


def ways_to_write(utrs: GenomeUtrs, contig: str, pos: int, ref: str, alt: str) -> list[list[Edit]]:
    """List the changes of an allele, ascending, and of each all ways to write it; none where REF and ALT are equal."""
    return [equivalent_edits(utrs.genome, contig, edit) for edit in changed_letters(pos, ref, alt)]


def check_ref(utrs: GenomeUtrs, contig: str, record: Record) -> None:
    """Raise RibocastError if a row's REF is not in the genome; N of either may be any letter."""
    begin = record.pos - 1
    there = utrs.genome.letters(contig, begin, begin + len(record.ref)) if begin >= 0 else ""
    ref = record.ref.upper()
    if len(there) != len(ref) or any(a != b and "N" not in (a, b) for a, b in zip(there, ref, strict=True)):
        shown = [text if len(text) <= 60 else f"{text[:59]}…" for text in (ref, there or "nothing")]
        where = f"{record.chrom}:{record.pos:,}"
        raise InputError(f"{where}: REF is {shown[0]}, but {utrs.genome.name} has {shown[1]}")


def to_table(
    model: Predictor, found: list[UtrAllele], assay: str | None, known: dict[str, float] | None = None
) -> pd.DataFrame:
    """Score what was found; the columns are ``COLUMNS``, one row each, in order.

    MRLs that are `known` are not predicted again; see `ribocast.variants.score.score_variants`.
    """
    import pandas as pd

    card = model.card.assay(assay) if assay else model.card.genome_assay
    frame = pd.DataFrame([one.cells for one in found], columns=list(LOCUS_COLUMNS[:-1]))
    frame["utr_position"] = pd.array([one.utr_position for one in found], dtype="Int64")
    for name in _NUMBERS:
        frame[name] = np.nan
    words = ["" if one.alt is not None else one.words for one in found]
    notes = ["" if one.alt is None else one.words for one in found]
    rows = [row for row, one in enumerate(found) if one.alt is not None]
    faults = pair_faults(model, [found[row].spliced.utr for row in rows], [found[row].alt for row in rows])
    bad = {rows[fault.row]: fault.reason for fault in faults}
    for row, reason in bad.items():
        words[row], notes[row] = f"not scored: {reason}", ""
    rows = [row for row in rows if row not in bad]
    if rows:
        own = [own_construct(found[row].spliced) for row in rows]
        refs, alts = [found[row].spliced.utr for row in rows], [str(found[row].alt) for row in rows]
        constructs = [construct for construct, _ in own]
        scores = score_variants(model, refs, alts, assay=card.name, constructs=constructs, known=known)
        for name in _NUMBERS:
            frame.loc[rows, name] = scores[name].round(_DIGITS).to_numpy()
        joints = [joint_note(card.surroundings.before, ref, alt) for ref, alt in zip(refs, alts, strict=True)]
        each = zip(rows, own, joints, scores["consequence"], scores["note"], strict=True)
        for row, (_, start), joint, told, note in each:
            words[row] = told
            notes[row] = "; ".join(part for part in (joint, note, start, notes[row]) if part)
    frame["consequence"], frame["note"] = words, notes
    return frame


def joint_note(before: str, ref: str, alt: str) -> str:
    """Say which of two UTRs makes an ATG with the end of the adapter: it is predicted with one that no cell has."""
    made, lost = ("ATG" in before[-2:] + utr[:2] for utr in (alt, ref))
    if made == lost:
        return ""
    return f"the {'variant' if made else 'reference'} makes an ATG with the adapter, which the transcript lacks"


def every_substitution(spliced: SplicedTranscript) -> Iterator[UtrAllele]:
    """Give every substitution in a UTR, 5′→3′; a letter that is N has none."""
    transcript = spliced.transcript
    spots = [at for begin, end in transcript.utr for at in range(begin, end)]
    if transcript.strand == "-":
        spots.reverse()
    for index, (spot, letter) in enumerate(zip(spots, spliced.utr, strict=True)):
        if letter == "N":
            continue
        note = remark(spliced, index, index + 1, set())
        for alt in "ACGT".replace(letter, ""):
            utr = apply_edits(spliced.utr, [UtrEdit(index, index + 1, alt, note)])
            shown = (letter, alt) if transcript.strand == "+" else (reverse_complement(letter), reverse_complement(alt))
            cells = (transcript.contig, spot + 1, ".", *shown, transcript.gene, transcript.name)
            yield UtrAllele(0, 0, cells, index - len(spliced.utr), spliced, utr, note)
