"""Training: a plain loop from labelled rows to a bundle, repeatable and resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch

from ribocast.errors import OptionError
from ribocast.io.output_paths import OutputPaths
from ribocast.io.writers import make_folder
from ribocast.learn.data.assays import Assay, labelled_rows
from ribocast.learn.data.splits import Split, SplitKind, split
from ribocast.learn.device import pick_device
from ribocast.learn.evaluation.calibration import FEWEST_FIGURED, calibrate_card
from ribocast.learn.networks.network import Network
from ribocast.learn.recipe import Recipe
from ribocast.learn.train.batches import has_profile
from ribocast.learn.train.checkpoint import CHECKPOINT_NAME, Progress, load_checkpoint, save_checkpoint
from ribocast.learn.train.distributed import join_team, own_device
from ribocast.learn.train.export import write_network
from ribocast.learn.train.history import in_words, write_history
from ribocast.learn.train.loop import Loop, Step, check_loss
from ribocast.learn.train.setup import longer_than_read, own_recipe, prepare, with_profile
from ribocast.learn.train.transfer import fine_tuning_recipe
from ribocast.model.bundle import CARD_NAME, LEARNING_NAME, RUNNING_NAME, Bundle, open_bundle

RUN_FILES = (CARD_NAME, RUNNING_NAME, LEARNING_NAME, CHECKPOINT_NAME, "history.csv", "history.png")
"""What a run writes to its folder."""


class Trained(NamedTuple):
    """A finished run: where the model is, and how it went epoch by epoch."""

    bundle: Bundle
    history: list[dict[str, float]]


def fit(
    table: str | Path | pd.DataFrame,
    folder: str | Path,
    *,
    assay: str | None = None,
    assays: Mapping[str, Assay] | None = None,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    start: Bundle | str | Path | None = None,
    distilled: pd.DataFrame | None = None,
    held_out: Split | float = 0.2,
    split_kind: SplitKind = "auto",
    seed: int = 42,
    resume: bool = False,
    device: str | None = None,
    name: str | None = None,
    export: bool = True,
    watch: Callable[[Step], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train a network on measurements and write it as a bundle.

    Started by ``torchrun``, its processes train one network together. Each takes rows of a batch as the recipe
    says: the result is that of one process with batches as many times larger, but for what dropout draws. All must see
    the same table and folder; the first one writes.

    Parameters
    ----------
    table : str, Path or pandas.DataFrame
        Sequences and mean ribosome loads (MRLs): a file, or a frame; see `ribocast.learn.data.assays.labelled_rows`.
    folder : str or Path
        For the bundle, ``history.csv``, ``history.png`` and the checkpoint.
    assay : str, optional
        What library the rows are, if the table does not say so.
    assays : mapping of str to Assay, optional
        For rows that are checked already (`ribocast.learn.data.assays.training_rows`): the assays that their column
        ``assay`` names, in the order of the model's outputs.
    model : str, optional
        An architecture's name; ``framed`` without it.
    settings : mapping, optional
        Settings of the architecture other than its defaults.
    recipe : Recipe, optional
        The architecture's own without it, or the one for fine-tuning.
    start : Bundle, str or Path, optional
        A trained model to go on from, instead of fresh weights; see `ribocast.learn.train.transfer.begin_from`.
    distilled : pandas.DataFrame, optional
        Rows labelled by other models, to train on beside the measured ones; see `ribocast.learn.distilled_rows`.
    held_out : Split or float
        Rows to validate by, or their share; 0 trains on all rows and keeps the last epoch.
    split_kind : {"auto", "random", "grouped"}
        How a share is chosen; see `ribocast.learn.data.splits.split`.
    seed : int
        Of weights, order, dropout and the split.
    resume : bool
        Continue from the checkpoint in `folder`, if there is one; the result is that of a run never stopped.
    device : str, optional
        ``cpu``, ``cuda``, ``mps``; the best there is without it.
    name : str, optional
        The model's; the folder's name without it.
    export : bool
        Whether to write the running form, ``model.onnx``; without it, the model runs with PyTorch alone.
    watch, say : callable, optional
        Told of every batch, and in words of what was chosen.

    Returns
    -------
    Trained
        The bundle with the weights of the best epoch by validation loss, and the history. Validation losses of epochs
        are of networks that normalise by what ran last; what is written, and its figures, by what `Loop.settle` fixed.

    Raises
    ------
    RibocastError
        For settings that do not fit, too few rows, or a checkpoint of another run.
    """
    folder = Path(folder)
    places = OutputPaths(
        (table if isinstance(table, str | Path) else None, start.folder if isinstance(start, Bundle) else start)
    )
    places.add_folder(folder, RUN_FILES)
    if assays is None:
        rows, assays = labelled_rows(table, assay)
    else:
        rows = cast("pd.DataFrame", table)
    rows = rows.reset_index(drop=True)
    if start is not None and (model or settings):
        raise OptionError("a model to start from brings its architecture and settings: do not name others")
    base = None if start is None else start if isinstance(start, Bundle) else open_bundle(start)
    model = base.card.architecture if base else model or "framed"
    recipe = recipe or (fine_tuning_recipe(base) if base else own_recipe(model))
    if recipe.target == "profile":
        if isinstance(held_out, Split):
            held_out = held_out.among(has_profile(rows))
        rows = with_profile(rows, say)
    parts = _divide(rows, held_out, split_kind, seed)
    say(f"split: {parts.how}: {len(parts.train):,} rows to train on, {len(parts.held_out):,} to validate by")
    val_rows = rows.iloc[parts.held_out].reset_index(drop=True)
    where = own_device(pick_device(device))
    with join_team(where) as team:
        if team.size > 1:
            recipe = recipe.with_changes(batch_size=recipe.batch_size * team.size)
            say(f"{team.size} processes train together: {recipe.batch_size} rows a batch, shared among them")
        loop = prepare(
            rows, parts.train, val_rows, assays=assays, model=model, settings=settings or {}, recipe=recipe, seed=seed,
            device=where, name=name or folder.resolve().name, base=base, distilled=distilled, team=team, say=say,
        )  # fmt: skip
        say(f"device: {where}" + (f", {torch.get_num_threads()} threads" if where.type == "cpu" else ""))
        if remark := longer_than_read(rows, loop.network):
            say(remark)
        # As JSON would give it back, so that a resumed run compares equal.
        run = {"model": loop.card.model_dump(mode="json"), "split": parts.how, "validation rows": len(val_rows)}
        make_folder(folder)
        progress = load_checkpoint(folder, run, loop.network, loop.optimiser) if resume else None
        if progress:
            say(f"resuming after epoch {len(progress.history)} of {recipe.epochs}")
        elif resume:
            say(f"{folder}: no run to resume; beginning one")
        progress = progress or _begin(loop, run, say, from_trained=base is not None)
        was_dead = False
        while len(progress.history) < recipe.epochs and not _is_stale(progress, recipe):
            _learn_epoch(loop, progress, watch)
            if team.is_first:
                save_checkpoint(folder, progress, loop.network, loop.optimiser)
            say(f"epoch {len(progress.history)}: {in_words(progress.history[-1])}")
            if not was_dead and (was_dead := loop.is_dead()):
                say("the network gives every sequence the same MRL: it has died; try another seed or a lower rate")
        loop.network.load_state_dict(progress.best_weights)
        loop.settle()
        if team.is_first:
            _write(loop, progress, folder, val_rows, parts.how, export=export)
            if 0 < len(val_rows) < FEWEST_FIGURED:
                say(f"{len(val_rows)} validation rows do not tell how good it is: at least {FEWEST_FIGURED} would")
        team.wait()
    return Trained(open_bundle(folder), progress.history)


def _begin(loop: Loop, run: dict[str, Any], say: Callable[[str], None], *, from_trained: bool) -> Progress:
    progress = Progress(run, [], 0, np.inf, {})
    if from_trained and loop.val_set is not None:
        # What fine-tuning does not better is left as it was.
        progress.best_loss, progress.best_weights = loop.validate(), _copy(loop.network)
        say(f"before fine-tuning: validation loss {progress.best_loss:.4f}")
    return progress


def _learn_epoch(loop: Loop, progress: Progress, watch: Callable[[Step], None] | None) -> None:
    began = time.perf_counter()
    epoch = len(progress.history) + 1
    train_loss = loop.learn(epoch, progress.history, watch)
    losses = {"train_loss": train_loss}
    if loop.val_set is not None:
        losses["val_loss"] = loop.validate()
    progress.history.append({"epoch": epoch, **losses, "seconds": time.perf_counter() - began})
    loss = losses.get("val_loss", train_loss)
    check_loss(loss, epoch)
    if loss < progress.best_loss or loop.val_set is None:
        progress.best_epoch, progress.best_loss, progress.best_weights = epoch, loss, _copy(loop.network)


def _write(loop: Loop, progress: Progress, folder: Path, val_rows: pd.DataFrame, how: str, *, export: bool) -> None:
    card = loop.card.model_copy(update={"epoch": progress.best_epoch})
    if len(val_rows):
        card = calibrate_card(card, val_rows, loop.predict(val_rows), f"validation rows ({how})", loop.predict)
    write_history(folder, progress.history, progress.best_epoch, f"{card.name}: {card.architecture}")
    write_network(loop.network, card, folder, export=export)


def _divide(rows: pd.DataFrame, held_out: Split | float, kind: SplitKind, seed: int) -> Split:
    if isinstance(held_out, Split):
        return held_out
    if held_out == 0:
        everything, nothing = np.arange(len(rows)), np.arange(0)
        return Split(everything, nothing, "none, all rows are trained on")
    return split(rows["seq"].tolist(), held_out, seed=seed, kind=kind)


def _copy(network: Network) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _is_stale(progress: Progress, recipe: Recipe) -> bool:
    return recipe.patience is not None and len(progress.history) - progress.best_epoch >= recipe.patience
