"""``ribocast compare``: models side by side on the same rows."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ribocast.cli import options
from ribocast.cli.terminal import print_json, print_table, say
from ribocast.errors import OutputError
from ribocast.io.text import number

if TYPE_CHECKING:
    from ribocast.learn.evaluation.compare import Comparison


@options.app.command(
    epilog="Example: ribocast compare default run1 theirs.csv:pred --data test.csv --by uatg -o report.html"
)
def compare(
    models: Annotated[
        list[str], typer.Argument(help="Shipped models, folders, or tables of predictions: [NAME=]FILE[:COLUMN].")
    ],
    data: Annotated[list[str], typer.Option(help="Measured rows; again for further tables.")],
    by: Annotated[
        Literal["assay", "origin", "length", "uatg"] | None, typer.Option(help="Also compare within groups of rows.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The HTML report, in one file; comparison.html, or none with --json."),
    ] = None,
    assay: Annotated[str | None, typer.Option(help="Units for rows of an assay that a model does not know.")] = None,
    on_missing: Annotated[
        Literal["stop", "drop"], typer.Option(help="Where a table lacks a row: stop, or leave the row out for all.")
    ] = "stop",
    column: options.Column = None,
    label: options.Label = None,
    on_error: options.OnError = "stop",
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    resamples: Annotated[int, typer.Option(min=100, max=100_000, help="Bootstrap samples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Compare models on the same rows: figures, and differences with paired-bootstrap intervals.

    Somebody else's predictions can stand in for a model, as a table with the same sequences in any order.
    """
    from ribocast.io.output_paths import OutputPaths
    from ribocast.learn.evaluation.by_assay import under_one_roof
    from ribocast.learn.evaluation.compare import compare as compare_predictions
    from ribocast.learn.evaluation.compare import group_rows
    from ribocast.learn.evaluation.contenders import contender, file_of, predicted_by_all

    if output is None and not as_json:
        output = Path("comparison.html")
    outputs = OutputPaths([*map(file_of, models), *data])
    outputs.add("-")
    if output is not None:
        if output.suffix.lower() not in (".html", ".htm"):
            raise OutputError(f"{output}: the report is HTML; use a name that ends in .html")
        outputs.add(output, "the report")
        import matplotlib  # noqa: F401  (missing, it is better said before everything is predicted than after)
    chunks = [options.read_labelled(path, column, label, on_error) for path in data]
    rows = under_one_roof(chunks)
    groups = group_rows(rows.frame, rows.utrs, by, rows.source) if by else None
    contenders = [contender(text, rows, assay=assay, column=column, engine=engine, threads=threads) for text in models]
    kept = predicted_by_all(rows, contenders, on_missing, say)
    remarks = list(dict.fromkeys(remark for one in contenders for remark in one.remarks))
    for remark in remarks:
        say(remark)
    predicted = {}
    for one in contenders:
        name, copy = one.name, 2
        while name in predicted:
            name, copy = f"{one.name} ({copy})", copy + 1
        predicted[name] = one.predicted[kept]
    groups = None if groups is None else groups[kept]
    found = compare_predictions(rows.labels()[kept], predicted, groups, seed=seed, resamples=resamples)
    if output is not None:
        from ribocast.learn.evaluation.report import write_report

        given = {"by": by, "assay": assay, "on-missing": on_missing, "column": column, "label": label,
                 "on-error": on_error, "engine": engine, "resamples": resamples, "seed": seed}  # fmt: skip
        spelled = [f"--{name}={value}" for name, value in given.items() if value is not None]
        command = shlex.join(["ribocast", "compare", *models, *(f"--data={path}" for path in data), *spelled])
        write_report(output, found, source=rows.source, by=by, remarks=remarks, command=command, resamples=resamples)
        say(f"wrote {output}")
    if as_json:
        print_json({"table": rows.source, "by": by, "models": list(predicted), "remarks": remarks,
                    "groups": [group.as_dict() for group in found.groups], "left_out": found.left_out})  # fmt: skip
        return
    _print(found)


def _print(found: Comparison) -> None:
    rows = []
    for group in found.groups:
        for name, scores in group.scores.items():
            values = scores.as_dict()
            low, high = values["ci95"]["pearson_r2"]
            rows.append([
                group.name, f"{group.n:,}", name, number(values["pearson_r2"]), f"{number(low)} to {number(high)}",
                number(values["spearman_r"]), number(values["r2"]), number(values["mae"]),
            ])  # fmt: skip
    print_table(["rows", "n", "model", "r²", "95 % interval", "Spearman", "R²", "MAE"], rows)
    for group in found.groups:
        for difference in group.differences:
            if difference.figure == "pearson_r2":
                say(f"{group.name}: {difference.in_words()}")
    for name, count in found.left_out.items():
        say(f"{name}: {count} row{'s' * (count != 1)}, too few to be scored")
