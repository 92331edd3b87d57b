"""Searches side by side: what all propose in a round is one call of the network, and all that is scored is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from ribocast.design.algorithms import Search
from ribocast.design.automaton import Codes, strings_of
from ribocast.design.objectives import Estimator, Floats, Goal
from ribocast.design.select import are_enough, choose
from ribocast.errors import StoppedError

CLOSE = 0.02
"""Ribosomes per mRNA from its target at which a design needs no more searching."""
_FEWEST_ROUNDS, _ROUNDS_IN_VAIN = 4, 25
_HOPELESS, _STALLED = 0.1, 10


class Event(Protocol):
    """What `threading.Event` is: a flag that someone else sets."""

    def is_set(self) -> bool:
        """Say whether it is set."""


class Step(NamedTuple):
    """Where a search for one goal is after a round: calls so far, and its best sequence with MRL and score."""

    calls: int
    goal: Goal
    seq: str
    mrl: float
    score: float


class Progress(NamedTuple):
    """What `watch` is told after each round: calls of the model so far and at most, and the best of each goal."""

    calls: int
    budget: int
    best: list[Step]


@dataclass
class Pursuit:
    """One goal, with the searches for it and all that they found.

    Attributes
    ----------
    goal : Goal
        What is searched for.
    searches : list of Search
        One for each length.
    count, least : int
        Designs that are wanted, and edits that they have to be apart.
    scores : dict of str to float
        Of all sequences that were proposed.
    steps : list of Step
        The best after each round.
    best : str
        The best so far.
    """

    goal: Goal
    searches: list[Search]
    count: int
    least: int
    scores: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    best: str = ""
    waiting: list[Codes] = field(default_factory=list)
    done: bool = False
    looked_at: int = 0

    def chosen(self) -> list[str]:
        """Return the best sequences that are far enough apart."""
        seqs = list(self.scores)
        scores = np.array(list(self.scores.values()))
        return [seqs[number] for number in choose(seqs, scores, self.count, least=self.least)]


def run(
    pursuits: Sequence[Pursuit],
    estimator: Estimator,
    *,
    budget: int,
    risk_aversion: float,
    out_of_distribution_penalty: float,
    give_up: bool = False,
    watch: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | Event | None = None,
) -> bool:
    """Search until the model was asked of `budget` sequences, or every target is met.

    Parameters
    ----------
    pursuits : sequence of Pursuit
        The goals; what is found is put into them.
    estimator : Estimator
        Who is asked.
    budget : int
        The most calls, counted from now; a first round is always made.
    risk_aversion, out_of_distribution_penalty : float
        See `ribocast.design.objectives`.
    give_up : bool
        Leave a target that comes no nearer.
    watch : callable, optional
        Told after each round.
    stop : callable or Event, optional
        Asked before each round whether to end; `ribocast.model.stopping.stopping_when` ends it within a round.

    Returns
    -------
    bool
        Whether it was stopped.
    """
    end, rounds, in_vain = estimator.calls + budget, 0, 0
    for pursuit in pursuits:
        pursuit.waiting = [next(search) for search in pursuit.searches]
    while active := [pursuit for pursuit in pursuits if not pursuit.done]:
        if stop is not None and (stop() if callable(stop) else stop.is_set()):
            return True
        asked = [[strings_of(block) for block in pursuit.waiting] for pursuit in active]
        everything = dict.fromkeys(seq for mine in asked for seqs in mine for seq in seqs)
        new = sum(not estimator.knows(seq) for seq in everything)
        in_vain = 0 if new else in_vain + 1
        if rounds and (estimator.calls + new > end or in_vain > _ROUNDS_IN_VAIN):
            return False
        try:
            estimator.estimate(list(everything))
            rounds += 1
            for pursuit, mine in zip(active, asked, strict=True):
                _score(pursuit, mine, estimator, risk_aversion, out_of_distribution_penalty)
                pursuit.done = (rounds >= _FEWEST_ROUNDS and _met(pursuit)) or (give_up and _is_hopeless(pursuit))
        except StoppedError:
            if not any(pursuit.scores for pursuit in pursuits):
                raise
            return True
        if watch is not None:
            best = [pursuit.steps[-1] for pursuit in pursuits if pursuit.steps]
            watch(Progress(estimator.calls, end, best))
    return False


def _score(
    pursuit: Pursuit,
    asked: list[list[str]],
    estimator: Estimator,
    risk_aversion: float,
    out_of_distribution_penalty: float,
) -> None:
    """Tell the searches of a goal how good what they proposed is, and take what they propose next."""
    after: list[Codes] = []
    for search, seqs in zip(pursuit.searches, asked, strict=True):
        scores = np.empty(0)
        if seqs:
            scores = pursuit.goal.score(estimator.estimate(seqs), risk_aversion, out_of_distribution_penalty)
            pursuit.scores.update(zip(seqs, map(float, scores), strict=True))
            first = int(scores.argmax())
            if not pursuit.best or scores[first] > pursuit.scores[pursuit.best]:
                pursuit.best = seqs[first]
        after.append(search.send(scores))
    pursuit.waiting = after
    mrl = float(estimator.estimate([pursuit.best]).mrl[0])
    pursuit.steps.append(Step(estimator.calls, pursuit.goal, pursuit.best, mrl, pursuit.scores[pursuit.best]))


def _met(pursuit: Pursuit) -> bool:
    """Say whether enough sequences meet the target."""
    if pursuit.goal.target is None or pursuit.goal.weight:
        return False
    good: Floats = np.array([score for score in pursuit.scores.values() if score >= -CLOSE])
    if len(good) < 2 * pursuit.count:
        return False
    seqs = [seq for seq, score in pursuit.scores.items() if score >= -CLOSE]
    # Where they are too near to each other, some more will hardly help.
    if len(good) < 1.1 * pursuit.looked_at:
        return False
    pursuit.looked_at = len(good)
    return are_enough(seqs, good, pursuit.count, least=pursuit.least)


def _is_hopeless(pursuit: Pursuit) -> bool:
    """Say whether a target is far and has come no nearer for some rounds."""
    steps = pursuit.steps
    if len(steps) <= _STALLED or steps[-1].score >= -_HOPELESS:
        return False
    return steps[-1].score - steps[-1 - _STALLED].score < CLOSE / 2
