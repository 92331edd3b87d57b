"""What the scores of folds say of trials: which is hopeless, which wins. Pure functions of scores, in trial order.

So that the winner depends on the scores alone, and not on how many processes worked, in what order they ended or
whether they were killed in between, verdicts are worked out from the scores of all trials in the order of their
numbers. A trial is compared with those of lower number only, and its folds count in their order: what was computed
beyond the fold that condemns it does not count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Any, Literal, NamedTuple

import numpy as np

FEWEST_FOLDS = 3
"""No trial is pruned before as many folds."""
_CERTAINTY = 0.999

State = Literal["complete", "pruned", "failed", "unfinished"]


class Trial(NamedTuple):
    """A combination of settings under trial.

    Attributes
    ----------
    number : int
        From 0, in the order of proposal.
    values : dict
        Settings by name, as in the grid.
    scores, seconds : dict of int to float
        Of each fold that was computed, in any order.
    failures : dict of int to str
        Of each fold that could not be, and why.
    """

    number: int
    values: dict[str, Any]
    scores: Mapping[int, float]
    seconds: Mapping[int, float]
    failures: Mapping[int, str]


class Verdict(NamedTuple):
    """What a trial came to.

    Attributes
    ----------
    trial : Trial
        Which.
    state : {"complete", "pruned", "failed", "unfinished"}
        Complete has all folds.
    scores : tuple of float
        Of the folds that count: the first ones, without a gap.
    """

    trial: Trial
    state: State
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean score over the folds that count; NaN without any."""
        return float(np.mean(self.scores)) if self.scores else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation over these folds; NaN with fewer than two."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else math.nan


def is_hopeless(scores: Sequence[float], rivals: Sequence[Sequence[float]]) -> bool:
    """Say whether a trial, given its first folds, cannot be expected to reach one of those that have all.

    The folds are the same, so what counts are the differences fold by fold. With mean d and standard deviation s over
    j of k folds, the mean over all k is predicted to be d ± t·s·√(1/j − 1/k): Student's t with j − 1 degrees of
    freedom, and a finite population of folds. Hopeless is a trial whose upper bound, at 99.9 %, is below 0. (Racing:
    Maron & Moore, NIPS 6, 1994; Birattari et al., GECCO 2002, race with paired tests.)

    Parameters
    ----------
    scores : sequence of float, length j
        Of the trial, fold by fold.
    rivals : sequence of sequences of float, shape (n, k)
        Of complete trials.
    """
    done = len(scores)
    if not rivals or not FEWEST_FOLDS <= done < len(rivals[0]):
        return False
    difference = np.asarray(scores) - np.asarray(rivals)[:, :done]
    margin = _student_t(done - 1) * difference.std(axis=1, ddof=1) * math.sqrt(1 / done - 1 / len(rivals[0]))
    return bool((difference.mean(axis=1) + margin < 0).any())


def assess_trials(trials: Sequence[Trial], folds: int, *, prune: bool) -> list[Verdict]:
    """Return the verdict on each trial, in the order of their numbers."""
    verdicts: list[Verdict] = []
    rivals: list[tuple[float, ...]] = []
    all_settled = True
    for trial in sorted(trials, key=lambda trial: trial.number):
        # Up to the first gap.
        scores = tuple(trial.scores[fold] for fold in takewhile(trial.scores.__contains__, range(folds)))
        lengths = range(FEWEST_FOLDS, len(scores) + 1)
        condemned = next((done for done in lengths if prune and is_hopeless(scores[:done], rivals)), None)
        state: State = "unfinished"
        if condemned:
            state, scores = "pruned", scores[:condemned]
        elif len(scores) in trial.failures:
            state = "failed"
        elif len(scores) == folds:
            state = "complete"
        # Behind a trial that is still open, no other is certain to stay complete; and one rival more never saves one.
        all_settled &= state != "unfinished"
        if state == "complete" and all_settled:
            rivals.append(scores)
        verdicts.append(Verdict(trial, state, scores))
    return verdicts


def winner(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Return the complete trial with the highest mean, the first of equals; None if there is none."""
    complete = [verdict for verdict in verdicts if verdict.state == "complete"]
    return max(complete, key=lambda verdict: (verdict.mean, -verdict.trial.number), default=None)


def importance(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return how much of the variance of the trials' means each setting explains alone, from 0 to 1.

    The variance between the values of a setting over that of all scored trials (η² of a one-way analysis of variance;
    Fisher 1925). Numbers of more than five values count in quarters. What settings do only together is in none.
    """
    scored = [verdict for verdict in verdicts if verdict.scores and verdict.state in ("complete", "pruned")]
    names = list(scored[0].trial.values) if scored else []
    means = np.array([verdict.mean for verdict in scored])
    total = float(((means - means.mean()) ** 2).sum()) if scored else 0.0
    shares = {}
    for name in names:
        groups = _groups([verdict.trial.values[name] for verdict in scored])
        between = sum(
            np.sum(groups == group) * (means[groups == group].mean() - means.mean()) ** 2 for group in set(groups)
        )
        shares[name] = float(between / total) if total > 0 else 0.0
    return shares


@lru_cache
def _student_t(freedom: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(_CERTAINTY, freedom))


def _groups(values: list[Any]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    different = list(dict.fromkeys(values))
    if len(different) > 5 and all(isinstance(value, int | float) for value in different):
        edges = np.quantile(values, [0.25, 0.5, 0.75])
        return np.searchsorted(edges, values, side="left").astype(np.int64)
    return np.array([different.index(value) for value in values], dtype=np.int64)
