"""What clients send: JSON, or a table as the body, read within the server's limits and never from a path."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from ribocast.errors import RibocastError
from ribocast.io.tables import Chunk, need_column, read_open
from ribocast.sequence.letters import SEQUENCE_NAMES
from ribocast.variants.score import pair_columns
from ribocast.web.limits import RefusedError, RowError
from ribocast.web.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from fastapi import Request

JSON = "application/json"
FORM = "multipart/form-data"
TABLES: dict[str, str | None] = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/plain": None,
    "text/x-fasta": "fasta",
    "application/vnd.apache.parquet": "parquet",
    "application/gzip": None,
}
"""Media types of tables, and the format of each; None where the first bytes say what it is."""
_GZIP = b"\x1f\x8b"
_PACKED = ("gzip", "x-gzip")
_ID_COLUMNS = ("id", "name")
_MOST_FIELDS, _DEEPEST = 100, 8
_PIECE_ROWS = 256
_SHOWN_LETTERS = 60
Asked = TypeVar("Asked", bound=BaseModel)


class Body(NamedTuple):
    """A request's body: its media type, its bytes as they were sent, and whether Content-Encoding packed them."""

    kind: str
    content: bytes
    is_packed: bool


class Rows(NamedTuple):
    """The sequences of a request, row by row.

    Attributes
    ----------
    numbers : sequence of int
        Their rows in the request, from 1.
    ids : list of (str or None)
        What they are called.
    columns : tuple of str
        What the request calls its columns of sequences: one, or those of references and alternatives.
    values : tuple of list
        The values of each of these columns, unchecked.
    table : pyarrow.Table or None
        All columns of a table as it was sent; None for JSON.
    """

    numbers: Sequence[int]
    ids: list[str | None]
    columns: tuple[str, ...]
    values: tuple[list[Any], ...]
    table: pa.Table | None

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Sequence[int]) -> Rows:
        """Return some rows, by their index."""
        table = None if self.table is None else self.table.take(np.array(rows, dtype=np.int64))
        return Rows(
            [self.numbers[row] for row in rows], [self.ids[row] for row in rows], self.columns,
            tuple([column[row] for row in rows] for column in self.values), table,
        )  # fmt: skip

    def error(self, row: int, column: int, reason: str) -> RowError:
        """Say what is wrong with the value of a row and a column, by their index."""
        return RowError(
            self.numbers[row], self.ids[row], self.columns[column], _shown(self.values[column][row]), reason
        )


async def body_of(request: Request, kinds: Sequence[str]) -> Body:
    """Take a request's body if it is of one of some media types.

    Raises
    ------
    RefusedError
        With 415, naming the types that are taken.
    """
    given = request.headers.get("content-type", "")
    kind, _, parameters = given.partition(";")
    kind = kind.strip().lower()
    charset = parameters.lower().partition("charset=")[2].strip(' "').partition(";")[0]
    if kind not in kinds or charset not in ("", "utf-8", "utf8", "us-ascii"):
        said = f"Content-Type {given[:_SHOWN_LETTERS]!r}" if given else "a body without Content-Type"
        raise RefusedError(415, f"unsupported Content-Type {said}; send {', '.join(kinds)}, in UTF-8")
    encoding = request.headers.get("content-encoding", "").strip().lower()  # the guard lets only gzip pass
    return Body(kind, await request.body(), encoding in _PACKED)


def read_json(body: Body, model: type[Asked], settings: Settings) -> Asked:
    """Read a JSON body as a model.

    Lengths are capped before items are looked at, so that a large wrong body costs no more than reading it.

    Raises
    ------
    RefusedError
        With 400 for what is not JSON, 413 for more than the limits allow, 422 with the first field that is wrong.
    """
    try:
        found = json.loads(unpack(body, settings), parse_constant=_no_constant, object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise RefusedError(400, "the body is not UTF-8 text") from None
    except RecursionError:
        raise RefusedError(400, "not JSON that can be read: it is nested too deeply") from None
    except RibocastError:
        raise
    except ValueError as error:
        raise RefusedError(400, f"not JSON: {error}") from None
    _cap(found, "the body", settings.max_sequences)
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))[:_SHOWN_LETTERS]
        reason = str(first.get("ctx", {}).get("error") or first["msg"])
        raise RefusedError(422, f"{where or 'the body'}: {reason[:200]}", field=where or None) from None


def read_rows(
    body: Body, settings: Settings, *, column: str | None = None, other: str | None = None, pairs: bool = False
) -> Rows:
    """Read a table of sequences, or of pairs, that is a request's body.

    Parameters
    ----------
    body : Body
        Of a media type of `TABLES`.
    settings : Settings
        The limits.
    column, other : str, optional
        The column of the sequences (or references), and of the alternatives; else found by name.
    pairs : bool
        Whether a row has two sequences.

    Raises
    ------
    RefusedError
        With 413 for more than the limits allow.
    RibocastError
        If it is not such a table.
    """
    table = _read_table(unpack(body, settings), TABLES[body.kind], "the table", settings)
    names = table.column_names
    if pairs:
        return _rows_of(table, pair_columns(names, "the table", column, other, ("?ref_column=", "?alt_column=")))
    return _rows_of(table, (need_column(names, "the table", column, SEQUENCE_NAMES, "sequence", "?column="),))


def read_text(text: str, name: str, settings: Settings) -> Rows:
    """Read sequences that stand as text in a field called `name`: FASTA, a table, or one a line."""
    if not text.strip():
        raise RefusedError(422, f"{name} is empty", field=name)
    table = _read_table(text.encode("utf-8", "replace"), None, name, settings)
    return _rows_of(table, (need_column(table.column_names, name, None, SEQUENCE_NAMES, "sequence", "a header"),))


def unpack(body: Body, settings: Settings) -> bytes:
    """Return the bytes of a body, unpacked where gzip packed them, no further than the limit.

    Raises
    ------
    RefusedError
        With 413 if it is larger, 422 if it is damaged or packed twice.
    """
    content = inflate(body.content, settings) if body.is_packed else body.content
    if body.kind != JSON and content[:2] == _GZIP:
        content = inflate(content, settings)
    if content[:2] == _GZIP:
        raise RefusedError(422, "the body is packed twice; pack it once")
    return content


def inflate(content: bytes, settings: Settings) -> bytes:
    """Unpack gzip; see `unpack`."""
    most, parts, size = settings.max_unpacked_bytes, [], 0
    try:
        while content:
            unpacker = zlib.decompressobj(wbits=31)
            part = unpacker.decompress(content, most - size + 1)
            size += len(part)
            if size > most:
                raise RefusedError(413, f"the body is more than {most:,} bytes when unpacked")
            parts.append(part)
            if not unpacker.eof:
                raise RefusedError(422, "the gzip data is damaged or cut short")
            content = unpacker.unused_data.lstrip(b"\0")  # several packed parts may stand one after the other
    except zlib.error:
        raise RefusedError(422, "the gzip data is damaged or cut short") from None
    return b"".join(parts)


def _read_table(content: bytes, kind: str | None, name: str, settings: Settings) -> pa.Table:
    import pyarrow as pa

    if not content.strip():
        raise RefusedError(422, f"{name} is empty")
    pieces, rows, size = [], 0, 0
    for piece in read_open(io.BytesIO(content), name, kind, chunk_rows=_PIECE_ROWS):
        rows, size = rows + len(piece), size + piece.nbytes
        if rows > settings.max_sequences:
            raise RefusedError(413, f"{name} has more than {settings.max_sequences:,} rows, the maximum of one call")
        if size > settings.max_unpacked_bytes:
            raise RefusedError(413, f"{name} is more than {settings.max_unpacked_bytes:,} bytes when unpacked")
        pieces.append(piece)
    return pa.concat_tables(pieces).combine_chunks()


def _rows_of(table: pa.Table, columns: tuple[str, ...]) -> Rows:
    names = {name.lower(): name for name in reversed(table.column_names) if name not in columns}
    title = next((names[name] for name in _ID_COLUMNS if name in names), None)
    ids: list[str | None] = [None] * len(table)
    if title is not None:
        ids = [None if value is None else str(value) or None for value in table[title].to_pylist()]
    chunk = Chunk(table, "", 1, columns[0], None)
    return Rows(range(1, len(table) + 1), ids, columns, tuple(map(chunk.sequences, columns)), table)


def _no_constant(name: str) -> Any:
    raise RefusedError(400, f"not JSON: {name} is not a number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RefusedError(400, "a field is given twice")
    return found


def _cap(found: Any, where: str, most: int, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise RefusedError(422, f"{where} is nested too deeply")
    if isinstance(found, list):
        if len(found) > most:
            raise RefusedError(413, f"{where} has {len(found):,} items; the maximum of one call is {most:,}")
        for item in found:
            if isinstance(item, list | dict):
                _cap(item, where, _MOST_FIELDS, depth + 1)
    elif isinstance(found, dict):
        if len(found) > _MOST_FIELDS:
            raise RefusedError(422, f"{where} has {len(found):,} fields; the maximum is {_MOST_FIELDS}")
        for name, value in found.items():
            _cap(value, name[:_SHOWN_LETTERS], most, depth + 1)


def _shown(value: Any) -> Any:
    text = value if isinstance(value, str) else None if value is None else repr(value)
    return text if text is None or len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 1] + "…"
