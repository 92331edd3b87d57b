"""``ribocast data fetch``, ``prepare`` and ``homework``: the published random library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ribocast.cli import options
from ribocast.cli.terminal import print_json, print_table, progress, say
from ribocast.errors import InputError


@options.data_app.command("fetch", epilog="Example: ribocast data fetch && ribocast data prepare")
def fetch(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the files; else the user's cache.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of a mirror's folder, else where it is published.")] = None,
    as_json: options.Json = False,
) -> None:
    """Download the published random library (28 files, 57 MB): checked by SHA-256, what is there not twice."""
    from ribocast.learn.data.random50 import RANDOM50, fetch_library

    folder = output or _cache()
    library = replace(RANDOM50, url=url or RANDOM50.url)
    say(f"{len(library.files)} files from {library.url} to {folder}")
    with progress("fetching") as (advance, tell):
        done = fetch_library(folder, library, watch=advance, say=tell)
    if as_json:
        print_json([{"file": str(folder / name), "sha256": library.files[name], "how": how}
                    for name, how in done.items()])  # fmt: skip
        return
    print_table(["file", "", "SHA-256"], [[name, how, library.files[name]] for name, how in done.items()])


@options.data_app.command("prepare", epilog="Example: ribocast data prepare -o measurements")
def prepare(
    folder: Annotated[Path | None, typer.Argument(help="Where the fetched files are; the user's cache.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the table.")] = Path("measurements"),
    as_json: options.Json = False,
) -> None:
    """Turn the fetched library into a table to train on, egfp_random50.csv.gz, with the published split."""
    from ribocast.learn.data.random50 import NAME, RANDOM50
    from ribocast.learn.data.random50 import prepare as prepare_library

    rows = prepare_library(folder or _cache(), output, RANDOM50)
    halves = {str(name): int(count) for name, count in rows["published_split"].value_counts().items()}
    table = output / f"{NAME}.csv.gz"
    if as_json:
        print_json({"table": str(table), "rows": len(rows), **halves})
        return
    print_table(["table", *halves], [[str(table), *(f"{count:,}" for count in halves.values())]])


@options.data_app.command(
    "homework", epilog="Example: ribocast data homework measurements/egfp_random50.csv.gz -o homework"
)
def homework(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the tables.")],
    source: Annotated[
        Path | None,
        typer.Argument(help="Fetched files' folder, or a table with seq, mrl, published_split; the user's cache."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Write train.csv and test.csv as the homework had them, each standardised by itself; and both in ribosomes.

    Those are its mistake; train_mrl.csv and test_mrl.csv hold the same rows on one scale.
    """
    from ribocast.learn.data.random50 import HALVES, RANDOM50
    from ribocast.learn.data.random50 import homework as write_tables

    if source is None and not _cache().is_dir():
        raise InputError(f"{_cache()}: no fetched library; run ribocast data fetch first, or name a table")
    rows = write_tables(source or _cache(), output, RANDOM50)
    for half in HALVES:
        if missing := half.rows - rows[half.name]:
            say(f"{half.name}: {missing:,} of the {half.rows:,} published rows are missing; labels have the mean "
                f"({half.mean}) and SD ({half.sd}) of all of them")  # fmt: skip
    if as_json:
        print_json({half.name: {"rows": rows[half.name], "published": half.rows, "mean": half.mean, "sd": half.sd}
                    for half in HALVES})  # fmt: skip
        return
    print_table(["table", "on one scale", "rows", "published"],
                [[str(output / f"{half.name}.csv"), f"{half.name}_mrl.csv", f"{rows[half.name]:,}", f"{half.rows:,}"]
                 for half in HALVES])  # fmt: skip


def _cache() -> Path:
    from ribocast.learn.data.download import cache_folder
    from ribocast.learn.data.random50 import NAME

    return cache_folder() / NAME
