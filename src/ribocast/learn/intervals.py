"""Calibrating prediction intervals on rows, and on pairs of rows, that a network has not learnt from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ribocast.bundle import Interval

COVERAGE = 0.9
FEWEST_ROWS = 19
"""With fewer, not even the largest residual leaves 5 % of further rows beyond it: (n + 1) · 0.95 must not exceed n."""
_ROWS_A_BIN = 200
_MOST_BINS = 10
_CHANGES = (0.05, 0.1, 0.2, 0.4)
"""Where bins of predicted changes end, log2: nearly all variants do nearly nothing, and few do much."""
_FEWEST_PAIRS = 40


def conformal_interval(measured: NDArray[np.float64], predicted: NDArray[np.float64]) -> Interval:
    """Find how far measurements lie below and above predictions, by predicted load.

    Split-conformal with one calibration a bin of predictions (Mondrian; Vovk et al., 2005): each tail leaves out
    5 % of the bin's rows, counted with the finite-sample correction n + 1.

    Parameters
    ----------
    measured, predicted : numpy.ndarray of float, shape (n,)
        Rows that the model did not learn from, at least ``FEWEST_ROWS``.
    """
    residual = measured - predicted
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


def conformal_change_interval(measured: NDArray[np.float64], predicted: NDArray[np.float64]) -> Interval:
    """Find how far measured changes of variants lie from predicted ones, by the size of the predicted change.

    Split-conformal as in `conformal_interval`. That reference and variant could be exchanged is made use of: a rise and
    a fall of the same size share a bin, what is missed is counted towards no change or away from it, and the interval
    of the exchanged pair is the mirror image.

    Parameters
    ----------
    measured, predicted : numpy.ndarray of float, shape (n,)
        log2 fold changes of pairs neither of which the model learnt from, at least ``FEWEST_ROWS``.
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


def _upper_tail(values: NDArray[np.float64]) -> float:
    """Return the value that a further draw exceeds with probability (1 − COVERAGE) / 2 at most, if there are enough."""
    rank = int(np.ceil((len(values) + 1) * (1 + COVERAGE) / 2))
    return float(np.sort(values)[min(rank, len(values)) - 1])
