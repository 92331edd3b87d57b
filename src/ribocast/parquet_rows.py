"""How many rows of a Parquet file are read at once: by what they will take in memory, not by what they take on disk.

A page of a few bytes can unpack to gigabytes, and a category of megabytes can stand in every row.
"""

from __future__ import annotations

from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ribocast.csv_text import is_text
from ribocast.inputs import LONGEST_ROW_MB, too_long

_LONGEST = LONGEST_ROW_MB << 20
_AT_ONCE = 1 << 26  # bytes of a column
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}


class RowsAtOnce:
    """Says how many rows of a row group are read at once.

    Parameters
    ----------
    stream : file
        The file, open.
    file : pyarrow.parquet.ParquetFile
        The same.
    name : str
        What messages call it.
    most : int
        At most so many.
    """

    def __init__(self, stream: IO[bytes], file: pyarrow.parquet.ParquetFile, name: str, most: int) -> None:
        self._file, self._name, self._most = file, name, most
        facts = file.metadata
        texts = [
            facts.row_group(0).column(at).path_in_schema
            for at in range(facts.num_columns if facts.num_row_groups else 0)
            if facts.row_group(0).column(at).physical_type == "BYTE_ARRAY"
        ]
        # Reads categories as such, and no more than their page.
        self._categories = pyarrow.parquet.ParquetFile(stream, read_dictionary=texts, buffer_size=1 << 16)

    def of(self, group: int, first_row: int) -> int:
        """Return the number for a row group whose first row is `first_row`, from 1.

        Raises
        ------
        RibocastError
            If rows are longer than `LONGEST_ROW_MB`, on the average or by their longest category.
        """
        facts, most = self._file.metadata.row_group(group), self._most
        rows = max(int(facts.num_rows), 1)
        for number in range(facts.num_columns):
            column = facts.column(number)
            # Of lists, there are more values than rows.
            each = max(1.0, column.num_values / rows)
            if column.physical_type == "BYTE_ARRAY":
                size = column.total_uncompressed_size / rows
                if size <= _LONGEST and most * column.total_uncompressed_size > _AT_ONCE:
                    size = max(size, each * self._longest(group, column))
            else:
                size = each * (_WIDTHS.get(column.physical_type) or self._file.schema.column(number).length)
            if size > _LONGEST:
                where = f"row {first_row}" if rows == 1 else f"a row from {first_row} to {first_row + rows - 1}"
                raise too_long(f"{self._name} {where}, column {column.path_in_schema.split('.')[0]!r}")
            most = min(most, max(1, int(_AT_ONCE / max(size, 1.0))))
        return most

    def _longest(self, group: int, column: Any) -> int:
        """Return the bytes of the longest category of a column, which may stand in every row; 0 without any."""
        if "DELTA_BYTE_ARRAY" in column.encodings:
            # A value may repeat all letters of the one before it.
            return min(int(column.total_uncompressed_size), _LONGEST)
        if not column.has_dictionary_page:
            return 0
        batch = next(self._categories.iter_batches(1, [group], columns=[column.path_in_schema]), None)
        values = None if batch is None else batch.column(0)
        while values is not None and pa.types.is_nested(values.type):
            values = values.flatten()[0] if pa.types.is_struct(values.type) else values.values
        if values is None or not pa.types.is_dictionary(values.type):
            return 0
        return int(pc.max(pc.binary_length(values.dictionary)).as_py() or 0)


def check_rows(batch: pa.RecordBatch, name: str, first_row: int) -> None:
    """Raise RibocastError at the first row of a batch of which a text is longer than `LONGEST_ROW_MB`."""
    if batch.nbytes <= _LONGEST:
        return
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if is_text(field.type):
            lengths = pc.binary_length(column.cast(pa.large_string())).fill_null(0)
            if (pc.max(lengths).as_py() or 0) > _LONGEST:
                row = first_row + pc.index(pc.greater(lengths, _LONGEST), True).as_py()
                raise too_long(f"{name} row {row}, column {field.name!r}")
