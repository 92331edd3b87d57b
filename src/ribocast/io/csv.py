"""CSV and TSV: blocks of bytes in, Arrow tables of text out."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv

from ribocast.errors import InputError
from ribocast.io.inputs import LONGEST_ROW_MB, too_long

_MOST_COLUMNS = 1 << 16


def read_delimited(pieces: Iterable[bytes], delimiter: str, name: str) -> Iterator[pa.Table]:
    """Read CSV or TSV; each table has the rows that end in one of `pieces`."""
    # Arrow's own streaming reader reads ahead in a thread: it would abort Python at exit if one of its readers were
    # left unfinished, as upon an error. So it is handed blocks of whole rows instead.
    header: list[str] = []
    row = 0
    # A quotation mark quotes where a field begins, and two of them inside stand for one.
    quoted = re.compile(rb'(?:\A|(?<=[%b\r\n]))"[^"]*+(?:""[^"]*+)*+("|\Z)' % delimiter.encode())

    def where() -> str:
        return f"{name} row {row + 1}" if header else f"{name}, header"

    for block in _whole_rows(pieces, quoted, where):
        is_first = not header
        if is_first:
            text = io.TextIOWrapper(io.BytesIO(block), encoding="utf-8", newline="")
            header = next(csv.reader(text, delimiter=delimiter))
            refuse_columns(header, name)
        nul = block.find(b"\0")
        whole = block if nul < 0 else block[: _last_row_end(block[:nul], quoted)]
        if whole:
            table = _parse(whole, header, delimiter, f"{name} row", row, skip_header=is_first)
            row += table.num_rows
            yield table
        if nul >= 0:
            raise InputError(f"{where()}: not text (it holds a NUL byte)")


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
