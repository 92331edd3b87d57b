"""Calibrating prediction intervals on rows that a network has not learnt from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ribocast.bundle import Interval

COVERAGE = 0.9
FEWEST_ROWS = 19
"""With fewer, not even the largest residual leaves 5 % of further rows beyond it: (n + 1) · 0.95 must not exceed n."""
_ROWS_A_BIN = 200
_MOST_BINS = 10


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


def _upper_tail(values: NDArray[np.float64]) -> float:
    """Return the value that a further draw exceeds with probability (1 − COVERAGE) / 2 at most, if there are enough."""
    rank = int(np.ceil((len(values) + 1) * (1 + COVERAGE) / 2))
    return float(np.sort(values)[min(rank, len(values)) - 1])
