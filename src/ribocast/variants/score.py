"""Scoring variants: what a change of a 5′ UTR does to its mean ribosome load (MRL), how sure that is, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ribocast.errors import InputError, SequenceError
from ribocast.io.inputs import input_name
from ribocast.io.rejects import OnError
from ribocast.io.tables import Chunk, need_column, read_arrow
from ribocast.model.bundle import AssayCard
from ribocast.model.engine import Outputs
from ribocast.model.predictor import Predictor, around, index_of, to_mrl
from ribocast.predict.stream import Predicted, work_through
from ribocast.sequence.arrow import as_array, from_texts
from ribocast.sequence.batch import Batch
from ribocast.sequence.construct import Construct
from ribocast.sequence.letters import Fault
from ribocast.sequence.start_codon import cut_pairs, start_notes
from ribocast.sequence.uorf import consequence

if TYPE_CHECKING:
    import pandas as pd

REF_NAMES = ("ref_seq", "ref")
ALT_NAMES = ("alt_seq", "alt")
_PAIR_ROWS = 8_192
_SHORTEST_UTR = 10
"""A table whose references are all shorter is likely one of alleles."""


def score_variants(
    model: Predictor,
    refs: Sequence[str],
    alts: Sequence[str],
    *,
    assay: str | None = None,
    constructs: Sequence[Construct] | None = None,
    known: dict[str, float] | None = None,
    cut_at_start: bool = False,
) -> pd.DataFrame:
    """Score variants of 5′ UTRs.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    refs, alts : sequence of str, both of length n
        The whole UTR without and with each variant, 5′→3′, each ending right before the start codon: an insertion or
        a deletion makes the letters before it stand further from the start codon, or nearer.
    assay : str, optional
        In which assay's units; without it, the assay whose changes are calibrated (`ModelCard.variant_assay`).
    constructs : sequence of Construct of length n, optional
        The transcripts that `consequence` reads the UTRs in; without it, the construct of the assay, in which the
        MRLs are always predicted.
    known : dict of str to float, optional
        MRLs that the same model gave on the same scale before, by sequence (upper-case DNA); new ones are added.
    cut_at_start : bool
        Leave out the start codon of references that likely hold it, what follows it, and the same letters of their
        variants; see `ribocast.sequence.start_codon.find_start`.

    Returns
    -------
    pandas.DataFrame, n rows under the index of the references or variants, if these are Series
        ``ref_mrl``, ``alt_mrl``: ribosomes per mRNA; ``log2_fold_change`` = log2(alt_mrl / ref_mrl), 0 for equal
        sequences, empty where an MRL is not above 0; ``log2_low``, ``log2_high``: a 90 % prediction interval for a
        measured change (empty if the model has none for this assay); ``consequence``, see
        `ribocast.sequence.uorf.consequence`; ``note``, what is unusual about the variant's sequence for this assay.

    Raises
    ------
    SequenceError
        At the first pair that cannot be used; see `pair_faults`.
    RibocastError
        If there are not as many variants as references, both are Series of different indexes, or the model does not
        know the assay.
    """
    import pandas as pd

    if isinstance(refs, str) or isinstance(alts, str):
        raise InputError("score_variants takes two lists of sequences, not two sequences")
    if len(refs) != len(alts):
        raise InputError(f"{len(refs):,} references and {len(alts):,} variants: the numbers must be equal")
    index, refs, alts = index_of(refs, alts), list(refs), list(alts)
    if faults := pair_faults(model, refs, alts):
        raise SequenceError(*faults[0])
    card = model.card.assay(assay) if assay else model.card.variant_assay
    # Many variants share their reference: each sequence is predicted once, and equal ones have equal MRLs.
    (cut_refs, cut_alts), starts = _cut(Batch.of(refs), Batch.of(alts), cut_at_start)
    utrs, number_of = Batch.joined([cut_refs, cut_alts]).distinct()
    # A UTR of an annotation ends where that says.
    starts = starts if constructs is None else [""] * len(refs)
    known = {} if known is None else known
    new = [utr for utr in utrs.texts if utr not in known]
    known.update(zip(new, model.mrl(new, assay=card.name).tolist(), strict=True))
    mrls = np.array([known[utr] for utr in utrs.texts], dtype=np.float64)
    return pd.DataFrame(_scores(model, card, utrs, number_of, mrls, starts, constructs), index=index)


def pair_faults(model: Predictor, refs: Sequence[object], alts: Sequence[object]) -> list[Fault]:
    """Find every pair that cannot be scored, and say which of the two sequences is why; see `Predictor.faults`."""
    faults = {fault.row: Fault(fault.row, f"variant: {fault.reason}") for fault in model.faults(alts)}
    faults |= {fault.row: Fault(fault.row, f"reference: {fault.reason}") for fault in model.faults(refs)}
    return [faults[row] for row in sorted(faults)]


def score_table(
    model: Predictor,
    path: str | Path,
    output: str | Path | None,
    *,
    assay: str | None = None,
    ref_column: str | None = None,
    alt_column: str | None = None,
    cut_at_start: bool = False,
    on_error: OnError = "stop",
    resume: bool = False,
    rows: range | None = None,
    keep: bool = True,
    done: Callable[[int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Score every row of a table and write the table with the columns of `score_variants` added.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    path : str or Path
        Any table that `ribocast.io.tables.read_rows` reads; ``-`` is standard input.
    output : str or Path, optional
        Any ending of `ribocast.io.writers.TABLE_ENDINGS`; standard output without it.
    assay : str, optional
        As in `score_variants`.
    ref_column, alt_column : str, optional
        The columns of the sequences; ``ref_seq`` and ``alt_seq``, or else ``ref`` and ``alt``, without them.
    cut_at_start : bool
        As in `score_variants`; the columns of the table stay as they are.
    on_error : {"stop", "skip"}
        ``skip`` leaves unusable rows out and lists them, with the reason, in ``NAME.rejected.csv`` beside the
        output (by `say` where that is standard output).
    resume, rows, keep
        As in `ribocast.predict.files.predict_file`.
    done : callable, optional
        Told the number of rows after each chunk.
    say : callable, optional
        Told, in a line, what the user should know.

    Raises
    ------
    RibocastError
        For an unreadable table or output, an unknown assay, missing columns, and, unless they are skipped, the first
        bad row. Then no file is written; standard output has the rows before.
    """
    work = _Pairs(model, path, assay, ref_column, alt_column, cut_at_start, rows, say or (lambda _: None))
    return work_through(
        work, path, output, on_error=on_error, resume=resume, keep=keep, may_be_empty=rows is not None, done=done,
        say=say,
    )  # fmt: skip


def pair_columns(
    columns: Sequence[str], name: str, ref: str | None, alt: str | None,
    options: tuple[str, str] = ("--ref-column", "--alt-column"),
) -> tuple[str, str]:  # fmt: skip
    """Find the columns of references and variants in a table called `name`; see `ribocast.io.tables.find_column`."""
    return (
        need_column(columns, name, ref, REF_NAMES, "reference", options[0]),
        need_column(columns, name, alt, ALT_NAMES, "variant", options[1]),
    )


class _Pairs:
    """The work of `score_table`; see `ribocast.predict.stream.Work`."""

    like = "scores"

    def __init__(
        self, model: Predictor, path: str | Path, assay: str | None, ref_column: str | None, alt_column: str | None,
        cut: bool, rows: range | None, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.model, self.piece_rows = model, _PAIR_ROWS
        self.assay = model.card.assay(assay) if assay else model.card.variant_assay
        self._path, self._ref, self._wanted_alt, self._alt, self._say = path, ref_column, alt_column, "", say
        self._rows, self._cut = rows, cut

    def chunks(self) -> Iterator[Chunk]:
        name, first_row = input_name(self._path), 1 + (self._rows.start if self._rows else 0)
        for table in read_arrow(self._path, chunk_rows=self.piece_rows, rows=self._rows):
            ref, self._alt = pair_columns(table.column_names, name, self._ref, self._wanted_alt)
            chunk = Chunk(table, name, first_row, ref, None)
            # One long deletion among alleles is not a UTR.
            typical = np.median([len(str(utr)) for utr in chunk.utrs]) if first_row == 1 else _SHORTEST_UTR
            if typical < _SHORTEST_UTR:
                self._say(
                    f"{name}: half of the references are {typical:g} nt or less: whole UTRs are scored, not alleles"
                )
            first_row += len(chunk)
            yield chunk

    def batch(self, chunk: Chunk) -> Batch:
        return Batch.joined(self._parts(chunk)[0])

    def _parts(self, chunk: Chunk) -> tuple[tuple[Batch, Batch], list[str]]:
        refs, alts = (chunk.batch(name) for name in (chunk.seq_column, self._alt))
        return _cut(refs, alts, self._cut)

    def faults(self, chunk: Chunk) -> list[Fault]:
        return pair_faults(self.model, chunk.utrs, chunk.sequences(self._alt))

    def columns(self, chunk: Chunk, utrs: Batch, number_of: NDArray[np.int64], outputs: Outputs) -> dict[str, pa.Array]:
        starts = self._parts(chunk)[1]
        scores = _scores(self.model, self.assay, utrs, number_of, to_mrl(outputs, self.assay), starts)
        return {
            name: from_texts(values) if isinstance(values, list) else as_array(values.round(5))
            for name, values in scores.items()
        }


def _cut(refs: Batch, alts: Batch, cut: bool) -> tuple[tuple[Batch, Batch], list[str]]:
    """Cut pairs at their start codons if that is wanted, and say in words which reference likely holds it."""
    if not cut:
        return (refs, alts), start_notes(refs)
    refs, alts, notes = cut_pairs(refs, alts)
    return (refs, alts), notes


def _scores(
    model: Predictor,
    card: AssayCard,
    utrs: Batch,
    number_of: NDArray[np.int64],
    mrls: NDArray[np.float64],
    starts: list[str],
    constructs: Sequence[Construct] | None = None,
) -> dict[str, NDArray[np.float64] | list[str]]:
    """Make the columns of `score_variants` from different sequences, their MRLs, and their numbers: references first.

    `starts` says of each reference whether it likely holds its start codon, or what was cut. Columns of text are lists.
    """
    refs, alts = number_of.reshape(2, -1)
    change, low, high = _changes(card, mrls[refs], mrls[alts], refs == alts)
    constructs = [card.surroundings] * len(refs) if constructs is None else constructs
    texts, pairs = utrs.texts, zip(refs.tolist(), alts.tolist(), constructs, strict=True)
    return {
        "ref_mrl": mrls[refs],
        "alt_mrl": mrls[alts],
        "log2_fold_change": change,
        "log2_low": low,
        "log2_high": high,
        "consequence": [consequence(texts[ref], texts[alt], construct) for ref, alt, construct in pairs],
        "note": model.notes(utrs.take(alts), card, starts=starts),
    }


def _changes(
    card: AssayCard,
    ref_mrl: NDArray[np.float64],
    alt_mrl: NDArray[np.float64],
    same: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        change = np.log2(alt_mrl / ref_mrl)
    # Networks that give one number can give MRLs below 0, of which there is no fold change.
    change[~((ref_mrl > 0) & (alt_mrl > 0) & np.isfinite(change))] = np.nan
    change[same] = 0.0
    low, high = around(card.change_interval, change)
    if card.change_interval is not None:
        # A sequence and itself are not a variant: there is nothing to be unsure of.
        low[same] = high[same] = 0.0
    return change, low, high
