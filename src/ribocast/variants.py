"""Scoring variants: what a change of a 5′ UTR does to its ribosome load, how sure that is, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ribocast.bundle import AssayCard
from ribocast.construct import Construct
from ribocast.errors import RibocastError
from ribocast.predicting import Predicted
from ribocast.predictor import Predictor, around
from ribocast.sequence import Fault, SequenceError, to_dna
from ribocast.sieve import OnError, Sieve, add_columns
from ribocast.tables import Chunk, find_column, read_rows, table_name
from ribocast.uorf import consequence
from ribocast.writing import open_table

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
        On whose scale; without it, the assay whose changes are calibrated (`ModelCard.variant_assay`).
    constructs : sequence of Construct of length n, optional
        The transcripts that `consequence` reads the UTRs in; without it, the construct of the assay, in which the
        loads are always predicted.
    known : dict of str to float, optional
        Loads that the same model gave on the same scale before, by sequence (upper-case DNA); new ones are added.

    Returns
    -------
    pandas.DataFrame, n rows
        ``ref_mrl``, ``alt_mrl``: ribosomes per mRNA; ``log2_fold_change`` = log2(alt_mrl / ref_mrl), 0 for equal
        sequences, empty where a load is not above 0; ``log2_low``, ``log2_high``: a 90 % prediction interval for a
        measured change (empty if the model has none for this assay); ``consequence``, see
        `ribocast.uorf.consequence`; ``note``, what is unusual about the variant's sequence for this assay.

    Raises
    ------
    SequenceError
        At the first pair that cannot be used; see `pair_faults`.
    RibocastError
        If there are not as many variants as references, or the model does not know the assay.
    """
    import pandas as pd

    if isinstance(refs, str) or isinstance(alts, str):
        raise RibocastError("score_variants takes two lists of sequences, not two sequences")
    if len(refs) != len(alts):
        raise RibocastError(f"{len(refs)} references and {len(alts)} variants: there must be as many")
    refs, alts = list(refs), list(alts)
    if faults := pair_faults(model, refs, alts):
        raise SequenceError(faults[0])
    card = model.card.assay(assay) if assay else model.card.variant_assay
    refs, alts = [to_dna(utr) for utr in refs], [to_dna(utr) for utr in alts]
    # Many variants share their reference: each sequence is predicted once, and equal ones have equal loads.
    known = {} if known is None else known
    new = [utr for utr in dict.fromkeys([*refs, *alts]) if utr not in known]
    known.update(zip(new, model.mrl(new, assay=card.name).tolist(), strict=True))
    ref_mrl, alt_mrl = (np.array([known[utr] for utr in utrs], dtype=np.float64) for utrs in (refs, alts))
    same = np.array([ref == alt for ref, alt in zip(refs, alts, strict=True)], dtype=bool)
    change, low, high = _changes(card, ref_mrl, alt_mrl, same)
    constructs = [card.surroundings] * len(refs) if constructs is None else constructs
    return pd.DataFrame(
        {
            "ref_mrl": ref_mrl,
            "alt_mrl": alt_mrl,
            "log2_fold_change": change,
            "log2_low": low,
            "log2_high": high,
            "consequence": list(map(consequence, refs, alts, constructs)),
            "note": model.notes(alts, card),
        }
    )


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
    on_error: OnError = "stop",
    done: Callable[[int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Score every row of a table and write the table with the columns of `score_variants` added.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    path : str or Path
        Any table that `ribocast.tables.read_rows` reads; ``-`` is standard input.
    output : str or Path, optional
        Any ending of `ribocast.writing.TABLE_ENDINGS`; standard output without it.
    assay : str, optional
        As in `score_variants`.
    ref_column, alt_column : str, optional
        The columns of the sequences; ``ref_seq`` and ``alt_seq``, or else ``ref`` and ``alt``, without them.
    on_error : {"stop", "skip"}
        ``skip`` leaves unusable rows out and lists them, with the reason, in ``NAME.rejected.csv`` beside the
        output (by `say` where that is standard output).
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
    say = say or (lambda _: None)
    if assay:
        model.card.assay(assay)
    name, rows, first_row = table_name(path), 0, 1
    with open_table(output) as sink, Sieve(on_error, path, output, say) as sieve:
        for frame in read_rows(path, chunk_rows=_PAIR_ROWS):
            ref_name = _column(frame, name, ref_column, REF_NAMES, "reference", "--ref-column")
            alt_name = _column(frame, name, alt_column, ALT_NAMES, "variant", "--alt-column")
            chunk = Chunk(frame, name, first_row, ref_name, None)
            if first_row == 1 and (longest := max((len(str(utr)) for utr in chunk.utrs), default=0)) < _SHORTEST_UTR:
                say(f"{name}: the references are at most {longest} nt long: whole UTRs are scored, not alleles")
            first_row += len(frame)
            good = sieve.keep(chunk, pair_faults(model, chunk.utrs, frame[alt_name].tolist())).frame
            if len(good):
                added = score_variants(model, good[ref_name].tolist(), good[alt_name].tolist(), assay=assay).round(5)
                sink.write(add_columns(good, added, like="scores", say=say if not rows else None))
            rows += len(good)
            if done:
                done(rows)
        sieve.refuse_nothing(rows)
    return Predicted(rows, sieve.count, sieve.path if sieve.count else None)


def _changes(
    card: AssayCard,
    ref_mrl: NDArray[np.float64],
    alt_mrl: NDArray[np.float64],
    same: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.log2(alt_mrl / ref_mrl)
    # Networks that give one number can give loads below 0, of which there is no fold change.
    change[~((ref_mrl > 0) & (alt_mrl > 0))] = np.nan
    change[same] = 0.0
    low, high = around(card.change_interval, change)
    unknown = np.isnan(change)
    low[unknown] = high[unknown] = np.nan
    if card.change_interval is not None:
        # A sequence and itself are no variant: there is nothing to be unsure of.
        low[same] = high[same] = 0.0
    return change, low, high


def _column(frame: pd.DataFrame, name: str, wanted: str | None, usual: Sequence[str], kind: str, option: str) -> str:
    found = find_column(frame, name, wanted, usual, kind, option)
    if found is None:
        columns = ", ".join(map(str, frame.columns))
        raise RibocastError(f"{name}: no {kind} column ({', '.join(usual)}) among: {columns}; name it with {option}")
    return found
