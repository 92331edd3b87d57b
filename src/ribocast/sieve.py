"""Between reading rows and writing them: rows that cannot be used, and columns that are named like ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from ribocast.errors import RibocastError
from ribocast.sequence import Fault
from ribocast.tables import Chunk
from ribocast.writing import TABLE_ENDINGS, TableSink, open_table

if TYPE_CHECKING:
    import pandas as pd

OnError = Literal["stop", "skip"]


class Sieve:
    """Keeps usable rows; at a bad one it stops, or leaves it out, counts it and lists it with the reason.

    Use it as a context: the list stands there whole at the end, and not at all after an error.

    Parameters
    ----------
    on_error : {"stop", "skip"}
        What to do at a bad row.
    source : str or Path
        The table that is read.
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
        self, on_error: OnError, source: str | Path, output: str | Path | None, say: Callable[[str], None]
    ) -> None:
        self.count = 0
        self.path = beside(output, "rejected") if output is not None and str(output) != "-" else None
        self._on_error, self._source, self._say = on_error, source, say
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
        elif error is None and self._on_error == "skip" and self.path and not _same(self.path, self._source):
            # An earlier run's list would pass for this one's.
            self.path.unlink(missing_ok=True)

    def keep(self, chunk: Chunk, faults: list[Fault]) -> Chunk:
        """Return a chunk without its bad rows.

        Raises
        ------
        RibocastError
            At the first bad row, unless they are skipped.
        """
        if not faults:
            return chunk
        good = np.ones(len(chunk.frame), dtype=bool)
        good[[fault.row for fault in faults]] = False
        numbers = [chunk.first_row + fault.row for fault in faults]
        self.leave_out(chunk.source, chunk.frame[~good], numbers, [fault.reason for fault in faults])
        return chunk.keep(good)

    def leave_out(self, name: str, rows: pd.DataFrame, numbers: list[int], reasons: list[str]) -> None:
        """Leave out bad rows of a table called `name`: count and list them.

        Raises
        ------
        RibocastError
            For the first of them, unless they are skipped.
        """
        said = [f"{name} row {number}: {reason}" for number, reason in zip(numbers, reasons, strict=True)]
        if self._on_error == "stop":
            raise RibocastError(said[0])
        self._first = self._first or said[0]
        self.count += len(said)
        if self.path is None:
            for line in said:
                self._say(f"left out: {line}")
        else:
            bad = make_room(rows, ("row", "reason"))[0]
            bad.insert(0, "row", numbers)
            bad.insert(1, "reason", reasons)
            self._open(self.path).write(bad)

    def refuse_nothing(self, rows: int) -> None:
        """Raise RibocastError if no row was usable."""
        if not rows:
            raise RibocastError(f"no row is usable; the first: {self._first}")

    def _open(self, path: Path) -> TableSink:
        if self._sink is None:
            if _same(path, self._source):
                raise RibocastError(f"{path}: the list of bad rows would replace the input; give another -o")
            self._sink = self._stack.enter_context(open_table(path))
        return self._sink


def make_room(frame: pd.DataFrame, names: Iterable[str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rename the columns that have one of `names` to ``input_NAME``.

    Returns
    -------
    pandas.DataFrame
        A copy of the frame, with no column of these names.
    dict of str to str
        What was renamed to what. Where ``input_NAME`` is there too, it is ``input_input_NAME``, and so on.
    """
    renamed: dict[str, str] = {}
    taken = {str(column) for column in frame.columns}
    for name in names:
        if name in taken:
            new = f"input_{name}"
            while new in taken:
                new = f"input_{new}"
            renamed[name] = new
            taken.add(new)
    return frame.rename(columns=renamed), renamed


def add_columns(
    frame: pd.DataFrame, added: pd.DataFrame, *, like: str, say: Callable[[str], None] | None
) -> pd.DataFrame:
    """Put columns behind those of the input, which make room for them.

    Parameters
    ----------
    frame, added : pandas.DataFrame
        As many rows, in the same order.
    like : str
        What the added columns hold, for people.
    say : callable, optional
        Told what was renamed; see `make_room`.
    """
    names = [str(name) for name in added.columns]
    kept, renamed = make_room(frame, names)
    if renamed and say:
        changes = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
        say(f"the input has columns named like {like}: {changes}")
    return kept.assign(**{name: added[name].to_numpy() for name in names})


def beside(output: str | Path, kind: str) -> Path:
    """Name the list that goes beside an output: ``NAME.KIND.csv``."""
    path = Path(output) if Path(output).name.strip(".") else Path(output).resolve()
    endings = sorted((*TABLE_ENDINGS, ".vcf", ".vcf.gz"), key=len, reverse=True)
    ending = next((ending for ending in endings if path.name.lower().endswith(ending)), "")
    return path.with_name(f"{path.name[: len(path.name) - len(ending)]}.{kind}.csv")


def _same(path: Path, source: str | Path) -> bool:
    return path.resolve() == Path(source).resolve()
