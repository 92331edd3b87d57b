"""Writing files whole or not at all: beside the target, then renamed."""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ribocast.errors import RibocastError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Small groups of rows make a Parquet file large and slow to read.
_GROUP_ROWS = 1 << 17
TABLE_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


class TableSink(Protocol):
    """Where the rows of a table go, some at a time."""

    def write(self, rows: pd.DataFrame | pa.Table) -> None:
        """Add rows; the columns are those of the first call."""

    def check(self, schema: pa.Schema) -> None:
        """Raise RibocastError, before any work is done, if the format cannot hold such columns."""


def is_folder_name(output: str) -> bool:
    """Tell whether an output is a folder, or is to be one: its name ends with /."""
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


@contextmanager
def whole_file(path: str | Path, *, mark: str = "") -> Iterator[Path]:
    """Give a path beside `path` to write to; rename it to `path` at the end, or remove it if anything fails.

    A symbolic link is followed: what it points to is replaced. The file beside it has the number of this process in its
    name, or else `mark`: what a process that was killed left under a mark is written over by the next one.

    Raises
    ------
    RibocastError
        If the folder does not exist or cannot be written to, or `path` is a folder.
    """
    target = _target(path)
    partial = target.with_name(f".{target.name}.{mark or os.getpid()}.part")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        raise RibocastError(f"{path}: {error.strerror or error}") from error
    finally:
        # What went wrong was already told.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def check_output(
    path: str | Path | None, endings: Sequence[str] = (), *, inputs: Iterable[str | Path | None] = (),
    stdout: bool = False,
) -> None:  # fmt: skip
    """Refuse a place for an output before anything is computed for it; none is no place, nor is ``-`` with `stdout`.

    Raises
    ------
    RibocastError
        For an ending that is none of `endings`, if there are any; a folder that does not exist or cannot be written to;
        or a file that is one of `inputs`, which would be lost.
    """
    if path is None or (stdout and str(path) == "-"):
        return
    if endings and not Path(path).name.lower().endswith(tuple(endings)):
        raise RibocastError(f"{path}: the ending is none of {', '.join(endings)}")
    target = _target(path)
    for name in inputs:
        is_input = False
        # A sequence may stand for a file, and be longer than a file's name.
        with suppress(OSError, ValueError):
            is_input = name is not None and os.path.samefile(name, target)  # noqa: PTH121
        if is_input:
            raise RibocastError(f"{path}: is an input: give another name")


def _target(path: str | Path) -> Path:
    """Return the file that a path leads to, if it can be written."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise RibocastError(f"{path}: is a directory; name a file")
    if not target.parent.is_dir():
        raise RibocastError(f"{path}: there is no folder {Path(path).parent}")
    if not os.access(target.parent, os.W_OK):
        raise RibocastError(f"{path}: no permission to write in {Path(path).parent}")
    return target


@contextmanager
def alone_in(folder: str | Path) -> Iterator[None]:
    """Keep others who ask for the same out of a folder, until the end of this process at the latest.

    It is made if it is not there, and removed again if nothing was written. Where the system has no locks on folders,
    nobody is kept out.

    Raises
    ------
    RibocastError
        If another process (or another part of this one) is there, or it cannot be made.
    """
    folder = Path(folder)
    is_ours = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RibocastError(f"{folder}: {error.strerror or error}") from None
    try:
        with _lock_on(folder):
            yield
    finally:
        if is_ours:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _lock_on(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some file systems know no locks.
        with suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RibocastError(f"{folder}: another run is writing to it") from None
        yield
    finally:
        os.close(handle)


@contextmanager
def open_table(path: str | Path | None, *, mark: str = "") -> Iterator[TableSink]:
    """Open a table for writing; its format is that of the ending, CSV on standard output without a path.

    For `mark` see `whole_file`.

    Raises
    ------
    RibocastError
        For an ending that is none of ``TABLE_ENDINGS``, or a place that cannot be written to.
    """
    if path is None or str(path) == "-":
        yield _TextSink(_StandardOutput(), ",")
        return
    check_output(path, TABLE_ENDINGS)
    name = Path(path).name.lower()
    with whole_file(path, mark=mark) as partial:
        if name.endswith(".parquet"):
            sink = _ParquetSink(partial, str(path))
            try:
                yield sink
                sink.end()
            finally:
                sink.close()
        elif name.endswith(".gz"):
            # mtime=0: the same rows give the same bytes.
            with (
                partial.open("wb") as raw,
                gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
                io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
            ):
                yield _TextSink(text, "," if name.endswith(".csv.gz") else "\t")
        else:
            with partial.open("w", encoding="utf-8", newline="") as text:
                yield _TextSink(text, "," if name.endswith(".csv") else "\t")


def write_text_table(table: pa.Table, stream: _Writer, separator: str) -> None:
    """Write a table as CSV or TSV to an open stream of text, as `open_table` does to a file."""
    _TextSink(stream, separator).write(table)


class _StandardOutput:
    """Standard output, a little at a time.

    Where the reader of a pipe goes away in the middle of a long write, Python takes what was written for all of it, and
    nobody would hear that the rest was lost.
    """

    _MOST = 4096

    def write(self, text: str) -> None:
        for start in range(0, len(text), self._MOST):
            sys.stdout.write(text[start : start + self._MOST])


class _Writer(Protocol):
    def write(self, text: str, /) -> object: ...


class _TextSink:
    def __init__(self, stream: _Writer, separator: str) -> None:
        self._stream, self._separator, self._header = stream, separator, True

    def check(self, schema: pa.Schema) -> None:
        from ribocast.csv_text import check_spelled

        check_spelled(schema)

    def write(self, rows: pd.DataFrame | pa.Table) -> None:
        import pyarrow as pa

        if not isinstance(rows, pa.Table):
            self._write_frame(rows)
            return
        from ribocast.csv_text import csv_header, csv_rows

        if self._header:
            self._stream.write(csv_header(rows.column_names, self._separator))
            self._header = False
        self._stream.write(csv_rows(rows, self._separator))

    def _write_frame(self, frame: pd.DataFrame) -> None:
        text = self._format(frame, csv.QUOTE_MINIMAL)
        if "\r" in text:
            # Python before 3.13 does not quote it, and it would break the row in two.
            text = self._format(frame, csv.QUOTE_NONNUMERIC)
        self._stream.write(text)
        self._header = False

    def _format(self, frame: pd.DataFrame, quoting: Literal[0, 2]) -> str:
        return frame.to_csv(sep=self._separator, index=False, header=self._header, lineterminator="\n", quoting=quoting)


class _ParquetSink:
    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._writer: Any = None
        self._waiting: list[Any] = []

    def check(self, schema: pa.Schema) -> None:
        """Take whatever can be read."""

    def write(self, rows: pd.DataFrame | pa.Table) -> None:
        import pyarrow as pa

        with self._told():
            table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
            if self._writer is None:
                import pyarrow.parquet

                self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema)
            self._waiting.append(table.cast(self._writer.schema))
        if sum(map(len, self._waiting)) >= _GROUP_ROWS:
            self._write_group()

    def end(self) -> None:
        import pyarrow as pa

        if self._writer is None:
            self.write(pa.table({}))
        self._write_group()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        with self._told():
            if self._waiting:
                self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=2 * _GROUP_ROWS)
                self._waiting.clear()

    @contextmanager
    def _told(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, ValueError) as error:
            raise RibocastError(f"{self._name}: these rows do not fit into a Parquet file: {error}") from None
