"""Reading rows of sequences from whatever users have, in bounded memory.

CSV, TSV, FASTA and one sequence a line (each also gzipped), Parquet (read whole where it is gzipped or piped);
``-`` is standard input, whose format is read off its first bytes. Columns of text tables are passed on as the text
they are. Rows are counted from 1, without the header; a blank line between rows is a row without a sequence.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ribocast.errors import RibocastError
from ribocast.sequence import SEQUENCE_NAMES, Fault, find_faults

if TYPE_CHECKING:
    import pandas as pd

LABEL_NAMES = ("label", "mrl", "rl")
CHUNK_ROWS = 65_536
_BLOCK_BYTES = 1 << 20
"""How much is read at once; no row of a CSV or TSV may be longer."""
_SHOWN_LETTERS = 60
"""How much of a wrong value a message repeats."""
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


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a table.

    Attributes
    ----------
    frame : pandas.DataFrame
        Every column of the input; the index counts from 0 within the chunk.
    source : str
        The name of the file, for messages.
    first_row : int
        The number of the chunk's first row, from 1.
    seq_column : str
        Where the sequences are.
    label_column : str or None
        Where the labels are, if the table has any.
    """

    frame: pd.DataFrame
    source: str
    first_row: int
    seq_column: str
    label_column: str | None

    @property
    def utrs(self) -> list[str]:
        """The sequences, unchecked."""
        return self.frame[self.seq_column].tolist()

    def faults(self, *, need_label: bool) -> list[Fault]:
        """Find the rows that cannot be used: a bad sequence, or (if needed) a label that is no finite number."""
        faults = {fault.row: fault for fault in find_faults(self.utrs)}
        if need_label:
            label = self.frame[self._need_label()]
            missing = label.isna().to_numpy()
            for row in np.flatnonzero(~np.isfinite(self.labels())).tolist():
                text = "" if missing[row] else str(label.iloc[row])
                shown = text if len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 1] + "…"
                problem = f"{shown!r} is not a finite number" if text.strip() else "is missing"
                faults.setdefault(row, Fault(row, f"label {problem} (column {self.label_column!r})"))
        return [faults[row] for row in sorted(faults)]

    def labels(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Read the label column as numbers; what is no number becomes NaN (see `faults`)."""
        import pandas as pd

        label = self.frame[self._need_label()]
        if label.dtype.kind in "bcmM":
            # pandas would make numbers of truth values and dates too.
            return np.full(len(label), np.nan)
        return pd.to_numeric(label, errors="coerce").to_numpy(np.float64, na_value=np.nan)

    def say(self, fault: Fault) -> str:
        """Put a fault of this chunk into one line that names file and row."""
        return f"{self.source} row {self.first_row + fault.row}: {fault.reason}"

    def keep(self, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Chunk:
        """Return the chunk with only the rows where `mask` is true."""
        frame = self.frame[mask].reset_index(drop=True)
        return Chunk(frame, self.source, self.first_row, self.seq_column, self.label_column)

    def _need_label(self) -> str:
        if self.label_column is None:
            names = ", ".join(LABEL_NAMES)
            columns = ", ".join(map(str, self.frame.columns))
            raise RibocastError(f"{self.source}: no label column ({names}) among: {columns}; name it with --label")
        return self.label_column


def read_chunks(
    path: str | Path,
    *,
    column: str | None = None,
    label: str | None = None,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[Chunk]:
    """Read a table piece by piece.

    Parameters
    ----------
    path : str or Path
        A file, or ``-`` for standard input.
    column, label : str, optional
        The columns of the sequences and the labels. Without them, the first of ``seq``, ``sequence``, ``utr``
        and of ``label``, ``mrl``, ``rl`` (any case) that the table has.
    chunk_rows : int
        At most so many rows in a chunk.

    Yields
    ------
    Chunk
        At least one; every chunk has at least one row.

    Raises
    ------
    RibocastError
        If there is no such file, it is a directory, it is empty or broken, or lacks the column.
    """
    name, first_row = Path(path).name if str(path) != "-" else "standard input", 1
    try:
        for frame in _read_frames(path, name, chunk_rows):
            yield _chunk(frame, name, first_row, column, label)
            first_row += len(frame)
    except UnicodeDecodeError as error:
        raise RibocastError(f"{name}: not UTF-8 text (it holds the byte 0x{error.object[error.start]:02x})") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise RibocastError(f"{name}: the gzip data is damaged or cut short") from None
    except (pa.ArrowException, csv.Error) as error:
        raise RibocastError(f"{name}: not a readable table: {error}") from None
    except OSError as error:
        raise RibocastError(f"{name}: {error.strerror or error}") from None
    if first_row == 1:
        raise RibocastError(f"{name}: there are no rows")


def read_table(path: str | Path, *, column: str | None = None, label: str | None = None) -> Chunk:
    """Read a whole table at once; see `read_chunks`."""
    import pandas as pd

    chunks = list(read_chunks(path, column=column, label=label))
    frame = pd.concat([chunk.frame for chunk in chunks], ignore_index=True)
    first = chunks[0]
    return Chunk(frame, first.source, 1, first.seq_column, first.label_column)


def as_chunk(frame: pd.DataFrame, *, column: str | None = None, label: str | None = None) -> Chunk:
    """Treat a frame in memory as a table that was read; see `read_chunks` for how columns are found."""
    if not len(frame):
        raise RibocastError("the frame has no rows")
    return _chunk(frame.reset_index(drop=True), "the frame", 1, column, label)


def _chunk(frame: pd.DataFrame, name: str, first_row: int, column: str | None, label: str | None) -> Chunk:
    seq_column = _find_column(frame, name, column, SEQUENCE_NAMES, "sequence", "--column")
    if seq_column is None:
        columns, names = ", ".join(map(str, frame.columns)), ", ".join(SEQUENCE_NAMES)
        raise RibocastError(f"{name}: no sequence column ({names}) among: {columns}; name it with --column")
    return Chunk(frame, name, first_row, seq_column, _find_column(frame, name, label, LABEL_NAMES, "label", "--label"))


def _find_column(
    frame: pd.DataFrame, name: str, wanted: str | None, usual: Sequence[str], kind: str, option: str
) -> str | None:
    if wanted is not None:
        if wanted not in frame.columns:
            columns = ", ".join(map(str, frame.columns))
            raise RibocastError(f"{name}: no {kind} column {wanted!r} among: {columns} (from {option})")
        return wanted
    by_lower = {str(column).lower(): str(column) for column in reversed(list(frame.columns))}
    return next((by_lower[usual_name] for usual_name in usual if usual_name in by_lower), None)


# --- reading ---------------------------------------------------------------------------------------------------


class _Pieces(io.RawIOBase):
    """A stream of bytes that come in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._rest = iter(pieces), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(filter(None, self._pieces), b"")
        view = memoryview(buffer)
        data, self._rest = self._rest[: len(view)], self._rest[len(view) :]
        view[: len(data)] = data
        return len(data)


def _read_frames(path: str | Path, name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
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
    stream, head = _peek(raw)
    zipped = head[:2] == b"\x1f\x8b"
    if zipped:
        stream, head = _peek(cast("IO[bytes]", gzip.GzipFile(fileobj=stream)))
    if not head.strip():
        raise RibocastError(f"{name}: the file is empty")
    if format_name == "parquet" or head[:4] == b"PAR1":
        seekable = raw.seekable() and not zipped
        yield from _read_parquet(raw if seekable else io.BytesIO(stream.read()), name, chunk_rows)
        return
    if b"\0" in head:
        raise RibocastError(f"{name}: not a text file (it holds binary data)")
    format_name = format_name or _guess_format(head)
    if format_name == "fasta":
        yield from _collect(_fasta_records(_text(stream), name), ["id", "seq"], chunk_rows)
    elif format_name == "lines":
        yield from _collect(_lines(_text(stream)), ["seq"], chunk_rows)
    else:
        yield from _read_csv(stream, head, "," if format_name == "csv" else "\t", name, chunk_rows)


def _peek(raw: IO[bytes]) -> tuple[IO[bytes], bytes]:
    """Give the first block of a stream, and the stream as if it had not been read; both without a UTF-8 mark."""
    head = b""
    while len(head) < _BLOCK_BYTES and (more := raw.read(_BLOCK_BYTES - len(head))):
        head += more
    head = head.removeprefix(codecs.BOM_UTF8)
    rest = iter(lambda: raw.read(_BLOCK_BYTES), b"")
    return io.BufferedReader(_Pieces(itertools.chain([head], rest)), _BLOCK_BYTES), head


def _text(stream: IO[bytes]) -> IO[str]:
    return io.TextIOWrapper(stream, encoding="utf-8")


def _guess_format(head: bytes) -> str:
    first = head.lstrip().splitlines()[0].decode("utf-8", "replace")
    if first.startswith(">"):
        return "fasta"
    if "\t" in first:
        return "tsv"
    if "," in first or first.strip('"').lower() in SEQUENCE_NAMES:
        return "csv"
    return "lines"


def _read_csv(stream: IO[bytes], head: bytes, delimiter: str, name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    start = io.TextIOWrapper(io.BytesIO(head.lstrip(b"\r\n")), encoding="utf-8", newline="")
    header = next(csv.reader(start, delimiter=delimiter))
    _refuse_repeated(header, name)
    quotes, end = 0, b""
    ragged: list[Any] = []

    def pieces() -> Iterator[bytes]:
        # Without the blank lines before the header and after the last row: those are no rows.
        nonlocal quotes, end
        begun, held = False, b""
        for piece in iter(lambda: stream.read(_BLOCK_BYTES), b""):
            text = held + piece if begun else piece.lstrip(b"\r\n")
            rows = text.rstrip(b"\r\n")
            begun, held = begun or bool(rows), text[len(rows) :]
            quotes, end = quotes + rows.count(b'"'), rows[-1:] or end
            yield rows
        yield b"\n"

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    # One thread, so that rows have numbers; it takes less CPU time as well.
    read = pyarrow.csv.ReadOptions(
        use_threads=False, block_size=_BLOCK_BYTES, column_names=header, skip_rows_after_names=1
    )
    parse = pyarrow.csv.ParseOptions(
        delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=refuse
    )
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
    )
    last = ""
    try:
        whole_rows = io.BufferedReader(_Pieces(pieces()), _BLOCK_BYTES)
        for batch in pyarrow.csv.open_csv(whole_rows, read, parse, convert):
            for first in range(0, batch.num_rows, chunk_rows):
                yield batch.slice(first, chunk_rows).to_pandas()
            last = batch.column(batch.num_columns - 1)[-1].as_py() if batch.num_rows else last
    except pa.ArrowInvalid as error:
        if ragged:
            row, fields = ragged[0].number - 1, ragged[0].actual_columns
            some = f"{fields} field{'s' * (fields != 1)}"
            raise RibocastError(f"{name} row {row}: {some}, but the header has {len(header)}") from None
        if "straddl" in str(error):
            raise RibocastError(f"{name}: a row is longer than 1 MB; is a quotation mark never closed?") from None
        raise
    if last.endswith("\n") and (quotes % 2 or end != b'"'):
        # Arrow ends the last field at the end of the file, whatever rows it has swallowed.
        raise RibocastError(f"{name}: a quotation mark is never closed")


def _read_parquet(stream: IO[bytes], name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    stream.seek(0)
    file = pyarrow.parquet.ParquetFile(stream)
    _refuse_repeated(file.schema_arrow.names, name)
    for batch in file.iter_batches(batch_size=chunk_rows):
        if batch.num_rows:
            # Text that is no UTF-8 would else fail wherever it is first looked at.
            batch.validate(full=True)
            # What pandas wrote about its own index would hide columns.
            yield batch.to_pandas(types_mapper=_nullable, ignore_metadata=True)


def _nullable(kind: Any) -> Any:
    """Keep whole numbers and truth values what they are where some are missing, so that chunks are alike."""
    import pandas as pd

    if pa.types.is_boolean(kind):
        return pd.BooleanDtype()
    if pa.types.is_integer(kind):
        return pd.api.types.pandas_dtype(str(kind).replace("int", "Int").replace("uI", "UI"))
    return None


def _refuse_repeated(columns: Sequence[str], name: str) -> None:
    repeated = next((column for column in columns if columns.count(column) > 1), None)
    if repeated is not None:
        raise RibocastError(f"{name}: the column {repeated!r} is there more than once")


def _fasta_records(lines: Iterable[str], name: str) -> Iterator[tuple[str, str]]:
    title: str | None = None
    pieces: list[str] = []
    for line in map(str.strip, lines):
        if line.startswith(">"):
            if title is not None:
                yield title, "".join(pieces)
            title, pieces = line[1:].strip(), []
        elif title is not None:
            pieces.append(line)
        elif line:
            raise RibocastError(f"{name}: not FASTA: the first record does not begin with '>'")
    if title is not None:
        yield title, "".join(pieces)


def _lines(lines: Iterable[str]) -> Iterator[tuple[str]]:
    blank = 0
    for line in map(str.strip, lines):
        # Blank lines at the end are no rows; one in the middle is an empty sequence, and reported as such.
        if line:
            yield from itertools.repeat(("",), blank)
            yield (line,)
        blank = 0 if line else blank + 1


def _collect(rows: Iterator[tuple[str, ...]], columns: list[str], chunk_rows: int) -> Iterator[pd.DataFrame]:
    import pandas as pd

    while block := list(itertools.islice(rows, chunk_rows)):
        yield pd.DataFrame(block, columns=columns, dtype=str)
