"""Predicting a whole file: rows in, the same rows with their predictions out, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ribocast.errors import RibocastError
from ribocast.predictor import Predictor
from ribocast.tables import Chunk, read_chunks
from ribocast.writing import TABLE_ENDINGS, TableSink, open_table

if TYPE_CHECKING:
    import pandas as pd

OnError = Literal["stop", "skip"]
_PREDICT_ROWS = 16_384


class Predicted(NamedTuple):
    """What was done with a file: rows predicted, rows left out, where those are listed (None without a file)."""

    rows: int
    skipped: int
    rejects: Path | None


def predict_file(
    model: Predictor,
    path: str | Path,
    output: str | Path | None,
    *,
    assay: str | None = None,
    column: str | None = None,
    profile: bool = False,
    on_error: OnError = "stop",
    done: Callable[[int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Predict every row of a table and write the table with the predictions added.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    path : str or Path
        Any table that `ribocast.tables.read_chunks` reads; ``-`` is standard input.
    output : str or Path, optional
        Any ending of `ribocast.writing.TABLE_ENDINGS`; standard output without it.
    assay : str, optional
        On whose scale; the model's default assay without it.
    column : str, optional
        The column of the sequences.
    profile : bool
        Add the polysome profile, ``r0`` …
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
        For an unreadable table or output, an unknown assay, and, unless they are skipped, the first bad row. Then
        no output is written.
    """
    say = say or (lambda _: None)
    model.card.assay(assay)
    if profile:
        model.check_profile()
    rejects = _rejects_path(output) if output is not None and str(output) != "-" else None
    rows = skipped = 0
    with ExitStack() as stack:
        sink = stack.enter_context(open_table(output))
        reject_sink: TableSink | None = None
        for chunk in read_chunks(path, column=column, chunk_rows=_PREDICT_ROWS):
            faults = chunk.faults(need_label=False)
            if faults and on_error == "stop":
                raise RibocastError(chunk.say(faults[0]))
            good = np.ones(len(chunk.frame), dtype=bool)
            for fault in faults:
                good[fault.row] = False
                if rejects is None:
                    say(f"left out: {chunk.say(fault)}")
            if faults and rejects is not None:
                reject_sink = reject_sink or stack.enter_context(open_table(rejects))
                bad = chunk.frame[~good].copy()
                bad.insert(0, "row", [chunk.first_row + fault.row for fault in faults])
                bad.insert(1, "reason", [fault.reason for fault in faults])
                reject_sink.write(bad)
            skipped += len(faults)
            if good.any():
                sink.write(_with_predictions(model, chunk.keep(good), assay, profile, say if not rows else None))
            rows += int(good.sum())
            if done:
                done(rows)
        if not rows:
            raise RibocastError(f"{path}: no row is usable; the first: {chunk.say(faults[0])}")
    if skipped:
        say(f"left out {skipped:,} bad row{'s' * (skipped != 1)}" + (f", listed in {rejects}" if rejects else ""))
    return Predicted(rows, skipped, rejects if skipped else None)


def _with_predictions(
    model: Predictor, chunk: Chunk, assay: str | None, profile: bool, say: Callable[[str], None] | None
) -> pd.DataFrame:
    added = model.predict(chunk.utrs, assay=assay, profile=profile).drop(columns="seq")
    # Far below any measurement's precision, and short to read; shares still sum to 1 within 1e-7.
    added = added.round({name: 8 if name.startswith("r") else 5 for name in added.columns})
    taken = {name: f"input_{name}" for name in added.columns if name in chunk.frame.columns}
    if taken and say:
        renamed = ", ".join(f"{old} is now {new}" for old, new in taken.items())
        say(f"the input has columns named like predictions: {renamed}")
    frame = chunk.frame.rename(columns=taken)
    for name in added.columns:
        frame[name] = added[name].to_numpy()
    return frame


def _rejects_path(output: str | Path) -> Path:
    path = Path(output)
    ending = next((ending for ending in sorted(TABLE_ENDINGS, key=len, reverse=True) if path.name.endswith(ending)), "")
    return path.with_name(f"{path.name.removesuffix(ending)}.rejected.csv")
