"""Predicting a whole file: rows in, the same rows with their predictions out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ribocast.io.rejects import OnError
from ribocast.io.tables import Chunk, read_chunks
from ribocast.model.engine import Outputs
from ribocast.model.predictor import Predictor
from ribocast.predict.stream import Predicted, work_through
from ribocast.sequence.arrow import as_array, from_texts
from ribocast.sequence.batch import Batch
from ribocast.sequence.construct import Construct
from ribocast.sequence.letters import Fault
from ribocast.sequence.start_codon import cut_at_start as cut_batch
from ribocast.sequence.start_codon import join_notes
from ribocast.sequence.uorf import find_uorfs, start_of

if TYPE_CHECKING:
    import pandas as pd

_PREDICT_ROWS = 16_384
START_COLUMNS = (
    "uatgs", "uorfs", "overlapping_uorfs", "n_terminal_extensions", "upstream_starts", "kozak", "kozak_score",
)  # fmt: skip


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
    cut_at_start: bool = False,
    on_error: OnError = "stop",
    resume: bool = False,
    rows: range | None = None,
    keep: bool = True,
    done: Callable[[int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Predict every row of a table and write the table with the predictions added.

    A sequence that stands in the file again, in any spelling, is not predicted again unless 262,144 different ones (or
    64 MB of letters) were since.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    path : str or Path
        Any table that `ribocast.io.tables.read_chunks` reads; ``-`` is standard input.
    output : str or Path, optional
        Any ending of `ribocast.io.writers.TABLE_ENDINGS`; standard output without it.
    assay : str, optional
        In which assay's units; the model's default assay without it.
    column : str, optional
        The column of the sequences.
    profile : bool
        Add the polysome profile, ``r0`` …
    uorf : bool
        Add what `describe_starts` says.
    near_cognates : bool
        Add that, with near-cognate upstream starts in its list.
    cut_at_start : bool
        As in `ribocast.Predictor.predict`; the columns of the table stay as they are.
    on_error : {"stop", "skip"}
        ``skip`` leaves unusable rows out and lists them, with the reason, in ``NAME.rejected.csv`` beside the
        output (by `say` where that is standard output).
    resume : bool
        Go on with a run to the same output that was killed or interrupted: what it had predicted is not predicted
        again, and the output is the same to the byte as if it had not been stopped (on the same machine).
    rows : range, optional
        Only these rows, counted from 0: what is written are the rows that the whole file's output has for them, to the
        byte.
    keep : bool
        Keep beside the output what is predicted, as long as the run goes on, so that it could be resumed.
    done : callable, optional
        Told the number of rows after each chunk.
    say : callable, optional
        Told, in a line, what the user should know.

    Raises
    ------
    RibocastError
        For an unreadable table or output, an unknown assay, and, unless they are skipped, the first bad row. Then
        no file is written; standard output has the rows before. On `resume`, also if the stopped run was of another
        model, assay or machine's engine.
    """
    if profile:
        model.check_profile()
    starts = "all" if near_cognates else "ATG" if uorf else None
    work = _Predictions(model, path, assay, column, profile, starts, cut_at_start, rows)
    return work_through(
        work, path, output, on_error=on_error, resume=resume, keep=keep, may_be_empty=rows is not None, done=done,
        say=say,
    )  # fmt: skip


class _Predictions:
    """The work of `predict_file`; see `ribocast.predict.stream.Work`."""

    like = "predictions"

    def __init__(
        self, model: Predictor, path: str | Path, assay: str | None, column: str | None, profile: bool,
        starts: str | None, cut: bool, rows: range | None,
    ) -> None:  # fmt: skip
        self.model, self.assay, self.piece_rows = model, model.card.assay(assay), _PREDICT_ROWS
        self._path, self._column, self._profile, self._starts, self._rows = path, column, profile, starts, rows
        self._cut = cut

    def chunks(self) -> Iterator[Chunk]:
        return read_chunks(self._path, column=self._column, chunk_rows=self.piece_rows, rows=self._rows)

    def batch(self, chunk: Chunk) -> Batch:
        utrs = chunk.batch(chunk.seq_column)
        return cut_batch(utrs)[0] if self._cut else utrs

    def faults(self, chunk: Chunk) -> list[Fault]:
        return self.model.faults(chunk.utrs)

    def columns(self, chunk: Chunk, utrs: Batch, number_of: NDArray[np.int64], outputs: Outputs) -> dict[str, pa.Array]:
        found = self.model.columns(utrs, outputs, self.assay, profile=self._profile)
        notes = from_texts(found.pop("note"))
        # Far below any measurement's precision, and short to read; shares still sum to 1 within 1e-7.
        numbers = {
            name: as_array(values.astype(np.float64).round(8 if name.startswith("r") else 5)[number_of])
            for name, values in found.items()
        }
        take = as_array(number_of)
        columns = {**numbers, "note": notes.take(take)}
        if self._cut:
            _, cuts = cut_batch(chunk.batch(chunk.seq_column))
            columns["note"] = from_texts(join_notes(cuts, columns["note"].to_pylist()))
        if self._starts:
            described = describe_starts(utrs.texts, self.assay.surroundings, self._starts == "all")
            table = pa.Table.from_pandas(described, preserve_index=False).take(take)
            columns |= {name: table[name] for name in table.column_names}
        return columns


def describe_starts(utrs: Sequence[str], construct: Construct, near_cognates: bool = False) -> pd.DataFrame:
    """Describe the upstream starts of UTRs, and the context of their start codon.

    Returns
    -------
    pandas.DataFrame
        ``uatgs``, how many upstream ATGs; ``uorfs``, ``overlapping_uorfs`` and ``n_terminal_extensions``, how many of
        them are of each kind (see `ribocast.sequence.uorf.Uorf`); ``upstream_starts``, each in words, and with
        `near_cognates` those too; ``kozak`` and ``kozak_score`` of the start codon.
    """
    import pandas as pd

    rows = []
    for utr in utrs:
        found = find_uorfs(utr, construct, near_cognates=near_cognates)
        kinds = Counter(uorf.kind for uorf in found if uorf.codon == "ATG")
        start = start_of(utr, construct)
        rows.append((kinds.total(), kinds["uORF"], kinds["overlapping uORF"], kinds["N-terminal extension"],
                     "; ".join(uorf.in_words(full=True) for uorf in found), start.strength, start.score))  # fmt: skip
    return pd.DataFrame(rows, columns=list(START_COLUMNS))
