"""``ribocast train``: training on measurements."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ribocast.cli import options
from ribocast.cli.terminal import print_json, progress, say, silence
from ribocast.errors import OptionError, OutputError

if TYPE_CHECKING:
    from ribocast.learn.train.loop import Step


@options.app.command(epilog="Example: ribocast train train.csv --model attention-3conv -o run1")
def train(
    table: Annotated[str, typer.Argument(help="Sequences and mean ribosome loads (MRLs), e.g. seq,label.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the model.")],
    model: Annotated[
        str | None, typer.Option(help="Architecture, framed without it; see ribocast models.", show_default=False)
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="MODEL", help="Fine-tune this trained model, not a fresh one.")
    ] = None,
    assay: Annotated[
        str | None, typer.Option(help="Name of the library; the file's name without it. Known ones bring more.")
    ] = None,
    val_fraction: Annotated[float, typer.Option(help="Share of rows held out; 0 trains on all.")] = 0.2,
    split: Annotated[
        Literal["auto", "random", "grouped"],
        typer.Option(help="grouped keeps rows that share a 24-mer together; auto does where rows do."),
    ] = "auto",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=2)] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    patience: Annotated[int | None, typer.Option(min=1, help="Epochs without improvement to stop after.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the architecture, e.g. --set channels=96.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of weights, order, dropout and split.")] = 42,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is without it.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is in the folder.")] = False,
    column: options.Column = None,
    label: options.Label = None,
    on_error: options.OnError = "stop",
    as_json: options.Json = False,
) -> None:
    """Train a model on a table of measured sequences, or fine-tune a trained one to a new assay or chemistry.

    Writes model.json, model.onnx and model.safetensors (the best epoch by validation loss), history.csv, history.png
    and a checkpoint to the folder. Several processes or GPUs train one model together under torchrun, each with
    --batch-size rows of every batch: torchrun --nproc-per-node 2 -m ribocast train train.csv -o run1
    """
    from ribocast.io.output_paths import OutputPaths
    from ribocast.io.writers import alone_in
    from ribocast.learn.data.assays import assay_of, training_rows
    from ribocast.learn.networks import architecture, parse_settings
    from ribocast.learn.train.checkpoint import CHECKPOINT_NAME
    from ribocast.learn.train.distributed import is_first_process
    from ribocast.learn.train.fit import RUN_FILES, fit
    from ribocast.learn.train.history import in_words
    from ribocast.learn.train.transfer import fine_tuning_recipe
    from ribocast.model.bundle import open_bundle

    if resume and overwrite:
        raise OptionError("--resume continues a run, --overwrite replaces it: give one of them")
    there = [name for name in RUN_FILES if (output / name).exists()]
    if there and not overwrite and not (resume and CHECKPOINT_NAME in there):
        what = "a run already; --resume continues it," if CHECKPOINT_NAME in there else f"{there[0]};"
        raise OutputError(f"{output}: holds {what} --overwrite replaces it")
    if not 0 <= val_fraction < 1:
        raise OptionError(f"--val-fraction must be at least 0 and below 1, not {val_fraction:g}")
    settings = parse_settings(setting or [])
    base = open_bundle(start) if start else None
    if base and (model or settings):
        raise OptionError("--from brings its own architecture and settings: leave out --model and --set")
    design = architecture(model or "framed")
    recipe = fine_tuning_recipe(base) if base else design.recipe
    if recipe is None:
        raise OptionError(f"--model {model}: {design.summary}, not trained itself")
    recipe = recipe.with_changes(epochs=epochs, batch_size=batch_size, learning_rate=lr, patience=patience)
    # Of processes that train together, the first one writes and speaks.
    first = is_first_process()
    with nullcontext() if first else silence():
        outputs = OutputPaths((table, start))
        outputs.add("-")
        outputs.add_folder(output, RUN_FILES)
        chunk = options.read_labelled(table, column, label, on_error, outputs, output)
        library = assay_of(chunk, assay)
        with alone_in(output) if first else nullcontext(), progress("training") as (advance, tell):

            def watch(step: Step) -> None:
                text = in_words(step.history[-1]) if step.history else ""
                advance((step.epoch - 1) * step.batches + step.batch, step.epochs * step.batches, text)

            trained = fit(
                training_rows(chunk, library.name), output, assays={library.name: library}, model=model,
                settings=settings, recipe=recipe, start=base, held_out=val_fraction, split_kind=split, seed=seed,
                resume=resume, device=device, watch=watch, say=tell,
            )  # fmt: skip
        card = trained.bundle.card
        if as_json:
            print_json({"model": str(output), "best_epoch": card.epoch, "history": trained.history,
                         "evaluations": [entry.model_dump() for entry in card.evaluations]})  # fmt: skip
            return
        say(f"kept {f'epoch {card.epoch}' if card.epoch else 'the model as it was'}; wrote {output}")
        for entry in card.evaluations:
            say(f"{entry.assay}: r² {entry.pearson_r2:.3f} on {entry.rows:,} {entry.split}")
