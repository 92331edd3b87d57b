"""``ribocast search``: trying settings by cross-validation."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from ribocast.cli import options
from ribocast.cli.terminal import print_json, print_table, progress, say
from ribocast.errors import OptionError

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@options.app.command(
    epilog="Example: ribocast search train.csv --model optimus --folds 10 --grid examples/optimus-grid.toml -o search1"
)
def search(
    table: Annotated[str, typer.Argument(help="Sequences and mean ribosome loads (MRLs), e.g. seq,label.")],
    grid: Annotated[Path, typer.Option(help="TOML: lists of values (or ranges) by setting; see the example.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the trials and the best model.")] = Path(
        "search"
    ),
    model: Annotated[str, typer.Option(help="Architecture; see ribocast models.")] = "optimus",
    folds: Annotated[int, typer.Option(min=2, help="Rows that share a 24-mer stay in one, where rows do.")] = 10,
    sampler: Annotated[
        Literal["auto", "grid", "tpe"], typer.Option(help="auto: the whole grid where there is one, else TPE.")
    ] = "auto",
    trials: Annotated[int | None, typer.Option(min=1, help="Maximum number of trials.")] = None,
    timeout: Annotated[str | None, typer.Option(help="Stop after, e.g., 90s, 30m or 2h; --resume goes on.")] = None,
    no_prune: Annotated[bool, typer.Option("--no-prune", help="Finish every trial, however bad.")] = False,
    assay: Annotated[str | None, typer.Option(help="Name of the library; the file's name without it.")] = None,
    split: Annotated[
        Literal["auto", "random", "grouped"], typer.Option(help="How rows are divided; as for ribocast train.")
    ] = "auto",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=2)] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting that all trials share, e.g. --set length=60.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of folds, proposals, weights, dropout.")] = 42,
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes; one a core without it.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="CPU threads of each process.")] = 1,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is without it.")] = None,
    ray: options.Ray = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a search, or share one under way.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a search that is in the folder.")] = False,
    column: options.Column = None,
    label: options.Label = None,
    on_error: options.OnError = "stop",
    as_json: options.Json = False,
) -> None:
    """Search settings by cross-validation, and refit the best on all rows.

    Each trial is scored by the mean squared Pearson correlation on folds it was not trained on. Writes trials.csv,
    search.json, importance.png and the bundle best/ to the folder; study.journal there is an Optuna study.
    """
    from ribocast.io.output_paths import OutputPaths
    from ribocast.learn.data.assays import assay_of, training_rows
    from ribocast.learn.networks import architecture, parse_settings
    from ribocast.learn.train.setup import own_recipe
    from ribocast.learn.tune.pruning import importance
    from ribocast.learn.tune.report import as_dict, rows_for_people
    from ribocast.learn.tune.scheduler import describe, outcome
    from ribocast.learn.tune.search import Found
    from ribocast.learn.tune.search import search as search_here
    from ribocast.learn.tune.space import RECIPE, read_space
    from ribocast.learn.tune.study import SEARCH_FILES

    changes = {"epochs": epochs, "batch_size": batch_size, "learning_rate": lr}
    recipe = own_recipe(model).with_changes(**changes)
    settings = parse_settings(setting or [])
    searched = read_space(grid, architecture(model), recipe).settings
    for name in [*settings, *(RECIPE + name for name, value in changes.items() if value is not None)]:
        if name in searched:
            raise OptionError(f"{grid}: {name} is searched, but the command line fixes it")
    outputs = OutputPaths((table, grid))
    outputs.add("-")
    outputs.add_folder(output, SEARCH_FILES)
    chunk = options.read_labelled(table, column, label, on_error, outputs, output)
    library = assay_of(chunk, assay)
    if ray is None:
        search_settings: Callable[..., Found] = search_here
    else:
        from ribocast.learn.tune.ray import search_on_ray

        search_settings = partial(search_on_ray, ray)
    with progress("searching") as (advance, tell):
        found = search_settings(
            training_rows(chunk, library.name), output, grid=grid, assays={library.name: library}, model=model,
            settings=settings, recipe=recipe, folds=folds, split_kind=split, sampler=sampler, trials=trials,
            timeout=_seconds(timeout), prune=not no_prune, seed=seed, workers=workers, threads=threads, device=device,
            resume=resume, overwrite=overwrite, watch=advance, say=tell,
        )  # fmt: skip
    if as_json:
        print_json(as_dict(found))
        return
    print_table(*rows_for_people(found.verdicts))
    shares = sorted(importance(found.verdicts).items(), key=lambda entry: -entry[1])
    print_table(["setting", "share of the variance between trials"], [[name, f"{share:.0%}"] for name, share in shares])
    if best := found.winner:
        say(f"best: trial {best.trial.number + 1}, {describe(best.trial.values)}: {outcome(best)}")
    if found.bundle:
        say(f"refitted on all {found.rows:,} rows; wrote {found.bundle.folder}")


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip().lower())
    if not match or float(match[1]) == 0:
        raise OptionError(f"--timeout {text}: seconds, or a number with s, m, h or d, such as 2h")
    return float(match[1]) * _UNITS[match[2]]
