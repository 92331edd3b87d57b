"""What a design is good at: an estimate on the safe side, for sequences like those that were measured.

A network is least to be trusted where nothing was measured, and a search finds just such places. So what is searched
for is not the predicted MRL but

- for the highest MRL, the MRL less `risk_aversion` times its uncertainty;
- for a target, how near the MRL is, less `risk_aversion` times the uncertainty beyond the usual one of such an MRL;
- less `out_of_distribution_penalty` times the out-of-distribution score of the sequence.

The uncertainty is the standard deviation that the calibrated interval stands for (of a normal distribution), with the
spread of the predictors where there are several. The out-of-distribution score is how far the shares of the bases lie
from the measured ones, and how many four-letter words are repeated, both in standard deviations, as far as they are
beyond what is common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.design.codes import strings_of
from ribocast.errors import ModelError, OptionError
from ribocast.model.applicability import how_unusual, interval_scaling
from ribocast.model.members import PredictMrl, members_of
from ribocast.model.predictor import Predictor, around, interval
from ribocast.sequence.batch import Batch

Floats = NDArray[np.float64]
_COMMON = 3.0
"""Standard deviations up to which nothing scores: 97 in 100 random sequences have such shares of the bases."""
_WORD = 4
_SAMPLE = 200


class Estimate(NamedTuple):
    """What is thought of sequences; all of shape (n,).

    `mrl` is the MRL (the mean of several predictors); `low` and `high` its 90 % interval (NaN without one);
    `uncertainty` the standard deviation it stands for, `extra` how much of this is beyond the usual one of such an MRL;
    `out_of_distribution` how far the sequences are from what was measured; `second` the second objective (0 without
    one).
    """

    mrl: Floats
    low: Floats
    high: Floats
    uncertainty: Floats
    extra: Floats
    out_of_distribution: Floats
    second: Floats


@dataclass(frozen=True)
class Goal:
    """What one set of designs is for.

    Attributes
    ----------
    target : float or None
        The MRL that is wanted; None is the highest.
    risk_aversion, out_of_distribution_penalty : float
        What a standard deviation of uncertainty costs, and one of the out-of-distribution score.
    weight : float
        Of the second objective, as it is added.
    share : float
        Of the first objective.
    """

    target: float | None
    risk_aversion: float = 0.0
    out_of_distribution_penalty: float = 0.0
    weight: float = 0.0
    share: float = 1.0

    def score(self, estimate: Estimate) -> Floats:
        """Score sequences: higher is better; for a target and without a second objective, 0 is best."""
        if self.target is None:
            own = estimate.mrl - self.risk_aversion * estimate.uncertainty
        else:
            own = -np.abs(estimate.mrl - self.target) - self.risk_aversion * estimate.extra
        own = own - self.out_of_distribution_penalty * estimate.out_of_distribution
        return self.share * own + self.weight * estimate.second

    def __str__(self) -> str:
        return "the highest MRL" if self.target is None else f"target {self.target:g}"


class Estimator:
    """The predictors of a search, each asked once of a sequence; `for_uncertainty` only adds to their spread.

    Attributes
    ----------
    calls : int
        Sequences that they were asked of.
    """

    def __init__(
        self,
        models: Sequence[Predictor | PredictMrl],
        assay: str | None = None,
        second: Predictor | PredictMrl | None = None,
        threads: int | None = None,
        for_uncertainty: PredictMrl | None = None,
    ) -> None:
        if not models:
            raise OptionError("no model to design with")
        self.models = list(models)
        self.assay = assay
        self.second = second
        self.for_uncertainty = for_uncertainty
        self.card = next((model.card.assay(assay) for model in models if isinstance(model, Predictor)), None)
        self._members = [
            members_of(model, threads=threads) if isinstance(model, Predictor) else None for model in models
        ]
        self.calls = 0
        self._known: dict[str, int] = {}
        # One row per sequence, with room for more; the columns are those of an estimate.
        self._rows = np.empty((0, len(Estimate._fields)))
        self._usual_spread: float | None = None
        self._repeats: dict[int, tuple[float, float]] = {}

    def estimate(self, seqs: Sequence[str]) -> Estimate:
        """Say what is thought of sequences; those seen before cost nothing."""
        new = [seq for seq in dict.fromkeys(seqs) if seq not in self._known]
        if new:
            rows = np.column_stack(self._look(new))
            begin, end = len(self._known), len(self._known) + len(new)
            if end > len(self._rows):
                self._rows = np.concatenate([self._rows, np.empty((end, rows.shape[1]))])
            self._rows[begin:end] = rows
            self._known.update(zip(new, range(begin, end), strict=True))
            self.calls += len(new)
        rows = self._rows[np.array([self._known[seq] for seq in seqs], dtype=np.int64)]
        return Estimate(*(np.ascontiguousarray(column) for column in rows.T))

    def knows(self, seq: str) -> bool:
        """Say whether a sequence was asked of before."""
        return seq in self._known

    def _look(self, seqs: list[str]) -> Estimate:
        mrl, spread = self._mrls(seqs)
        if self._usual_spread is None:
            drawn = self._random(len(seqs[0]), _SAMPLE)
            self._usual_spread = float(np.median(self._mrls(drawn)[1])) if spread.any() else 0.0
            self.calls += len(drawn) * bool(spread.any())
        spread = np.maximum(spread - self._usual_spread, 0.0)
        low, high = np.full(len(seqs), np.nan), np.full(len(seqs), np.nan)
        uncertainty, extra, out_of_distribution = spread.copy(), spread.copy(), self._repetitive(seqs)
        if self.card is not None:
            unusual = how_unusual(Batch.of(seqs), self.card)
            wider = interval_scaling(unusual, self.card)
            low, high = interval(self.card, mrl, wider)
            out_of_distribution += np.maximum(unusual.composition - _COMMON, 0.0)
            if self.card.interval is not None:
                sides = NormalDist().inv_cdf(0.5 + self.card.interval.coverage / 2) * 2
                # Not cut off where MRLs end: uncertainty must not end there either.
                (least, most), (usual_least, usual_most) = (
                    around(self.card.interval, mrl, factor) for factor in (wider, 1.0)
                )
                uncertainty = (most - least) / sides + spread
                extra = np.maximum(uncertainty - (usual_most - usual_least) / sides, 0.0)
        second = np.zeros(len(seqs)) if self.second is None else mrls_of(self.second, seqs, self.assay)
        return Estimate(mrl, low, high, uncertainty, extra, out_of_distribution, second)

    def _repetitive(self, seqs: list[str]) -> Floats:
        """Say how far the number of repeated words lies beyond what is common in random sequences of that length."""
        repeated = np.array([_repeated_words(seq) for seq in seqs], dtype=np.float64)
        lengths = [len(seq) for seq in seqs]
        for length in set(lengths) - set(self._repeats):
            self._repeats[length] = self._usual_repeats(length)
        usual = np.array([self._repeats[length] for length in lengths])
        return np.asarray(np.maximum((repeated - usual[:, 0]) / usual[:, 1] - _COMMON, 0.0))

    def _usual_repeats(self, length: int) -> tuple[float, float]:
        counts = [_repeated_words(seq) for seq in self._random(length, _SAMPLE)]
        return float(np.mean(counts)), max(float(np.std(counts)), 0.5)

    def _random(self, length: int, count: int) -> list[str]:
        """Draw sequences with the measured shares of the bases."""
        composition = self.card.composition if self.card else None
        first = composition.mean if composition else (0.25, 0.25, 0.25)
        shares = np.clip([*first, 1 - sum(first)], 0.01, 1)
        drawn = np.random.default_rng(length).choice(4, size=(count, length), p=shares / shares.sum())
        return strings_of(drawn.astype(np.uint8))

    def _mrls(self, seqs: list[str]) -> tuple[Floats, Floats]:
        """Return the mean MRL of the models, and the standard deviation of all their networks; shape (n,) each."""
        each = [mrls_of(model, seqs, self.assay)[None] if members is None else members.mrls(seqs, self.assay)
                for model, members in zip(self.models, self._members, strict=True)]  # fmt: skip
        networks = np.concatenate(
            [*each, *([mrls_of(self.for_uncertainty, seqs)[None]] if self.for_uncertainty else [])]
        )
        spread = networks.std(axis=0, ddof=1) if len(networks) > 1 else np.zeros(len(seqs))
        return np.mean([mrls.mean(axis=0) for mrls in each], axis=0), spread


def mrls_of(model: Predictor | PredictMrl, seqs: list[str], assay: str | None = None) -> Floats:
    """Ask a model, or any callable on a list of strings; shape (n,).

    Raises
    ------
    RibocastError
        If a callable gives something else than one finite number for each.
    """
    if isinstance(model, Predictor):
        return model.mrl(seqs, assay=assay)
    given = model(list(seqs))
    try:
        mrls = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ModelError(f"the given predictor does not give numbers: {str(given)[:60]}") from None
    if mrls.shape != (len(seqs),):
        raise ModelError(f"the given predictor gives numbers of shape {mrls.shape} for {len(seqs)} sequences")
    if not np.isfinite(mrls).all():
        raise ModelError(f"the given predictor gives {mrls[~np.isfinite(mrls)][0]} for a sequence")
    return mrls


def _repeated_words(seq: str) -> int:
    words = [seq[at : at + _WORD] for at in range(len(seq) - _WORD + 1)]
    return len(words) - len(set(words))
