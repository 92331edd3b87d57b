"""Reading rows of sequences from whatever users have, in bounded memory.

Files are those of `ribocast.io.readers`. Columns of text tables are passed on as the text they are. Rows are counted
from 1, without the header. A blank line between rows of one column is a row without a sequence; in a table of several
columns, a line without any value is not a row. White space around and in sequences is left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ribocast.errors import InputError
from ribocast.io.columns import column_called
from ribocast.io.inputs import in_our_words, input_name
from ribocast.io.readers import as_frame, count_rows, read_pieces, read_stream
from ribocast.sequence.arrow import as_mask
from ribocast.sequence.batch import Batch, find_faults
from ribocast.sequence.letters import SEQUENCE_NAMES, SPACE, Fault, is_missing, without_space

if TYPE_CHECKING:
    import pandas as pd

LABEL_NAMES = ("label", "mrl", "rl")
CHUNK_ROWS = 65_536
_SHOWN_LETTERS = 60
"""How much of a wrong value a message repeats."""


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a table.

    Attributes
    ----------
    rows : pandas.DataFrame or pyarrow.Table
        Every column of the input; an index counts from 0 within the chunk.
    source : str
        The name of the file, for messages.
    first_row : int
        The number of the chunk's first row, from 1.
    seq_column : str
        Where the sequences are.
    label_column : str or None
        Where the labels are, if the table has any.
    """

    rows: pd.DataFrame | pa.Table
    source: str
    first_row: int
    seq_column: str
    label_column: str | None

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as a frame."""
        return as_frame(self.rows) if isinstance(self.rows, pa.Table) else self.rows

    @cached_property
    def table(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self.rows if isinstance(self.rows, pa.Table) else pa.Table.from_pandas(self.rows, preserve_index=False)

    @property
    def utrs(self) -> list[str]:
        """The sequences, unchecked; None for those that are missing."""
        return self.sequences(self.seq_column)

    def sequences(self, column: str) -> list[str]:
        """Return the sequences of a column, unchecked and without white space; None for those that are missing."""
        missing: Any = None  # which `find_faults` looks for, as for all that is not a sequence
        # Of a table, this column alone: others may be of types that no frame holds.
        values = self.rows[column]
        utrs = values.to_pylist() if isinstance(self.rows, pa.Table) else values.tolist()
        return [missing if is_missing(utr) else without_space(utr) for utr in utrs]

    def batch(self, column: str) -> Batch:
        """Return the sequences of a column, unchecked; see `Batch.of_column`."""
        values = self.table[column]
        batch = Batch.of_column(values)
        if batch.is_clean:
            return batch
        return Batch.of_column(pc.replace_substring_regex(values.cast(pa.large_string()), SPACE, ""))

    def faults(self, *, need_label: bool) -> list[Fault]:
        """Find the rows that cannot be used: a bad sequence, or (if needed) a label that is not a finite number."""
        faults = {fault.row: fault for fault in find_faults(self.utrs)}
        if need_label:
            label = self.frame[self._need_label()]
            for row in np.flatnonzero(~np.isfinite(self.labels())).tolist():
                text = "" if is_missing(label.iloc[row]) else str(label.iloc[row])
                shown = text if len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 1] + "…"
                problem = f"{shown!r} is not a finite number" if text.strip() else "is missing"
                faults.setdefault(row, Fault(row, f"label {problem} (column {self.label_column!r})"))
        return [faults[row] for row in sorted(faults)]

    def check(self, *, need_label: bool) -> None:
        """Raise at the first row that cannot be used, in a line that names file and row; see `faults`."""
        if faults := self.faults(need_label=need_label):
            raise InputError(self.say(faults[0]))

    def labels(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Read the label column as numbers; what is not a number becomes NaN (see `faults`)."""
        import pandas as pd

        label = self.frame[self._need_label()]
        if label.dtype.kind in "bcmM":
            # pandas would make numbers of truth values and dates too.
            return np.full(len(label), np.nan)
        return pd.to_numeric(label, errors="coerce").to_numpy(np.float64, na_value=np.nan)

    def names(self, column: str) -> list[str]:
        """Return a column as names, without the white space around them; empty for those that are missing."""
        return ["" if is_missing(name) else str(name).strip() for name in self.frame[column].tolist()]

    def say(self, fault: Fault) -> str:
        """Put a fault of this chunk into one line that names file and row."""
        return f"{self.source} row {self.first_row + fault.row}: {fault.reason}"

    def keep(self, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Chunk:
        """Return the chunk with only the rows where `mask` is true."""
        if isinstance(self.rows, pa.Table):
            rows = self.rows.filter(as_mask(mask))
        else:
            rows = self.rows[mask].reset_index(drop=True)
        return Chunk(rows, self.source, self.first_row, self.seq_column, self.label_column)

    def _need_label(self) -> str:
        if self.label_column is None:
            names = ", ".join(LABEL_NAMES)
            columns = ", ".join(_names(self.rows))
            if _are_predictions(_names(self.rows)):
                raise InputError(
                    f"{self.source}: column 'mrl' is predicted (mrl_low and mrl_high are there too), not measured; "
                    f"name the column of measured mean ribosome loads (MRLs) with --label (columns: {columns})"
                )
            raise InputError(f"{self.source}: no label column ({names}) among: {columns}; name it with --label")
        return self.label_column


def read_chunks(
    path: str | Path,
    *,
    column: str | None = None,
    label: str | None = None,
    chunk_rows: int = CHUNK_ROWS,
    rows: range | None = None,
) -> Iterator[Chunk]:
    """Read a table piece by piece.

    Parameters
    ----------
    path : str or Path
        A file or a FIFO, or ``-`` for standard input.
    column, label : str, optional
        The columns of the sequences and the labels. Without them, the first of ``seq``, ``sequence``, ``utr``
        and of ``label``, ``mrl``, ``rl`` (any case) that the table has.
    chunk_rows : int
        Maximum number of rows in a chunk.
    rows : range, optional
        Which rows, counted from 0.

    Yields
    ------
    Chunk
        At least one; every chunk has at least one row.

    Raises
    ------
    RibocastError
        If there is no such file, it is a directory or a device, it is empty or broken, it is changed while it is read,
        or it lacks the column.
    """
    name, first_row = input_name(path), 1 + (rows.start if rows else 0)
    for table in read_arrow(path, chunk_rows=chunk_rows, rows=rows):
        yield _chunk(table, name, first_row, column, label)
        first_row += len(table)


def read_rows(path: str | Path) -> Iterator[pd.DataFrame]:
    """Read a table piece by piece, whatever its columns are; see `read_chunks`."""
    return map(as_frame, read_arrow(path))


def read_table(path: str | Path, *, column: str | None = None, label: str | None = None) -> Chunk:
    """Read a whole table at once; see `read_chunks`."""
    rows = pa.concat_tables(read_arrow(path)).combine_chunks()
    return _chunk(rows, input_name(path), 1, column, label)


def read_arrow(
    path: str | Path, *, chunk_rows: int = CHUNK_ROWS, rows: range | None = None
) -> Iterator[pa.Table]:  # fmt: skip
    """Read a table piece by piece as Arrow tables, whatever its columns are; see `read_chunks`."""
    name, count = input_name(path), 0
    for table in _told(read_pieces(path, chunk_rows, rows), name):
        count += len(table)
        yield table
    if rows and count < len(rows):
        # They were there when they were counted.
        raise InputError(f"{name}: ends before row {rows.stop:,}")


def rows_of(path: str | Path) -> int:
    """Count the rows of a file; see `ribocast.io.readers.count_rows`."""
    with _table_in_our_words(input_name(path)):
        return count_rows(path)


def read_open(
    stream: IO[bytes], name: str, format_name: str | None = None, *, chunk_rows: int = CHUNK_ROWS
) -> Iterator[pa.Table]:  # fmt: skip
    """Read an open file that messages call `name` piece by piece; without `format_name` its first bytes say it."""
    yield from _told(read_stream(stream, format_name, name, chunk_rows), name)


def _told(tables: Iterator[pa.Table], name: str) -> Iterator[pa.Table]:
    """Pass tables on, and say in our words what goes wrong."""
    rows = 0
    with _table_in_our_words(name):
        for table in tables:
            rows += len(table)
            yield table
    if not rows:
        raise InputError(f"{name}: has no rows")


@contextmanager
def _table_in_our_words(name: str) -> Iterator[None]:
    try:
        with in_our_words(name):
            yield
    except (pa.ArrowException, csv.Error) as error:
        raise InputError(f"{name}: not a readable table: {error}") from None


def as_chunk(frame: pd.DataFrame, *, column: str | None = None, label: str | None = None) -> Chunk:
    """Treat a frame in memory as a table that was read; see `read_chunks` for how columns are found."""
    if not len(frame):
        raise InputError("the frame has no rows")
    return _chunk(frame.reset_index(drop=True), "the frame", 1, column, label)


def _names(rows: pd.DataFrame | pa.Table) -> list[str]:
    return rows.column_names if isinstance(rows, pa.Table) else [str(column) for column in rows.columns]


def _chunk(rows: pd.DataFrame | pa.Table, name: str, first_row: int, column: str | None, label: str | None) -> Chunk:
    columns = _names(rows)
    seq_column = need_column(columns, name, column, SEQUENCE_NAMES, "sequence", "--column")
    usual = [title for title in LABEL_NAMES if title != "mrl" or not _are_predictions(columns)]
    return Chunk(rows, name, first_row, seq_column, find_column(columns, name, label, usual, "label", "--label"))


def _are_predictions(columns: Sequence[str]) -> bool:
    """Tell by its columns whether a table's ``mrl`` was written by ``ribocast predict``."""
    return {"mrl", "mrl_low", "mrl_high"} <= {column.lower() for column in columns}


def find_column(
    columns: Sequence[str], name: str, wanted: str | None, usual: Sequence[str], kind: str, option: str
) -> str | None:
    """Find a column by its usual names (any case; None if it has none of them), or the one that is wanted.

    Raises
    ------
    RibocastError
        If the wanted one is not there; it names the table, the `kind` of column, and the `option` it was given by.
    """
    if wanted is not None:
        if wanted not in columns:
            raise InputError(f"{name}: no {kind} column {wanted!r} among: {', '.join(columns)} (from {option})")
        return wanted
    return column_called(columns, usual)


def need_column(
    columns: Sequence[str], name: str, wanted: str | None, usual: Sequence[str], kind: str, option: str
) -> str:
    """Find a column as `find_column` does; that there is none is an error too."""
    found = find_column(columns, name, wanted, usual, kind, option)
    if found is None:
        listed = ", ".join(columns)
        raise InputError(f"{name}: no {kind} column ({', '.join(usual)}) among: {listed}; name it with {option}")
    return found
