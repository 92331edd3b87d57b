"""How many rows of a Parquet file are read at once: by what they will take in memory, not by what they take on disk.

A page of a few bytes can unpack to gigabytes, and a category of megabytes can stand in every row.
"""

from __future__ import annotations

from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from ribocast.io.csv_text import is_text
from ribocast.io.inputs import LONGEST_ROW_MB, too_long

_LONGEST = LONGEST_ROW_MB << 20
_AT_ONCE = 1 << 26  # bytes of a column


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
        Maximum number of them.
    """

    def __init__(self, stream: IO[bytes], file: pyarrow.parquet.ParquetFile, name: str, most: int) -> None:
        self._file, self._name, self._most = file, name, most
        columns = map(file.schema.column, range(len(file.schema)))
        self._texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
        # Reads categories as such, and no more than their page.
        self._categories = pyarrow.parquet.ParquetFile(stream, read_dictionary=self._texts, buffer_size=1 << 16)

    def of(self, group: int, first_row: int) -> int:
        """Return the number for a row group whose first row is `first_row`, from 1.

        Raises
        ------
        RibocastError
            If rows are longer than `LONGEST_ROW_MB`, on the average or by their longest category.
        """
        # What columns say of themselves is not asked for: of damaged files, pyarrow 26 then aborts Python.
        facts = self._file.metadata.row_group(group)
        rows, unpacked = max(int(facts.num_rows), 1), max(int(facts.total_byte_size), 0)
        columns = [self._file.schema.column(at) for at in range(len(self._file.schema))]
        size = max([unpacked / rows, *(one.length for one in columns if one.physical_type == "FIXED_LEN_BYTE_ARRAY")])
        if size <= _LONGEST and self._most * unpacked > _AT_ONCE:
            size = max([size, *(self._longest(group, path) for path in self._texts)])
        if size > _LONGEST:
            where = f"row {first_row}" if rows == 1 else f"a row from {first_row} to {first_row + rows - 1}"
            raise too_long(f"{self._name} {where}")
        return min(self._most, max(1, int(_AT_ONCE / max(size, 1.0))))

    def _longest(self, group: int, path: str) -> int:
        """Return the bytes of the longest category of a column, which may stand in every row; 0 without any."""
        batch = next(self._categories.iter_batches(1, [group], columns=[path]), None)
        if batch is None or not batch.num_columns:
            return 0
        batch.validate(full=True)  # of a damaged file, lengths could lie
        values = batch.column(0)
        while pa.types.is_nested(values.type):
            values = values.flatten()[0] if pa.types.is_struct(values.type) else values.values
        if not pa.types.is_dictionary(values.type) or (
            not pa.types.is_binary(values.type.value_type) and not is_text(values.type.value_type)
        ):
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
