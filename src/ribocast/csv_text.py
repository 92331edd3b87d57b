"""Arrow tables as CSV or TSV text, column by column."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ribocast.arrow import bounds_of, from_texts, letters_of


def has_plain_types(table: pa.Table) -> bool:
    """Say whether a table's columns are text and numbers alone, so that `csv_rows` writes them."""
    return all(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind) or kind == pa.float64()
        for kind in table.schema.types
    )


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
        Of plain types, see `has_plain_types`.
    separator : str
        Between fields.
    """
    if not len(table):
        return ""
    columns = [_as_text(column.combine_chunks(), separator, alone=table.num_columns == 1) for column in table.columns]
    rows = columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, _text(separator))
    # With a line feed after each row, what Arrow holds is the text already.
    lines = pc.binary_join_element_wise(rows, _text(""), _text("\n"))
    return "".join(_content(part) for part in (lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]))


def _as_text(values: Any, separator: str, *, alone: bool) -> Any:
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    values = values.cast(pa.large_string())
    if values.null_count:
        values = values.fill_null("")
    special = ('"', "\n", "\r", separator)
    if is_text and (alone or any(letter in _content(values) for letter in special)):
        needs = pc.match_substring_regex(values, f'["\\n\\r{separator}]{"|^$" * alone}')
        doubled = pc.replace_substring(values, '"', '""')
        values = pc.if_else(needs, pc.binary_join_element_wise(_text('"'), doubled, _text('"'), _text("")), values)
    return values


def _text(text: str) -> Any:
    return from_texts([text])[0]


def _content(texts: Any) -> str:
    """Return all texts of an array (of large strings without missing ones) one after the other."""
    bounds = bounds_of(texts)
    return str(letters_of(texts)[bounds[0] : bounds[-1]], "utf-8")
