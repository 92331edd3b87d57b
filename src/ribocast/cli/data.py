"""``ribocast data …`` and ``ribocast simulate``: tables of measurements, real and simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ribocast.cli import options
from ribocast.cli.terminal import print_json, print_table, progress


@options.data_app.command("describe", epilog="Example: ribocast data describe train.csv")
def describe(
    table: Annotated[str, typer.Argument(help="Any table of sequences; - is stdin.")],
    column: options.Column = None,
    label: options.Label = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Describe a table: rows, columns, lengths, letters, labels, duplicates, upstream ATGs, a sample of 10."""
    from ribocast.io.output_paths import OutputPaths
    from ribocast.learn.data.describe import describe as describe_table

    OutputPaths([table]).add("-")
    found = describe_table(table, column=column, label=label, seed=seed)
    if as_json:
        print_json(found.as_dict())
        return
    lengths = found.lengths
    facts = [
        ["rows", f"{found.rows:,}"],
        ["columns", ", ".join(found.columns)],
        ["sequences in", found.seq_column],
        ["labels in", found.label_column or "(no label column)"],
        ["bad rows", f"{found.bad_rows:,}" + (f" (first: {found.first_fault})" if found.first_fault else "")],
        ["lengths", f"{lengths['min']:.0f} to {lengths['max']:.0f} nt, median {lengths['median']:.0f}"],
        ["letters", ", ".join(f"{letter} {count:,}" for letter, count in found.letters.items())],
        ["duplicates", f"{found.duplicates:,}"],
        ["with an upstream ATG", f"{found.upstream_atg_share:.1%}"],
    ]
    if found.label:
        facts.append(["label", ", ".join(f"{name} {value:.3f}" for name, value in found.label.items())])
    print_table(["", found.source], facts)
    if found.sample:
        cells = [["" if cell is None else str(cell) for cell in row.values()] for row in found.sample]
        print_table(list(found.sample[0]), cells)


@options.app.command(epilog="Example: ribocast simulate -n 280000 --seed 1 -o sim.csv")
def simulate(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Table to write; else stdout.")] = None,
    n: Annotated[int, typer.Option("-n", "--rows", min=1, help="Sequences.")] = 10_000,
    min_length: options.Length = 50,
    max_length: options.Length = 50,
    reads: Annotated[float, typer.Option(min=1, help="Median reads a sequence; fewer mean more noise.")] = 600,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Simulate a library: a scanning ribosome, upstream starts and stops, polysome fractions, read noise."""
    from ribocast.io.writers import open_table
    from ribocast.learn.data.simulate import simulate as simulate_library

    with open_table(output) as sink, progress("simulating", results_to=output) as (advance, _):
        rows = simulate_library(
            n, seed=seed, min_length=min_length, max_length=max_length, reads=reads,
            progress=lambda done: advance(done, n, ""),
        )  # fmt: skip
        sink.write(rows)
