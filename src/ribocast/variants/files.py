"""Scoring the variants of a file: a VCF, or every substitution in every 5′ UTR of an annotation."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from ribocast.errors import OutputError, RibocastError
from ribocast.io.output_paths import OutputPaths
from ribocast.io.rejects import OnError, RowFilter
from ribocast.io.writers import TABLE_ENDINGS, open_table, unsupported_extension
from ribocast.model.predictor import Predictor
from ribocast.sequence.arrow import from_texts
from ribocast.variants.alleles import COLUMNS, LOCUS_COLUMNS, UtrAllele, every_substitution, find_alleles, to_table
from ribocast.variants.haplotypes import Haplotype, Haplotypes
from ribocast.variants.utrs import GenomeUtrs
from ribocast.variants.vcf import (
    VCF_ENDINGS,
    BadRow,
    Record,
    Vcf,
    create_vcf,
    open_vcf,
    with_our_header,
    with_our_info,
    without_our_info,
)

_BATCH_PAIRS, _BATCH_LETTERS = 8_192, 1 << 25
"""Rows are written when this many pairs of UTRs, or letters of them, are to be scored."""
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
    """Rows of a VCF with the alleles found in them, to be scored at once."""

    cells: list[list[str]] = field(default_factory=list)
    letters: int = 0
    alleles: list[UtrAllele] = field(default_factory=list)
    # Rows left out: their numbers, first cells, and why.
    bad: list[tuple[int, list[str], str]] = field(default_factory=list)
    # Those among the alleles that are haplotypes, by their index there.
    haplotypes: dict[int, Haplotype] = field(default_factory=dict)

    def add(self, haplotypes: Iterable[Haplotype]) -> None:
        for one in haplotypes:
            self.haplotypes[len(self.alleles)] = one
            self.alleles.append(one.found)

    def full(self) -> bool:
        return max(len(self.alleles), len(self.bad)) >= _BATCH_PAIRS or self.letters >= _BATCH_LETTERS


class _Scorer:
    """Scores alleles in an assay's units, and remembers MRLs, so that a sequence is not predicted again soon."""

    def __init__(self, model: Predictor, assay: str | None) -> None:
        self._model = model
        self.card = model.card.assay(assay) if assay else model.card.genome_assay
        self._known: dict[str, float] = {}

    def table(self, alleles: list[UtrAllele]) -> pd.DataFrame:
        table = to_table(self._model, alleles, self.card.name, self._known)
        # The oldest are dropped where they are too many.
        over = sum(len(utr) + _ENTRY_BYTES for utr in self._known) - _KNOWN_BYTES
        while over > 0:
            oldest = next(iter(self._known))
            over -= len(oldest) + _ENTRY_BYTES
            del self._known[oldest]
        return table


def is_vcf(output: str | Path | None, *, only_table: bool = False) -> bool:
    """Tell whether an output is to be a VCF, as standard output is, or a table.

    Raises
    ------
    RibocastError
        If its ending is that of neither, or, with `only_table`, not a table's.
    """
    named = output is not None and str(output) != "-"
    endings = TABLE_ENDINGS if only_table else (*VCF_ENDINGS, *TABLE_ENDINGS)
    if (named or only_table) and not str(output).lower().endswith(endings):
        shown = str(output) if named else "standard output"
        table = "--all and --phased give a table: " if only_table else ""
        raise OutputError(table + unsupported_extension(shown, endings))
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
    done: Callable[[int, int | None, str], None] = lambda *_: None,
    say: Callable[[str], None] = lambda _: None,
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
    scorer = _Scorer(model, assay)
    as_vcf = is_vcf(output, only_table=phased)
    output_paths = OutputPaths((path, utrs.genome.path, model.bundle.folder))
    output_paths.add(output)
    with ExitStack() as stack:
        vcf = stack.enter_context(open_vcf(path))
        row_filter = stack.enter_context(RowFilter(on_error, output_paths, output, say))
        if as_vcf:
            about = f"model {model.card.name}, assay {scorer.card.name}"
            write = stack.enter_context(_vcf_output(output, with_our_header(vcf.header, about)))
        else:
            write = stack.enter_context(_table_output(output))
        haplotypes = Haplotypes(utrs, vcf.header) if phased else None
        size = Path(path).stat().st_size if Path(path).is_file() else 0
        run = _VcfRun(scorer, vcf, size, utrs, haplotypes, row_filter, write, as_vcf, done)
        for row in vcf.rows:
            run.add(row, stop=on_error == "stop")
        run.finish()
    for rows, what in ((run.without_utr, "without a 5' UTR in the annotation"),
                       (run.lacking, f"that {utrs.genome.name} lacks, where REF is not checked")):  # fmt: skip
        if rows:
            names = ", ".join(list(rows)[:5]) + (", …" if len(rows) > 5 else "")
            say(f"{rows.total():,} row{'s are' if rows.total() > 1 else ' is'} on contigs {what}: {names}")
    return Scored(run.rows, run.scored, run.reported, row_filter.count, run.rows / since(run.began))


@dataclass
class _VcfRun:
    """What `score_vcf` has read, found and counted so far."""

    scorer: _Scorer
    vcf: Vcf
    size: int
    utrs: GenomeUtrs
    haplotypes: Haplotypes | None
    row_filter: RowFilter
    write: Callable[[_Batch, pd.DataFrame], None]
    keeps_rows: bool
    done: Callable[[int, int | None, str], None]
    rows: int = 0
    scored: int = 0
    reported: int = 0
    # Rows on contigs that no UTR is on, and on those that the genome lacks.
    without_utr: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    batch: _Batch = field(default_factory=_Batch)
    began: float = field(default_factory=time.monotonic)

    def add(self, record: Record | BadRow, *, stop: bool) -> None:
        """Find what a row does; the first bad row ends the run if it is to `stop`."""
        self.rows += 1
        if isinstance(record, BadRow):
            self._leave_out(record, record.reason, stop)
            return
        found: list[UtrAllele] = []
        try:
            found = find_alleles(self.utrs, record, len(self.batch.cells))
        except RibocastError as error:
            self._leave_out(record, str(error), stop)
        if self.haplotypes:
            self.batch.add(self.haplotypes.add(record, found))
        self.batch.alleles += found
        if self.utrs.genome.contig(record.chrom) is None:
            self.lacking[record.chrom] += 1
        elif not self.utrs.knows(record.chrom):
            self.without_utr[record.chrom] += 1
        if self.keeps_rows:
            self.batch.cells.append(record.cells)
            # A list of short cells takes some hundred bytes more.
            self.batch.letters += 500 + sum(map(len, record.cells))
        if self.batch.full():
            self._flush()

    def finish(self) -> None:
        """Score what is left."""
        if self.haplotypes:
            self.batch.add(self.haplotypes.finish())
        self._flush()

    def _leave_out(self, record: Record | BadRow, reason: str, stop: bool) -> None:
        self.batch.bad.append((record.row, (record.cells + [""] * 5)[:5], reason))
        if stop or self.batch.full():
            self._flush()

    def _flush(self) -> None:
        _leave_out(self.row_filter, self.vcf.name, self.batch.bad)
        table = self.scorer.table(self.batch.alleles)
        if self.haplotypes:
            each = [self.batch.haplotypes.get(row) for row in range(len(table))]
            table["haplotype"] = [one.spelling if one else "" for one in each]
            table["samples"] = [one.samples if one else "" for one in each]
        self.scored += int(table["ref_mrl"].notna().sum())
        self.reported += int(table["ref_mrl"].isna().sum())
        self.write(self.batch, table)
        read = self.vcf.read_bytes()
        expected = round(self.rows * self.size / read) if self.size and read else None
        self.done(self.rows, expected, f"{self.rows / since(self.began):,.0f} rows/s")
        self.batch = _Batch()


@contextmanager
def _table_output(output: str | Path | None) -> Iterator[Callable[[_Batch, pd.DataFrame], None]]:
    """Open a table; one without rows has its header."""
    with open_table(output) as sink:
        last, is_empty = pd.DataFrame(), True

        def write(_: _Batch, table: pd.DataFrame) -> None:
            nonlocal last, is_empty
            last, is_empty = table, is_empty and table.empty
            if not table.empty:
                sink.write(table)

        yield write
        if is_empty:
            sink.write(last)


@contextmanager
def _vcf_output(output: str | Path | None, header: list[str]) -> Iterator[Callable[[_Batch, pd.DataFrame], None]]:
    with create_vcf(output) as write:
        write("\n".join(header) + "\n")
        yield lambda batch, table: _write_vcf(write, batch, table)


def _leave_out(row_filter: RowFilter, name: str, bad: list[tuple[int, list[str], str]]) -> None:
    if bad:
        cells = zip(*(cells for _, cells, _ in bad), strict=True)
        rows = pa.table(dict(zip(("chrom", "pos", "id", "ref", "alt"), map(from_texts, cells), strict=True)))
        row_filter.leave_out(name, rows, [row for row, _, _ in bad], [reason for _, _, reason in bad])


def _write_vcf(write: Callable[[str], object], batch: _Batch, table: pd.DataFrame) -> None:
    names = [name for name in COLUMNS if name not in LOCUS_COLUMNS]
    texts: dict[int, list[list[str]]] = {}
    largest: dict[int, list[float | None]] = {}
    columns = zip(*(table[name].tolist() for name in names), strict=True)
    for one, scores in zip(batch.alleles, columns, strict=True):
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
    done: Callable[[int, int | None, str], None] = lambda *_: None,
    say: Callable[[str], None] = lambda _: None,
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
    is_vcf(output, only_table=True)
    scorer = _Scorer(model, assay)
    numbers = range(len(utrs.transcripts)) if transcripts is None else transcripts
    total = 3 * sum(utrs.transcripts[number].length for number in numbers)
    began, rows, letters, batch = time.monotonic(), 0, 0, list[UtrAllele]()
    each = itertools.chain.from_iterable(every_substitution(utrs.read(number)) for number in numbers)
    with open_table(output) as sink:

        def flush() -> None:
            nonlocal rows
            first, rows = not rows, rows + len(batch)
            sink.write(scorer.table(batch))
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
