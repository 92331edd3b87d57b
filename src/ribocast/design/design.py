"""5′ UTRs for a wanted MRL, under rules that always hold: all of it, from what is asked for to a checked table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ribocast.design.algorithms import DEFAULT_ALGORITHM, Task, start_search
from ribocast.design.automaton import strings_of
from ribocast.design.constraints import Constraint, Forbid
from ribocast.design.feasibility import make_space, possible_lengths
from ribocast.design.limits import check_work
from ribocast.design.objectives import Estimator, Goal
from ribocast.design.output import describe_designs
from ribocast.design.request import Brief
from ribocast.design.rounds import Event, Progress, Pursuit, Step, run
from ribocast.design.search_space import Space
from ribocast.design.select import front, spread
from ribocast.design.verify import find_violations
from ribocast.errors import OptionError, RibocastError
from ribocast.model.bundle import shipped_models
from ribocast.model.members import PredictMrl, share_out_networks
from ribocast.model.predictor import Predictor, load
from ribocast.sequence.construct import EGFP, Construct

if TYPE_CHECKING:
    import pandas as pd

INDEPENDENT = "default-large"
"""The shipped model whose networks estimate uncertainty and predict independently; see `share_out_networks`."""
MET = 0.1
"""Ribosomes per mRNA within which a target counts as met."""
LOW = "a low MRL comes from an upstream ATG, which takes ribosomes before they reach the start codon"
_FRONT = 8
_MOST_COUNTS = 150_000_000
_LOOKED_AT, _FEWEST_TO_LOOK, _RARE = 300, 3_000, 0.01
Independent = Predictor | PredictMrl | Literal["shipped"] | None


class Designs(NamedTuple):
    """What `propose` gives.

    Attributes
    ----------
    table : pandas.DataFrame
        See `design`.
    steps : list of Step
        The best of each goal after each round.
    calls : int
        Sequences that the model was asked of.
    remarks : list of str
        What the user should know, a line each.
    stopped : bool
        Whether it was ended by `stop`.
    construct : Construct
        What stands around the designs.
    """

    table: pd.DataFrame
    steps: list[Step]
    calls: int
    remarks: list[str]
    stopped: bool
    construct: Construct


@dataclass(frozen=True)
class _Found:
    """What came of one target: the designs, how they were searched for, and the rules they keep."""

    target: float | None
    seqs: list[str]
    rules: tuple[Constraint, ...]
    steps: list[Step]


def design(
    model: Predictor | PredictMrl | Sequence[Predictor | PredictMrl],
    target: float | Sequence[float] | None = None,
    *,
    n: int = 10,
    constraints: Sequence[Constraint] = (),
    length: int | tuple[int, int] | None = None,
    forbid: str | Sequence[str] = (),
    like: str | None = None,
    assay: str | None = None,
    construct: Construct | None = None,
    algorithm: str = DEFAULT_ALGORITHM,
    budget: int | None = None,
    seed: int = 0,
    risk_aversion: float = 1.0,
    out_of_distribution_penalty: float = 0.1,
    second: Predictor | PredictMrl | None = None,
    weight: float = 1.0,
    pareto: bool = False,
    independent: Independent = "shipped",
    threads: int | None = None,
    watch: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | Event | None = None,
) -> pd.DataFrame:
    """Design 5′ UTRs for a wanted mean ribosome load (MRL), or for the highest.

    Parameters
    ----------
    model : Predictor, callable, or several of them
        Who says what the MRL is: see `ribocast.load`, or anything that takes a list of sequences and gives a number
        for each. Of several, the mean counts, and what they differ by is uncertainty.
    target : float, sequence of float, or None
        The wanted MRL, ribosomes per mRNA; several of them, a series; None is the highest.
    n : int
        How many designs of each target.
    constraints : sequence of Constraint
        Rules that every design keeps; see `ribocast.design`.
    length : int or (int, int), optional
        Letters, or the fewest and the most; without it that of a template or seed, else 50.
    forbid : str or sequence of str
        Motifs (IUPAC letters) that neither the designs nor their joints hold.
    like : str, optional
        A sequence to stay near to: at most a quarter of its letters away, unless a `MaxEdits` says how far.
    assay : str, optional
        In which assay's units; the model's default assay without it.
    construct : Construct, optional
        What stands around the designs; that of the assay without it.
    algorithm : {"genetic", "beam", "evolution", "gradient"}
        How to search; see `ribocast.design.algorithms`.
    budget : int, optional
        How many sequences the model may be asked of; 600 a design without it, at least 6,000.
    seed : int
        Makes it repeatable.
    risk_aversion, out_of_distribution_penalty : float
        What a standard deviation of uncertainty and one of the out-of-distribution score cost; see
        `ribocast.design.objectives`.
    second : Predictor or callable, optional
        A second objective, the higher the better: `weight` times what it gives is added.
    weight : float
        Of the second objective; negative where lower is better.
    pareto : bool
        Not a sum of the two objectives: designs along the front, from the best for one to the best for the other.
    independent : Predictor, callable, "shipped" or None
        Who predicts the designs without having taken part in the search; ``shipped`` is the mean of the networks of
        ``default-large`` that had no part in the search.
    threads : int, optional
        CPU threads of the networks that models are the mean of; all cores without it.
    watch : callable, optional
        Told a `Progress` after each round.
    stop : callable or threading.Event, optional
        Ends the search early, with what it has found, where it gives (or is) true.

    Returns
    -------
    pandas.DataFrame
        A row per design: ``name``, ``target`` (NaN is the highest), ``seq``, ``length``; ``mrl``, ``mrl_low`` and
        ``mrl_high``, the MRL and its 90 % interval; ``independent_mrl``, the independent prediction (NaN without one);
        ``second``, if there is a second objective; ``out_of_distribution_score`` (see `ribocast.design.objectives`);
        the upstream starts and the context of the start codon (see `ribocast.predict.files.describe_starts`); ``gc``, a
        share; ``free_energy``, kcal/mol (NaN without ViennaRNA); ``edits`` from `like` (only if given); ``note``.

    Raises
    ------
    RibocastError
        If the rules contradict each other, or no sequence is found that keeps them.
    """
    brief = Brief(
        target=target, n=n, constraints=constraints, length=length, forbid=forbid, like=like, assay=assay,
        construct=construct, algorithm=algorithm, budget=budget, seed=seed, risk_aversion=risk_aversion,
        out_of_distribution_penalty=out_of_distribution_penalty, weight=weight, pareto=pareto,
    )  # fmt: skip
    return propose(model, brief, second=second, independent=independent, threads=threads, watch=watch, stop=stop).table


def propose(
    model: Predictor | PredictMrl | Sequence[Predictor | PredictMrl],
    brief: Brief,
    *,
    second: Predictor | PredictMrl | None = None,
    independent: Independent = "shipped",
    threads: int | None = None,
    watch: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | Event | None = None,
) -> Designs:
    """Do what a brief asks for; see `design`."""
    if brief.pareto and second is None:
        raise OptionError("a Pareto front needs a second objective")
    check_work(brief, possible_lengths(brief.rules))
    models = [*model] if isinstance(model, Sequence) else [model]
    large = load(INDEPENDENT, threads=threads) if INDEPENDENT in shipped_models() else None
    for_uncertainty, shipped = (
        share_out_networks(large, models, brief.assay, threads=threads) if large else (None, None)
    )
    estimator = Estimator(models, brief.assay, second, threads, for_uncertainty)
    construct = brief.construct or (estimator.card.surroundings if estimator.card else EGFP)
    rules = brief.rules
    firm = tuple(rule for rule in rules if not (isinstance(rule, Forbid) and rule.unless_needed))
    softened = len(firm) < len(rules)
    search = _Searching(brief, estimator, construct, watch, stop)
    remarks: list[str] = []
    hard = search.far_out(brief.targets, rules, remarks if not softened else [])
    if softened and hard:
        # Nothing of the kind was measured: what the rule forbids is needed, and is what such sequences hold.
        remarks += [
            f"{Goal(target)}: {_dropped(rules, firm)}: {said}{_why_low(rules)}" for target, said in hard.items()
        ]
    within = [target for target in brief.targets if not (softened and target in hard)]
    found, stopped = search.for_targets(within, rules, give_up=softened)
    if softened and not stopped:
        missed = [one.target for one in found if _is_missed(one, estimator)]
        remarks += [
            f"{Goal(target)}: {_dropped(rules, firm)}: it is not reached with it{_why_low(rules)}" for target in missed
        ]
        again, stopped = search.for_targets([*missed, *hard], firm)
        by_target = {one.target: one for one in [*found, *again]}
        found = [by_target[target] for target in brief.targets]
    for one in found:
        remarks += _remarks(one, estimator, brief, stopped)
        _check(one, construct)
    if (
        any(one.seqs for one in found)
        and brief.construct
        and estimator.card
        and construct != estimator.card.surroundings
    ):
        remarks.append(
            f"MRLs are predicted for the construct of {estimator.card.name}; rules are kept in the given one"
        )
    chosen = shipped if isinstance(independent, str) else independent
    if chosen is None and independent is not None:
        remarks.append("no independent prediction: there is no second model; name one as independent")
    table = describe_designs(
        [(one.target, one.seqs) for one in found], estimator, construct, independent=chosen, like=brief.start
    )  # fmt: skip
    steps = [step for one in found for step in one.steps]
    return Designs(table, steps, estimator.calls, remarks, stopped, construct)


class _Searching:
    """Makes the searches of targets, runs them side by side and takes the best."""

    def __init__(
        self, brief: Brief, estimator: Estimator, construct: Construct,
        watch: Callable[[Progress], None] | None, stop: Callable[[], bool] | Event | None,
    ) -> None:  # fmt: skip
        self.brief, self.estimator, self.construct = brief, estimator, construct
        self.watch, self.stop = watch, stop
        self.rng = np.random.default_rng(brief.seed)

    def for_targets(
        self, targets: Sequence[float | None], rules: tuple[Constraint, ...], *, give_up: bool = False
    ) -> tuple[list[_Found], bool]:
        """Search for targets under rules, with their part of the budget."""
        if not targets:
            return [], False
        brief = self.brief
        budget = max(1, brief.calls * len(targets) // len(brief.targets))
        spaces = self._spaces(rules)
        goals = {target: self._goals(target, spaces[0]) for target in targets}
        pursuits = {target: [self._pursue(goal, spaces, len(several)) for goal in several]
                    for target, several in goals.items()}  # fmt: skip
        stopped = run(
            [pursuit for several in pursuits.values() for pursuit in several], self.estimator, budget=budget,
            risk_aversion=brief.risk_aversion, out_of_distribution_penalty=brief.out_of_distribution_penalty,
            give_up=give_up, watch=self.watch, stop=self.stop,
        )  # fmt: skip
        found = [
            _Found(target, self._front(target, several) if brief.pareto else several[0].chosen(), rules,
                   [step for pursuit in several for step in pursuit.steps])
            for target, several in pursuits.items()
        ]  # fmt: skip
        return found, stopped

    def far_out(
        self, targets: Sequence[float | None], rules: tuple[Constraint, ...], remarks: list[str]
    ) -> dict[float, str]:
        """Find the targets beyond the MRLs of nearly all random sequences that keep the rules, and say so in words."""
        if self.brief.calls < _FEWEST_TO_LOOK or self.estimator.second is not None or targets == [None]:
            return {}
        mrls = self.estimator.estimate(_strings(self._spaces(rules)[0], _LOOKED_AT, self.rng)).mrl
        low, high = (float(end) for end in np.quantile(mrls, [_RARE, 1 - _RARE]))
        far = {target: f"of random sequences that keep the rules 98 % have MRLs from {low:.2f} to {high:.2f}"
               for target in targets if target is not None and not low <= target <= high}  # fmt: skip
        remarks += [
            f"{Goal(target)}: {said}, so this is far from what was measured and less sure"
            + (_why_low(rules) if target < low else "")
            for target, said in far.items()
        ]
        return far

    def _spaces(self, rules: tuple[Constraint, ...]) -> list[Space]:
        """Make a space for each of some lengths, evenly over those that are possible."""
        lengths = possible_lengths(rules)
        picked = [lengths[number] for number in spread(self.brief.n, len(lengths))]
        spaces: list[Space] = []
        first_error = None
        for length in picked:
            if sum(space.letters.counts().size for space in spaces) > _MOST_COUNTS:
                raise OptionError(
                    f"designs of {len(picked):,} lengths, with these forbidden motifs and limits on GC and edits, take "
                    "too much memory; ask for fewer lengths at once"
                )
            try:
                spaces.append(make_space(rules, self.construct, length, self.rng))
                spaces[-1].begin(1, self.rng)
            except RibocastError as error:
                first_error = first_error or error
                spaces = [space for space in spaces if space.length != length]
        if not spaces and first_error is not None:
            raise first_error
        return spaces

    def _goals(self, target: float | None, space: Space) -> list[Goal]:
        brief = self.brief
        if self.estimator.second is None:
            return [Goal(target)]
        if not brief.pareto:
            return [Goal(target, weight=brief.weight)]
        # Both objectives are to be alike in size, as far as random sequences show.
        estimate = self.estimator.estimate(_strings(space, 128, self.rng))
        own = Goal(target).score(estimate, brief.risk_aversion, brief.out_of_distribution_penalty)
        ratio = float(own.std() / estimate.second.std()) if estimate.second.std() else 1.0
        ratio = ratio if brief.weight >= 0 else -ratio
        return [Goal(target, weight=share * ratio, share=1 - share) for share in np.linspace(0, 0.95, _FRONT)]

    def _pursue(self, goal: Goal, spaces: list[Space], among: int) -> Pursuit:
        brief = self.brief
        # Some more islands than designs, where there are few, so that one poor beginning does not matter.
        islands = -(-max(brief.n, 4) // (len(spaces) * among))
        searches = [
            start_search(brief.algorithm, Task(
                space, islands, np.random.default_rng(self.rng.integers(2**63)), goal, self.estimator,
                brief.risk_aversion, brief.out_of_distribution_penalty,
            ))
            for space in spaces
        ]  # fmt: skip
        return Pursuit(goal, searches, brief.n, brief.least)

    def _front(self, target: float | None, several: list[Pursuit]) -> list[str]:
        """Take designs along the front of the two objectives."""
        seqs = list(dict.fromkeys(seq for pursuit in several for seq in pursuit.scores))
        estimate = self.estimator.estimate(seqs)
        own = Goal(target).score(estimate, self.brief.risk_aversion, self.brief.out_of_distribution_penalty)
        other = estimate.second if self.brief.weight >= 0 else -estimate.second
        best = front(own, other)
        return [seqs[best[number]] for number in spread(self.brief.n, len(best))][::-1]


def _strings(space: Space, count: int, rng: np.random.Generator) -> list[str]:
    return strings_of(space.begin(count, rng))


def _dropped(rules: Sequence[Constraint], firm: Sequence[Constraint]) -> str:
    return f"{' and '.join(str(rule) for rule in rules if rule not in firm)} is dropped"


def _is_missed(found: _Found, estimator: Estimator) -> bool:
    """Say whether any design of a target is not near it."""
    if found.target is None or not found.seqs:
        return False
    return bool((np.abs(estimator.estimate(found.seqs).mrl - found.target) > MET).any())


def _remarks(found: _Found, estimator: Estimator, brief: Brief, stopped: bool) -> list[str]:
    """Say where there are fewer designs than asked for, or none near the target."""
    goal, remarks = Goal(found.target), []
    if len(found.seqs) < brief.n:
        what = "on the front" if brief.pareto else "that keep all rules" + f", {brief.least} apart" * (brief.least > 1)
        remarks.append(f"{goal}: {len(found.seqs)} of {brief.n} designs; no more were found {what}")
    if found.target is not None and found.seqs and not brief.pareto and estimator.second is None:
        mrls = estimator.estimate(found.seqs).mrl
        off = np.abs(mrls - found.target)
        if (off > MET).any() and not stopped:
            nearest = float(mrls[off.argmin()])
            remarks.append(
                f"{goal}: {int((off > MET).sum())} of {len(mrls)} designs are more than {MET:g} away; the nearest "
                f"MRL found is {nearest:.2f}" + (_why_low(found.rules) if nearest > found.target else "")
            )
    return remarks


def _why_low(rules: Sequence[Constraint]) -> str:
    """Say why a target is too low for rules that forbid every upstream ATG, and what to do; nothing if they do not."""
    for rule in rules:
        if isinstance(rule, Forbid) and "ATG" in rule.patterns():
            ask = "" if rule.unless_needed else "; avoid ATG, not forbid it, and designs hold one where they need it"
            return f" ({LOW}{ask})"
    return ""


def _check(found: _Found, construct: Construct) -> None:
    """Read every design again; this can only fail if the search is wrong, and then nothing is returned."""
    for seq, wrong in zip(found.seqs, find_violations(found.seqs, found.rules, construct), strict=True):
        if wrong:
            raise OptionError(f"the design {seq} breaks a rule ({wrong[0]}); nothing is returned")
