"""How good predicted changes of variants are, and how far measured ones lie from them. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ribocast.errors import InputError, OptionError
from ribocast.learn.evaluation.intervals import FEWEST_ROWS, conformal_change_interval
from ribocast.model.bundle import Interval, ModelCard
from ribocast.model.predictor import around

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Detection:
    """How well large changes are found.

    Attributes
    ----------
    measured, predicted, both : int
        Pairs whose measured change is large, whose predicted one is, and whose both are, in the same direction.
    precision, recall : float or None
        `both` as a share of those predicted and of those measured; None where there are none.
    """

    measured: int
    predicted: int
    both: int

    @property
    def precision(self) -> float | None:
        """Share of the predicted ones that were measured."""
        return self.both / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Share of the measured ones that were predicted."""
        return self.both / self.measured if self.measured else None


def detect(measured: Floats, predicted: Floats, threshold: float = 0.5) -> Detection:
    """Count changes of at least `threshold` (log2, either direction) that were measured, predicted, and both."""
    large, called = np.abs(measured) >= threshold, np.abs(predicted) >= threshold
    both = large & called & (np.sign(measured) == np.sign(predicted))
    return Detection(int(large.sum()), int(called.sum()), int(both.sum()))


def pair_unseen(pairs: pd.DataFrame, out_of_fold: pd.DataFrame, assay: str) -> pd.DataFrame:
    """Give pairs the change that networks predict which had seen neither sequence.

    Parameters
    ----------
    pairs : pandas.DataFrame
        ``ref_seq``, ``alt_seq`` and the measured ``log2_fold_change``.
    out_of_fold : pandas.DataFrame
        ``seq``, ``assay``, ``fold`` and the MRL ``predicted`` by networks trained without the row's fold.
    assay : str
        Whose rows to take.

    Returns
    -------
    pandas.DataFrame
        The pairs, under their index, with ``predicted`` and ``fold`` added; those of which a sequence is not there, or
        whose sequences are in different folds (one of them was trained on), are left out.
    """
    rows = out_of_fold[out_of_fold["assay"] == assay].set_index("seq")
    if rows.empty:
        raise OptionError(f"no out-of-fold predictions for {assay!r}")
    rows = rows[~rows.index.duplicated()]
    ref, alt = (rows.reindex(pairs[name]) for name in ("ref_seq", "alt_seq"))
    change = np.log2(alt["predicted"].to_numpy() / ref["predicted"].to_numpy())
    fold = ref["fold"].to_numpy()
    known = np.isfinite(change) & (fold == alt["fold"].to_numpy())
    found: pd.DataFrame = pairs.assign(predicted=change, fold=fold)[known]
    return found


def with_change_interval(card: ModelCard, assay: str, measured: Floats, predicted: Floats) -> ModelCard:
    """Add to a model's card the interval around predicted changes of an assay.

    Parameters
    ----------
    card : ModelCard
        Of the model whose like made the predictions.
    assay : str
        In which assay's units they are.
    measured, predicted : numpy.ndarray of float, shape (n,)
        log2 fold changes of pairs that the model was not trained on; see `pair_unseen`.

    Raises
    ------
    RibocastError
        If the model does not know the assay, or there are too few pairs.
    """
    card.assay(assay)
    if len(measured) < FEWEST_ROWS:
        raise InputError(f"{len(measured)} pairs: at least {FEWEST_ROWS} are needed for an interval")
    found = conformal_change_interval(measured, predicted)
    assays = (
        known.model_copy(update={"change_interval": found}) if known.name == assay else known for known in card.assays
    )
    return card.model_copy(update={"assays": tuple(assays)})


def covered_unseen(measured: Floats, predicted: Floats, fold: NDArray[np.int64]) -> tuple[NDArray[np.bool_], Floats]:
    """Say which measured changes lie in the interval that the pairs of the other folds give, and how wide it is.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        Whether each is inside.
    numpy.ndarray of float, shape (n,)
        The width of its interval, log2.
    """
    inside, width = np.zeros(len(measured), dtype=bool), np.zeros(len(measured))
    for number in np.unique(fold):
        mine = fold == number
        card: Interval = conformal_change_interval(measured[~mine], predicted[~mine])
        low, high = around(card, predicted[mine])
        inside[mine] = (low <= measured[mine]) & (measured[mine] <= high)
        width[mine] = high - low
    return inside, width
