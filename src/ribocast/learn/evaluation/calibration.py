"""What rows that a network did not learn from say of it: evaluations and prediction intervals for its card."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ribocast.learn.evaluation.intervals import FEWEST_ROWS, calibrate
from ribocast.learn.evaluation.metrics import score
from ribocast.model.bundle import Evaluation, ModelCard

FEWEST_FIGURED = 10
"""With fewer rows a correlation says nothing that would be worth keeping in a card."""


def calibrate_card(
    card: ModelCard, rows: pd.DataFrame, predicted: NDArray[np.float64], how: str,
    predict: Callable[[pd.DataFrame], NDArray[np.float64]] | None = None,
) -> ModelCard:  # fmt: skip
    """Add to a card what rows that the model was not trained on show: evaluations and prediction intervals, by assay.

    Of an assay with fewer than ``FEWEST_FIGURED`` rows nothing is added.

    Parameters
    ----------
    card : ModelCard
        Of the model that predicted.
    rows : pandas.DataFrame
        ``seq``, ``mrl`` and ``assay``.
    predicted : numpy.ndarray of float, shape (n,)
        MRLs on each row's own scale.
    how : str
        The split, in words.
    predict : callable, optional
        Predicts some of the rows, whose index tells which, with other letters in ``seq``; still not trained on. It
        shows what unknown letters cost.
    """
    assays, evaluations = [], []
    for assay in card.assays:
        mine = (rows["assay"] == assay.name).to_numpy()
        if mine.sum() >= FEWEST_FIGURED:
            measured = rows["mrl"].to_numpy(np.float64)[mine]
            if mine.sum() >= FEWEST_ROWS:
                own = rows[mine]
                hidden = predict and partial(_predict_others, predict, own)
                assay = calibrate(assay, own["seq"].tolist(), measured, predicted[mine], hidden or None)
            evaluations.append(evaluate_subset(assay.name, "all", how, measured, predicted[mine]))
        assays.append(assay)
    return card.model_copy(update={"assays": tuple(assays), "evaluations": (*card.evaluations, *evaluations)})


def _predict_others(
    predict: Callable[[pd.DataFrame], NDArray[np.float64]], rows: pd.DataFrame, numbers: list[int], utrs: list[str]
) -> NDArray[np.float64]:
    return predict(rows.iloc[numbers].assign(seq=utrs))


def evaluate_subset(
    assay: str, subset: str, how: str, measured: NDArray[np.float64], predicted: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
) -> Evaluation:  # fmt: skip
    """Put scores into the form of ``model.json``; for `groups` see `score`."""
    scores = score(measured, predicted, groups=groups)
    low, high = scores.ci95["pearson_r2"]
    figures: dict[str, Any] = {"pearson_r2": 0.0, "mae": scores.mae}  # predictions that do not differ explain nothing
    if np.isfinite([scores.pearson_r2, low, high]).all():
        figures = {name: round(getattr(scores, name), 4) for name in ("pearson_r2", "spearman_r", "mae")}
        figures["pearson_r2_ci95"] = round(low, 4), round(high, 4)
    return Evaluation(assay=assay, subset=subset, split=how, rows=scores.n, **figures)
