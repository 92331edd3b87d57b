"""CSV and TSV: blocks of bytes in, Arrow tables of text out."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ribocast.errors import InputError
from ribocast.io.columns import column_called
from ribocast.io.inputs import LONGEST_ROW_MB, too_long
from ribocast.sequence.letters import SEQUENCE_NAMES

_MOST_COLUMNS = 1 << 16
_LONGEST_HEADER = 1 << 16


def find_separator(head: bytes, usual: str) -> tuple[str, bool]:
    """Find what separates the fields of a table, and whether a line before the header names it, as in ``sep=;``.

    It is the one by which the header has a column of sequences, or else the `usual` one if that is in the header.
    """
    line = head[:_LONGEST_HEADER].lstrip().splitlines()[0].decode("utf-8", "replace").strip(" \r\n")
    if named := re.fullmatch('"?sep=([,;\t|])"?', line, re.IGNORECASE):
        return named[1], True
    there = [one for one in (usual, ",", ";", "\t") if one in re.sub('"[^"]*"', "", line)]
    called = (one for one in there if column_called(line.replace('"', "").split(one), SEQUENCE_NAMES) is not None)
    return next(called, there[0] if there else usual), False


def without_first_line(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Leave out the line that names the separator."""
    pieces = iter(pieces)
    yield re.sub(rb"\A\s*[^\r\n]*\r?\n?", b"", next(pieces))
    yield from pieces


def read_delimited(pieces: Iterable[bytes], delimiter: str, name: str) -> Iterator[pa.Table]:
    """Read CSV or TSV; each table has the rows that end in one of `pieces`."""
    # Arrow's own streaming reader reads ahead in a thread: it would abort Python at exit if one of its readers were
    # left unfinished, as upon an error. So it is handed blocks of whole rows instead.
    header: list[str] = []
    row = unnamed = 0
    # A quotation mark quotes where a field begins, and two of them inside stand for one.
    quoted = re.compile(rb'(?:\A|(?<=[%b\r\n]))"[^"]*+(?:""[^"]*+)*+("|\Z)' % delimiter.encode())

    def where() -> str:
        return f"{name} row {row + 1}" if header else f"{name}, header"

    for block in _whole_rows(pieces, quoted, where):
        is_first = not header
        if is_first:
            text = io.TextIOWrapper(io.BytesIO(block), encoding="utf-8", newline="")
            header = next(csv.reader(text, delimiter=delimiter))
            # Columns that a spreadsheet has touched once, and that are empty.
            named = len("\0".join(header).rstrip("\0 ").split("\0"))
            unnamed = len(header) - named if len(header) - named > 1 else 0
            header = [*header[: len(header) - unnamed], *(f"unnamed {at + 1}" for at in range(unnamed))]
            refuse_columns(header, name)
        nul = block.find(b"\0")
        whole = block if nul < 0 else block[: _last_row_end(block[:nul], quoted)]
        if whole:
            table = _parse(whole, header, delimiter, f"{name} row", row, skip_header=is_first)
            row += table.num_rows
            table = _without_empty_rows(table)
            if unnamed and any(pc.any(_filled(column)).as_py() for column in table.columns[-unnamed:]):
                raise InputError(
                    f"{name}: column '' appears more than once, with values; name the columns in the header"
                )
            yield table.select(header[: len(header) - unnamed])
        if nul >= 0:
            raise InputError(f"{where()}: not text (it holds a NUL byte)")


def _without_empty_rows(table: pa.Table) -> pa.Table:
    """Leave out rows that have no value at all, in a table of several columns."""
    filled: Any = None
    for column in table.columns if table.num_columns > 1 else []:
        mine = _filled(column)
        filled = mine if filled is None else pc.or_(filled, mine)
        if pc.all(filled).as_py():
            return table
    return table if filled is None else table.filter(filled)


def _filled(column: Any) -> Any:
    """Say which values are not empty; to compare with a Python string would import pandas."""
    return pc.binary_length(column).cast(pa.bool_())


def _parse(block: bytes, header: list[str], delimiter: str, where: str, row: int, *, skip_header: bool) -> Any:
    ragged: list[Any] = []
    if not block.isascii():
        # Before Arrow meets it in a row that it calls invalid: it would print a traceback of its own.
        block.decode("utf-8")

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
                delimiter=delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=refuse,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        if not ragged:
            raise
        row += ragged[0].number - skip_header
        fields = f"{ragged[0].actual_columns} field{'s' * (ragged[0].actual_columns != 1)}"
        raise InputError(f"{where} {row}: {fields}, but the header has {len(header)}") from None


def _whole_rows(pieces: Iterable[bytes], quoted: re.Pattern[bytes], where: Callable[[], str]) -> Iterator[bytes]:
    """Cut a CSV into blocks of whole rows, without the blank lines before the header and after the last row."""
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
        if len(rest) > LONGEST_ROW_MB << 20:
            raise too_long(where(), "; is a quotation mark never closed?")
    if any(not field[1] for field in quoted.finditer(rest)):
        raise InputError(f"{where()}: a quotation mark is never closed")
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


def refuse_columns(columns: Sequence[str], name: str) -> None:
    """Raise RibocastError where two columns have one name, or there are too many to be a table's."""
    if len(columns) > _MOST_COLUMNS:
        raise InputError(f"{name}: has {len(columns):,} columns; the maximum is {_MOST_COLUMNS:,}")
    repeated = next((column for column, times in Counter(columns).items() if times > 1), None)
    if repeated is not None:
        raise InputError(f"{name}: column {repeated!r} appears more than once")
