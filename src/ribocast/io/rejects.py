"""Between reading rows and writing them: rows that cannot be used, and columns that are named like ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ribocast.errors import InputError
from ribocast.io.csv_text import is_spelled, is_text
from ribocast.io.output_paths import OutputPaths, remove_list
from ribocast.io.tables import Chunk
from ribocast.io.writers import TableSink, open_table
from ribocast.sequence.arrow import from_texts
from ribocast.sequence.letters import Fault

OnError = Literal["stop", "skip"]


class RowFilter:
    """Keeps usable rows; at a bad one it stops, or leaves it out, counts it and lists it with the reason.

    Use it as a context: the list stands there whole at the end, and not at all after an error. An earlier run's list is
    replaced, or removed if there is nothing to list.

    Parameters
    ----------
    on_error : {"stop", "skip"}
        What to do at a bad row.
    output_paths : OutputPaths
        What else the run reads and writes: the list must not be one of these.
    output : str or Path, optional
        What is made of it: the bad rows go to ``NAME.rejected.csv`` beside that. Without it (or ``-``), each is said.
    say : callable
        Told, in a line, what the user should know.

    Attributes
    ----------
    count : int
        Rows left out.
    path : Path or None
        Where they are listed.
    """

    def __init__(
        self, on_error: OnError, output_paths: OutputPaths, output: str | Path | None, say: Callable[[str], None]
    ) -> None:
        self.count = 0
        self.path = None
        if on_error == "skip":
            self.path = output_paths.add_list(output, "rejected", f"the list of bad rows of {output}")
        self._on_error, self._say = on_error, say
        self._first = ""
        self._sink: TableSink | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if self.count and error is None:
            listed = f", listed in {self.path}" if self.path else ""
            self._say(f"left out {self.count:,} bad row{'s' * (self.count != 1)}{listed}")
        elif error is None and self.path and remove_list(self.path, "rejected"):
            self._say(f"no bad rows; removed an earlier run's list, {self.path}")

    def keep(self, chunk: Chunk, faults: list[Fault]) -> Chunk:
        """Return a chunk without its bad rows.

        Raises
        ------
        RibocastError
            At the first bad row, unless they are skipped.
        """
        if not faults:
            return chunk
        good = np.ones(len(chunk), dtype=bool)
        good[[fault.row for fault in faults]] = False
        numbers = [chunk.first_row + fault.row for fault in faults]
        self.leave_out(chunk.source, chunk.keep(~good).table, numbers, [fault.reason for fault in faults])
        return chunk.keep(good)

    def leave_out(self, name: str, rows: pa.Table, numbers: list[int], reasons: list[str]) -> None:
        """Leave out bad rows of a table called `name`: count and list them, but for columns that CSV cannot hold.

        Raises
        ------
        RibocastError
            For the first of them, unless they are skipped.
        """
        said = [f"{name} row {number}: {reason}" for number, reason in zip(numbers, reasons, strict=True)]
        if self._on_error == "stop":
            raise InputError(said[0])
        self._first = self._first or said[0]
        self.count += len(said)
        if self.path is None:
            for line in said:
                self._say(f"left out: {line}")
        else:
            renamed = make_room(rows.column_names, ("row", "reason"))
            columns = {
                renamed.get(field.name, field.name): _visible(rows[field.name])
                for field in rows.schema if is_spelled(field.type)
            }  # fmt: skip
            added = {"row": pa.array(numbers, pa.int64()), "reason": from_texts(reasons)}
            if self._sink is None:
                self._sink = self._stack.enter_context(open_table(self.path))
            self._sink.write(pa.table(added | columns))

    def refuse_nothing(self, rows: int) -> None:
        """Raise RibocastError if no row was usable."""
        if not rows:
            raise InputError(f"no row is usable; the first: {self._first}")


def _visible(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Make NUL bytes of text visible, which may be what is wrong with a row, and which CSV cannot hold."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return pc.replace_substring(column.cast(pa.large_string()), "\0", "\\0") if is_text(kind) else column


def make_room(taken: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Say which of the columns that a table has are to be renamed for columns called `names`, and to what.

    A column that has one of the names becomes ``input_NAME``; where that is there too, ``input_input_NAME``, and so on.
    """
    renamed: dict[str, str] = {}
    there = set(taken)
    for name in names:
        if name in there:
            new = f"input_{name}"
            while new in there:
                new = f"input_{new}"
            renamed[name] = new
            there.add(new)
    return renamed


def add_columns(
    table: pa.Table, added: Mapping[str, pa.Array], *, like: str, say: Callable[[str], None] | None
) -> pa.Table:
    """Put columns behind those of the input, which make room for them.

    Parameters
    ----------
    table : pyarrow.Table
        Rows of the input.
    added : mapping of str to pyarrow.Array
        By name, for the same rows in the same order.
    like : str
        What the added columns hold, for people.
    say : callable, optional
        Told what was renamed; see `make_room`.
    """
    renamed = make_room(table.column_names, added)
    if renamed and say:
        changes = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
        say(f"the input has columns named like {like}: {changes}")
    table = table.rename_columns([renamed.get(name, name) for name in table.column_names])
    for name, column in added.items():
        table = table.append_column(name, column)
    return table
