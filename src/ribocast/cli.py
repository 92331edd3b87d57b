"""The command line: ``ribocast COMMAND --help``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ribocast.errors import RibocastError

if TYPE_CHECKING:
    from ribocast.learn.loop import Step

app = typer.Typer(
    name="ribocast",
    help="Reads a 5′ UTR and says how well its mRNA is translated; learns this from measurements.",
    epilog="Example: ribocast predict leaders.fasta",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Look at tables of measurements.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")

ColumnOption = Annotated[
    str | None, typer.Option(help="Column of the sequences; else seq, sequence or utr is looked for.")
]
LabelOption = Annotated[str | None, typer.Option(help="Column of the loads; else label, mrl or rl is looked for.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores without it.")]
OnErrorOption = Annotated[
    Literal["stop", "skip"], typer.Option(help="At a bad row: stop, or skip it, count it and list it.")
]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from ribocast import __version__

        print(__version__)  # noqa: T201
        raise typer.Exit


@app.command(epilog="Example: ribocast predict table.csv --assay egfp_random50 -o out.csv")
def predict(
    table: Annotated[str, typer.Argument(help="CSV, TSV, FASTA, Parquet, one sequence a line; .gz; - is stdin.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help=".csv, .tsv (also .gz) or .parquet; else standard output.")
    ] = None,
    model: Annotated[str, typer.Option(help="A folder, or the name of a shipped model.")] = "default",
    assay: Annotated[str | None, typer.Option(help="On whose scale; see ribocast models.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Add the polysome profile, r0 and so on.")] = False,
    column: ColumnOption = None,
    on_error: OnErrorOption = "stop",
    engine: Annotated[Literal["auto", "openvino", "torch"], typer.Option(help="What runs the network.")] = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Predict the mean ribosome load of sequences, with a 90 % interval.

    The input's columns and row order are kept; mrl, mrl_low, mrl_high and note are added.
    """
    from ribocast.predicting import predict_file
    from ribocast.predictor import load

    loaded = load(model, engine=engine, threads=threads)
    chosen = loaded.card.assay(assay)
    if assay is None and len(loaded.card.assays) > 1:
        _say(f"assay: {chosen.name} ({chosen.description}); others: see ribocast models")
    with _progress("predicting") as (advance, say):
        predict_file(
            loaded, table, output, assay=assay, column=column, profile=profile, on_error=on_error, say=say,
            done=lambda rows: advance(rows, None, ""),
        )  # fmt: skip


@app.command(epilog="Example: ribocast train train.csv --model attention-3conv -o run1")
def train(
    table: Annotated[str, typer.Argument(help="Sequences and loads, e.g. seq,label.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the model.")],
    model: Annotated[str, typer.Option(help="Architecture; see ribocast models.")] = "framed",
    assay: Annotated[
        str | None, typer.Option(help="Name of the library; the file's name without it. Known ones bring more.")
    ] = None,
    val_fraction: Annotated[float, typer.Option(help="Share of rows held out; 0 learns from all.")] = 0.2,
    split: Annotated[
        Literal["auto", "random", "grouped"],
        typer.Option(help="grouped keeps rows that share a 24-mer together; auto does where rows do."),
    ] = "auto",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=2)] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    patience: Annotated[int | None, typer.Option(min=1, help="Stop early after so many epochs in vain.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the architecture, e.g. --set channels=96.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order, dropout and split.")] = 42,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is without it.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is in the folder.")] = False,
    column: ColumnOption = None,
    label: LabelOption = None,
    on_error: OnErrorOption = "stop",
    as_json: JsonOption = False,
) -> None:
    """Train a model on a table of measured sequences.

    Writes model.json, model.onnx and model.safetensors (the best epoch by validation loss), history.csv, history.png
    and a checkpoint to the folder.
    """
    from ribocast.learn.assays import assay_of, training_rows
    from ribocast.learn.checkpoint import CHECKPOINT_NAME
    from ribocast.learn.fitting import fit
    from ribocast.learn.models import architecture, parse_settings
    from ribocast.tables import read_table

    if not resume and not overwrite and any((output / name).exists() for name in ("model.json", CHECKPOINT_NAME)):
        raise RibocastError(f"{output}: holds a run already; --resume continues it, --overwrite replaces it")
    if not 0 <= val_fraction < 1:
        raise RibocastError(f"--val-fraction {val_fraction:g}: from 0 to below 1, please")
    design = architecture(model)
    if design.recipe is None:
        raise RibocastError(f"--model {model}: {design.summary}, not trained itself")
    recipe = design.recipe.with_changes(
        epochs=epochs, batch_size=batch_size, learning_rate=lr, patience=patience
    )  # fmt: skip
    chunk = _usable(read_table(table, column=column, label=label), on_error)
    library = assay_of(chunk, assay)
    with _progress("training") as (advance, say):

        def watch(step: Step) -> None:
            losses = step.history[-1] if step.history else None
            text = f"train {losses['train_loss']:.4f} val {losses['val_loss']:.4f}" if losses else ""
            advance((step.epoch - 1) * step.batches + step.batch, step.epochs * step.batches, text)

        trained = fit(
            training_rows(chunk, library.name), output, assays={library.name: library}, model=model,
            settings=parse_settings(setting or []), recipe=recipe, held_out=val_fraction, split_kind=split, seed=seed,
            resume=resume, device=device, watch=watch, say=say,
        )  # fmt: skip
    card = trained.bundle.card
    if as_json:
        _print_json({"model": str(output), "best_epoch": card.epoch, "history": trained.history,
                     "figures": [figure.model_dump() for figure in card.figures]})  # fmt: skip
        return
    _say(f"kept epoch {card.epoch}; wrote {output}")
    for figure in card.figures:
        _say(f"{figure.assay}: r² {figure.pearson_r2:.3f} on {figure.rows:,} {figure.split}")


@app.command(epilog="Example: ribocast evaluate run1 test.csv --json")
def evaluate(
    paths: Annotated[list[str], typer.Argument(metavar="[MODEL] TABLE", help="The shipped model without one.")],
    assay: Annotated[str | None, typer.Option(help="On whose scale to predict.")] = None,
    column: ColumnOption = None,
    label: LabelOption = None,
    on_error: OnErrorOption = "stop",
    engine: Annotated[Literal["auto", "openvino", "torch"], typer.Option(help="What runs the network.")] = "auto",
    threads: ThreadsOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Score a model on a table of measured sequences, with 95 % bootstrap intervals."""
    from ribocast.learn.scoring import evaluate as evaluate_model
    from ribocast.learn.scoring import learnt_from
    from ribocast.predictor import load
    from ribocast.tables import read_table

    if len(paths) > 2:
        raise RibocastError(f"evaluate takes [MODEL] TABLE, not {len(paths)} names")
    loaded = load(paths[0] if len(paths) == 2 else "default", engine=engine, threads=threads)
    chosen = loaded.card.assay(assay)
    chunk = _usable(read_table(paths[-1], column=column, label=label), on_error)
    if learnt_from(loaded, chunk):
        _say("the model learnt from these very rows: for its figures on unseen ones see ribocast models")
    if chunk.labels().min() < 0:
        _say("some labels are below 0: were they standardised? Then only the correlations mean anything here")
    scores = evaluate_model(loaded, chunk, assay=chosen.name, seed=seed).as_dict()
    if as_json:
        _print_json({**scores, "assay": chosen.name, "model": loaded.card.name, "table": chunk.source})
        return
    _say(f"{loaded.card.name} ({loaded.card.architecture}) on {chunk.source}, assay {chosen.name}, n = {scores['n']:,}")
    intervals = scores["ci95"]
    _print_table(
        ["figure", "value", "95 % interval"],
        [
            [name, _number(scores[name]), f"{_number(low)} to {_number(high)}"]
            for name, (low, high) in intervals.items()
        ],
    )
    if scores["profile"]:
        by_fraction = scores["profile"]["pearson_r2"]
        _say(f"polysome profile, r² by fraction on {scores['profile']['n']:,} rows with a measured one:")
        cells = [_number(value) for value in [*by_fraction, scores["profile"]["mean_pearson_r2"]]]
        _print_table([*(f"r{number}" for number in range(len(by_fraction))), "mean"], [cells])


@data_app.command("describe", epilog="Example: ribocast data describe train.csv")
def describe(
    table: Annotated[str, typer.Argument(help="Any table of sequences; - is stdin.")],
    column: ColumnOption = None,
    label: LabelOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Describe a table: rows, columns, lengths, letters, labels, duplicates, upstream ATGs, a sample of 10."""
    from ribocast.describe import describe as describe_table

    found = describe_table(table, column=column, label=label, seed=seed)
    if as_json:
        _print_json(found.as_dict())
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
    _print_table(["", found.source], facts)
    if found.sample:
        _print_table(list(map(str, found.sample[0])), [[str(cell) for cell in row.values()] for row in found.sample])


@app.command(epilog="Example: ribocast simulate -n 280000 --seed 1 -o sim.csv")
def simulate(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Table to write; else stdout.")] = None,
    n: Annotated[int, typer.Option("-n", "--rows", min=1, help="Sequences.")] = 10_000,
    min_length: Annotated[int, typer.Option(min=1, help="Shortest, nt.")] = 50,
    max_length: Annotated[int, typer.Option(min=1, help="Longest, nt.")] = 50,
    reads: Annotated[float, typer.Option(min=1, help="Median reads a sequence; fewer mean more noise.")] = 600,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Simulate a library: a scanning ribosome, upstream starts and stops, polysome fractions, read noise."""
    from ribocast.learn.simulate import simulate as simulate_library
    from ribocast.writing import open_table

    with open_table(output) as sink, _progress("simulating") as (advance, _):
        rows = simulate_library(
            n, seed=seed, min_length=min_length, max_length=max_length, reads=reads,
            progress=lambda done: advance(done, n, ""),
        )  # fmt: skip
        sink.write(rows)


@app.command(epilog="Example: ribocast models --json")
def models(as_json: JsonOption = False) -> None:
    """List the architectures to train, and the trained models at hand with their figures."""
    from ribocast.bundle import open_bundle, shipped_models
    from ribocast.learn.models import ARCHITECTURES

    here = sorted(str(path.parent) for path in Path().glob("*/model.json"))
    bundles = {}
    for name in [*shipped_models(), *here]:
        try:
            bundles[name] = open_bundle(name).card
        except RibocastError as error:
            _say(f"left out: {error}")
    if as_json:
        _print_json({
            "architectures": {name: entry.summary for name, entry in ARCHITECTURES.items()},
            "models": {name: card.model_dump(mode="json") for name, card in bundles.items()},
        })  # fmt: skip
        return
    _print_table(["architecture", "what it is"], [[name, entry.summary] for name, entry in ARCHITECTURES.items()])
    figures = [
        [
            name,
            card.architecture,
            figure.assay,
            figure.subset,
            f"{figure.pearson_r2:.3f}",
            f"{figure.rows:,}",
            figure.split,
        ]
        for name, card in bundles.items()
        for figure in card.figures
    ]
    _print_table(["model", "architecture", "assay", "rows of", "r²", "rows", "measured on"], figures)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 2 after bad input, 130 after Ctrl-C."""
    try:
        result = app(list(sys.argv[1:] if arguments is None else arguments), standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except RibocastError as error:
        return _fail(str(error))
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", 130)
    except ModuleNotFoundError as error:
        needed = (error.name or "").partition(".")[0]
        if needed in {"torch", "safetensors", "onnx", "onnxscript", "scipy", "matplotlib"}:
            return _fail(f"this needs {needed}: pip install 'ribocast[learn]'")
        raise
    except Exception as error:
        # typer's own complaints about options, which it would print over many lines.
        if hasattr(error, "format_message"):
            return _fail(" ".join(str(error.format_message()).split()))
        raise


def _fail(message: str, code: int = 2) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return code


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


def _usable(chunk: Any, on_error: str) -> Any:
    """Return a labelled table without its bad rows, or stop at the first."""
    import numpy as np

    faults = chunk.faults(need_label=True)
    if not faults:
        return chunk
    if on_error == "stop" or len(faults) == len(chunk.frame):
        raise RibocastError(chunk.say(faults[0]))
    for fault in faults:
        _say(f"left out: {chunk.say(fault)}")
    _say(f"left out {len(faults):,} bad row{'s' * (len(faults) != 1)}")
    good = np.ones(len(chunk.frame), dtype=bool)
    good[[fault.row for fault in faults]] = False
    return chunk.keep(good)


@contextmanager
def _progress(what: str) -> Iterator[tuple[Callable[[int, int | None, str], None], Callable[[str], None]]]:
    """Show progress on stderr, if people watch; lines are said above the bar."""
    if not sys.stderr.isatty():
        yield (lambda done, total, text: None), _say
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[text]}")]  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, text="")

        def advance(done: int, total: int | None, text: str) -> None:
            bar.update(task, completed=done, total=total, text=text)

        def say(line: str) -> None:
            bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield advance, say


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))  # noqa: T201


def _print_table(header: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=None, pad_edge=False, show_edge=False)
    for row in rows:
        table.add_row(*[cell.replace("[", "\\[") for cell in row])
    width = None if sys.stdout.isatty() else 200
    Console(width=width).print(table, highlight=False)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
