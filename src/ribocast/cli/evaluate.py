"""``ribocast evaluate``: a model against measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ribocast.cli import options
from ribocast.cli.terminal import print_json, print_table, say
from ribocast.errors import OptionError
from ribocast.io.text import number

if TYPE_CHECKING:
    from ribocast.learn.evaluation.by_assay import AssayScores


@options.app.command(epilog="Example: ribocast evaluate run1 test.csv --json")
def evaluate(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="[MODEL] TABLE", help="The shipped model without one; several tables with --by."),
    ],
    assay: Annotated[
        str | None, typer.Option(help="In which assay's units to predict; else that which the table names.")
    ] = None,
    by: Annotated[
        Literal["assay"] | None,
        typer.Option(help="Each assay by itself (column assay, or one table each), as it is and on a straight line."),
    ] = None,
    column: options.Column = None,
    label: options.Label = None,
    on_error: options.OnError = "stop",
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Score a model on measured sequences, with 95 % bootstrap intervals.

    With --by assay also on assays that the model does not know: the squared correlation does not mind another scale,
    the other figures do, and are given again after a straight line fitted on other rows.
    """
    from ribocast.io.output_paths import OutputPaths
    from ribocast.learn.evaluation.by_assay import evaluate_by_assay, named_assay, split_by_assay
    from ribocast.learn.evaluation.metrics import evaluate as evaluate_model
    from ribocast.learn.evaluation.metrics import was_trained_on
    from ribocast.model.predictor import load

    if by is None and len(paths) > 2:
        raise OptionError(f"evaluate takes [MODEL] TABLE, not {len(paths)} names; several tables need --by assay")
    OutputPaths(paths).add("-")
    named = len(paths) > 1 and (by is None or not Path(paths[0]).is_file())
    loaded = load(paths[0] if named else "default", engine=engine, threads=threads)
    chosen = loaded.card.assay(assay)
    if by == "assay":
        chunks = [options.read_labelled(path, column, label, on_error) for path in paths[int(named) :]]
        results = evaluate_by_assay(loaded, split_by_assay(chunks), assay=assay, seed=seed)
        if as_json:
            print_json({"model": loaded.card.name, "by": "assay", "assays": [result.as_dict() for result in results]})
        else:
            _print_by_assay(loaded.card.name, results)
        return
    chunk = options.read_labelled(paths[-1], column, label, on_error)
    if assay is None:
        chosen = loaded.card.assay(named_assay(chunk, loaded.card))
    if was_trained_on(loaded, chunk):
        say("the model was trained on these very rows: for its figures on unseen ones see ribocast models")
    if chunk.labels().min() < 0:
        say("some labels are below 0: were they standardised? Then only the correlations mean anything here")
    scores = evaluate_model(loaded, chunk, assay=chosen.name, seed=seed).as_dict()
    if as_json:
        print_json({**scores, "assay": chosen.name, "model": loaded.card.name, "table": chunk.source})
        return
    say(f"{loaded.card.name} ({loaded.card.architecture}) on {chunk.source}, assay {chosen.name}, n = {scores['n']:,}")
    intervals = scores["ci95"]
    print_table(
        ["figure", "value", "95 % interval"],
        [[name, number(scores[name]), f"{number(low)} to {number(high)}"] for name, (low, high) in intervals.items()],
    )
    if scores["profile"]:
        by_fraction = scores["profile"]["pearson_r2"]
        say(f"polysome profile, r² by fraction on {scores['profile']['n']:,} rows with a measured one:")
        cells = [number(value) for value in [*by_fraction, scores["profile"]["mean_pearson_r2"]]]
        print_table([*(f"r{number}" for number in range(len(by_fraction))), "mean"], [cells])


def _print_by_assay(model: str, results: list[AssayScores]) -> None:
    for result in results:
        if result.trained_on:
            say(f"{result.assay}: the model was trained on these very rows")
    say(f"{model}; MAE and R² as predicted, and on a straight line that other rows fitted")
    rows = []
    for result in results:
        low, high = result.scores.ci95["pearson_r2"]
        rows.append([
            result.assay, result.predicted_as, f"{result.scores.n:,}", number(result.scores.pearson_r2),
            f"{number(low)} to {number(high)}", number(result.scores.r2), number(result.scores.mae),
            f"{number(result.slope)} x {result.intercept:+.4g}", number(result.on_a_line.r2),
            number(result.on_a_line.mae),
        ])  # fmt: skip
    heads = ["assay", "predicted as", "n", "r²", "95 % interval", "R²", "MAE", "line", "R² on it", "MAE on it"]
    print_table(heads, rows)
