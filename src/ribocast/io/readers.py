"""File formats: bytes in, Arrow tables of rows out, in bounded memory.

CSV, TSV, FASTA and one sequence a line (each also gzipped), Parquet (read whole where it is gzipped or piped);
``-`` is standard input. The format is that of the ending, or else read off the first bytes.
"""

from __future__ import annotations

import codecs
import io
import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa

from ribocast.errors import InputError
from ribocast.io.columns import column_called
from ribocast.io.csv import find_separator, read_delimited, refuse_columns, without_first_line
from ribocast.io.fasta import read_fasta, read_lines
from ribocast.io.inputs import Input, open_input
from ribocast.sequence.letters import SEQUENCE_NAMES

if TYPE_CHECKING:
    import pandas as pd

_BLOCK_BYTES = 1 << 20
_COUNTED_ROWS = 1 << 16
_MOST_HELD = 1 << 30
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


def read_pieces(path: str | Path, chunk_rows: int, rows: range | None = None) -> Iterator[pa.Table]:
    """Read a file, or some of its rows, piece by piece.

    Parameters
    ----------
    path : str or Path
        A file or a FIFO, or ``-`` for standard input.
    chunk_rows : int
        Maximum number of rows in a piece.
    rows : range, optional
        Which rows, counted from 0.

    Yields
    ------
    pyarrow.Table
        Each with at least one row. Text stays text: nothing is taken for a number or for missing.

    Raises
    ------
    RibocastError
        If there is no such file, it is changed meanwhile, or its form is broken in a way that is told here. Errors of
        pyarrow, of gzip, of the csv module, of decoding and of the system pass through.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    with open_input(path) as source:
        yield from _read(source, _FORMATS.get(suffixes[-1] if suffixes else ""), chunk_rows, rows)


def read_stream(raw: IO[bytes], format_name: str | None, name: str, chunk_rows: int) -> Iterator[pa.Table]:
    """Read an open file piece by piece; without `format_name` its first bytes say what it is. See `read_pieces`."""
    return _read(Input(raw, name), format_name, chunk_rows, None)


def _read(source: Input, format_name: str | None, chunk_rows: int, rows: range | None) -> Iterator[pa.Table]:
    name, stream = source.name, source.unpacked()
    head, pieces = _peek(stream)
    if not head.strip():
        raise InputError(f"{name}: the file is empty")
    if format_name == "parquet" or head[:4] == b"PAR1":
        is_at_hand = source.seekable() and not source.is_gzip
        yield from _read_parquet(stream if is_at_hand else _held(pieces, name), name, chunk_rows, rows)
        return
    if _is_binary(head):
        raise InputError(f"{name}: not a text file (it holds binary data)")
    format_name = format_name or _guess_format(head)
    if format_name in ("csv", "tsv"):
        separator, named = find_separator(head, "," if format_name == "csv" else "\t")
        tables = read_delimited(without_first_line(pieces) if named else pieces, separator, name)
    else:
        tables = read_fasta(pieces, name) if format_name == "fasta" else read_lines(pieces, name)
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
    if not Path(path).is_file():  # what is read of a pipe would be gone
        return False
    with suppress(OSError), Path(path).open("rb") as stream:
        return stream.read(4) == b"PAR1"
    return False


def count_rows(path: str | Path) -> int:
    """Count the rows of a file; a Parquet file says how many it has, others are read. Raises as `read_pieces` does."""
    if is_parquet(path):
        import pyarrow.parquet

        with open_input(path) as source:
            return int(pyarrow.parquet.ParquetFile(source.buffered()).metadata.num_rows)
    return sum(map(len, read_pieces(path, _COUNTED_ROWS)))


def _peek(raw: IO[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Give the first block of a stream, and all its blocks with that one; both without a UTF-8 mark."""
    head = b""
    while len(head) < _BLOCK_BYTES and (more := raw.read(_BLOCK_BYTES - len(head))):
        head += more
    pieces = itertools.chain([head], iter(lambda: raw.read(_BLOCK_BYTES), b""))
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # "Unicode text" of Excel
        decoder = codecs.getincrementaldecoder("utf-16")()
        pieces = itertools.chain(_as_utf8(pieces, decoder))
        head = next(pieces)
        return head, itertools.chain([head], pieces)
    head = head.removeprefix(codecs.BOM_UTF8)
    next(pieces)
    return head, itertools.chain([head], pieces)


def _as_utf8(pieces: Iterable[bytes], decoder: codecs.IncrementalDecoder) -> Iterator[bytes]:
    for piece in pieces:
        yield decoder.decode(piece).encode()
    yield decoder.decode(b"", final=True).encode()


def _held(pieces: Iterable[bytes], name: str) -> io.BytesIO:
    """Hold what cannot be read by place."""
    held = io.BytesIO()
    for piece in pieces:
        if held.tell() > _MOST_HELD:
            raise InputError(f"{name}: Parquet of more than 1 GB is read from a file alone, not packed or piped")
        held.write(piece)
    return held


def _is_binary(head: bytes) -> bool:
    """Tell binary data from text in which a row holds a NUL byte."""
    if b"\0" not in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return b"\0" in head.splitlines()[0]


def _guess_format(head: bytes) -> str:
    first = head.lstrip().splitlines()[0].decode("utf-8", "replace")
    if first.startswith(">"):
        return "fasta"
    if "\t" in first:
        return "tsv"
    if "," in first or ";" in first or column_called([first.strip('"')], SEQUENCE_NAMES) is not None:
        return "csv"
    return "lines"


def _read_parquet(stream: IO[bytes], name: str, chunk_rows: int, rows: range | None) -> Iterator[pa.Table]:
    import pyarrow.parquet

    from ribocast.io.parquet import RowsAtOnce, check_rows

    stream.seek(0)
    file = pyarrow.parquet.ParquetFile(stream)
    refuse_columns(file.schema_arrow.names, name)
    ends = list(itertools.accumulate(file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)))
    begins = [0, *ends[:-1]]
    groups = [at for at in range(len(ends)) if rows is None or (begins[at] < rows.stop and ends[at] > rows.start)]
    schema = pa.schema([field.with_type(_kept(field.type)) for field in file.schema_arrow])

    # Arrow does not read over the border of row groups where categories stand inside of lists and the like.
    one_by_one = any(_plain(kind) != kind and not pa.types.is_dictionary(kind) for kind in file.schema_arrow.types)
    at_once = RowsAtOnce(stream, file, name, chunk_rows)

    def batches() -> Iterator[pa.RecordBatch]:
        runs = itertools.groupby(groups, lambda group: (at_once.of(group, begins[group] + 1), one_by_one and group))
        for (size, _), run in runs:
            yield from file.iter_batches(size, list(run))

    def tables() -> Iterator[pa.Table]:
        row = 1 + (begins[groups[0]] if groups else 0)
        for batch in batches():
            check_rows(batch, name, row)
            row += batch.num_rows
            if batch.num_rows:
                # Text that is not UTF-8 would else fail wherever it is first looked at.
                batch.validate(full=True)
                # What pandas wrote about its own index would hide columns.
                table = pa.Table.from_batches([batch.replace_schema_metadata(None)])
                yield table if table.schema.equals(schema) else table.cast(schema)

    yield from tables() if rows is None else _cut(tables(), begins[groups[0]] if groups else 0, rows)


def _kept(kind: Any) -> Any:
    """Return the type of a column whose pieces, each with categories of its own, can be put together again."""
    return pa.dictionary(pa.int32(), kind.value_type, kind.ordered) if pa.types.is_dictionary(kind) else _plain(kind)


def _plain(kind: Any) -> Any:
    """Return a type with values in the place of categories and views, however deep inside."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    # Arrow does not filter views.
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    lists: dict[Any, Any] = {pa.ListType: pa.list_, pa.LargeListType: pa.large_list, pa.ListViewType: pa.list_,
                             pa.LargeListViewType: pa.large_list}  # fmt: skip
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)), kind.list_size)
    make = lists.get(type(kind))
    return make(kind.value_field.with_type(_plain(kind.value_type))) if make else kind


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
