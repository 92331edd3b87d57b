"""Design by gradients: letters that are chosen are seen by the network, and the choice is what is trained.

Each design is a table of logits, one for each letter of each position. The network reads the letters that are chosen by
them, and its gradient is taken as if it had read their softmax (the straight-through estimator of Fast SeqProp: Linder
and Seelig, BMC Bioinformatics 22, 510 (2021)). What is chosen is not each position's highest letter but the sequence of
the highest sum that keeps the rules, found along the automaton of the rules.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ribocast.errors import OptionError
from ribocast.learn.networks import load_network
from ribocast.learn.networks.network import LetterTable
from ribocast.model.predictor import Predictor

_DRAWN, _RATE, _NOISE = 4, 0.15, 0.5
_CALLS_OF_A_GRADIENT = 2
"""A gradient is counted as this many predictions: what it costs beyond the prediction it begins with."""
_IMPOSSIBLE = -1e9
_LETTERS = torch.tensor([ord(base) for base in "ACGT"], dtype=torch.uint8)

Codes = NDArray[np.uint8]
Search = Generator[Codes, NDArray[np.float64], None]


def straight_through(task: Any) -> Search:
    """Search by gradients; see `ribocast.design.algorithms`, whose `Task` this takes, and which it knows by name alone.

    Raises
    ------
    RibocastError
        If what is asked is not a model of ribocast, or takes one other length.
    """
    space, rng, goal = task.space, task.rng, task.goal
    networks = [SoftMrl(model, task.estimator.assay, space.length) for model in task.estimator.models]
    held = space.begin(task.islands, rng)
    yield held
    logits = nn.Parameter(F.one_hot(torch.from_numpy(held.astype(np.int64)), 4).float())
    adam = torch.optim.Adam([logits], lr=_RATE)
    while True:
        soft = torch.softmax(logits, dim=2)
        hard = F.one_hot(torch.from_numpy(held.astype(np.int64)), 4).float()
        mrl = torch.stack([network(hard + soft - soft.detach(), held) for network in networks]).mean(dim=0)
        loss = -mrl if goal.target is None else (mrl - goal.target).abs()
        adam.zero_grad()
        loss.sum().backward()
        adam.step()
        task.estimator.calls += _CALLS_OF_A_GRADIENT * len(held)
        # The sequence that the logits stand for, and some near it.
        table = logits.detach().numpy().astype(np.float64)
        drawn = [table, *(table + _NOISE * rng.gumbel(size=table.shape) for _ in range(_DRAWN - 1))]
        chosen = [choose_letters(each, space.letters) for each in drawn]
        made = [space.pull_back(block, rng) for block in chosen]
        for block in made:
            lost = ~space.keep(block)
            block[lost] = space.propose(held[lost], lambda parents: space.change(parents, rng, 2))
        scores = (yield np.concatenate(made)).reshape(_DRAWN, -1)
        best = scores.argmax(axis=0)
        held = np.stack(made)[best, np.arange(len(best))]


def choose_letters(logits: NDArray[np.float64], rules: Any) -> Codes:
    """Find the sequences of the highest sum of logits, shape (n, length, 4), that hold nothing forbidden.

    `rules` are `ribocast.design.automaton.LetterRules`; limits on GC and on edits are not looked at. Shape (n, length).
    """
    automaton, length = rules.automaton, rules.length
    rows, states = len(logits), len(automaton.following)
    value = np.where(automaton.may_end, 0.0, _IMPOSSIBLE)[None, :].repeat(rows, axis=0)
    choices = np.empty((length, rows, states), dtype=np.uint8)
    for at in range(length - 1, -1, -1):
        gain = logits[:, at, None, :] + value[:, automaton.following] + rules.steps_at(at) * _IMPOSSIBLE
        choices[at] = gain.argmax(axis=2)
        value = np.maximum(gain.max(axis=2), _IMPOSSIBLE)
    state = np.full(rows, automaton.start)
    chosen = np.empty((rows, length), dtype=np.uint8)
    for at in range(length):
        chosen[:, at] = choices[at, np.arange(rows), state]
        state = automaton.following[state, chosen[:, at]]
    return chosen


class SoftMrl:
    """One model, from a table of letters, shape (n, length, 4), to MRLs that a gradient can be taken of.

    Parameters
    ----------
    model : Predictor
        With its learning form.
    assay : str or None
        In which assay's units; the model's default assay without it.
    length : int
        Of the sequences.

    Raises
    ------
    RibocastError
        If it is not a model of ribocast, or takes one other length.
    """

    def __init__(self, model: object, assay: str | None, length: int) -> None:
        if not isinstance(model, Predictor):
            raise OptionError("the algorithm gradient needs a trained model, not another predictor")
        card = model.card.assay(assay)
        if model.card.fixed_length not in (None, length):
            raise OptionError(f"the algorithm gradient needs designs of {model.card.fixed_length} nt for this model")
        self._network = load_network(model.bundle).eval()
        self._network.requires_grad_(False)
        self._number = [known.name for known in model.card.assays].index(card.name)
        self._scale, self._mean = card.label_scale, card.label_mean
        self._weights = torch.tensor(card.fraction_weights) if model.card.output == "fractions" else None
        self._given: Tensor | None = None
        for module in self._network.modules():
            if isinstance(module, LetterTable):
                module.register_forward_hook(lambda module, letters, looked_up: self._given)

    def __call__(self, bases: Tensor, held: Codes) -> Tensor:
        """Give MRLs (n,) of `bases`, one-hot (n, length, 4), that are the letters `held` (n, length)."""
        rows, length = held.shape
        self._given = torch.cat([bases.transpose(1, 2), torch.ones(rows, 1, length)], dim=1)
        outputs = self._network(_LETTERS[torch.from_numpy(held.astype(np.int64))])[:, self._number]
        if self._weights is not None:
            return torch.matmul(outputs[:, : len(self._weights)], self._weights)
        return torch.as_tensor(outputs[:, 0] * self._scale + self._mean)
