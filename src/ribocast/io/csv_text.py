"""Arrow tables as CSV or TSV text, column by column."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ribocast.errors import OutputError
from ribocast.sequence.arrow import bounds_of, from_texts, letters_of

_SHOWN = 60
_SPELLED = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer, pa.types.is_floating,
    pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null, pa.types.is_date, pa.types.is_time,
    pa.types.is_timestamp,
)  # fmt: skip


def is_spelled(kind: Any) -> bool:
    """Say whether CSV holds values of a type: text, numbers, truth values, dates, times; none that hold others."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(is_one(kind) for is_one in _SPELLED)


def check_spelled(schema: pa.Schema) -> None:
    """Raise RibocastError at the first column that CSV cannot hold."""
    for field in schema:
        if not is_spelled(field.type):
            kind = str(field.type)
            shown = kind if len(kind) <= _SHOWN else kind[: _SHOWN - 1] + "…"
            raise _not_held(field.name, f"is of type {shown}")


def _not_held(column: str, why: str) -> OutputError:
    return OutputError(f"column {column!r} {why}, which CSV and TSV cannot hold; write .parquet (-o NAME.parquet)")


def csv_header(names: list[str], separator: str) -> str:
    """Return the first line."""
    line = io.StringIO()
    csv.writer(line, delimiter=separator, lineterminator="\n").writerow(names)
    return line.getvalue()


def csv_rows(table: pa.Table, separator: str) -> str:
    """Return the rows as text, quoted where they must be (RFC 4180); a missing value is empty.

    Parameters
    ----------
    table : pyarrow.Table
        Every value is spelled by its type alone, whatever stands beside it.
    separator : str
        Between fields.

    Raises
    ------
    RibocastError
        For a column that CSV cannot hold; see `check_spelled`.
    """
    check_spelled(table.schema)
    if not len(table):
        return ""
    columns = [
        _as_text(column.combine_chunks(), name, separator, alone=table.num_columns == 1)
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    rows = columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, _text(separator))
    # With a line feed after each row, what Arrow holds is the text already.
    lines = pc.binary_join_element_wise(rows, _text(""), _text("\n"))
    return "".join(_content(part) for part in (lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]))


def _as_text(values: Any, name: str, separator: str, *, alone: bool) -> Any:
    try:
        values, were_text = _spelled(values)
    except pa.ArrowException as error:  # a time zone that this machine does not know
        raise OutputError(f"column {name!r} cannot be written as text: {str(error).splitlines()[0]}") from None
    if values.null_count:
        values = values.fill_null("")
    if not were_text:
        return values
    content = _content(values)
    if "\0" in content:
        raise _not_held(name, "holds a NUL byte")
    if alone or any(letter in content for letter in ('"', "\n", "\r", separator)):
        needs = pc.match_substring_regex(values, f'["\\n\\r{separator}]{"|^$" * alone}')
        doubled = pc.replace_substring(values, '"', '""')
        values = pc.if_else(needs, pc.binary_join_element_wise(_text('"'), doubled, _text('"'), _text("")), values)
    return values


def is_text(kind: Any) -> bool:
    """Say whether a type is that of text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _spelled(values: Any) -> tuple[Any, bool]:
    """Return values as text, and whether they were text."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if pa.types.is_boolean(kind):
        values = pc.if_else(values, _text("True"), _text("False"))
    elif pa.types.is_float16(kind):
        values = values.cast(pa.float32())
    return values.cast(pa.large_string()), is_text(kind)


def _text(text: str) -> Any:
    return from_texts([text])[0]


def _content(texts: Any) -> str:
    """Return all texts of an array (of large strings without missing ones) one after the other."""
    bounds = bounds_of(texts)
    return str(letters_of(texts)[bounds[0] : bounds[-1]], "utf-8")
