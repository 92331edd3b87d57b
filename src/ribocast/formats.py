"""File formats: bytes in, Arrow tables of rows out, in bounded memory.

CSV, TSV, FASTA and one sequence a line (each also gzipped), Parquet (read whole where it is gzipped or piped);
``-`` is standard input. The format is that of the ending, or else read off the first bytes.
"""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa

from ribocast.delimited import read_delimited, refuse_repeated
from ribocast.errors import RibocastError
from ribocast.plain import read_fasta, read_lines
from ribocast.sequence import SEQUENCE_NAMES

if TYPE_CHECKING:
    import pandas as pd

_BLOCK_BYTES = 1 << 20
_COUNTED_ROWS = 1 << 16
_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".fasta": "fasta",
    ".fa": "fasta",
    ".fna": "fasta",
    ".fas": "fasta",
    ".seq": "lines",
}


def read_pieces(path: str | Path, name: str, chunk_rows: int, rows: range | None = None) -> Iterator[pa.Table]:
    """Read a file, or some of its rows, piece by piece.

    Parameters
    ----------
    path : str or Path
        A file, or ``-`` for standard input.
    name : str
        What messages call it.
    chunk_rows : int
        At most so many rows in a piece.
    rows : range, optional
        Which rows, counted from 0.

    Yields
    ------
    pyarrow.Table
        Each with at least one row. Text stays text: nothing is taken for a number or for missing.

    Raises
    ------
    RibocastError
        If there is no such file, or its form is broken in a way that is told here. Errors of pyarrow, of gzip, of
        the csv module, of decoding and of the system pass through.
    """
    if str(path) == "-":
        if sys.stdin is None:
            raise RibocastError(f"{name} is closed")
        yield from read_stream(sys.stdin.buffer, None, name, chunk_rows, rows)
        return
    file = Path(path)
    if file.is_dir():
        raise RibocastError(f"{path}: is a directory, not a table")
    if not file.exists():
        raise RibocastError(f"{path}: no such file")
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        yield from read_stream(stream, _FORMATS.get(suffixes[-1] if suffixes else ""), name, chunk_rows, rows)
        refuse_shrunk(stream.fileno(), size, name)


def refuse_shrunk(file: int, size: int, name: str) -> None:
    """Refuse a file that has become shorter since it had so many bytes: rows would be missing without a word.

    Raises
    ------
    RibocastError
        If it has.
    """
    if os.fstat(file).st_size < size:
        raise RibocastError(f"{name}: became shorter while it was read")


def read_stream(
    raw: IO[bytes], format_name: str | None, name: str, chunk_rows: int, rows: range | None = None
) -> Iterator[pa.Table]:  # fmt: skip
    """Read an open file piece by piece; without `format_name` its first bytes say what it is. See `read_pieces`."""
    head, pieces = _peek(raw)
    zipped = head[:2] == b"\x1f\x8b"
    if zipped:
        head, pieces = _peek(cast("IO[bytes]", gzip.GzipFile(fileobj=_buffered(pieces))))
    if not head.strip():
        raise RibocastError(f"{name}: the file is empty")
    if format_name == "parquet" or head[:4] == b"PAR1":
        seekable = raw.seekable() and not zipped
        yield from _read_parquet(raw if seekable else io.BytesIO(b"".join(pieces)), name, chunk_rows, rows)
        return
    if b"\0" in head:
        raise RibocastError(f"{name}: not a text file (it holds binary data)")
    format_name = format_name or _guess_format(head)
    if format_name in ("csv", "tsv"):
        tables = read_delimited(pieces, "," if format_name == "csv" else "\t", name)
    else:
        tables = read_fasta(pieces, name) if format_name == "fasta" else read_lines(pieces)
    for table in tables if rows is None else _cut(tables, 0, rows):
        for first in range(0, table.num_rows, chunk_rows):
            yield table.slice(first, chunk_rows)


def _cut(tables: Iterable[pa.Table], first: int, rows: range) -> Iterator[pa.Table]:
    """Keep some rows of tables, the first of which begins at row `first`."""
    for table in tables:
        begin, end = max(rows.start - first, 0), min(rows.stop - first, table.num_rows)
        first += table.num_rows
        if begin < end:
            yield table.slice(begin, end - begin)
        if first >= rows.stop:
            return


def is_parquet(path: str | Path) -> bool:
    """Tell whether a file is Parquet, of which any rows can be read without those before."""
    with suppress(OSError), Path(path).open("rb") as stream:
        return stream.read(4) == b"PAR1"
    return False


def count_rows(path: str | Path, name: str) -> int:
    """Count the rows of a file; a Parquet file says how many it has, others are read. Raises as `read_pieces` does."""
    if is_parquet(path):
        import pyarrow.parquet

        return int(pyarrow.parquet.read_metadata(path).num_rows)
    return sum(map(len, read_pieces(path, name, _COUNTED_ROWS)))


def _peek(raw: IO[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Give the first block of a stream, and all its blocks with that one; both without a UTF-8 mark."""
    head = b""
    while len(head) < _BLOCK_BYTES and (more := raw.read(_BLOCK_BYTES - len(head))):
        head += more
    head = head.removeprefix(codecs.BOM_UTF8)
    return head, itertools.chain([head], iter(lambda: raw.read(_BLOCK_BYTES), b""))


class _Pieces(io.RawIOBase):
    """A stream of bytes that come in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._rest = iter(pieces), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _buffered(pieces: Iterable[bytes]) -> io.BufferedReader:
    return io.BufferedReader(_Pieces(pieces), _BLOCK_BYTES)


def _guess_format(head: bytes) -> str:
    first = head.lstrip().splitlines()[0].decode("utf-8", "replace")
    if first.startswith(">"):
        return "fasta"
    if "\t" in first:
        return "tsv"
    if "," in first or first.strip('"').lower() in SEQUENCE_NAMES:
        return "csv"
    return "lines"


def _read_parquet(stream: IO[bytes], name: str, chunk_rows: int, rows: range | None) -> Iterator[pa.Table]:
    import pyarrow.parquet

    stream.seek(0)
    file = pyarrow.parquet.ParquetFile(stream)
    refuse_repeated(file.schema_arrow.names, name)
    ends = list(itertools.accumulate(file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)))
    begins = [0, *ends[:-1]]
    groups = [at for at in range(len(ends)) if rows is None or (begins[at] < rows.stop and ends[at] > rows.start)]

    def tables() -> Iterator[pa.Table]:
        for batch in file.iter_batches(batch_size=chunk_rows, row_groups=groups):
            if batch.num_rows:
                # Text that is no UTF-8 would else fail wherever it is first looked at.
                batch.validate(full=True)
                # What pandas wrote about its own index would hide columns.
                yield pa.Table.from_batches([batch.replace_schema_metadata(None)])

    yield from tables() if rows is None else _cut(tables(), begins[groups[0]] if groups else 0, rows)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table that was read as a frame."""
    return cast("pd.DataFrame", table.to_pandas(types_mapper=_nullable))


def _nullable(kind: Any) -> Any:
    """Keep whole numbers and truth values what they are where some are missing, so that chunks are alike."""
    import pandas as pd

    if pa.types.is_boolean(kind):
        return pd.BooleanDtype()
    if pa.types.is_integer(kind):
        return pd.api.types.pandas_dtype(str(kind).replace("int", "Int").replace("uI", "UI"))
    return None
