"""Predicting a whole file: rows in, the same rows with their predictions out, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ribocast.construct import Construct
from ribocast.predictor import Predictor
from ribocast.sieve import OnError, Sieve, add_columns
from ribocast.tables import Chunk, read_chunks
from ribocast.uorf import find_uorfs, start_of
from ribocast.writing import open_table

if TYPE_CHECKING:
    import pandas as pd

_PREDICT_ROWS = 16_384
START_COLUMNS = (
    "uatgs", "uorfs", "overlapping_uorfs", "n_terminal_extensions", "upstream_starts", "kozak", "kozak_score",
)  # fmt: skip


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
    uorf: bool = False,
    near_cognates: bool = False,
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
    uorf : bool
        Add what `describe_starts` says.
    near_cognates : bool
        Add that, with near-cognate upstream starts in its list.
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
    rows, starts = 0, "all" if near_cognates else "ATG" if uorf else None
    with open_table(output) as sink, Sieve(on_error, path, output, say) as sieve:
        for chunk in read_chunks(path, column=column, chunk_rows=_PREDICT_ROWS):
            good = sieve.keep(chunk, model.faults(chunk.utrs))
            if len(good.frame):
                tell = say if not rows else None
                sink.write(_with_predictions(model, good, assay, profile, starts=starts, say=tell))
            rows += len(good.frame)
            if done:
                done(rows)
        sieve.refuse_nothing(rows)
    return Predicted(rows, sieve.count, sieve.path if sieve.count else None)


def describe_starts(utrs: Sequence[str], construct: Construct, near_cognates: bool = False) -> pd.DataFrame:
    """Describe the upstream starts of leaders, and the context of their start codon.

    Returns
    -------
    pandas.DataFrame
        ``uatgs``, how many upstream ATGs; ``uorfs``, ``overlapping_uorfs`` and ``n_terminal_extensions``, how many of
        them are of each kind (see `ribocast.uorf.Uorf`); ``upstream_starts``, each in words, and with `near_cognates`
        those too; ``kozak`` and ``kozak_score`` of the start codon.
    """
    import pandas as pd

    rows = []
    for utr in utrs:
        found = find_uorfs(utr, construct, near_cognates=near_cognates)
        kinds = Counter(uorf.kind for uorf in found if uorf.codon == "ATG")
        start = start_of(utr, construct)
        rows.append((kinds.total(), kinds["uORF"], kinds["overlapping uORF"], kinds["N-terminal extension"],
                     "; ".join(uorf.in_words(place=True) for uorf in found), start.strength, start.score))  # fmt: skip
    return pd.DataFrame(rows, columns=list(START_COLUMNS))


def _with_predictions(
    model: Predictor,
    chunk: Chunk,
    assay: str | None,
    profile: bool,
    *,
    starts: str | None,
    say: Callable[[str], None] | None,
) -> pd.DataFrame:
    added = model.predict(chunk.utrs, assay=assay, profile=profile).drop(columns="seq")
    # Far below any measurement's precision, and short to read; shares still sum to 1 within 1e-7.
    added = added.round({name: 8 if name.startswith("r") else 5 for name in added.columns})
    if starts:
        described = describe_starts(chunk.utrs, model.card.assay(assay).surroundings, starts == "all")
        added = added.assign(**{str(name): described[name] for name in described})
    return add_columns(chunk.frame, added, like="predictions", say=say)
