"""``ribocast explain``: why a sequence is translated as it is, and what a model has learnt."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ribocast.cli import options
from ribocast.cli.terminal import print_json, print_lines, progress, say
from ribocast.errors import OptionError

if TYPE_CHECKING:
    from ribocast.explain.explain import Explanation
    from ribocast.model.predictor import Predictor


@options.app.command(epilog="Example: ribocast explain ACATTTGCTTCTGACACAACTGTG -o why.png --table ism.csv")
def explain(
    source: Annotated[
        str | None, typer.Argument(help="A sequence, or a table of them as in ribocast predict.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help=".png, .svg, .pdf (one a sequence, NAME-ROW.png) or one .html."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Effects of all changes: .csv, .tsv (also .gz), .parquet; - is standard output.")
    ] = None,
    as_learnt: Annotated[
        bool, typer.Option("--global", help="Not of sequences: what the model has learnt, as .html.")
    ] = False,
    measured: Annotated[
        Path | None,
        typer.Option(help="With --global: measurements to compare with; a table, or a folder with ASSAY.csv.gz."),
    ] = None,
    model: Annotated[str, typer.Option(help="A folder, or the name of a shipped model.")] = "default",
    assay: Annotated[str | None, typer.Option(help="In which assay's units; see ribocast models.")] = None,
    indels: Annotated[int, typer.Option(min=0, max=3, help="Also deletions and insertions of up to this many nt.")] = 0,
    near_cognates: Annotated[
        bool, typer.Option("--near-cognates", help="List upstream CTG, GTG, TTG and the like too.")
    ] = False,
    long: Annotated[
        bool, typer.Option("--long", help="Explain sequences too that take hours: 5,000 nt and more.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="With --global: of the random sequences.")] = 0,
    column: options.Column = None,
    cut_at_start: options.CutAtStart = False,
    on_error: options.OnError = "stop",
    engine: options.Engine = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Explain predictions: the effect of every substitution, upstream ORFs and Kozak contexts.

    A sequence ends right before its start codon: without the ATG, and without coding sequence. A deletion or an
    insertion keeps the letters behind it where they are: sequences are aligned at the start codon.
    """
    from ribocast.model.predictor import load

    if as_learnt:
        if source is not None or output is None or output.suffix.lower() != ".html" or table is not None:
            raise OptionError("--global takes -o report.html, and neither sequences nor --table")
        if indels or near_cognates or long or cut_at_start:
            raise OptionError(
                "--indels, --near-cognates, --long and --cut-at-start are for sequences, not for --global"
            )
    elif source is None:
        raise OptionError("give a sequence, or a table of them; --global explains the model itself")
    elif measured is not None or seed:
        raise OptionError(f"{'--seed' if measured is None else '--measured'} belongs to --global")
    loaded = load(model, engine=engine, threads=threads)
    given = {"model": model, "assay": assay, "measured": measured, "seed": seed if as_learnt else None,
             "indels": indels or None, "column": column}  # fmt: skip
    spelled = [f"--{name}={value}" for name, value in given.items() if value is not None]
    spelled += ["--global"] * as_learnt + ["--near-cognates"] * near_cognates + ["--long"] * long
    spelled += ["--cut-at-start"] * cut_at_start
    command = shlex.join(["ribocast", "explain", *([source] if source else []), *spelled, f"--output={output}"])
    if as_learnt and output is not None:
        _explain_model(
            loaded, output, measured, assay=assay, seed=seed, column=column, command=command, as_json=as_json
        )
        return
    from ribocast.explain.files import as_dict, explain_file, in_words

    shown: list[dict[str, Any]] = []
    to_stdout = str(table) == "-"

    def show(explanation: Explanation) -> None:
        if as_json:
            shown.append(as_dict(explanation))
        elif not to_stdout:
            print_lines(in_words(explanation))

    with progress("explaining", results_to=None) as (advance, tell):
        explain_file(
            loaded, source or "", output=output, table=table, assay=assay, indels=indels, near_cognates=near_cognates,
            column=column, on_error=on_error, long=long, cut_at_start=cut_at_start, command=command, show=show,
            say=tell, done=advance,
        )  # fmt: skip
    if as_json:
        print_json(shown)
    options.say_assay(assay, loaded)


def _explain_model(
    model: Predictor, output: Path, measured: Path | None, *, assay: str | None, seed: int, column: str | None,
    command: str, as_json: bool,
) -> None:  # fmt: skip
    from ribocast.explain.global_effects import measured_rows, predict_summary, random_utrs, summarise
    from ribocast.explain.global_report import agreement, write_global_report
    from ribocast.io.output_paths import OutputPaths

    OutputPaths((measured, model.bundle.folder)).add(output, "the page")
    card = model.card.assay(assay)
    if measured is None:
        utrs, found = random_utrs(card, seed=seed), None
        source = f"{len(utrs):,} random UTRs of {card.min_length} to {card.max_length} nt (seed {seed})."
    else:
        chunk = measured_rows(measured, card, column=column)
        utrs, found = chunk.utrs, summarise(chunk.utrs, chunk.labels(), card.surroundings)
        source = f"{len(utrs):,} measured UTRs of {chunk.source}."
    say(f"predicting {len(utrs):,} UTRs on the scale of {card.name}")
    learnt = predict_summary(model, utrs, card.name)
    title = f"What the model {model.card.name} has learnt"
    write_global_report(output, learnt, found, title=title, source=source, assay=card.name, command=command)
    say(f"wrote {output}")
    if as_json:
        sides = {"model": learnt} if found is None else {"model": learnt, "measured": found}
        print_json({"assay": card.name, **{side: each.as_dict() for side, each in sides.items()},
                     "agreement": agreement(sides)})  # fmt: skip
