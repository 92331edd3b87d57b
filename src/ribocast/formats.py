"""File formats: bytes in, frames of rows out, in bounded memory.

CSV, TSV, FASTA and one sequence a line (each also gzipped), Parquet (read whole where it is gzipped or piped);
``-`` is standard input. The format is that of the ending, or else read off the first bytes.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ribocast.errors import RibocastError
from ribocast.sequence import SEQUENCE_NAMES

if TYPE_CHECKING:
    import pandas as pd

_BLOCK_BYTES = 1 << 20
_LONGEST_ROW_MB = 16
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


def read_frames(path: str | Path, name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    """Read a file piece by piece.

    Parameters
    ----------
    path : str or Path
        A file, or ``-`` for standard input.
    name : str
        What messages call it.
    chunk_rows : int
        At most so many rows in a frame.

    Yields
    ------
    pandas.DataFrame
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
        yield from _read_stream(sys.stdin.buffer, None, name, chunk_rows)
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
        yield from _read_stream(stream, _FORMATS.get(suffixes[-1] if suffixes else ""), name, chunk_rows)


def _read_stream(raw: IO[bytes], format_name: str | None, name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    head, pieces = _peek(raw)
    zipped = head[:2] == b"\x1f\x8b"
    if zipped:
        head, pieces = _peek(cast("IO[bytes]", gzip.GzipFile(fileobj=_buffered(pieces))))
    if not head.strip():
        raise RibocastError(f"{name}: the file is empty")
    if format_name == "parquet" or head[:4] == b"PAR1":
        seekable = raw.seekable() and not zipped
        yield from _read_parquet(raw if seekable else io.BytesIO(b"".join(pieces)), name, chunk_rows)
        return
    if b"\0" in head:
        raise RibocastError(f"{name}: not a text file (it holds binary data)")
    format_name = format_name or _guess_format(head)
    if format_name in ("csv", "tsv"):
        yield from _read_csv(pieces, "," if format_name == "csv" else "\t", name, chunk_rows)
        return
    text = io.TextIOWrapper(_buffered(pieces), encoding="utf-8")
    if format_name == "fasta":
        yield from _collect(_fasta_records(text, name), ["id", "seq"], chunk_rows)
    else:
        yield from _collect(_lines(text), ["seq"], chunk_rows)


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


def _refuse_repeated(columns: Sequence[str], name: str) -> None:
    repeated = next((column for column, times in Counter(columns).items() if times > 1), None)
    if repeated is not None:
        raise RibocastError(f"{name}: the column {repeated!r} is there more than once")


# --- CSV and TSV -----------------------------------------------------------------------------------------------


def _read_csv(pieces: Iterable[bytes], delimiter: str, name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    # Arrow's own streaming reader reads ahead in a thread: it would abort Python at exit if one of its readers were
    # left unfinished, as upon an error. So it is handed blocks of whole rows instead.
    header: list[str] = []
    row = 0
    for block in _whole_rows(pieces, delimiter, name):
        is_first = not header
        if is_first:
            text = io.TextIOWrapper(io.BytesIO(block), encoding="utf-8", newline="")
            header = next(csv.reader(text, delimiter=delimiter))
            _refuse_repeated(header, name)
        table = _parse(block, header, delimiter, f"{name} row", row, skip_header=is_first)
        row += table.num_rows
        for first in range(0, table.num_rows, chunk_rows):
            yield table.slice(first, chunk_rows).to_pandas()


def _parse(block: bytes, header: list[str], delimiter: str, where: str, row: int, *, skip_header: bool) -> Any:
    ragged: list[Any] = []

    def refuse(found: Any) -> str:
        ragged.append(found)
        return "error"

    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(block),
            # One thread, so that rows have numbers; it takes less CPU time as well.
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=len(block) + 1,
                column_names=header,
                skip_rows_after_names=int(skip_header),
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=refuse
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        if not ragged:
            block.decode("utf-8")  # if that is what is wrong, this says it better
            raise
        row += ragged[0].number - skip_header
        fields = f"{ragged[0].actual_columns} field{'s' * (ragged[0].actual_columns != 1)}"
        raise RibocastError(f"{where} {row}: {fields}, but the header has {len(header)}") from None


def _whole_rows(pieces: Iterable[bytes], delimiter: str, name: str) -> Iterator[bytes]:
    """Cut a CSV into blocks of whole rows, without the blank lines before the header and after the last row."""
    # A quotation mark quotes where a field begins, and two of them inside stand for one.
    quoted = re.compile(rb'(?:\A|(?<=[%b\r\n]))"[^"]*+(?:""[^"]*+)*+("|\Z)' % delimiter.encode())
    rest, begun = b"", False
    for piece in pieces:
        rest += piece
        if not begun:
            rest = rest.lstrip(b"\r\n")
            begun = bool(rest)
        end = _last_row_end(rest, quoted)
        rows = rest[:end].rstrip(b"\r\n")
        if rows:
            # Blank lines wait until it is known whether a row follows.
            after = len(rows) + (2 if rest.startswith(b"\r\n", len(rows)) else 1)
            rest = rest[after:]
            yield rows + b"\n"
        if len(rest) > _LONGEST_ROW_MB << 20:
            raise RibocastError(f"{name}: a row is longer than {_LONGEST_ROW_MB} MB; is a quotation mark never closed?")
    if any(not field[1] for field in quoted.finditer(rest)):
        raise RibocastError(f"{name}: a quotation mark is never closed")
    if rest := rest.rstrip(b"\r\n"):
        yield rest + b"\n"


def _last_row_end(text: bytes, quoted: re.Pattern[bytes]) -> int:
    """Find where the last whole row of a text ends that begins with a row; 0 if it holds none."""
    fields = [field.span() for field in quoted.finditer(text)] if b'"' in text else []
    begins = [0, *(end for _, end in fields)]
    ends = [*(begin for begin, _ in fields), len(text)]
    for begin, end in zip(reversed(begins), reversed(ends), strict=True):
        newline = text.rfind(b"\n", begin, end)
        if newline < 0:
            # Rows may end with carriage returns alone; one at the very end may be half of a pair.
            newline = text.rfind(b"\r", begin, min(end, len(text) - 1))
        if newline >= 0:
            return newline + 1
    return 0


# --- Parquet ---------------------------------------------------------------------------------------------------


def _read_parquet(stream: IO[bytes], name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    stream.seek(0)
    file = pyarrow.parquet.ParquetFile(stream)
    _refuse_repeated(file.schema_arrow.names, name)
    for batch in file.iter_batches(batch_size=chunk_rows):
        if batch.num_rows:
            # Text that is no UTF-8 would else fail wherever it is first looked at.
            batch.validate(full=True)
            # What pandas wrote about its own index would hide columns.
            yield batch.replace_schema_metadata(None).to_pandas(types_mapper=_nullable)


def _nullable(kind: Any) -> Any:
    """Keep whole numbers and truth values what they are where some are missing, so that chunks are alike."""
    import pandas as pd

    if pa.types.is_boolean(kind):
        return pd.BooleanDtype()
    if pa.types.is_integer(kind):
        return pd.api.types.pandas_dtype(str(kind).replace("int", "Int").replace("uI", "UI"))
    return None


# --- FASTA and lines -------------------------------------------------------------------------------------------


def _fasta_records(lines: Iterable[str], name: str) -> Iterator[tuple[str, str]]:
    title: str | None = None
    parts: list[str] = []
    for line in map(str.strip, lines):
        if line.startswith(">"):
            if title is not None:
                yield title, "".join(parts)
            title, parts = line[1:].strip(), []
        elif title is not None:
            parts.append(line)
        elif line:
            raise RibocastError(f"{name}: not FASTA: the first record does not begin with '>'")
    if title is not None:
        yield title, "".join(parts)


def _lines(lines: Iterable[str]) -> Iterator[tuple[str]]:
    blank = 0
    for line in map(str.strip, lines):
        # Blank lines at the end are no rows; one in the middle is an empty sequence, and reported as such.
        if line:
            yield from itertools.repeat(("",), blank)
            yield (line,)
        blank = 0 if line else blank + 1


def _collect(rows: Iterator[tuple[str, ...]], columns: list[str], chunk_rows: int) -> Iterator[pd.DataFrame]:
    while block := list(itertools.islice(rows, chunk_rows)):
        texts = {column: pa.array([row[place] for row in block], pa.string()) for place, column in enumerate(columns)}
        yield pa.table(texts).to_pandas()
