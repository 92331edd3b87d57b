"""Predicting a whole file: rows in, the same rows with their predictions out, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ribocast.predictor import Predictor
from ribocast.sieve import OnError, Sieve, make_room
from ribocast.tables import Chunk, read_chunks
from ribocast.writing import open_table

if TYPE_CHECKING:
    import pandas as pd

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
        no file is written; standard output has the rows before.
    """
    say = say or (lambda _: None)
    model.card.assay(assay)
    if profile:
        model.check_profile()
    rows = 0
    with open_table(output) as sink, Sieve(on_error, path, output, say) as sieve:
        for chunk in read_chunks(path, column=column, chunk_rows=_PREDICT_ROWS):
            good = sieve.keep(chunk, model.faults(chunk.utrs))
            if len(good.frame):
                sink.write(_with_predictions(model, good, assay, profile, say if not rows else None))
            rows += len(good.frame)
            if done:
                done(rows)
        sieve.refuse_nothing(rows)
    return Predicted(rows, sieve.count, sieve.path if sieve.count else None)


def _with_predictions(
    model: Predictor, chunk: Chunk, assay: str | None, profile: bool, say: Callable[[str], None] | None
) -> pd.DataFrame:
    added = model.predict(chunk.utrs, assay=assay, profile=profile).drop(columns="seq")
    # Far below any measurement's precision, and short to read; shares still sum to 1 within 1e-7.
    added = added.round({name: 8 if name.startswith("r") else 5 for name in added.columns})
    frame, renamed = make_room(chunk.frame, added.columns)
    if renamed and say:
        changes = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
        say(f"the input has columns named like predictions: {changes}")
    for name in added.columns:
        frame[name] = added[name].to_numpy()
    return frame
