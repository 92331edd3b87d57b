"""``ribocast predict`` and ``ribocast models``: using what is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ribocast.cli import options
from ribocast.cli.parts import Parts, do_files
from ribocast.cli.terminal import print_json, print_table, progress, say
from ribocast.errors import OptionError, RibocastError


@options.app.command(epilog="Example: ribocast predict table.csv --assay egfp_random50 -o out.csv")
def predict(
    tables: Annotated[
        list[str],
        typer.Argument(metavar="TABLE...", help="CSV, TSV, FASTA, Parquet, one sequence a line; .gz; - is stdin."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="PATH",
            help=".csv, .tsv (also .gz) or .parquet; for several tables a folder; else standard output.",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="A folder, or the name of a shipped model.")] = "default",
    assay: Annotated[str | None, typer.Option(help="In which assay's units; see ribocast models.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Add the polysome profile, r0 and so on.")] = False,
    uorf: Annotated[bool, typer.Option("--uorf", help="Add upstream starts, their ORFs and Kozak contexts.")] = False,
    near_cognates: Annotated[
        bool, typer.Option("--near-cognates", help="With --uorf: list CTG, GTG, TTG and the like too.")
    ] = False,
    column: options.Column = None,
    cut_at_start: options.CutAtStart = False,
    on_error: options.OnError = "stop",
    resume: options.Resume = False,
    shard: options.Shard = None,
    ray: options.Ray = None,
    engine: options.Engine = "auto",
    threads: options.Threads = None,
) -> None:  # fmt: skip
    """Predict the mean ribosome load (MRL) of 5′ UTRs, with a 90 % interval.

    A sequence ends right before its start codon: without the ATG, and without coding sequence. The note of one that
    likely holds it says so; --cut-at-start leaves it out.

    The input's columns and row order are kept; mrl, mrl_low, mrl_high and note are added. Of several tables, each has
    an output of its name in the folder.
    """
    from ribocast.model.background import Background
    from ribocast.model.engine import leave_out_converters
    from ribocast.model.predictor import load

    if near_cognates and not uorf:
        raise OptionError("--near-cognates belongs to --uorf")
    parts = Parts(shard, ray, resume, threads)
    in_parts = parts.are_needed(output, len(tables))
    leave_out_converters()
    # The network is made ready meanwhile, mostly outside Python.
    loading = Background(load, model, engine=engine, threads=parts.of_one)
    from ribocast.predict.files import predict_file

    settings: dict[str, Any] = {
        "assay": assay, "column": column, "profile": profile, "uorf": uorf, "near_cognates": near_cognates,
        "cut_at_start": cut_at_start, "on_error": on_error,
    }  # fmt: skip
    loaded = loading.result()
    with progress("predicting", results_to=output) as (advance, tell):
        if output is not None and in_parts:
            do_files(loaded, predict_file, settings, tables, output, parts, advance, tell)
        else:
            predict_file(loaded, tables[0], output, **settings, resume=resume, say=tell, done=advance)
    options.say_assay(assay, loaded)


@options.app.command(epilog="Example: ribocast models --json")
def models(as_json: options.Json = False) -> None:
    """List the architectures to train, and the trained models at hand with their accuracy."""
    from ribocast.learn.networks import ARCHITECTURES
    from ribocast.model.bundle import open_bundle, shipped_models

    shipped = shipped_models()
    here = [str(path.parent) for path in sorted(Path().glob("*/model.json"))]
    bundles = {}
    for name in [*shipped, *(f"./{name}" if name in shipped else name for name in here)]:
        try:
            bundles[name] = open_bundle(name).card
        except RibocastError as error:
            say(f"left out: {error}")
    if as_json:
        print_json({
            "architectures": {name: entry.summary for name, entry in ARCHITECTURES.items()},
            "models": {name: card.model_dump(mode="json") for name, card in bundles.items()},
        })  # fmt: skip
        return
    print_table(["architecture", "what it is"], [[name, entry.summary] for name, entry in ARCHITECTURES.items()])
    rows = []
    for name, card in bundles.items():
        for evaluation in card.evaluations:
            rows.append([name, card.architecture, evaluation.assay, evaluation.subset, f"{evaluation.pearson_r2:.3f}",
                         f"{evaluation.rows:,}", evaluation.split])  # fmt: skip
        if not card.evaluations:
            assays = ", ".join(assay.name for assay in card.assays)
            rows.append([name, card.architecture, assays, "", "", "", "nothing: no rows were held out"])
    print_table(["model", "architecture", "assay", "rows of", "r²", "rows", "measured on"], rows)
