"""The command line: ``ribocast COMMAND --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ribocast.errors import RibocastError
from ribocast.terminal import drop_output, fail, number, prepare_streams, print_json, print_table, progress, say

if TYPE_CHECKING:
    from ribocast.learn.loop import Step
    from ribocast.sieve import OnError
    from ribocast.tables import Chunk

app = typer.Typer(
    name="ribocast",
    help="Reads a 5′ UTR and says how well its mRNA is translated; learns this from measurements.",
    epilog="Example: ribocast predict leaders.fasta",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(
    help="Look at tables of measurements.",
    epilog="Example: ribocast data describe train.csv",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")

ColumnOption = Annotated[
    str | None, typer.Option(help="Column of the sequences; else seq, sequence or utr is looked for.")
]
LabelOption = Annotated[str | None, typer.Option(help="Column of the loads; else label, mrl or rl is looked for.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads; all cores without it.")]
LengthOption = Annotated[int, typer.Option(min=1, max=10_000, help="Shortest and longest, nt.")]
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
    with progress("predicting", results_to=output) as (advance, tell):
        predict_file(
            loaded, table, output, assay=assay, column=column, profile=profile, on_error=on_error, say=tell,
            done=lambda rows: advance(rows, None, ""),
        )  # fmt: skip
    if assay is None and len(loaded.card.assays) > 1:
        chosen = loaded.card.assay()
        say(f"assay: {chosen.name} ({chosen.description}); others: see ribocast models")


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
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of weights, order, dropout and split.")] = 42,
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

    if resume and overwrite:
        raise RibocastError("--resume continues a run, --overwrite replaces it: one of them, please")
    if not resume and not overwrite and any((output / name).exists() for name in ("model.json", CHECKPOINT_NAME)):
        raise RibocastError(f"{output}: holds a run already; --resume continues it, --overwrite replaces it")
    if not 0 <= val_fraction < 1:
        raise RibocastError(f"--val-fraction {val_fraction:g}: from 0 to below 1, please")
    design = architecture(model)
    if design.recipe is None:
        raise RibocastError(f"--model {model}: {design.summary}, not trained itself")
    recipe = design.recipe.with_changes(epochs=epochs, batch_size=batch_size, learning_rate=lr, patience=patience)
    settings = parse_settings(setting or [])
    chunk = _usable(read_table(table, column=column, label=label), on_error, table, output)
    library = assay_of(chunk, assay)
    with progress("training") as (advance, tell):

        def watch(step: Step) -> None:
            losses = step.history[-1] if step.history else None
            text = f"train {losses['train_loss']:.4f} val {losses['val_loss']:.4f}" if losses else ""
            advance((step.epoch - 1) * step.batches + step.batch, step.epochs * step.batches, text)

        trained = fit(
            training_rows(chunk, library.name), output, assays={library.name: library}, model=model,
            settings=settings, recipe=recipe, held_out=val_fraction, split_kind=split, seed=seed,
            resume=resume, device=device, watch=watch, say=tell,
        )  # fmt: skip
    card = trained.bundle.card
    if as_json:
        print_json({"model": str(output), "best_epoch": card.epoch, "history": trained.history,
                     "figures": [figure.model_dump() for figure in card.figures]})  # fmt: skip
        return
    say(f"kept epoch {card.epoch}; wrote {output}")
    for figure in card.figures:
        say(f"{figure.assay}: r² {figure.pearson_r2:.3f} on {figure.rows:,} {figure.split}")


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
    chunk = _usable(read_table(paths[-1], column=column, label=label), on_error, paths[-1], None)
    if learnt_from(loaded, chunk):
        say("the model learnt from these very rows: for its figures on unseen ones see ribocast models")
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


@app.command(epilog="Example: ribocast simulate -n 280000 --seed 1 -o sim.csv")
def simulate(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Table to write; else stdout.")] = None,
    n: Annotated[int, typer.Option("-n", "--rows", min=1, help="Sequences.")] = 10_000,
    min_length: LengthOption = 50,
    max_length: LengthOption = 50,
    reads: Annotated[float, typer.Option(min=1, help="Median reads a sequence; fewer mean more noise.")] = 600,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Simulate a library: a scanning ribosome, upstream starts and stops, polysome fractions, read noise."""
    from ribocast.learn.simulate import simulate as simulate_library
    from ribocast.writing import open_table

    with open_table(output) as sink, progress("simulating", results_to=output) as (advance, _):
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
        for figure in card.figures:
            rows.append([name, card.architecture, figure.assay, figure.subset, f"{figure.pearson_r2:.3f}",
                         f"{figure.rows:,}", figure.split])  # fmt: skip
        if not card.figures:
            assays = ", ".join(assay.name for assay in card.assays)
            rows.append([name, card.architecture, assays, "", "", "", "nothing: no rows were held out"])
    print_table(["model", "architecture", "assay", "rows of", "r²", "rows", "measured on"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 2 after bad input, 130 after Ctrl-C."""
    prepare_streams()
    try:
        command = typer.main.get_command(app)
        # Not by its own main(), which would print and exit in its own ways.
        with command.make_context("ribocast", list(sys.argv[1:] if arguments is None else arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as done:
        return done.exit_code
    except RibocastError as error:
        return fail(str(error))
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough.
        drop_output()
        return 141
    except OSError as error:
        if error.filename is None:
            drop_output()
        return fail(f"{error.filename or 'output'}: {error.strerror or error}")
    except MemoryError:
        return fail("there is not enough memory for this")
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    except ModuleNotFoundError as error:
        needed = (error.name or "").partition(".")[0]
        if needed in {"torch", "safetensors", "onnx", "onnxscript", "scipy", "matplotlib"}:
            return fail(f"this needs {needed}: pip install 'ribocast[learn]'")
        raise
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())  # noqa: T201
            return 0
        # typer's own complaints about options, which it would print over many lines.
        return fail(str(error.format_message()))


def _usable(chunk: Chunk, on_error: OnError, source: str, output: Path | None) -> Chunk:
    """Return a labelled table without its bad rows, or stop at the first."""
    from ribocast.sieve import Sieve

    with Sieve(on_error, source, output, say) as sieve:
        good = sieve.keep(chunk, chunk.faults(need_label=True))
        sieve.refuse_nothing(len(good.frame))
    return good
