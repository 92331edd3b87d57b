"""5′ UTRs for a wanted MRL, under rules that always hold: all of it, from what is asked for to a checked table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ribocast.design.algorithms import Task, start_search
from ribocast.design.codes import strings_of
from ribocast.design.constraints.base import Rule
from ribocast.design.feasibility import make_space, possible_lengths
from ribocast.design.objectives import Estimator, Goal
from ribocast.design.output import describe_designs
from ribocast.design.request import DesignRequest
from ribocast.design.rounds import Event, GoalSearch, Progress, Step, run
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
    rules: tuple[Rule, ...]
    steps: list[Step]


def design(
    model: Predictor | PredictMrl | Sequence[Predictor | PredictMrl],
    target: float | Sequence[float] | None = None,
    *,
    second: Predictor | PredictMrl | None = None,
    independent: Independent = "shipped",
    threads: int | None = None,
    watch: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | Event | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Design 5′ UTRs for a wanted MRL, or for the highest.

    Parameters
    ----------
    model : Predictor, callable, or several of them
        Who says what the MRL is: see `ribocast.load`, or anything that takes a list of sequences and gives a number
        for each. Of several, the mean counts, and what they differ by is uncertainty.
    target : float, sequence of float, or None
        The wanted MRL, ribosomes per mRNA; several of them, a series; None is the highest.
    second : Predictor or callable, optional
        A second objective, the higher the better: `weight` times what it gives is added.
    independent : Predictor, callable, "shipped" or None
        Who predicts the designs without having taken part in the search; ``shipped`` is the mean of the networks of
        ``default-large`` that had no part in the search.
    threads : int, optional
        CPU threads of the networks that models are the mean of; all cores without it.
    watch : callable, optional
        Told a `Progress` after each round.
    stop : callable or threading.Event, optional
        Ends the search early, with what it has found, where it gives (or is) true.
    **options
        The fields of `ribocast.design.DesignRequest`, which are the options of ``ribocast design --help``:

        - n : int, how many designs of each target;
        - constraints : sequence of Constraint, rules that every design keeps; see `ribocast.design`;
        - length : int or (int, int), letters, or the fewest and the most; else that of a template or seed, else 50;
        - forbid, avoid, forbid_sites, gc, max_run and so on, which make constraints by their names;
        - like : str, a sequence to stay near to: at most `max_edits` away, else a quarter of its letters;
        - assay : str, in which assay's units; construct : Construct, what stands around the designs, else the assay's;
        - algorithm : {"genetic", "beam", "evolution", "gradient"}; see `ribocast.design.algorithms`;
        - budget : int, how many sequences the model may be asked of; seed : int, makes it repeatable;
        - risk_aversion, out_of_distribution_penalty : float, what a standard deviation of uncertainty, and one of the
          out-of-distribution score, cost; see `ribocast.design.objectives`;
        - weight : float, of the second objective, negative where lower is better; pareto : bool, not a sum of the two
          objectives, but designs along the front, from the best for one to the best for the other.

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
        If an option cannot be, the rules contradict each other, or no sequence is found that keeps them.

    Examples
    --------
    >>> import ribocast
    >>> table = ribocast.design(ribocast.load(), 8.0, n=2, length=50, forbid="ATG", gc=(0.35, 0.6), budget=300)
    >>> table["seq"].str.contains("ATG").any()
    np.False_
    """
    request = DesignRequest(target=target, **options)
    return propose(
        model, request, second=second, independent=independent, threads=threads, watch=watch, stop=stop
    ).table


def propose(
    model: Predictor | PredictMrl | Sequence[Predictor | PredictMrl],
    request: DesignRequest,
    *,
    second: Predictor | PredictMrl | None = None,
    independent: Independent = "shipped",
    threads: int | None = None,
    watch: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | Event | None = None,
) -> Designs:
    """Do what a request asks for; see `design`."""
    if request.pareto and second is None:
        raise OptionError("a Pareto front needs a second objective")
    request.check_work(possible_lengths(request.rules))
    models = [*model] if isinstance(model, Sequence) else [model]
    needs_large = isinstance(independent, str) or any(isinstance(one, Predictor) for one in models)
    large = load(INDEPENDENT, threads=threads) if needs_large and INDEPENDENT in shipped_models() else None
    for_uncertainty, shipped = (
        share_out_networks(large, models, request.assay, threads=threads) if large else (None, None)
    )
    estimator = Estimator(models, request.assay, second, threads, for_uncertainty)
    usual = estimator.card.surroundings if estimator.card else EGFP
    construct = request.around(usual)
    rules = request.rules
    firm = tuple(rule for rule in rules if not rule.unless_needed)
    softened = len(firm) < len(rules)
    search = _Searching(request, estimator, construct, watch, stop)
    remarks = list(request.remarks)
    hard = search.far_out(request.targets, rules, remarks if not softened else [])
    if softened and hard:
        # Nothing of the kind was measured: what the rule forbids is needed, and is what such sequences hold.
        remarks += [
            f"{Goal(target)}: {_dropped(rules, firm)}: {said}{_why_low(rules)}" for target, said in hard.items()
        ]
    within = [target for target in request.targets if not (softened and target in hard)]
    found, stopped = search.for_targets(within, rules, give_up=softened)
    if softened and not stopped:
        missed = [one.target for one in found if _is_missed(one, estimator)]
        remarks += [
            f"{Goal(target)}: {_dropped(rules, firm)}: it is not reached with it{_why_low(rules)}" for target in missed
        ]
        again, stopped = search.for_targets([*missed, *hard], firm)
        by_target = {one.target: one for one in [*found, *again]}
        found = [by_target[target] for target in request.targets]
    for one in found:
        remarks += _remarks(one, estimator, request, stopped)
        _check(one, construct)
    if any(one.seqs for one in found) and estimator.card and construct != usual:
        remarks.append(
            f"MRLs are predicted for the construct of {estimator.card.name}; rules are kept in the given one"
        )
    chosen = shipped if isinstance(independent, str) else independent
    if chosen is None and independent is not None:
        remarks.append("no independent prediction: only one model is known here; name another as independent")
    table = describe_designs(
        [(one.target, one.seqs) for one in found], estimator, construct, independent=chosen, like=request.start
    )  # fmt: skip
    steps = [step for one in found for step in one.steps]
    return Designs(table, steps, estimator.calls, remarks, stopped, construct)


class _Searching:
    """Makes the searches of targets, runs them side by side and takes the best."""

    def __init__(
        self, request: DesignRequest, estimator: Estimator, construct: Construct,
        watch: Callable[[Progress], None] | None, stop: Callable[[], bool] | Event | None,
    ) -> None:  # fmt: skip
        self.request, self.estimator, self.construct = request, estimator, construct
        self.watch, self.stop = watch, stop
        self.rng = np.random.default_rng(request.seed)

    def for_targets(
        self, targets: Sequence[float | None], rules: tuple[Rule, ...], *, give_up: bool = False
    ) -> tuple[list[_Found], bool]:
        """Search for targets under rules, with their part of the budget."""
        if not targets:
            return [], False
        request = self.request
        budget = max(1, request.calls * len(targets) // len(request.targets))
        spaces = self._spaces(rules)
        goals = {target: self._goals(target, spaces[0]) for target in targets}
        goal_searches = {target: [self._pursue(goal, spaces, len(several)) for goal in several]
                    for target, several in goals.items()}  # fmt: skip
        stopped = run(
            [one for several in goal_searches.values() for one in several], self.estimator, budget=budget,
            give_up=give_up, watch=self.watch, stop=self.stop,
        )  # fmt: skip
        found = [
            _Found(target, self._front(target, several) if request.pareto else several[0].chosen(), rules,
                   [step for goal_search in several for step in goal_search.steps])
            for target, several in goal_searches.items()
        ]  # fmt: skip
        return found, stopped

    def far_out(self, targets: Sequence[float | None], rules: tuple[Rule, ...], remarks: list[str]) -> dict[float, str]:
        """Find the targets beyond the MRLs of nearly all random sequences that keep the rules, and say so in words."""
        if self.request.calls < _FEWEST_TO_LOOK or self.estimator.second is not None or targets == [None]:
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

    def _spaces(self, rules: tuple[Rule, ...]) -> list[Space]:
        """Make a space for each of some lengths, evenly over those that are possible."""
        lengths = possible_lengths(rules)
        picked = [lengths[number] for number in spread(self.request.n, len(lengths))]
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

    def _goal(self, target: float | None) -> Goal:
        return Goal(target, self.request.risk_aversion, self.request.out_of_distribution_penalty)

    def _goals(self, target: float | None, space: Space) -> list[Goal]:
        goal = self._goal(target)
        if self.estimator.second is None:
            return [goal]
        if not self.request.pareto:
            return [replace(goal, weight=self.request.weight)]
        # Both objectives are to be alike in size, as far as random sequences show.
        estimate = self.estimator.estimate(_strings(space, 128, self.rng))
        own = goal.score(estimate)
        ratio = float(own.std() / estimate.second.std()) if estimate.second.std() else 1.0
        ratio = ratio if self.request.weight >= 0 else -ratio
        return [replace(goal, weight=share * ratio, share=1 - share) for share in np.linspace(0, 0.95, _FRONT)]

    def _pursue(self, goal: Goal, spaces: list[Space], among: int) -> GoalSearch:
        request = self.request
        # Some more islands than designs, where there are few, so that one poor beginning does not matter.
        islands = -(-max(request.n, 4) // (len(spaces) * among))
        searches = [
            start_search(
                request.algorithm,
                Task(space, islands, np.random.default_rng(self.rng.integers(2**63)), goal, self.estimator),
            )
            for space in spaces
        ]
        return GoalSearch(goal, searches, request.n, request.least)

    def _front(self, target: float | None, several: list[GoalSearch]) -> list[str]:
        """Take designs along the front of the two objectives."""
        seqs = list(dict.fromkeys(seq for goal_search in several for seq in goal_search.scores))
        estimate = self.estimator.estimate(seqs)
        own = self._goal(target).score(estimate)
        other = estimate.second if self.request.weight >= 0 else -estimate.second
        best = front(own, other)
        return [seqs[best[number]] for number in spread(self.request.n, len(best))][::-1]


def _strings(space: Space, count: int, rng: np.random.Generator) -> list[str]:
    return strings_of(space.begin(count, rng))


def _dropped(rules: Sequence[Rule], firm: Sequence[Rule]) -> str:
    return f"{' and '.join(str(rule) for rule in rules if rule not in firm)} is dropped"


def _is_missed(found: _Found, estimator: Estimator) -> bool:
    """Say whether any design of a target is not near it."""
    if found.target is None or not found.seqs:
        return False
    return bool((np.abs(estimator.estimate(found.seqs).mrl - found.target) > MET).any())


def _remarks(found: _Found, estimator: Estimator, request: DesignRequest, stopped: bool) -> list[str]:
    """Say where there are fewer designs than asked for, or none near the target."""
    goal, remarks = Goal(found.target), []
    if len(found.seqs) < request.n:
        what = (
            "on the front"
            if request.pareto
            else "that keep all rules" + f", {request.least} apart" * (request.least > 1)
        )
        remarks.append(f"{goal}: {len(found.seqs)} of {request.n} designs; no more were found {what}")
    if found.target is not None and found.seqs and not request.pareto and estimator.second is None:
        mrls = estimator.estimate(found.seqs).mrl
        off = np.abs(mrls - found.target)
        if (off > MET).any() and not stopped:
            nearest = float(mrls[off.argmin()])
            remarks.append(
                f"{goal}: {int((off > MET).sum())} of {len(mrls)} designs are more than {MET:g} away; the nearest "
                f"MRL found is {nearest:.2f}" + (_why_low(found.rules) if nearest > found.target else "")
            )
    return remarks


def _why_low(rules: Sequence[Rule]) -> str:
    """Say why a target is too low for rules, and what to do; nothing if they do not keep it out of reach."""
    return next((why for rule in rules if (why := rule.why_low())), "")


def _check(found: _Found, construct: Construct) -> None:
    """Read every design again; this can only fail if the search is wrong, and then nothing is returned."""
    for seq, wrong in zip(found.seqs, find_violations(found.seqs, found.rules, construct), strict=True):
        if wrong:
            raise OptionError(f"the design {seq} breaks a rule ({wrong[0]}); nothing is returned")
