"""The training loop: a network, its optimiser and rows; one epoch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ribocast.errors import OptionError
from ribocast.learn.device import has_bfloat16
from ribocast.learn.networks.ensemble import EnsembleNetwork
from ribocast.learn.networks.network import Network
from ribocast.learn.networks.norms import LengthNorm, settle
from ribocast.learn.recipe import Recipe
from ribocast.learn.train.batches import epoch_batches, label
from ribocast.learn.train.device_rows import DeviceRows, in_order
from ribocast.learn.train.distributed import Team
from ribocast.learn.train.flat import lay_flat
from ribocast.learn.train.muon import Muon
from ribocast.model.bundle import ModelCard
from ribocast.model.predictor import to_mrl

_EVALUATION_ROWS = 512
_SETTLING_BATCHES = 400


class Step(NamedTuple):
    """What a watcher of a training run is told after every batch."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    history: list[dict[str, float]]


class Loop:
    """The state of a run: a network, its optimiser, and rows."""

    def __init__(
        self, network: Network, card: ModelCard, recipe: Recipe,
        train_rows: pd.DataFrame, val_rows: pd.DataFrame, device: torch.device, *, distilled: int = 0,
        team: Team | None = None,
    ) -> None:  # fmt: skip
        """Make the loop; the last `distilled` of the rows to train on were labelled by other models.

        Of a team, every process makes one, of the same network and rows.
        """
        self.team = team or Team()
        self.measured = len(train_rows) - distilled
        self.network, self.card, self.recipe, self.device = network, card, recipe, device
        self._bfloat16 = recipe.bfloat16 and has_bfloat16(device)
        self.train_set = self._label(train_rows)
        self.val_set = self._label(val_rows) if len(val_rows) else None
        self.optimiser = _optimiser(network, recipe, device)
        if self.team.size > 1:
            for norm in self._norms():
                norm.total = self.team.total
        self._fraction_weights = _fraction_weights(card).to(device)
        self._means = torch.tensor([assay.label_mean for assay in card.assays], device=device)
        self._scales = torch.tensor([assay.label_scale for assay in card.assays], device=device)

    def learn(self, epoch: int, history: list[dict[str, float]], watch: Callable[[Step], None] | None) -> float:
        """Do one epoch; return the mean loss, the squared error in standard deviations."""
        self.network.train()
        if self.recipe.keep_norms:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm1d):
                    module.eval()
        # Order and dropout depend on seed and epoch alone: a resumed run draws what an unbroken one would have.
        random = np.random.default_rng([self.card.seed, epoch])
        batches = self._batches(self.train_set.lengths, random)
        blocks = [block for group in self.optimiser.param_groups for block in group["params"]]
        self.team.agree(blocks)
        # Added up where it is: to ask for it after every step would let the device wait.
        total, seen = torch.zeros((), dtype=torch.float64, device=self.device), 0
        with seeded(self.card.seed, epoch, self.device, self.team.number):
            for number, batch in enumerate(batches):
                step = (epoch - 1) * len(batches) + number
                for group in self.optimiser.param_groups:
                    group["lr"] = self.recipe.learning_rate_at(step, self.recipe.epochs * len(batches))
                own = self.team.share(batch)
                rows = len(batch[own])
                error, loss = self._losses(self.train_set, batch, own)
                if rows < len(batch):  # what the processes have adds up to the mean
                    loss = loss * (rows / len(batch))
                for block in blocks:  # in place: weights' gradients are parts of these; zero_grad takes longer
                    block.grad.zero_()
                loss.backward()  # type: ignore[no-untyped-call]
                self.team.add_gradients(blocks)
                self.optimiser.step()
                total += error.double() * rows
                seen += len(batch)
                if watch:
                    watch(Step(epoch, self.recipe.epochs, number + 1, len(batches), history))
        loss_of_all = float(self.team.total(total)) / seen
        check_loss(loss_of_all, epoch)
        return loss_of_all

    def _batches(self, lengths: NDArray[np.int64], random: np.random.Generator) -> list[NDArray[np.int64]]:
        """Divide rows into batches, in which each process has a row at the least."""
        batches = epoch_batches(lengths, self.recipe.batch_size, random, max(2, self.team.size))
        return [batch for batch in batches if len(batch) >= self.team.size]

    def _norms(self) -> list[LengthNorm]:
        return [module for module in self.network.modules() if isinstance(module, LengthNorm)]

    @torch.no_grad()
    def settle(self) -> None:
        """Fix what the trained network normalises by, see `LengthNorm`; distilled rows have no say in it."""
        norms = self._norms()
        if not norms or self.recipe.keep_norms:
            return
        data = self.train_set
        random = np.random.default_rng([self.card.seed, 0])
        batches = self._batches(data.lengths[: self.measured], random)[:_SETTLING_BATCHES]

        def run() -> Iterator[NDArray[np.int64]]:
            for batch in batches:
                self._run(data, batch, self.team.share(batch))
                yield data.lengths[batch]

        self.network.train()
        with seeded(self.card.seed, 0, self.device, self.team.number):
            settle(norms, run())

    @torch.inference_mode()
    def validate(self) -> float:
        """Return the mean squared error in standard deviations, each assay counting alike."""
        self.network.eval()
        data = cast("DeviceRows", self.val_set)
        assay = data.assay.cpu().numpy()
        total = np.zeros(len(self.card.assays))
        for batch in in_order(data.lengths, _EVALUATION_ROWS)[self.team.number :: self.team.size]:
            squared = self._error(self._run(data, batch), data, data.numbers(batch)).cpu().numpy()
            total += np.bincount(assay[batch], squared, len(total))
        total = self.team.total(torch.from_numpy(total).to(self.device)).cpu().numpy()
        rows = np.bincount(assay, minlength=len(total))
        return float((total[rows > 0] / rows[rows > 0]).mean())

    @torch.inference_mode()
    def predict(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Predict the MRL of each row on its own assay's scale, in ribosomes per mRNA."""
        self.network.eval()
        data = self._label(rows)
        of_row, mrl = data.assay.cpu().numpy(), np.empty(len(rows))
        for batch in in_order(data.lengths, _EVALUATION_ROWS):
            outputs = self._run(data, batch).cpu().numpy()
            for number, assay in enumerate(self.card.assays):
                mine = of_row[batch] == number
                mrl[batch[mine]] = to_mrl(outputs[mine, number], assay)
        return mrl

    @torch.inference_mode()
    def is_dead(self) -> bool:
        """Tell whether the network gives all rows the same: its units are off, and no gradient can turn them on."""
        self.network.eval()
        rows = np.arange(min(len(self.train_set), _EVALUATION_ROWS))
        outputs = self._run(self.train_set, rows)
        return len(rows) > 1 and bool((outputs == outputs[:1]).all())

    def _label(self, rows: pd.DataFrame) -> DeviceRows:
        data = label(
            rows, self.card.assays, width=self.card.width, fixed_length=self.network.fixed_length,
            noise_reads=self.recipe.noise_reads,
        )  # fmt: skip
        return DeviceRows(data, self.network, self.device)

    def _run(self, data: DeviceRows, batch: NDArray[np.int64], own: slice = slice(None)) -> Tensor:
        """Run some rows of a batch, padded as the whole batch is."""
        inputs = data.inputs(batch, own)
        # Evaluated as the written network will be used, in float32. (To enter and leave autocast takes its time.)
        if not (self._bfloat16 and self.network.training):
            return cast("Tensor", self.network(*inputs)).float()
        with torch.autocast(self.device.type, torch.bfloat16):
            return cast("Tensor", self.network(*inputs)).float()

    def _losses(self, data: DeviceRows, batch: NDArray[np.int64], own: slice) -> tuple[Tensor, Tensor]:
        """Return mean squared error and loss of some rows of a batch."""
        outputs, rows = self._run(data, batch, own), data.numbers(batch[own])
        squared = self._error(outputs, data, rows)
        if self.recipe.huber:
            squared = huber(squared, self.recipe.huber)
        if self.recipe.noise_reads:
            squared = squared * data.weight[rows]
        error = squared.mean()
        if not self.recipe.profile_weight or outputs.shape[2] == 1:
            return error.detach(), error
        predicted = outputs[torch.arange(len(outputs), device=self.device), data.assay[rows]]
        cross_entropy = -(data.fractions[rows] * predicted.clamp(min=1e-7).log()).sum(dim=1).mean()
        return error.detach(), error + self.recipe.profile_weight * cross_entropy

    def _error(self, outputs: Tensor, data: DeviceRows, rows: Tensor) -> Tensor:
        """Squared error of each row: of the standardised MRL, or the mean over its fractions."""
        assay = data.assay[rows]
        own = outputs[:, 0]
        if outputs.shape[1] > 1:
            own = outputs[torch.arange(len(outputs), device=self.device), assay]  # (rows, width)
        if self.recipe.target == "profile":
            return ((own - data.fractions[rows]) ** 2).mean(dim=1)
        if self.card.output == "fractions":
            mrl = (own * self._fraction_weights[assay]).sum(dim=1)
            standardised = (mrl - self._means[assay]) / self._scales[assay]
        else:
            standardised = own[:, 0]
        return (standardised - data.target[rows]) ** 2


def _optimiser(network: Network, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    """Lay the network's weights flat, and make the optimiser of what they lie in."""
    weights = [tensor for tensor in network.parameters() if tensor.ndim > 1]
    others = [tensor for tensor in network.parameters() if tensor.ndim <= 1]
    # One pass, where the plain loop makes a dozen small calls.
    fused = device.type in ("cpu", "cuda")
    # What is the first and what the last layer of an ensemble is not seen in the order of its weights.
    if recipe.optimiser == "muon" and len(weights) > 2 and not isinstance(network, EnsembleNetwork):
        # What meets letters, and what makes the outputs, is Adam's (Jordan et al.).
        return Muon(
            weights[1:-1], _groups([weights[0], weights[-1]], others, recipe.weight_decay), lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay, fused=fused,
            dtype=torch.bfloat16 if recipe.bfloat16 and has_bfloat16(device) else torch.float32,
        )  # fmt: skip
    kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
    return kind(_groups(weights, others, recipe.weight_decay), lr=recipe.learning_rate, fused=fused)


def _groups(weights: list[nn.Parameter], others: list[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    # Each group costs a call.
    parts = [(weights, decay), (others, 0.0)] if decay else [(weights + others, 0.0)]
    return [{"params": [lay_flat(part)], "weight_decay": own} for part, own in parts]


def huber(squared: Tensor, bound: float) -> Tensor:
    """Let errors beyond `bound` count by their size: squared errors e² to e², or 2·bound·|e| − bound² (Huber 1964)."""
    # The root of 0 has no slope.
    size = squared.clamp(min=bound**2).sqrt()
    return torch.where(squared > bound**2, 2 * bound * size - bound**2, squared)


def _fraction_weights(card: ModelCard) -> Tensor:
    table = torch.zeros(len(card.assays), card.width)
    if card.output == "fractions":
        for number, assay in enumerate(card.assays):
            weights = torch.tensor(assay.fraction_weights)
            table[number, : len(weights)] = weights
    return table


def check_loss(loss: float, epoch: int) -> None:
    """Raise if a loss is not a number any more."""
    if not np.isfinite(loss):
        raise OptionError(f"the loss became {loss} in epoch {epoch}; try a lower learning rate")


@contextmanager
def seeded(seed: int, epoch: int, device: torch.device, process: int = 0) -> Iterator[None]:
    """Seed PyTorch's generators for a while, and leave the caller's as they were."""
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    # Of processes that train together, each draws its own.
    sequence = np.random.SeedSequence([seed, epoch, process] if process else [seed, epoch])
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        yield
