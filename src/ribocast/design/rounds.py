"""Searches side by side: what all propose in a round is one call of the network, and all that is scored is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from ribocast.design.algorithms import Search
from ribocast.design.codes import Codes, strings_of
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
class GoalSearch:
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
    goal_searches: Sequence[GoalSearch],
    estimator: Estimator,
    *,
    budget: int,
    give_up: bool = False,
    watch: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | Event | None = None,
) -> bool:
    """Search until the model was asked of `budget` sequences, or every target is met.

    Parameters
    ----------
    goal_searches : sequence of GoalSearch
        The goals; what is found is put into them.
    estimator : Estimator
        Who is asked.
    budget : int
        The most calls, counted from now; a first round is always made.
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
    for goal_search in goal_searches:
        goal_search.waiting = [next(search) for search in goal_search.searches]
    while active := [goal_search for goal_search in goal_searches if not goal_search.done]:
        if stop is not None and (stop() if callable(stop) else stop.is_set()):
            return True
        asked = [[strings_of(block) for block in goal_search.waiting] for goal_search in active]
        everything = dict.fromkeys(seq for mine in asked for seqs in mine for seq in seqs)
        new = sum(not estimator.knows(seq) for seq in everything)
        in_vain = 0 if new else in_vain + 1
        if rounds and (estimator.calls + new > end or in_vain > _ROUNDS_IN_VAIN):
            return False
        try:
            estimator.estimate(list(everything))
            rounds += 1
            for goal_search, mine in zip(active, asked, strict=True):
                _score(goal_search, mine, estimator)
                goal_search.done = (rounds >= _FEWEST_ROUNDS and _met(goal_search)) or (
                    give_up and _is_hopeless(goal_search)
                )
        except StoppedError:
            if not any(goal_search.scores for goal_search in goal_searches):
                raise
            return True
        if watch is not None:
            best = [goal_search.steps[-1] for goal_search in goal_searches if goal_search.steps]
            watch(Progress(estimator.calls, end, best))
    return False


def _score(goal_search: GoalSearch, asked: list[list[str]], estimator: Estimator) -> None:
    """Tell the searches of a goal how good what they proposed is, and take what they propose next."""
    after: list[Codes] = []
    for search, seqs in zip(goal_search.searches, asked, strict=True):
        scores = np.empty(0)
        if seqs:
            scores = goal_search.goal.score(estimator.estimate(seqs))
            goal_search.scores.update(zip(seqs, map(float, scores), strict=True))
            first = int(scores.argmax())
            if not goal_search.best or scores[first] > goal_search.scores[goal_search.best]:
                goal_search.best = seqs[first]
        after.append(search.send(scores))
    goal_search.waiting = after
    mrl = float(estimator.estimate([goal_search.best]).mrl[0])
    goal_search.steps.append(
        Step(estimator.calls, goal_search.goal, goal_search.best, mrl, goal_search.scores[goal_search.best])
    )


def _met(goal_search: GoalSearch) -> bool:
    """Say whether enough sequences meet the target."""
    if goal_search.goal.target is None or goal_search.goal.weight:
        return False
    good: Floats = np.array([score for score in goal_search.scores.values() if score >= -CLOSE])
    if len(good) < 2 * goal_search.count:
        return False
    seqs = [seq for seq, score in goal_search.scores.items() if score >= -CLOSE]
    # Where they are too near to each other, some more will hardly help.
    if len(good) < 1.1 * goal_search.looked_at:
        return False
    goal_search.looked_at = len(good)
    return are_enough(seqs, good, goal_search.count, least=goal_search.least)


def _is_hopeless(goal_search: GoalSearch) -> bool:
    """Say whether a target is far and has come no nearer for some rounds."""
    steps = goal_search.steps
    if len(steps) <= _STALLED or steps[-1].score >= -_HOPELESS:
        return False
    return steps[-1].score - steps[-1 - _STALLED].score < CLOSE / 2
