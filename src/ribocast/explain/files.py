"""Explaining the sequences of a file: figures or one page, a tidy table, and words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ribocast.errors import InputError, OptionError
from ribocast.explain.explain import EFFECTS, Explanation, explain_all, find_unexplainable
from ribocast.io.columns import column_called
from ribocast.io.output_paths import OutputPaths
from ribocast.io.rejects import OnError, RowFilter
from ribocast.io.tables import Chunk, read_chunks
from ribocast.io.writers import TABLE_ENDINGS, check_output, open_table, whole_file
from ribocast.model.predictor import Predictor
from ribocast.predict.stream import Predicted
from ribocast.sequence.letters import ALPHABET

if TYPE_CHECKING:
    import pandas as pd

NAME_COLUMNS = ("id", "name")
FIGURE_ENDINGS = (".png", ".svg", ".pdf", ".html")
MOST_ON_A_PAGE = 200
STRONGEST = 8


def explain_file(
    model: Predictor,
    source: str,
    *,
    output: str | Path | None = None,
    table: str | Path | None = None,
    assay: str | None = None,
    indels: int = 0,
    near_cognates: bool = False,
    column: str | None = None,
    on_error: OnError = "stop",
    long: bool = False,
    cut_at_start: bool = False,
    command: str = "ribocast explain",
    show: Callable[[Explanation], None] | None = None,
    done: Callable[[int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Predicted:
    """Explain one sequence, or every sequence of a table.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    source : str
        A sequence, or a table (a file of that name comes first); ``-`` is standard input.
    output : str or Path, optional
        A figure, ``.png``, ``.svg`` or ``.pdf``: of many sequences one each, ``NAME-ROW.png``. Or one ``.html``.
    table : str or Path, optional
        For the effects of all changes (`Explanation.effects`), behind ``row`` and ``name`` of the sequence.
    assay, indels, near_cognates, cut_at_start
        As in `ribocast.explain.explain.explain_all`.
    column : str, optional
        The column of the sequences.
    on_error : {"stop", "skip"}
        ``skip`` leaves unusable rows out and lists them.
    long : bool
        Explain sequences too that take hours; see `ribocast.explain.explain.find_unexplainable`.
    command : str
        What a page says it was made by.
    show, done, say : callable, optional
        Given each explanation; told the number of sequences; told, in a line, what the user should know.

    Raises
    ------
    RibocastError
        For an unsupported extension, an unreadable table, more than 200 sequences for one page, and, unless they
        are skipped, the first bad row.
    """
    check_output(output, FIGURE_ENDINGS)
    check_output(table, TABLE_ENDINGS, stdout=True)
    outputs = OutputPaths((source, model.bundle.folder))
    outputs.add(table, "the table")
    ending = "" if output is None else Path(output).suffix.lower()
    say = say or (lambda _: None)
    model.card.assay(assay)
    if output is not None:
        outputs.add(output, "the page" if ending == ".html" else "the figure")
        outputs.add_numbered(Path(output), "the figures")
    row_filter = RowFilter(on_error, outputs, table if output is None else output, say)
    entries: list[dict[str, Any]] = []
    rows, figures = 0, 0
    with ExitStack() as stack:
        sink = stack.enter_context(open_table(table)) if table is not None else None
        stack.enter_context(row_filter)
        for chunk, numbers in _chunks(source, column):
            faults = find_unexplainable(model, chunk.utrs, indels=indels, long=long)
            bad = {fault.row for fault in faults}
            good = row_filter.keep(chunk, faults)
            numbers = [number for at, number in enumerate(numbers) if at not in bad]
            several = len(chunk.frame) > 1 or rows > 0
            names = _names(good, numbers, several)
            explained = explain_all(
                model, good.utrs, assay=assay, indels=indels, near_cognates=near_cognates, names=names, long=long,
                cut_at_start=cut_at_start,
            )  # fmt: skip
            for number, explanation in zip(numbers, explained, strict=True):
                rows += 1
                if show:
                    show(explanation)
                if sink:
                    sink.write(tidy(explanation, number))
                if output is not None and ending == ".html":
                    if rows > MOST_ON_A_PAGE:
                        raise OptionError(f"{output}: one page holds at most {MOST_ON_A_PAGE} sequences; use --table")
                    entries.append(_entry(explanation))
                elif output is not None:
                    from ribocast.io.figures import save_figure

                    target = Path(output) if not several else _numbered(Path(output), number)
                    with whole_file(target) as partial:
                        save_figure(explanation.plot(), partial, ending)
                    figures += 1
                if done:
                    done(rows)
        row_filter.refuse_nothing(rows)
        if output is not None and ending == ".html":
            from ribocast.io.html import write_page

            title = entries[0]["title"] if rows == 1 else f"Why: {rows} sequences of {Path(source).name}"
            write_page(output, "explanations.html", title=title, command=command, entries=entries)
    if figures > 1:
        say(f"wrote {figures:,} figures: {_numbered(Path(output or ''), '…')}")
    return Predicted(rows, row_filter.count, row_filter.path if row_filter.count else None)


def tidy(explanation: Explanation, row: int) -> pd.DataFrame:
    """Give the effects of all changes of a sequence, with its row and name."""
    table = explanation.effects[list(EFFECTS)].round(5)
    table.insert(0, "row", row)
    table.insert(1, "name", explanation.name)
    return table


def strongest(explanation: Explanation, count: int = STRONGEST) -> list[dict[str, Any]]:
    """Give the substitutions that change the MRL most, the strongest first."""
    effects = explanation.effects
    changed = effects[(effects["kind"] == "substitution") & (effects["ref"] != effects["alt"])]
    order = changed["log2_fold_change"].abs().sort_values(ascending=False, kind="stable").index[:count]
    return [{str(name): value for name, value in row.items()} for row in changed.loc[order].to_dict("records")]


def in_words(explanation: Explanation) -> list[str]:
    """Say an explanation in lines: the MRL, the start codon's context, upstream starts, the strongest changes."""
    lines = [explanation.headline, f"  {start_in_words(explanation)}"]
    lines += [f"  {uorf.in_words(full=True)}" for uorf in explanation.uorfs] or ["  no upstream start codon"]
    lines.append("  strongest substitutions, log2 fold change:")
    for row in strongest(explanation):
        change = f"{row['position']:>5} {row['ref']} to {row['alt']} {row['log2_fold_change']:+.2f}"
        lines.append(f"  {change}  {row['consequence']}")
    if explanation.note:
        lines.insert(1, f"  {explanation.note}")
    return lines


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as plain values, of the changes only the strongest; what is unknown is None."""
    from dataclasses import asdict

    profile = explanation.profile
    return {
        "name": explanation.name,
        "seq": explanation.seq,
        "assay": explanation.assay.name,
        "mrl": explanation.mrl,
        "mrl_low": _known(explanation.mrl_low),
        "mrl_high": _known(explanation.mrl_high),
        "note": explanation.note,
        "profile": None if profile is None else [float(share) for share in profile],
        "start": asdict(explanation.start),
        "uorfs": [asdict(uorf) for uorf in explanation.uorfs],
        "strongest": [dict(zip(row, map(_known, row.values()), strict=True)) for row in strongest(explanation)],
    }


def start_in_words(explanation: Explanation) -> str:
    """Say the context of the start codon."""
    start = explanation.start
    letters = f"{start.context[:6]} {start.context[6:9]} {start.context[9:]}"
    return f"start codon: {start.strength} Kozak, score {start.score:+.2f} ({letters})"


def _entry(explanation: Explanation) -> dict[str, Any]:
    from ribocast.io.figures import png_of
    from ribocast.io.html import embedded

    return {
        "title": explanation.headline,
        "seq": explanation.seq,
        "note": explanation.note,
        "figure": embedded(png_of(explanation.plot())),
        "alt": "Effects of letters and substitutions, and upstream ORFs; the strongest stand below",
        "start": start_in_words(explanation),
        "uorfs": [uorf.in_words(full=True) for uorf in explanation.uorfs],
        "strongest": [row for row in strongest(explanation) if np.isfinite(row["log2_fold_change"])],
    }


def _numbered(output: Path, row: int | str) -> Path:
    return output.with_name(f"{output.stem}-{row}{output.suffix}")


def _chunks(source: str, column: str | None) -> Iterator[tuple[Chunk, list[int]]]:
    """Read the sequences, each chunk with the numbers of its rows."""
    import pandas as pd

    there = os.path.exists(source)  # noqa: PTH110 (a Path raises where a name is too long)
    if source and set(source.upper()) <= set(ALPHABET) and not there:
        yield Chunk(pd.DataFrame({"seq": [source]}), "the sequence", 1, "seq", None), [1]
        return
    if source and source != "-" and not there and not Path(source).suffix and os.sep not in source:
        raise InputError(f"{source[:60]}: neither a file nor a sequence of A, C, G, T (or U) and N")
    for chunk in read_chunks(source, column=column):
        yield chunk, list(range(chunk.first_row, chunk.first_row + len(chunk.frame)))


def _names(chunk: Chunk, numbers: list[int], several: bool) -> list[str]:
    found = column_called(chunk.frame.columns, NAME_COLUMNS)
    if found is None:
        return [f"row {number}" if several else "" for number in numbers]
    return chunk.names(found)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
