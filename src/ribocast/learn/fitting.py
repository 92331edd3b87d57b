"""Training: a plain loop from labelled rows to a bundle, repeatable and resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ribocast.bundle import AssayCard, Bundle, ModelCard
from ribocast.errors import RibocastError
from ribocast.learn.assays import Assay, describe_data, labelled_rows
from ribocast.learn.checkpoint import Progress, load_checkpoint, save_checkpoint
from ribocast.learn.device import pick_device
from ribocast.learn.export import export
from ribocast.learn.history import write_history
from ribocast.learn.judging import judge
from ribocast.learn.loop import Loop, Step, check_loss, seeded
from ribocast.learn.models import Architecture, architecture
from ribocast.learn.models.network import Network
from ribocast.learn.recipe import Recipe
from ribocast.learn.splits import Split, SplitKind, split

if TYPE_CHECKING:
    import pandas as pd


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
    model: str = "framed",
    settings: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    held_out: Split | float = 0.2,
    split_kind: SplitKind = "auto",
    seed: int = 42,
    resume: bool = False,
    device: str | None = None,
    name: str | None = None,
    watch: Callable[[Step], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Trained:
    """Train a network on measurements and write it as a bundle.

    Parameters
    ----------
    table : str, Path or pandas.DataFrame
        Sequences and loads: a file, or a frame; see `ribocast.learn.assays.labelled_rows`.
    folder : str or Path
        For the bundle, ``history.csv``, ``history.png`` and the checkpoint.
    assay : str, optional
        What library the rows are, if the table does not say so.
    assays : mapping of str to Assay, optional
        For rows that are checked already (`ribocast.learn.assays.training_rows`): the assays that their column
        ``assay`` names, in the order of the model's outputs.
    model : str
        An architecture's name.
    settings : mapping, optional
        Settings of the architecture other than its defaults.
    recipe : Recipe, optional
        The architecture's own without it.
    held_out : Split or float
        Rows to validate by, or their share; 0 trains on all rows and keeps the last epoch.
    split_kind : {"auto", "random", "grouped"}
        How a share is chosen; see `ribocast.learn.splits.split`.
    seed : int
        Of weights, order, dropout and the split.
    resume : bool
        Continue from the checkpoint in `folder`, if there is one; the result is that of a run never stopped.
    device : str, optional
        ``cpu``, ``cuda``, ``mps``; the best there is without it.
    name : str, optional
        The model's; the folder's name without it.
    watch, say : callable, optional
        Told of every batch, and in words of what was chosen.

    Returns
    -------
    Trained
        The bundle with the weights of the best epoch by validation loss, and the history.

    Raises
    ------
    RibocastError
        For settings that do not fit, too few rows, or a checkpoint of another run.
    """
    say = say or (lambda _: None)
    folder = Path(folder)
    if assays is None:
        rows, assays = labelled_rows(table, assay)
    else:
        rows = cast("pd.DataFrame", table)
    recipe = recipe or own_recipe(model)
    if recipe.learns == "profile":
        rows = with_profile(rows, say)
    parts = _divide(rows, held_out, split_kind, seed)
    say(f"split: {parts.how}: {len(parts.train):,} rows to learn from, {len(parts.held_out):,} to validate by")
    val_rows = rows.iloc[parts.held_out].reset_index(drop=True)
    where = pick_device(device)
    loop = prepare(
        rows, parts.train, val_rows, assays=assays, model=model, settings=settings or {}, recipe=recipe, seed=seed,
        device=where, name=name or folder.resolve().name,
    )  # fmt: skip
    network, card = loop.network, loop.card
    say(f"device: {where}" + (f", {torch.get_num_threads()} threads" if where.type == "cpu" else ""))
    if remark := longer_than_read(rows, network):
        say(remark)
    # As JSON would give it back, so that a resumed run compares equal.
    run = {"model": card.model_dump(mode="json"), "split": parts.how, "validation rows": len(val_rows)}
    folder.mkdir(parents=True, exist_ok=True)
    progress = load_checkpoint(folder, run, network, loop.optimiser) if resume else None
    if progress:
        say(f"resuming after epoch {len(progress.history)} of {recipe.epochs}")
    progress = progress or Progress(run, [], 0, {})

    while len(progress.history) < recipe.epochs and not _is_stale(progress, recipe):
        began = time.perf_counter()
        epoch = len(progress.history) + 1
        train_loss = loop.learn(epoch, progress.history, watch)
        val_loss = loop.validate() if len(val_rows) else train_loss
        progress.history.append(
            {"epoch": epoch, "train_loss": train_loss, "val_loss": val_loss, "seconds": time.perf_counter() - began}
        )
        check_loss(val_loss, epoch)
        best_so_far = progress.history[progress.best_epoch - 1]["val_loss"] if progress.best_epoch else np.inf
        if val_loss < best_so_far or not len(val_rows):
            progress.best_epoch = epoch
            progress.best_weights = {key: value.clone() for key, value in network.state_dict().items()}
        save_checkpoint(folder, progress, network, loop.optimiser)
        say(f"epoch {epoch}: train loss {train_loss:.4f}, validation loss {val_loss:.4f}")

    network.load_state_dict(progress.best_weights)
    card = card.model_copy(update={"epoch": progress.best_epoch})
    if len(val_rows):
        card = judge(card, val_rows, loop.predict(val_rows), f"validation rows ({parts.how})")
    write_history(folder, progress.history, progress.best_epoch, f"{card.name}: {model}")
    return Trained(export(network, card, folder), progress.history)


def prepare(
    rows: pd.DataFrame, train: NDArray[np.int64], val_rows: pd.DataFrame, *, assays: Mapping[str, Assay], model: str,
    settings: Mapping[str, Any], recipe: Recipe, seed: int, device: torch.device, name: str,
) -> Loop:  # fmt: skip
    """Make a fresh network, its card, and the loop that will train it.

    Parameters
    ----------
    rows : pandas.DataFrame
        The whole table; see `ribocast.learn.assays.training_rows`.
    train : numpy.ndarray of int64
        The numbers of the rows to learn from. Labels are standardised on these alone.
    val_rows : pandas.DataFrame
        Rows to validate by, or none.
    assays, model, settings, recipe, seed, name
        See `fit`.
    device : torch.device
        Where the network goes.

    Raises
    ------
    RibocastError
        For settings that do not fit, or rows with nothing to learn.
    """
    train_rows = rows.iloc[train].reset_index(drop=True)
    cards = tuple(_describe_assay(assay, train_rows) for assay in assays.values())
    with seeded(seed, 0, device):
        network = _fresh(architecture(model), cards, settings, train_rows)
    card = ModelCard(
        name=name,
        architecture=model,
        settings=network.settings_dict(),
        output=cast("Any", network.output),
        fixed_length=network.fixed_length,
        assays=cards,
        default_assay=cards[0].name,
        seed=seed,
        epoch=0,
        recipe=asdict(recipe),
        data=describe_data(train_rows),
        tables=describe_data(rows),
        citation="Sample et al., Nature Biotechnology 37, 803–809 (2019)" if "egfp_random50" in assays else "",
    )
    return Loop(network.to(device), card, recipe, train_rows, val_rows, device)


def own_recipe(model: str) -> Recipe:
    """Return how an architecture is trained unless told otherwise.

    Raises
    ------
    RibocastError
        If there is no such architecture, or it is made of trained models.
    """
    recipe = architecture(model).recipe
    if recipe is None:
        raise RibocastError(f"{model} is made of trained models, not trained itself; see ribocast.learn.average")
    return recipe


def longer_than_read(rows: pd.DataFrame, network: Network) -> str:
    """Say how many sequences are longer than what the network reads; nothing if none is."""
    length = network.fixed_length
    longer = int((rows["seq"].str.len() > length).sum()) if length else 0
    if not longer:
        return ""
    return f"{longer:,} sequences are longer than {length} nt: only their last {length} nt are read (--set length=…)"


def with_profile(rows: pd.DataFrame, say: Callable[[str], None]) -> pd.DataFrame:
    """Keep the rows with a measured polysome profile."""
    known = rows.dropna(subset=["r0"]) if "r0" in rows else rows.iloc[:0]
    if not len(known):
        raise RibocastError("no row has a measured polysome profile (columns r0, r1, …) to learn from")
    say(f"{len(known):,} of {len(rows):,} rows have a polysome profile; the others are left out")
    return known.reset_index(drop=True)


def _divide(rows: pd.DataFrame, held_out: Split | float, kind: SplitKind, seed: int) -> Split:
    if isinstance(held_out, Split):
        return held_out
    if held_out == 0:
        everything, nothing = np.arange(len(rows)), np.arange(0)
        return Split(everything, nothing, "none, all rows are learnt from")
    return split(rows["seq"].tolist(), held_out, seed=seed, kind=kind)


def _describe_assay(assay: Assay, rows: pd.DataFrame) -> AssayCard:
    own = rows[rows["assay"] == assay.name]
    mrl, weights = own["mrl"], assay.fraction_weights
    columns = [f"r{number}" for number in range(len(weights or ()))]
    measured = [column for column in columns if column in own and own[column].notna().any()]
    if 0 < len(measured) < len(columns):
        raise RibocastError(
            f"{assay.name}: its polysome profile has {len(columns)} fractions (r0 to {columns[-1]}), but the table has "
            f"only {', '.join(measured)}"
        )
    if weights and len(mrl) and not min(weights) <= mrl.min() <= mrl.max() <= max(weights):
        raise RibocastError(
            f"{assay.name}: loads from {mrl.min():g} to {mrl.max():g} are not ribosomes per mRNA, which lie between "
            f"{min(weights):g} and {max(weights):g} in this library; if they were standardised, give another assay name"
        )
    if len(mrl) < 2 or not mrl.std(ddof=0) > 0:
        raise RibocastError(f"{assay.name}: {len(mrl)} training rows with loads that do not differ: nothing to learn")
    return AssayCard(
        name=assay.name,
        description=assay.description,
        before=assay.construct.before,
        after=assay.construct.after,
        min_length=assay.min_length,
        max_length=assay.max_length,
        label_mean=float(mrl.mean()),
        label_scale=float(mrl.std(ddof=0)),
        fraction_weights=assay.fraction_weights,
        profile_measured=assay.profile_measured,
    )


def _fresh(
    design: Architecture, cards: tuple[AssayCard, ...], settings: Mapping[str, Any], rows: pd.DataFrame
) -> Network:
    network = design.build(cards, **settings)
    if network.output == "fractions":
        width = max(len(card.fraction_weights or ()) for card in cards)
        columns = [f"r{index}" for index in range(width)]
        known = rows.dropna(subset=["r0"]) if "r0" in rows else rows.iloc[:0]
        profiles = torch.full((len(cards), width), 1 / width)
        if len(known):
            for number, card in enumerate(cards):
                own = known[known["assay"] == card.name]
                # An assay without measured profiles starts from those of the others.
                mean = (own if len(own) else known)[columns].fillna(0.0).mean().to_numpy(np.float32)
                profiles[number] = torch.from_numpy(mean.copy())
        network.begin_with_profiles(profiles)
    return network


def _is_stale(progress: Progress, recipe: Recipe) -> bool:
    return recipe.patience is not None and len(progress.history) - progress.best_epoch >= recipe.patience
