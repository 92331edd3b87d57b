"""Pieces of the page as HTML: tables, messages, links to download."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SHOWN_ROWS = 200


def problem(message: str) -> str:
    """Say what is wrong, so that a screen reader says it too."""
    return f'<p class="rc-problem" role="alert"><strong>error:</strong> {escape(message)}</p>' if message else ""


def paragraph(text: str, kind: str = "") -> str:
    """Make a paragraph."""
    return f'<p class="{kind}">{escape(text)}</p>'


def table_html(table: pd.DataFrame, caption: str, *, sequences: Sequence[str] = ("seq",)) -> str:
    """Make a table that scrolls by itself where it is wider than the page; the first rows of a long one."""
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in table.columns)
    rows = []
    for row in table.head(SHOWN_ROWS).itertuples(index=False):
        cells = "".join(_cell(str(name), value, sequences) for name, value in zip(table.columns, row, strict=True))
        rows.append(f"<tr>{cells}</tr>")
    said = escape(caption)
    if len(table) > SHOWN_ROWS:
        said += f" (the first {SHOWN_ROWS} of {len(table):,}; the file has all)"
    return (
        f'<div class="rc-scroll" tabindex="0" role="region" aria-label="{said}"><table class="rc-table">'
        f"<caption>{said}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def download(text: str, name: str, words: str, kind: str = "text/csv") -> str:
    """Make a link that saves text as a file: it is part of the page, so nothing of it lies on the server."""
    data = base64.b64encode(text.encode()).decode()
    return f'<a class="rc-button" download="{escape(name)}" href="data:{kind};base64,{data}">{escape(words)}</a>'


def buttons(links: Sequence[str]) -> str:
    """Put links beside each other."""
    return f'<p class="rc-buttons">{"".join(links)}</p>'


def progress(done: int, total: int, words: str) -> str:
    """Show how far something is."""
    share = min(100, round(100 * done / total)) if total else 0
    return (
        f'<div class="rc-progress" role="progressbar" aria-label="Search" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{share}"><div style="width:{share}%"></div></div><p aria-live="polite">{escape(words)}</p>'
    )


def figure(svg: str, caption: str) -> str:
    """Put a drawing into the page; one that is wider than the page scrolls."""
    return (
        f'<figure class="rc-figure"><figcaption>{escape(caption)}</figcaption>'
        f'<div class="rc-scroll" tabindex="0" role="region" aria-label="{escape(caption)}">{svg}</div></figure>'
    )


def number(value: Any, digits: int = 2) -> str:
    """Spell a number; what is unknown is empty."""
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _cell(name: str, value: Any, sequences: Sequence[str]) -> str:
    if isinstance(value, float):
        return f'<td class="rc-number">{number(value)}</td>'
    if isinstance(value, int):
        return f'<td class="rc-number">{value}</td>'
    text = escape("" if value is None or value != value else str(value))
    return f'<td class="rc-seq"><code>{text}</code></td>' if name in sequences else f"<td>{text}</td>"
