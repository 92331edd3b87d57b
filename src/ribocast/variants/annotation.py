"""Reading GTF and GFF3: which transcripts have a 5′ UTR, and where."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import unquote

from ribocast.errors import InputError
from ribocast.io.text import POSITION, open_lines
from ribocast.variants.transcripts import Span, Strand, Transcript, build

_COLUMNS = 9
_GTF_PAIR = re.compile(r'([\w.-]+)\s+(?:"([^"]*)"|([^\s;"]+))\s*(?:;|$)')
_GFF3_PAIR = re.compile(r"\s*[^\s=;\"]+=")
_GTF_ID = re.compile(r'(?:^|;)\s*transcript_id\s+(?:"([^"]*)"|([^\s;"]+))')
_STARTS, _PARTS = ("start_codon",), ("exon", "CDS")
_UTRS = {"utr", "5utr", "3utr", "five_prime_utr", "three_prime_utr"}
"""With CDS they make up the exons, where an annotation has no lines for these."""
_CANONICAL = ("MANE_Select", "RefSeq_Select", "Ensembl_canonical")
"""Tags of a gene's one transcript; the first that a gene has counts."""
_CLINICAL = "MANE_Plus_Clinical"
"""Tag of further transcripts of a gene, which known clinical variants need."""
_TAGGED = f"{', '.join(_CANONICAL)} or {_CLINICAL}"
_TAGS = {*_CANONICAL, _CLINICAL, "cds_start_NF"}


@dataclass
class Annotation:
    """What was read.

    Attributes
    ----------
    transcripts : list of Transcript
        Those with a 5′ UTR, sorted by contig and position.
    skipped : list of (str, str, str)
        Gene, transcript, and why it is left out.
    """

    transcripts: list[Transcript]
    skipped: list[tuple[str, str, str]]


def count_reasons(skipped: list[tuple[str, str, str]]) -> str:
    """Count what is skipped by reason, in words, the most frequent first; see `Annotation.skipped`."""
    reasons = Counter(reason for _, _, reason in skipped)
    return ", ".join(f"{count:,}: {reason}" for reason, count in reasons.most_common())


@dataclass(slots=True)
class _TranscriptLines:
    """What the lines of one transcript say."""

    exons: list[Span] = field(default_factory=list)
    # Lines of UTRs and of the coding sequence, until there is an exon.
    utrs: list[Span] = field(default_factory=list)
    coding: list[Span] = field(default_factory=list)
    # The 5′ side of the coding sequence and of its start codon, and the phase there.
    cds: int | None = None
    phase: str = "."
    codon: int | None = None


def read_annotation(path: str | Path, *, canonical: bool = False) -> Annotation:
    """Read the transcripts of a GTF or a GFF3.

    Parameters
    ----------
    path : str or Path
        Plain or gzip; CRLF is read too. What its ninth column looks like decides which of the two it is.
    canonical : bool
        Of each gene (told by its id, not its name), only the transcript tagged ``MANE_Select``, or else
        ``RefSeq_Select``, or else ``Ensembl_canonical``; and those tagged ``MANE_Plus_Clinical``. Those of genes
        without any of the tags are skipped, and listed.

    Raises
    ------
    RibocastError
        For a file that cannot be read, a line that is not an annotation's, one that has no transcript with a 5′ UTR,
        or, with `canonical`, no tag.
    """
    reader = _Reader(Path(path).name or str(path))
    with open_lines(path) as (lines, _):
        for number, line in enumerate(lines, start=1):
            if line.startswith("##FASTA"):
                break
            if line.strip() and not line.startswith("#"):
                reader.read(number, line.rstrip("\r\n"))
    return reader.finish(canonical)


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: dict[tuple[str, str, Strand], _TranscriptLines] = {}
        self._genes: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._gene_names: dict[str, str] = {}
        self._tags: dict[str, set[str]] = {}
        self._gff3: bool | None = None

    def read(self, number: int, line: str) -> None:
        cells = line.split("\t")
        if len(cells) != _COLUMNS:
            raise InputError(
                f"{self._name} line {number}: expected {_COLUMNS} columns between tabs, found {len(cells)}"
            )
        contig, _, kind, first, last, _, strand, phase, text = cells
        are_numbers = POSITION.fullmatch(first) and POSITION.fullmatch(last)
        if not (are_numbers and 1 <= int(first) <= int(last)):
            raise InputError(f"{self._name} line {number}: {first[:60]!r} to {last[:60]!r} is not a range")
        if self._gff3 is None:
            self._gff3 = _GFF3_PAIR.match(text) is not None
        ids = self._described_gff3(kind, text) if self._gff3 else self._described_gtf(kind, text)
        is_utr = kind.lower() in _UTRS
        if not (is_utr or kind in _PARTS or kind in _STARTS):
            return
        if is_utr and not (ids and strand in ("+", "-")):
            return
        if not ids:
            raise InputError(f"{self._name} line {number}: the {kind} names no transcript")
        if strand not in ("+", "-"):
            raise InputError(f"{self._name} line {number}: the strand is {strand!r}, not + or -")
        begin, end = int(first) - 1, int(last)
        for transcript in ids:
            parts = self._parts.setdefault((transcript, contig, cast("Strand", strand)), _TranscriptLines())
            if kind == "exon":
                parts.exons.append((begin, end))
                parts.utrs, parts.coding = [], []
                continue
            if not parts.exons and kind not in _STARTS:
                (parts.utrs if is_utr else parts.coding).append((begin, end))
            if is_utr:
                continue
            joint = begin if strand == "+" else end
            if kind == "start_codon":
                parts.codon = _first(parts.codon, joint, strand)
            elif parts.cds is None or _first(parts.cds, joint, strand) != parts.cds:
                parts.cds, parts.phase = joint, phase

    def _described_gtf(self, kind: str, text: str) -> list[str]:
        """Note names and tags; return the id of the transcript that the line is a part of."""
        found = _GTF_ID.search(text)
        transcript = found[1] or found[2] if found else None
        if not transcript:
            return []
        # Most lines repeat what the transcript's first, or its own, has said.
        if kind == "transcript" or transcript not in self._genes:
            attributes = _gtf(text)
            gene = attributes.get("gene_id", [""])[0] or transcript
            self._genes[transcript] = gene
            if named := attributes.get("gene_name"):
                self._gene_names[gene] = named[0]
            self._note_tags(transcript, attributes)
        return [transcript]

    def _described_gff3(self, kind: str, text: str) -> list[str]:
        attributes = _gff3(text)
        one = {key: values[0] for key, values in attributes.items()}
        parents, own = attributes.get("Parent", []), one.get("ID", "")
        if kind in _PARTS or kind in _STARTS or kind.lower() in _UTRS:
            return parents
        gene_name = one.get("Name") or one.get("gene_name") or one.get("gene")
        if own and parents:
            self._genes[own] = parents[0]
            self._names[own] = one.get("transcript_id") or _bare(own)
        elif own and gene_name:
            self._gene_names[own] = gene_name
        if own:
            self._note_tags(own, attributes)
        return []

    def _note_tags(self, own: str, attributes: dict[str, list[str]]) -> None:
        if tags := {tag.replace(" ", "_") for tag in attributes.get("tag", ())} & _TAGS:
            self._tags.setdefault(own, set()).update(tags)

    def finish(self, canonical: bool) -> Annotation:
        if not self._parts:
            raise InputError(f"{self._name}: has no exons of transcripts")
        wanted, tagged = self._canonical_ids() if canonical else (None, set())
        result = Annotation([], [])
        for (own, contig, strand), parts in self._parts.items():
            alone = wanted is not None and own not in wanted
            if alone and self._genes.get(own, own) in tagged:
                continue
            gene, name = self._gene(own), self._names.get(own, _bare(own) if self._gff3 else own)
            built = self._build(own, gene, name, contig, strand, parts)
            if alone and not isinstance(built, str):
                built = f"no transcript of its gene is tagged {_TAGGED}"
            if isinstance(built, str):
                result.skipped.append((gene, name, built))
            else:
                result.transcripts.append(built)
        if not result.transcripts:
            raise InputError(f"{self._name}: no transcript has a 5' UTR ({count_reasons(result.skipped)})")
        result.transcripts.sort(key=lambda one: (one.contig, one.utr, one.strand, one.name))
        return result

    def _gene(self, own: str) -> str:
        gene = self._genes.get(own, "")
        return self._gene_names.get(gene, _bare(gene) if self._gff3 else gene)

    def _build(
        self, own: str, gene: str, name: str, contig: str, strand: Strand, parts: _TranscriptLines
    ) -> Transcript | str:
        starts = {joint for joint in (parts.cds, parts.codon) if joint is not None}
        if not starts:
            return "no coding sequence"
        exons = parts.exons or (_merged(parts.utrs + parts.coding) if parts.utrs else [])
        if not exons:
            return "no exons"
        if "cds_start_NF" in self._tags.get(own, ()) or (parts.codon is None and parts.phase in ("1", "2")):
            return "the beginning of its coding sequence is not known"
        if len(starts) > 1:
            return "its start codon is not where its coding sequence begins"
        return build(gene, name, contig, strand, exons, starts.pop())

    def _canonical_ids(self) -> tuple[set[str], set[str]]:
        """Return the transcripts of each gene that has a tag: its one, and clinical ones; and those genes."""
        best: dict[str, int] = {}
        ranks: dict[str, int] = {}
        for own, tags in self._tags.items():
            rank = next((rank for rank, tag in enumerate(_CANONICAL) if tag in tags), None)
            if rank is not None:
                ranks[own] = rank
                gene = self._genes.get(own, own)
                best[gene] = min(rank, best.get(gene, rank))
        clinical = {own for own, tags in self._tags.items() if _CLINICAL in tags}
        if not ranks and not clinical:
            raise InputError(f"{self._name}: no transcript is tagged {_TAGGED}")
        chosen = {own for own, rank in ranks.items() if rank == best[self._genes.get(own, own)]}
        return chosen | clinical, set(best) | {self._genes.get(own, own) for own in clinical}


def _first(known: int | None, joint: int, strand: str) -> int:
    if known is None:
        return joint
    return min(known, joint) if strand == "+" else max(known, joint)


def _merged(spans: list[Span]) -> list[Span]:
    """Join spans that overlap or touch."""
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _gtf(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, quoted, plain in _GTF_PAIR.findall(text):
        found.setdefault(key, []).append(quoted or plain)
    return found


def _gff3(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in text.split(";"):
        key, _, values = pair.strip().partition("=")
        if values:
            found.setdefault(key, []).extend(unquote(value) for value in values.split(","))
    return found


def _bare(identifier: str) -> str:
    """Take off what Ensembl and NCBI put before their ids in GFF3."""
    for prefix in ("transcript:", "gene:", "rna-", "gene-"):
        identifier = identifier.removeprefix(prefix)
    return identifier
