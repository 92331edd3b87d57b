"""Writing files whole or not at all: beside the target, then renamed."""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

from ribocast.errors import RibocastError

if TYPE_CHECKING:
    import pandas as pd

TABLE_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


class TableSink(Protocol):
    """Where the rows of a table go, some at a time."""

    def write(self, frame: pd.DataFrame) -> None:
        """Add rows; the columns are those of the first call."""


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; rename it to `path` at the end, or remove it if anything fails.

    A symbolic link is followed: what it points to is replaced.

    Raises
    ------
    RibocastError
        If the folder does not exist or cannot be written to, or `path` is a folder.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise RibocastError(f"{path}: is a directory; name a file")
    if not target.parent.is_dir():
        raise RibocastError(f"{path}: there is no folder {Path(path).parent}")
    if not os.access(target.parent, os.W_OK):
        raise RibocastError(f"{path}: no permission to write in {Path(path).parent}")
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        raise RibocastError(f"{path}: {error.strerror or error}") from error
    finally:
        # What went wrong was already told.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def open_table(path: str | Path | None) -> Iterator[TableSink]:
    """Open a table for writing; its format is that of the ending, CSV on standard output without a path.

    Raises
    ------
    RibocastError
        For an ending that is none of ``TABLE_ENDINGS``, or a place that cannot be written to.
    """
    if path is None or str(path) == "-":
        yield _TextSink(sys.stdout, ",")
        return
    name = Path(path).name.lower()
    if not name.endswith(TABLE_ENDINGS):
        raise RibocastError(f"{path}: the ending is none of {', '.join(TABLE_ENDINGS)}")
    with whole_file(path) as partial:
        if name.endswith(".parquet"):
            sink = _ParquetSink(partial, str(path))
            try:
                yield sink
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


class _TextSink:
    def __init__(self, stream: IO[str], separator: str) -> None:
        self._stream, self._separator, self._header = stream, separator, True

    def write(self, frame: pd.DataFrame) -> None:
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

    def write(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        try:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if self._writer is None:
                self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema)
            self._writer.write_table(table.cast(self._writer.schema))
        except (pa.ArrowException, ValueError) as error:
            raise RibocastError(f"{self._name}: these rows do not fit into a Parquet file: {error}") from None

    def close(self) -> None:
        import pandas as pd

        if self._writer is None:
            self.write(pd.DataFrame())
        self._writer.close()
