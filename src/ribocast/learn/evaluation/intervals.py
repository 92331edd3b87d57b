"""Calibrating prediction intervals on rows, and on pairs of rows, that a network was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ribocast.model.applicability import base_counts, how_unusual, interval_scaling
from ribocast.model.bundle import AssayCard, Composition, Interval, IntervalScaling, Knots
from ribocast.sequence.batch import Batch

Floats = NDArray[np.float64]
COVERAGE = 0.9
FEWEST_ROWS = 19
"""With fewer, not even the largest residual leaves 5 % of further rows beyond it: (n + 1) · 0.95 must not exceed n."""
_ROWS_A_BIN = 200
_MOST_BINS = 10
# Shares of rows by how unusual their bases are: the plainest half, then ever fewer.
_COMPOSITION_PARTS = (0.5, 0.75, 0.9, 0.96, 0.99)
# Shares of letters that are hidden to see what not knowing them costs.
_HIDDEN = (0.02, 0.06, 0.12, 0.25, 0.5)
_ROWS_TO_HIDE_IN = 1000
BEYOND_LENGTHS = Knots(at=(0.0, 30.0), factor=(1.0, 1.3))
"""A network that was trained on no varying-length UTR over 70 nt missed those of 96 to 100 nt by 1.24 times as much
as those of 61 to 70 nt (90 % quantile; benchmarks/extrapolation.py)."""

_CHANGES = (0.05, 0.1, 0.2, 0.4)
"""Where bins of predicted changes end, log2: nearly all variants do nearly nothing, and few do much."""
_FEWEST_PAIRS = 40


def calibrate(
    assay: AssayCard, utrs: Sequence[str], measured: Floats, predicted: Floats,
    predict: Callable[[list[int], list[str]], Floats] | None = None,
) -> AssayCard:  # fmt: skip
    """Add to an assay's card the interval, and how much wider it must be on unusual sequences.

    How many times more was missed on rows with unusual shares of bases is measured on the rows themselves, and so is,
    with `predict`, how many times more is missed where letters are hidden. Beyond the measured lengths nothing is
    measured: there the scaling of ``BEYOND_LENGTHS`` stands in.

    Parameters
    ----------
    assay : AssayCard
        What is known of the assay.
    utrs : sequence of str
        Rows that the model did not learn from, at least ``FEWEST_ROWS``.
    measured, predicted : numpy.ndarray of float, shape (n,)
        Their MRLs.
    predict : callable, optional
        Given numbers of rows and other sequences for them, predicts these without being trained on those rows.
    """
    if len(utrs) >= 2 * _ROWS_A_BIN:
        assay = assay.model_copy(update={"composition": _describe_composition(utrs)})
    unusual = how_unusual(Batch.of(utrs), assay)
    plain = conformal_interval(measured, predicted)
    composition = _scaling_by_composition(unusual.composition, _missed(plain, measured, predicted))
    found = IntervalScaling(beyond=BEYOND_LENGTHS, composition=composition)
    if predict:
        found = found.model_copy(update={"unknown": _scaling_by_unknown(plain, utrs, measured, predicted, predict)})
    described = assay.model_copy(update={"interval": plain.model_copy(update={"scaling": found})})
    exact = conformal_interval(measured, predicted, interval_scaling(unusual, described)).model_copy(
        update={"scaling": found}
    )
    return described.model_copy(update={"interval": exact})


def _describe_composition(utrs: Sequence[str]) -> Composition | None:
    counts = base_counts(Batch.of(utrs))
    total = counts.sum(axis=1)
    shares = counts[total > 0, :3] / total[total > 0, None]
    if len(shares) < 2 or np.linalg.matrix_rank(covariance := np.cov(shares.T)) < 3:
        return None
    precision = np.linalg.inv(covariance)
    return Composition.model_validate({"mean": shares.mean(axis=0).tolist(), "precision": precision.tolist()})


def _missed(plain: Interval, measured: Floats, predicted: Floats) -> Floats:
    """Say how far each row was missed, in units of the interval's own half at its predicted MRL."""
    bins = np.searchsorted(plain.edges, predicted, side="right")
    above, below = (np.maximum(side, 1e-6)[bins] for side in (plain.above, plain.below))
    return np.where(measured > predicted, (measured - predicted) / above, (predicted - measured) / below)


def _scaling_by_composition(distance: Floats, missed: Floats) -> Knots:
    edges = np.quantile(distance, (0, *_COMPOSITION_PARTS, 1))
    middles, parts = [], []
    for low, high in pairwise(edges[1:]):
        part = (distance > low) & (distance <= high)
        if part.sum() >= _ROWS_A_BIN // 2:
            middles.append(float(np.median(distance[part])))
            parts.append(missed[part])
    return _knots(middles, parts, usual=missed[distance <= edges[1]])


def _scaling_by_unknown(
    plain: Interval, utrs: Sequence[str], measured: Floats, predicted: Floats,
    predict: Callable[[list[int], list[str]], Floats],
) -> Knots:  # fmt: skip
    random = np.random.default_rng(len(utrs))
    rows = np.sort(random.choice(len(utrs), min(_ROWS_TO_HIDE_IN, len(utrs)), replace=False))
    parts = []
    for share in _HIDDEN:
        hidden = [_hide(utrs[row], share, random) for row in rows]
        parts.append(_missed(plain, measured[rows], predict(rows.tolist(), hidden)))
    return _knots(_HIDDEN, parts, usual=_missed(plain, measured[rows], predicted[rows]))


def _knots(at: Sequence[float], missed: Sequence[Floats], *, usual: Floats) -> Knots:
    """Say how many times more is missed at each of `at`: what one row in ten exceeds, beside that of usual rows."""
    reference = np.quantile(usual, COVERAGE)
    if not reference > 0:
        # Where nothing is missed, nothing can be told of missing more.
        return Knots()
    times = [1.0, *(float(np.quantile(part, COVERAGE) / reference) for part in missed)]
    return Knots(at=(0.0, *at), factor=tuple(np.maximum.accumulate(np.maximum(times, 1.0)).tolist()))


def _hide(utr: str, share: float, random: np.random.Generator) -> str:
    letters = np.array(list(utr))
    letters[random.permutation(len(letters))[: max(1, round(share * len(letters)))]] = "N"
    return "".join(letters)


def conformal_interval(measured: Floats, predicted: Floats, factor: Floats | float = 1.0) -> Interval:
    """Find how far measurements lie below and above predictions, by predicted MRL.

    Split-conformal with one calibration a bin of predictions (Mondrian; Vovk et al., 2005): each tail leaves out
    5 % of the bin's rows, counted with the finite-sample correction n + 1.

    Parameters
    ----------
    measured, predicted : numpy.ndarray of float, shape (n,)
        Rows that the model did not learn from, at least ``FEWEST_ROWS``.
    factor : numpy.ndarray of float, shape (n,), or float
        How many times wider than usual each row's interval will be.
    """
    residual = (measured - predicted) / factor
    bins = int(np.clip(len(residual) // _ROWS_A_BIN, 1, _MOST_BINS))
    edges = np.unique(np.quantile(predicted, np.arange(1, bins) / bins))
    bin_of = np.searchsorted(edges, predicted, side="right")
    # Ties can leave a bin empty; it borrows from all.
    by_bin = [residual[bin_of == number] if (bin_of == number).any() else residual for number in range(len(edges) + 1)]
    return Interval(
        coverage=COVERAGE,
        edges=tuple(float(edge) for edge in edges),
        below=tuple(_upper_tail(-part) for part in by_bin),
        above=tuple(_upper_tail(part) for part in by_bin),
        rows=len(residual),
    )


def conformal_change_interval(measured: Floats, predicted: Floats) -> Interval:
    """Find how far measured changes of variants lie from predicted ones, by the size of the predicted change.

    Split-conformal as in `conformal_interval`. That reference and variant could be exchanged is made use of: a rise and
    a fall of the same size share a bin, what is missed is counted towards no change or away from it, and the interval
    of the exchanged pair is the mirror image.

    Parameters
    ----------
    measured, predicted : numpy.ndarray of float, shape (n,)
        log2 fold changes of pairs neither of which the model was trained on, at least ``FEWEST_ROWS``.
    """
    size = np.abs(predicted)
    residual = (measured - predicted) * np.where(predicted < 0, -1.0, 1.0)
    # From the largest changes down, an edge stays if the bins on both sides of it are large enough.
    edges: list[float] = []
    most = np.inf
    for edge in reversed(_CHANGES):
        if ((size >= edge) & (size < most)).sum() >= _FEWEST_PAIRS and (size < edge).sum() >= _FEWEST_PAIRS:
            edges.insert(0, edge)
            most = edge
    bin_of = np.searchsorted(edges, size, side="right")
    parts = [residual[bin_of == number] for number in range(len(edges) + 1)]
    # Where nothing is predicted to change, there is no direction: both tails are those of the residual's size.
    middle = _upper_tail(np.concatenate([parts[0], -parts[0]]))
    towards, away = [_upper_tail(-part) for part in parts[1:]], [_upper_tail(part) for part in parts[1:]]
    return Interval(
        coverage=COVERAGE,
        edges=(*(-edge for edge in reversed(edges)), *edges),
        below=(*reversed(away), middle, *towards),
        above=(*reversed(towards), middle, *away),
        rows=len(residual),
    )


def _upper_tail(values: Floats) -> float:
    """Return the value that a further draw exceeds with probability (1 − COVERAGE) / 2 at most, if there are enough."""
    rank = int(np.ceil((len(values) + 1) * (1 + COVERAGE) / 2))
    return float(np.sort(values)[min(rank, len(values)) - 1])
