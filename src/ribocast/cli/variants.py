"""``ribocast variants``: what changes of a 5′ UTR do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ribocast.cli.options import EngineOption, OnErrorOption, ResumeOption, ThreadsOption, app
from ribocast.terminal import progress, say


@app.command(epilog="Example: ribocast variants table.csv -o out.csv")
def variants(
    table: Annotated[
        str,
        typer.Argument(help="Rows with ref_seq and alt_seq (or ref and alt): whole UTRs. CSV, TSV, Parquet; .gz; -."),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=".csv, .tsv (also .gz) or .parquet; else standard output.")
    ] = None,
    model: Annotated[str, typer.Option(help="A folder, or the name of a shipped model.")] = "default",
    assay: Annotated[
        str | None, typer.Option(help="On whose scale; without it, the assay whose changes are calibrated.")
    ] = None,
    ref_column: Annotated[str | None, typer.Option(help="Column of the references; else ref_seq or ref.")] = None,
    alt_column: Annotated[str | None, typer.Option(help="Column of the variants; else alt_seq or alt.")] = None,
    on_error: OnErrorOption = "stop",
    resume: ResumeOption = False,
    engine: EngineOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Score variants of 5′ UTRs: the log2 fold change of the ribosome load, with a 90 % interval, and why.

    The input's columns and row order are kept; ref_mrl, alt_mrl, log2_fold_change, log2_low, log2_high, consequence and
    note are added. Sequences end right before the start codon.
    """
    from ribocast.predictor import load
    from ribocast.variants import score_table

    loaded = load(model, engine=engine, threads=threads)
    with progress("scoring", results_to=output) as (advance, tell):
        score_table(
            loaded, table, output, assay=assay, ref_column=ref_column, alt_column=alt_column, on_error=on_error,
            resume=resume, say=tell, done=lambda rows: advance(rows, None, ""),
        )  # fmt: skip
    if assay is None and len(loaded.card.assays) > 1:
        chosen = loaded.card.variant_assay
        say(f"assay: {chosen.name} ({chosen.description}); others: see ribocast models")
