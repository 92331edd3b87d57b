"""Reading rows of sequences from whatever users have, in bounded memory, and writing tables whole or not at all.

CSV, TSV and one sequence a line (each also gzipped), FASTA (also gzipped), Parquet; ``-`` is standard input,
whose format is read off its first bytes. Columns of text tables are passed on as the text they are.
Rows are counted from 1, without the header.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

import dnaio
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
_SNIFF_BYTES = 65_536
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
    ".txt": "lines",
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
            values = self.labels()
            for row in np.flatnonzero(~np.isfinite(values)):
                text = label.iloc[row]
                missing = text is None or text != text or not str(text).strip()
                problem = "is missing" if missing else f"{str(text)!r} is not a finite number"
                faults.setdefault(int(row), Fault(int(row), f"label {problem} (column {self.label_column!r})"))
        return [faults[row] for row in sorted(faults)]

    def labels(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Read the label column as numbers; what is no number becomes NaN (see `faults`)."""
        import pandas as pd

        return pd.to_numeric(self.frame[self._need_label()], errors="coerce").to_numpy(np.float64, na_value=np.nan)

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
            seq_column = _find_column(frame, name, column, SEQUENCE_NAMES, "sequence", "--column")
            label_column = _find_column(frame, name, label, LABEL_NAMES, "label", "--label")
            if seq_column is None:
                columns, names = ", ".join(map(str, frame.columns)), ", ".join(SEQUENCE_NAMES)
                raise RibocastError(f"{name}: no sequence column ({names}) among: {columns}; name it with --column")
            yield Chunk(frame, name, first_row, seq_column, label_column)
            first_row += len(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, dnaio.FileFormatError, UnicodeDecodeError) as error:
        if "Empty CSV file" in str(error):
            raise RibocastError(f"{name}: the file is empty") from None
        detail = str(error).splitlines()[0] if str(error) else "unreadable"
        raise RibocastError(f"{name}: not a readable table: {detail}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise RibocastError(f"{name}: the gzip data is damaged or cut short after row {first_row - 1}") from None
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


class _Rejoined(io.RawIOBase):
    """A stream whose first bytes were already read."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._head:
            data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        else:
            data = self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _read_frames(path: str | Path, name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    if str(path) == "-":
        yield from _read_stream(sys.stdin.buffer, None, name, chunk_rows)
        return
    file = Path(path)
    if not file.exists():
        raise RibocastError(f"{path}: no such file")
    if file.is_dir():
        raise RibocastError(f"{path}: is a directory, not a table")
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    with file.open("rb") as stream:
        yield from _read_stream(stream, _FORMATS.get(suffixes[-1] if suffixes else ""), name, chunk_rows)


def _read_stream(raw: IO[bytes], format_name: str | None, name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    stream, head = _peek(raw)
    if head[:2] == b"\x1f\x8b":
        stream, head = _peek(cast("IO[bytes]", gzip.GzipFile(fileobj=stream)))
    if not head.strip():
        raise RibocastError(f"{name}: the file is empty")
    format_name = "parquet" if head[:4] == b"PAR1" else format_name or _guess_format(head)
    if format_name == "parquet":
        yield from _read_parquet(raw if raw.seekable() else io.BytesIO(stream.read()), name, chunk_rows)
        return
    if b"\0" in head:
        raise RibocastError(f"{name}: not a text file (it holds binary data)")
    if format_name == "fasta":
        yield from _read_fasta(stream, chunk_rows)
    elif format_name == "lines":
        yield from _read_lines(stream, chunk_rows)
    else:
        yield from _read_csv(stream, head, "," if format_name == "csv" else "\t", name, chunk_rows)


def _peek(raw: IO[bytes]) -> tuple[IO[bytes], bytes]:
    head = b""
    while len(head) < _SNIFF_BYTES and (more := raw.read(_SNIFF_BYTES - len(head))):
        head += more
    return io.BufferedReader(_Rejoined(head, raw), buffer_size=1 << 20), head


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
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter)
    header = pyarrow.csv.read_csv(io.BytesIO(head.splitlines()[0] + b"\n"), parse_options=parse).column_names
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise RibocastError(f"{name}: the header names the column {repeated[0]!r} more than once")
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
    )
    batches = pyarrow.csv.open_csv(stream, parse_options=parse, convert_options=convert)
    for batch in batches:
        for start in range(0, batch.num_rows, chunk_rows):
            yield batch.slice(start, chunk_rows).to_pandas()


def _read_parquet(stream: IO[bytes], name: str, chunk_rows: int) -> Iterator[pd.DataFrame]:
    stream.seek(0)
    file = pyarrow.parquet.ParquetFile(stream)
    columns = file.schema_arrow.names
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise RibocastError(f"{name}: it has the column {repeated[0]!r} more than once")
    for batch in file.iter_batches(batch_size=chunk_rows):
        if batch.num_rows:
            yield batch.to_pandas()


def _read_fasta(stream: IO[bytes], chunk_rows: int) -> Iterator[pd.DataFrame]:
    with dnaio.open(cast("BinaryIO", stream), fileformat="fasta") as records:
        yield from _collect(((record.name, record.sequence) for record in records), ["id", "seq"], chunk_rows)


def _read_lines(stream: IO[bytes], chunk_rows: int) -> Iterator[pd.DataFrame]:
    def lines() -> Iterator[tuple[str]]:
        blank = 0
        for line in io.TextIOWrapper(stream, encoding="utf-8-sig"):
            # Blank lines at the end are no rows; one in the middle is an empty sequence, and reported as such.
            if not (utr := line.strip()):
                blank += 1
                continue
            yield from [("",)] * blank
            blank = 0
            yield (utr,)

    yield from _collect(lines(), ["seq"], chunk_rows)


def _collect(rows: Iterator[tuple[str, ...]], columns: list[str], chunk_rows: int) -> Iterator[pd.DataFrame]:
    import itertools

    import pandas as pd

    while block := list(itertools.islice(rows, chunk_rows)):
        yield pd.DataFrame(block, columns=columns, dtype=str)
