"""Scoring the variants of a file: a VCF, or every substitution in every 5′ UTR of an annotation."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from ribocast.errors import OutputError, RibocastError
from ribocast.io.output_paths import OutputPaths
from ribocast.io.rejects import OnError, Sieve
from ribocast.io.writers import TABLE_ENDINGS, TableSink, open_table
from ribocast.model.predictor import Predictor
from ribocast.sequence.arrow import from_texts
from ribocast.variants.alleles import COLUMNS, LOCUS_COLUMNS, Found, every_substitution, find_alleles, to_table
from ribocast.variants.haplotypes import Haplotype, Haplotypes
from ribocast.variants.utrs import GenomeUtrs
from ribocast.variants.vcf import (
    VCF_ENDINGS,
    Broken,
    Record,
    create_vcf,
    open_vcf,
    with_our_header,
    with_our_info,
    without_our_info,
)

_BATCH_PAIRS, _BATCH_LETTERS = 8_192, 1 << 25
"""Rows are written when so many pairs of UTRs are to be scored, or they are so many letters long."""
_KNOWN_BYTES, _ENTRY_BYTES = 1 << 26, 200
"""MRLs are remembered, so that a sequence is not predicted again, in so much memory; an entry takes its letters and
some more."""


class Scored(NamedTuple):
    """What was done: rows read, alleles and transcripts scored, reported but not scored, rows left out; rows/s."""

    rows: int
    scored: int
    reported: int
    rejected: int
    rate: float


@dataclass
class _Batch:
    """Rows of a VCF with what was found in them, to be scored at once."""

    cells: list[list[str]] = field(default_factory=list)
    letters: int = 0
    found: list[Found] = field(default_factory=list)
    # Rows left out: their numbers, first cells, and why.
    bad: list[tuple[int, list[str], str]] = field(default_factory=list)
    # Of the haplotypes among what was found, by their place there.
    haplotypes: dict[int, Haplotype] = field(default_factory=dict)

    def add(self, haplotypes: Iterable[Haplotype]) -> None:
        for one in haplotypes:
            self.haplotypes[len(self.found)] = one
            self.found.append(one.found)

    def full(self) -> bool:
        return max(len(self.found), len(self.bad)) >= _BATCH_PAIRS or self.letters >= _BATCH_LETTERS


def is_vcf(output: str | Path | None, *, only_table: bool = False) -> bool:
    """Tell whether an output is to be a VCF, as standard output is, or a table.

    Raises
    ------
    RibocastError
        If its ending is that of neither, or, with `only_table`, it is no table's.
    """
    named = output is not None and str(output) != "-"
    endings = TABLE_ENDINGS if only_table else (*VCF_ENDINGS, *TABLE_ENDINGS)
    if (named or only_table) and not str(output).lower().endswith(endings):
        shown = output if named else "standard output"
        table = "--all and --phased give a table: " if only_table else ""
        raise OutputError(f"{table}{shown}: the ending is none of {', '.join(endings)}")
    return not named or str(output).lower().endswith(VCF_ENDINGS)


def score_vcf(
    model: Predictor,
    path: str | Path,
    utrs: GenomeUtrs,
    output: str | Path | None,
    *,
    assay: str | None = None,
    phased: bool = False,
    on_error: OnError = "stop",
    done: Callable[[int, int | None, str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Scored:
    """Score every row of a VCF that touches a UTR.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    path : str or Path
        VCF, plain or gzip; ``-`` is standard input.
    utrs : GenomeUtrs
        See `ribocast.variants.utrs.open_utrs`.
    output : str or Path, optional
        ``.vcf`` or ``.vcf.gz``: every row, in order, those that touch a UTR with more in INFO. An ending of
        `ribocast.io.writers.TABLE_ENDINGS`: one row per variant and transcript, see ``COLUMNS``. A VCF on standard
        output without it.
    assay : str, optional
        In which assay's units; without it, that of the most lengths (`ModelCard.genome_assay`).
    phased : bool
        Add rows for haplotypes: two or more variants of one UTR on one chromosome of a sample, after their last
        variant; two more columns, ``haplotype`` and ``samples``, are empty for single variants. Needs a table, samples
        and sorted rows.
    on_error : {"stop", "skip"}
        What to do at a row that cannot be read or whose REF is not in the genome; skipped rows are listed in
        ``NAME.rejected.csv``. In a VCF, those with a wrong REF stay as they are.
    done : callable, optional
        Told rows read, rows expected or None, and the rate in words.
    say : callable, optional
        Told, in a line, what the user should know.

    Raises
    ------
    RibocastError
        For what cannot be read or written, an unknown assay, and, unless they are skipped, the first bad row.
    """
    say, done = say or (lambda _: None), done or (lambda *_: None)
    card = model.card.assay(assay) if assay else model.card.genome_assay
    as_vcf = is_vcf(output, only_table=phased)
    places = OutputPaths((path, utrs.genome.path, model.bundle.folder))
    places.add(output)
    counts = {"rows": 0, "scored": 0, "reported": 0, "tables": 0}
    strangers: Counter[str] = Counter()
    lacking: Counter[str] = Counter()
    known: dict[str, float] = {}
    size = Path(path).stat().st_size if Path(path).is_file() else 0
    began = time.monotonic()
    with ExitStack() as stack:
        vcf = stack.enter_context(open_vcf(path))
        sieve = stack.enter_context(Sieve(on_error, places, output, say))
        write: Callable[[str], object] | None = None
        sink: TableSink | None = None
        if as_vcf:
            write = stack.enter_context(create_vcf(output))
            about = f"model {model.card.name}, assay {card.name}"
            write("\n".join(with_our_header(vcf.header, about)) + "\n")
        else:
            sink = stack.enter_context(open_table(output))
        batch = _Batch()
        haplotypes = Haplotypes(utrs, vcf.header) if phased else None

        def leave_out(record: Record | Broken, reason: str) -> None:
            batch.bad.append((record.row, (record.cells + [""] * 5)[:5], reason))
            if on_error == "stop" or batch.full():
                flush()

        def flush() -> None:
            _leave_out(sieve, vcf.name, batch.bad)
            table = _table(model, batch, card.name, phased, known)
            _forget(known)
            counts["scored"] += int(table["ref_mrl"].notna().sum())
            counts["reported"] += int(table["ref_mrl"].isna().sum())
            if write:
                _write_vcf(write, batch, table)
            elif sink and len(table):
                sink.write(table)
                counts["tables"] += 1
            read = vcf.read_bytes()
            expected = round(counts["rows"] * size / read) if size and read else None
            done(counts["rows"], expected, f"{counts['rows'] / since(began):,.0f} rows/s")
            batch.bad.clear()
            batch.cells.clear()
            batch.letters = 0
            batch.found.clear()
            batch.haplotypes.clear()

        for record in vcf.rows:
            counts["rows"] += 1
            if isinstance(record, Broken):
                leave_out(record, record.reason)
                continue
            found: list[Found] = []
            try:
                found = find_alleles(utrs, record, len(batch.cells))
            except RibocastError as error:
                leave_out(record, str(error))
            if haplotypes:
                batch.add(haplotypes.add(record, found))
            batch.found += found
            if utrs.genome.contig(record.chrom) is None:
                lacking[record.chrom] += 1
            elif not utrs.knows(record.chrom):
                strangers[record.chrom] += 1
            if write:
                batch.cells.append(record.cells)
                # A list of short cells takes some hundred bytes more.
                batch.letters += 500 + sum(map(len, record.cells))
            if batch.full():
                flush()
        if haplotypes:
            batch.add(haplotypes.finish())
        flush()
        if sink and not counts["tables"]:
            sink.write(_table(model, batch, card.name, phased, known))
    for rows, what in ((strangers, "without a 5' UTR in the annotation"),
                       (lacking, f"that {utrs.genome.name} lacks, where REF is not checked")):  # fmt: skip
        if rows:
            names = ", ".join(list(rows)[:5]) + (", …" if len(rows) > 5 else "")
            say(f"{rows.total():,} row{'s are' if rows.total() > 1 else ' is'} on contigs {what}: {names}")
    return Scored(counts["rows"], counts["scored"], counts["reported"], sieve.count, counts["rows"] / since(began))


def _table(model: Predictor, batch: _Batch, assay: str, phased: bool, known: dict[str, float]) -> pd.DataFrame:
    table = to_table(model, batch.found, assay, known)
    if phased:
        each = [batch.haplotypes.get(row) for row in range(len(table))]
        table["haplotype"] = [one.spelling if one else "" for one in each]
        table["samples"] = [one.samples if one else "" for one in each]
    return table


def _forget(known: dict[str, float]) -> None:
    """Drop the oldest MRLs where they are too many."""
    over = sum(len(utr) + _ENTRY_BYTES for utr in known) - _KNOWN_BYTES
    while over > 0:
        oldest = next(iter(known))
        over -= len(oldest) + _ENTRY_BYTES
        del known[oldest]


def _leave_out(sieve: Sieve, name: str, bad: list[tuple[int, list[str], str]]) -> None:
    if bad:
        cells = zip(*(cells for _, cells, _ in bad), strict=True)
        rows = pa.table(dict(zip(("chrom", "pos", "id", "ref", "alt"), map(from_texts, cells), strict=True)))
        sieve.leave_out(name, rows, [row for row, _, _ in bad], [reason for _, _, reason in bad])


def _write_vcf(write: Callable[[str], object], batch: _Batch, table: pd.DataFrame) -> None:
    names = [name for name in COLUMNS if name not in LOCUS_COLUMNS]
    texts: dict[int, list[list[str]]] = {}
    largest: dict[int, list[float | None]] = {}
    columns = zip(*(table[name].tolist() for name in names), strict=True)
    for one, scores in zip(batch.found, columns, strict=True):
        numbers = ["" if isinstance(value, float) and np.isnan(value) else f"{value}" for value in scores]
        at = "" if one.utr_position is None else str(one.utr_position)
        texts.setdefault(one.record, []).append([one.cells[4], one.cells[5], one.cells[6], at, *numbers])
        best = largest.setdefault(one.record, [None] * len(batch.cells[one.record][4].split(",")))
        change, before = scores[names.index("log2_fold_change")], best[one.allele]
        if not np.isnan(change) and (before is None or abs(change) > abs(before)):
            best[one.allele] = change
    for number, cells in enumerate(batch.cells):
        row = with_our_info(cells, texts[number], largest[number]) if number in texts else without_our_info(cells)
        write("\t".join(row) + "\n")


def score_all(
    model: Predictor,
    utrs: GenomeUtrs,
    output: str | Path,
    *,
    assay: str | None = None,
    transcripts: range | None = None,
    done: Callable[[int, int | None, str], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Scored:
    """Score every substitution in every UTR, in the order of contigs and positions of UTRs.

    Parameters
    ----------
    model, utrs, output, assay, done, say
        As in `score_vcf`; `output` is a table. Transcripts with the same UTR follow each other, and their sequences
        are predicted once; a sequence that comes again much later (see ``_KNOWN_BYTES``) is predicted again.
    transcripts : range, optional
        Only these, counted from 0 in that order: what is written are the rows that the whole output has for them, to
        the byte.
    """
    say, done = say or (lambda _: None), done or (lambda *_: None)
    is_vcf(output, only_table=True)
    card = model.card.assay(assay) if assay else model.card.genome_assay
    numbers = range(len(utrs.transcripts)) if transcripts is None else transcripts
    total = 3 * sum(utrs.transcripts[number].length for number in numbers)
    began, rows, letters, batch = time.monotonic(), 0, 0, list[Found]()
    known: dict[str, float] = {}
    each = itertools.chain.from_iterable(every_substitution(utrs.read(number)) for number in numbers)
    with open_table(output) as sink:

        def flush() -> None:
            nonlocal rows
            first, rows = not rows, rows + len(batch)
            sink.write(to_table(model, batch, card.name, known))
            _forget(known)
            rate = rows / since(began)
            left = (total - rows) / rate if rate else 0.0
            done(rows, total, f"{rate:,.0f}/s, {in_time(left)} left")
            if first:
                about = f"; at {rate:,.0f}/s they take {in_time(rows / rate + left)}" if rate else ""
                say(f"about {total:,} substitutions{about}")

        for found in each:
            batch.append(found)
            letters += len(found.spliced.utr)
            if len(batch) >= _BATCH_PAIRS or letters >= _BATCH_LETTERS:
                flush()
                batch.clear()
                letters = 0
        if batch or not rows:
            flush()
    return Scored(rows, rows, 0, 0, rows / since(began))


def since(began: float) -> float:
    """Return the seconds since `began`, never 0."""
    return max(time.monotonic() - began, 1e-3)


def in_time(seconds: float) -> str:
    """Spell a duration."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
