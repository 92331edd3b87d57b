"""Results as the API spells them: JSON, tables, figures."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import Request
from fastapi.responses import Response

from ribocast.web.bodies import JSON
from ribocast.web.limits import RefusedError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.figure import Figure

MEDIA = {
    "json": JSON,
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "parquet": "application/vnd.apache.parquet",
    "fasta": "text/x-fasta",
    "svg": "image/svg+xml",
    "png": "image/png",
}
TABLE_FORMATS = ("csv", "tsv", "parquet")
FIGURE_FORMATS = ("svg", "png")
_DIGITS = 5
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def choose_format(request: Request, wanted: str | None, offered: Sequence[str]) -> str:
    """Say in which format to answer: the one that ?format= names, else the one of `offered` that Accept likes best.

    Raises
    ------
    RefusedError
        With 406, if Accept takes none of `offered`.
    """
    if wanted is not None:
        return wanted
    given = request.headers.get("accept", "*/*")
    liked = {name: _quality(given, MEDIA[name]) for name in offered}
    best = max(offered, key=lambda name: liked[name])
    if liked[best] <= 0:
        raise RefusedError(406, f"unsupported Accept; use {', '.join(MEDIA[name] for name in offered)}")
    return best


def _quality(accept: str, media: str) -> float:
    """Return how much an Accept header likes a media type (RFC 9110, 12.5.1): its q-value, 0 to 1."""
    best = (-1, 0.0)
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        exactness = (kind == media) * 2 or (kind == media.partition("/")[0] + "/*") * 1 or (0 if kind == "*/*" else -1)
        if exactness <= best[0]:
            continue
        q = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            best = exactness, min(max(float(q), 0.0), 1.0)
        except ValueError:
            best = exactness, 0.0
    return best[1]


def json_answer(content: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    # A lone surrogate, which JSON can spell, cannot be UTF-8; its escape is the same JSON.
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "backslashreplace"), status, dict(headers or {}), media_type=JSON)


def table_answer(table: pa.Table, form: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a table as CSV, TSV or Parquet.

    In CSV and TSV, text that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@``, a tab
    or a carriage return) has an apostrophe before it; numbers stay numbers.
    """
    if form == "parquet":
        import pyarrow.parquet

        stream = io.BytesIO()
        pyarrow.parquet.write_table(table, stream)
        return Response(stream.getvalue(), headers=dict(headers or {}), media_type=MEDIA["parquet"])
    from ribocast.io.writers import write_text_table

    text = io.StringIO()
    write_text_table(_without_formulas(table), text, "," if form == "csv" else "\t")
    return Response(text.getvalue(), headers=dict(headers or {}), media_type=f"{MEDIA[form]}; charset=utf-8")


def frame_answer(frame: pd.DataFrame, form: str) -> Response:
    """Answer with a frame as `table_answer` does; numbers are rounded as `ribocast predict` rounds them."""
    import pyarrow as pa

    return table_answer(pa.Table.from_pandas(frame.round(_DIGITS), preserve_index=False), form)


def figure_answer(draw: Callable[[], Figure], form: str) -> Response:
    """Answer with a figure as SVG or PNG; it is the one that the command line draws."""
    try:
        from ribocast.io.figures import save_figure
    except ImportError:
        raise RefusedError(406, 'figures need matplotlib on the server: pip install "ribocast[plots]"') from None
    stream = io.BytesIO()
    save_figure(draw(), stream, f".{form}")
    return Response(stream.getvalue(), media_type=MEDIA[form])


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows of a table as plain values; what is unknown is None."""
    return [{str(name): plain(value) for name, value in row.items()} for row in table.to_dict("records")]


def plain(value: Any) -> Any:
    """Return a value that JSON has; a number that is not finite is None, and what JSON has not is text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def next_page(request: Request, offset: int, shown: int, total: int) -> dict[str, str]:
    """Give the Link header (RFC 8288) to what follows on a page; nothing at the end."""
    after = offset + shown
    if after >= total or not shown:
        return {}
    url = request.url.include_query_params(offset=after)
    return {"link": f'<{url.path}?{url.query}>; rel="next"'}


def _without_formulas(table: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    apostrophe, nothing = pa.scalar("'", pa.large_string()), pa.scalar("", pa.large_string())

    def safe(texts: Any) -> Any:
        texts = texts.cast(pa.large_string())
        is_formula = pc.and_not(pc.match_substring_regex(texts, _FORMULA), pc.match_substring_regex(texts, _NUMBER))
        return pc.if_else(is_formula, pc.binary_join_element_wise(apostrophe, texts, nothing), texts)

    columns = [safe(column) if _is_text(column.type) else column for column in table.columns]
    return pa.table(columns, names=safe(pa.array(table.column_names, pa.string())).to_pylist())


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
