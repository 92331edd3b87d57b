"""Variants of one UTR on one chromosome of a person, scored together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ribocast.errors import InputError
from ribocast.variants.alleles import REACH, UtrAllele, ways_to_write
from ribocast.variants.genome import contig_key
from ribocast.variants.placement import (
    SplicedTranscript,
    UtrEdit,
    apply_edits,
    changed_letters,
    join_notes,
    place,
    utr_position,
)
from ribocast.variants.utrs import GenomeUtrs
from ribocast.variants.vcf import Record

_FORMAT, _FIRST_SAMPLE = 8, 9
_SIGNS = re.compile("[/|]")


class Carrier(NamedTuple):
    """Who has an allele: the sample's number; on which chromosome (from 1; 0 is all), phase set, and of how many."""

    sample: int
    side: int
    phase_set: str
    ploidy: int


class Haplotype(NamedTuple):
    """Variants of a UTR that are on one chromosome: a row of the table, their spelling, and who has them."""

    found: UtrAllele
    spelling: str
    samples: str


@dataclass
class _PendingUtr:
    spliced: SplicedTranscript
    end: int
    alleles: list[tuple[UtrAllele, list[Carrier]]] = field(default_factory=list)


class Haplotypes:
    """Collects the alleles of UTRs until a sorted VCF is past them.

    Parameters
    ----------
    utrs : GenomeUtrs
        The UTRs.
    header : list of str
        The VCF's; its last line names the samples.

    Raises
    ------
    RibocastError
        If there are no samples.
    """

    def __init__(self, utrs: GenomeUtrs, header: list[str]) -> None:
        self._utrs = utrs
        self._samples = header[-1].split("\t")[_FIRST_SAMPLE:]
        if not self._samples:
            raise InputError("the VCF has no samples, so no haplotypes")
        self._waiting: dict[int, _PendingUtr] = {}
        self._last = ("", 0)
        self._seen: set[str] = set()

    def add(self, record: Record, found: list[UtrAllele]) -> Iterator[Haplotype]:
        """Take a row and what was found in it; give the haplotypes of UTRs that it is behind.

        Raises
        ------
        RibocastError
            If the rows are not sorted.
        """
        key = contig_key(record.chrom)
        if key != self._last[0]:
            yield from self.finish()
            if key in self._seen:
                raise InputError(f"{record.chrom}:{record.pos}: haplotypes need a sorted VCF (bcftools sort)")
            self._seen.add(key)
        elif record.pos < self._last[1]:
            raise InputError(f"{record.chrom}:{record.pos}: haplotypes need a sorted VCF (bcftools sort)")
        self._last = (key, record.pos)
        behind = [name for name, one in self._waiting.items() if one.end < record.pos - 1]
        for name in behind:
            yield from self._combined(self._waiting.pop(name))
        carriers: dict[int, list[Carrier]] = {}
        for one in found:
            if one.allele not in carriers:
                carriers[one.allele] = carriers_of(record.cells, one.allele + 1)
            transcript = one.spliced.transcript
            waiting = self._waiting.setdefault(
                id(transcript), _PendingUtr(one.spliced, max(transcript.utr[-1][1], transcript.coding[-1][1]) + REACH)
            )
            waiting.alleles.append((one, carriers[one.allele]))

    def finish(self) -> Iterator[Haplotype]:
        """Give what is left."""
        for one in self._waiting.values():
            yield from self._combined(one)
        self._waiting.clear()

    def _combined(self, waiting: _PendingUtr) -> Iterator[Haplotype]:
        if len(waiting.alleles) < 2:
            return
        of_sample: dict[int, list[tuple[int, Carrier]]] = {}
        for number, (_, carriers) in enumerate(waiting.alleles):
            for carrier in carriers:
                of_sample.setdefault(carrier.sample, []).append((number, carrier))
        groups: dict[tuple[int, ...], list[str]] = {}
        for sample, held in of_sample.items():
            sets = sorted({carrier.phase_set for _, carrier in held if carrier.side}) or [""]
            for phase_set in sets:
                for side in range(1, 1 + max(carrier.ploidy for _, carrier in held)):
                    # What is on all chromosomes is in phase with everything.
                    numbers = tuple(
                        number for number, one in held if not one.side or (one.phase_set, one.side) == (phase_set, side)
                    )
                    if len(numbers) > 1:
                        groups.setdefault(numbers, []).append(f"{self._samples[sample]}:{side}")
        for numbers, names in sorted(groups.items()):
            unique = " ".join(dict.fromkeys(names))
            yield self._haplotype(waiting.spliced, [waiting.alleles[number][0] for number in numbers], unique)

    def _haplotype(self, spliced: SplicedTranscript, alleles: list[UtrAllele], samples: str) -> Haplotype:
        chrom, spot, _, _, _, gene, transcript = alleles[0].cells
        names, refs, alts = ("+".join(str(one.cells[column]) for one in alleles) for column in (2, 3, 4))
        spelling = "+".join(f"{one.cells[1]}:{one.cells[3]}>{one.cells[4]}" for one in alleles)
        cells = (chrom, spot, names, refs, alts, gene, transcript)
        unscored = next((one.words for one in alleles if one.alt is None), None)
        if unscored is not None:
            found = UtrAllele(0, 0, cells, None, spliced, None, unscored)
            return Haplotype(found, spelling, samples)
        placed = [edit for one in alleles for edit in self._as_written(spliced, one)]
        utr = apply_edits(spliced.utr, placed)
        if utr is None:
            found = UtrAllele(0, 0, cells, None, spliced, None, "its variants overlap: not scored")
        else:
            first = min(utr_position(spliced, one) for one in placed)
            found = UtrAllele(0, 0, cells, first, spliced, utr, join_notes(placed))
        return Haplotype(found, spelling, samples)

    def _as_written(self, spliced: SplicedTranscript, one: UtrAllele) -> list[UtrEdit]:
        """Place an allele where the VCF has it: moved among repeats, it could come upon another of the haplotype."""
        alleles = one.cells[1], one.cells[3], one.cells[4]
        placed = place(spliced, [[edit] for edit in changed_letters(*alleles)])
        if not isinstance(placed, list):
            contig = self._utrs.genome.contig(spliced.transcript.contig)
            placed = place(spliced, ways_to_write(self._utrs, contig or "", *alleles))
        if not isinstance(placed, list):
            raise InputError(f"{one.cells[0]}:{one.cells[1]}: the FASTA file has changed while it was read")
        return placed


def carriers_of(cells: list[str], allele: int) -> list[Carrier]:
    """Find who has an allele on a known chromosome.

    Parameters
    ----------
    cells : list of str
        A row of a VCF with samples, as `ribocast.variants.vcf.Record` has it.
    allele : int
        As GT counts: 1 is the first ALT.

    Returns
    -------
    list of Carrier
        An allele on all of a sample's chromosomes is in phase whatever GT says; ``0/1`` is not, and is left out. The
        sign before a call says whether it is phased; the first call may have none, and then is phased if all others
        are (VCF 4.4, 1.6.2).
    """
    form, *samples = cells[_FORMAT].split("\t")
    keys = form.split(":")
    if "GT" not in keys:
        return []
    gt_at, ps_at = keys.index("GT"), keys.index("PS") if "PS" in keys else None
    wanted, found = str(allele), []
    for sample, cell in enumerate(samples):
        values = cell.split(":")
        genotype = values[gt_at] if gt_at < len(values) else "."
        if genotype[:1] not in ("/", "|"):
            genotype = ("/" if "/" in genotype else "|") + genotype
        signs, calls = genotype[0] + "".join(_SIGNS.findall(genotype[1:])), _SIGNS.split(genotype[1:])
        if wanted not in calls:
            continue
        # Phased genotypes without a phase set are of one.
        phase_set = values[ps_at] if ps_at is not None and ps_at < len(values) and values[ps_at] != "." else ""
        if len(calls) == 1:
            found.append(Carrier(sample, 1, "", 1))
        elif all(call == wanted for call in calls):
            found.append(Carrier(sample, 0, "", len(calls)))
        else:
            phased = [at for at, one in enumerate(zip(signs, calls, strict=True), start=1) if one == ("|", wanted)]
            found += [Carrier(sample, at, phase_set, len(calls)) for at in phased]
    return found
