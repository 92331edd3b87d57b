"""Training: a plain loop from labelled rows to a bundle, repeatable and resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ribocast.bundle import AssayCard, Bundle, Figure, ModelCard
from ribocast.errors import RibocastError
from ribocast.learn.assays import Assay, describe_data, labelled_rows
from ribocast.learn.batches import Labelled, epoch_batches, label, trim
from ribocast.learn.checkpoint import Progress, load_checkpoint, save_checkpoint
from ribocast.learn.device import pick_device
from ribocast.learn.export import export
from ribocast.learn.history import write_history
from ribocast.learn.intervals import conformal_interval
from ribocast.learn.models import Architecture, architecture
from ribocast.learn.models.network import Network
from ribocast.learn.recipe import Recipe
from ribocast.learn.scoring import score
from ribocast.learn.splits import Split, SplitKind, split
from ribocast.predictor import to_mrl

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

_EVALUATION_ROWS = 512


class Step(NamedTuple):
    """What a watcher of a training run is told after every batch."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    history: list[dict[str, float]]


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
    design = architecture(model)
    recipe = recipe or design.recipe
    if recipe is None:
        raise RibocastError(f"{model} is made of trained models, not trained itself; see ribocast.learn.average")
    parts = _divide(rows, held_out, split_kind, seed)
    say(f"split: {parts.how}: {len(parts.train):,} rows to learn from, {len(parts.held_out):,} to validate by")
    train_rows = rows.iloc[parts.train].reset_index(drop=True)
    val_rows = rows.iloc[parts.held_out].reset_index(drop=True)
    cards = tuple(_describe_assay(assay, train_rows) for assay in assays.values())
    where = pick_device(device)
    say(f"device: {where}" + (f", {torch.get_num_threads()} threads" if where.type == "cpu" else ""))

    with _seeded(seed, 0, where):
        network = _fresh(design, cards, settings or {}, train_rows)
    card = ModelCard(
        name=name or folder.resolve().name,
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
        citation="Sample et al., Nature Biotechnology 37, 803–809 (2019)" if "egfp_random50" in assays else "",
    )
    loop = _Loop(network.to(where), card, recipe, train_rows, val_rows, where)
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
        if not np.isfinite(train_loss):
            raise RibocastError(f"the loss became {train_loss} in epoch {epoch}; try a lower learning rate")
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


def judge(card: ModelCard, rows: pd.DataFrame, predicted: NDArray[np.float64], how: str) -> ModelCard:
    """Add to a card what rows that were not learnt from show: figures and prediction intervals, by assay.

    Parameters
    ----------
    card : ModelCard
        Of the model that predicted.
    rows : pandas.DataFrame
        ``mrl`` and ``assay``.
    predicted : numpy.ndarray of float, shape (n,)
        Loads on each row's own scale.
    how : str
        The split, in words.
    """
    assays, figures = [], []
    for assay in card.assays:
        mine = (rows["assay"] == assay.name).to_numpy()
        if mine.sum() > 1:
            measured = rows["mrl"].to_numpy(np.float64)[mine]
            assay = assay.model_copy(update={"interval": conformal_interval(measured, predicted[mine])})
            figures.append(figure(assay.name, "all", how, measured, predicted[mine]))
        assays.append(assay)
    return card.model_copy(update={"assays": tuple(assays), "figures": (*card.figures, *figures)})


def figure(assay: str, subset: str, how: str, measured: NDArray[np.float64], predicted: NDArray[np.float64]) -> Figure:
    """Put scores into the form of ``model.json``."""
    scores = score(measured, predicted)
    low, high = scores.ci95["pearson_r2"]
    if not np.isfinite([scores.pearson_r2, low, high]).all():
        # Predictions that do not differ explain nothing.
        return Figure(assay=assay, subset=subset, split=how, rows=scores.n, pearson_r2=0.0, mae=scores.mae)
    return Figure(
        assay=assay,
        subset=subset,
        split=how,
        rows=scores.n,
        pearson_r2=round(scores.pearson_r2, 4),
        pearson_r2_ci95=(round(low, 4), round(high, 4)),
        spearman_r=round(scores.spearman_r, 4),
        mae=round(scores.mae, 4),
    )


class _Loop:
    """The state of a run: a network, its optimiser, and rows."""

    def __init__(
        self, network: Network, card: ModelCard, recipe: Recipe,
        train_rows: pd.DataFrame, val_rows: pd.DataFrame, device: torch.device,
    ) -> None:  # fmt: skip
        self.network, self.card, self.recipe, self.device = network, card, recipe, device
        self.train_set = self._label(train_rows)
        self.val_set = self._label(val_rows) if len(val_rows) else None
        weights = [tensor for tensor in network.parameters() if tensor.ndim > 1]
        others = [tensor for tensor in network.parameters() if tensor.ndim <= 1]
        kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
        self.optimiser: torch.optim.Optimizer = kind(
            [
                {"params": weights, "weight_decay": recipe.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
        )
        self._fraction_weights = _fraction_weights(card).to(device)
        self._means = torch.tensor([assay.label_mean for assay in card.assays], device=device)
        self._scales = torch.tensor([assay.label_scale for assay in card.assays], device=device)

    def learn(self, epoch: int, history: list[dict[str, float]], watch: Callable[[Step], None] | None) -> float:
        """Do one epoch; return the mean loss, the squared error in standard deviations."""
        self.network.train()
        # Order and dropout depend on seed and epoch alone: a resumed run draws what an unbroken one would have.
        random = np.random.default_rng([self.card.seed, epoch])
        batches = epoch_batches(self.train_set.lengths, self.recipe.batch_size, random)
        total, seen = 0.0, 0
        with _seeded(self.card.seed, epoch, self.device):
            for number, batch in enumerate(batches):
                step = (epoch - 1) * len(batches) + number
                for group in self.optimiser.param_groups:
                    group["lr"] = self.recipe.learning_rate_at(step, self.recipe.epochs * len(batches))
                error, loss = self._losses(self.train_set, batch, weighted=True)
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                self.optimiser.step()
                total += error.item() * len(batch)
                seen += len(batch)
                if watch:
                    watch(Step(epoch, self.recipe.epochs, number + 1, len(batches), history))
        return total / seen

    @torch.inference_mode()
    def validate(self) -> float:
        """Return the mean squared error in standard deviations, each assay counting alike."""
        self.network.eval()
        data = cast("Labelled", self.val_set)
        total = np.zeros(len(self.card.assays))
        for batch in _in_order(data.lengths):
            squared = self._squared_error(self._run(data, batch), data, batch).cpu().numpy()
            total += np.bincount(data.assay[batch], squared, len(total))
        rows = np.bincount(data.assay, minlength=len(total))
        return float((total[rows > 0] / rows[rows > 0]).mean())

    @torch.inference_mode()
    def predict(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Predict the load of each row on its own assay's scale, in ribosomes per mRNA."""
        self.network.eval()
        data = self._label(rows)
        mrl = np.empty(len(rows))
        for batch in _in_order(data.lengths):
            outputs = self._run(data, batch).cpu().numpy()
            for number, assay in enumerate(self.card.assays):
                mine = data.assay[batch] == number
                mrl[batch[mine]] = to_mrl(outputs[mine, number], assay)
        return mrl

    def _label(self, rows: pd.DataFrame) -> Labelled:
        return label(
            rows, self.card.assays, width=self.card.width, fixed_length=self.network.fixed_length,
            noise_reads=self.recipe.noise_reads,
        )  # fmt: skip

    def _run(self, data: Labelled, batch: NDArray[np.int64]) -> Tensor:
        letters = torch.from_numpy(np.ascontiguousarray(trim(data.letters[batch]))).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bfloat16):
            outputs: Tensor = self.network(letters)
        return outputs.float()

    def _losses(self, data: Labelled, batch: NDArray[np.int64], *, weighted: bool) -> tuple[Tensor, Tensor]:
        outputs = self._run(data, batch)
        squared = self._squared_error(outputs, data, batch)
        if weighted and self.recipe.noise_reads:
            squared = squared * torch.from_numpy(data.weight[batch]).to(self.device)
        error = squared.mean()
        if not self.recipe.profile_weight or outputs.shape[2] == 1:
            return error.detach(), error
        measured = torch.from_numpy(data.fractions[batch]).to(self.device)
        own = outputs[torch.arange(len(batch)), torch.from_numpy(data.assay[batch])]
        cross_entropy = -(measured * own.clamp(min=1e-7).log()).sum(dim=1).mean()
        return error.detach(), error + self.recipe.profile_weight * cross_entropy

    def _squared_error(self, outputs: Tensor, data: Labelled, batch: NDArray[np.int64]) -> Tensor:
        assay = torch.from_numpy(data.assay[batch]).to(self.device)
        own = outputs[torch.arange(len(batch)), assay]  # (rows, width)
        if self.card.output == "fractions":
            mrl = (own * self._fraction_weights[assay]).sum(dim=1)
            standardised = (mrl - self._means[assay]) / self._scales[assay]
        else:
            standardised = own[:, 0]
        return (standardised - torch.from_numpy(data.target[batch]).to(self.device)) ** 2


def _divide(rows: pd.DataFrame, held_out: Split | float, kind: SplitKind, seed: int) -> Split:
    if isinstance(held_out, Split):
        return held_out
    if held_out == 0:
        everything, nothing = np.arange(len(rows)), np.arange(0)
        return Split(everything, nothing, "none, all rows are learnt from")
    return split(rows["seq"].tolist(), held_out, seed=seed, kind=kind)


def _describe_assay(assay: Assay, rows: pd.DataFrame) -> AssayCard:
    mrl = rows.loc[rows["assay"] == assay.name, "mrl"]
    weights = assay.fraction_weights
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


def _fraction_weights(card: ModelCard) -> Tensor:
    table = torch.zeros(len(card.assays), card.width)
    if card.output == "fractions":
        for number, assay in enumerate(card.assays):
            weights = torch.tensor(assay.fraction_weights)
            table[number, : len(weights)] = weights
    return table


def _is_stale(progress: Progress, recipe: Recipe) -> bool:
    return recipe.patience is not None and len(progress.history) - progress.best_epoch >= recipe.patience


def _in_order(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    order = np.argsort(lengths, kind="stable")
    return [order[at : at + _EVALUATION_ROWS] for at in range(0, len(order), _EVALUATION_ROWS)]


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's generators for a while, and leave the caller's as they were."""
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
        yield
