"""Models side by side on the same rows, and how sure their differences are. Needs no PyTorch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ribocast.errors import InputError
from ribocast.learn.evaluation.metrics import (
    FEWEST_JUDGED,
    RESAMPLES,
    Floats,
    Scored,
    Scores,
    middle95,
    score_together,
)
from ribocast.sequence.construct import EGFP, Construct, frame
from ribocast.sequence.letters import is_missing

By = Literal["assay", "origin", "length", "uatg"]
FIGURES = {"pearson_r2": "r²", "spearman_r": "Spearman's correlation", "r2": "R²", "mae": "MAE"}
"""What differences are given of, and how people call it."""
_LOWER_IS_BETTER = frozenset({"mae"})
_MOST_SINGLE_LENGTHS = 6
_LENGTH_BINS = 4


@dataclass(frozen=True)
class Difference:
    """One model's figure less another's, on the same rows.

    Attributes
    ----------
    first, second : str
        The models.
    figure : str
        One of ``FIGURES``.
    value : float or None
        First less second, on all rows; None where one of them is undefined.
    ci95 : (float, float)
        Percentile interval of a paired bootstrap: both models on the same resampled rows.
    p : float
        Twice the smaller share of samples on either side of no difference, 1 at most.
    """

    first: str
    second: str
    figure: str
    value: float | None
    ci95: tuple[float | None, float | None]
    p: float

    def in_words(self) -> str:
        """Say which is better, and how sure that is."""
        name, (low, high) = FIGURES[self.figure], self.ci95
        if self.value is None or low is None or high is None:
            return f"{name}: undefined for {self.first} or {self.second}"
        if low <= 0 <= high:
            return f"{name}: {self.first} and {self.second} cannot be told apart ({low:+.4f} to {high:+.4f})"
        better, worse = (self.first, self.second) if self.value > 0 else (self.second, self.first)
        if self.figure in _LOWER_IS_BETTER:
            better, worse = worse, better
        near, far = sorted((abs(low), abs(high)))
        return f"{name}: {better} is better than {worse} by {abs(self.value):.4f} ({near:.4f} to {far:.4f})"


@dataclass(frozen=True)
class Group:
    """Rows that are compared by themselves.

    Attributes
    ----------
    name : str
        What they have in common.
    n : int
        How many they are.
    scores : dict of str to Scores
        By model.
    differences : list of Difference
        Of every pair, the model that was named first less the later one.
    """

    name: str
    n: int
    scores: dict[str, Scores]
    differences: list[Difference]

    def as_dict(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return {
            "group": self.name,
            "n": self.n,
            "scores": {name: scores.as_dict() for name, scores in self.scores.items()},
            "differences": [asdict(difference) for difference in self.differences],
        }


@dataclass(frozen=True)
class Comparison:
    """Models on the same rows: all of them, and in groups.

    Attributes
    ----------
    measured : numpy.ndarray of float, shape (n,)
        In ribosomes per mRNA.
    predicted : dict of str to numpy.ndarray of float, shape (n,)
        By model, in the order they were named.
    groups : list of Group
        All rows first.
    left_out : dict of str to int
        Groups with too few rows to be scored, and how many.
    """

    measured: Floats
    predicted: dict[str, Floats]
    groups: list[Group]
    left_out: dict[str, int]


def compare(
    measured: Floats, predicted: Mapping[str, Floats], groups: NDArray[Any] | None = None, *, seed: int = 0,
    resamples: int = RESAMPLES,
) -> Comparison:  # fmt: skip
    """Compare predictions for the same rows.

    Parameters
    ----------
    measured : numpy.ndarray of float, shape (n,)
        In ribosomes per mRNA.
    predicted : mapping of str to numpy.ndarray of float, shape (n,)
        By model.
    groups : numpy.ndarray of str, shape (n,), optional
        What each row belongs to; see `group_rows`.
    seed, resamples : int
        Of the bootstrap.

    Raises
    ------
    RibocastError
        With fewer than three rows.
    """
    measured = np.asarray(measured, np.float64)
    mrls = {name: np.asarray(values, np.float64) for name, values in predicted.items()}
    compared, left_out = [_compare_group("all", measured, mrls, seed, resamples)], {}
    for name in [] if groups is None else sorted(set(groups.tolist()), key=_natural):
        mine = groups == name
        if mine.sum() < FEWEST_JUDGED:
            left_out[str(name)] = int(mine.sum())
            continue
        own = {model: values[mine] for model, values in mrls.items()}
        compared.append(_compare_group(str(name), measured[mine], own, seed, resamples))
    return Comparison(measured, mrls, compared, left_out)


def group_rows(
    frame: pd.DataFrame, utrs: Sequence[str], by: By, source: str, *, construct: Construct = EGFP
) -> NDArray[Any]:
    """Say what each row belongs to.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table, for the columns ``assay`` and ``origin``.
    utrs : sequence of str
        Its sequences.
    by : {"assay", "origin", "length", "uatg"}
        A column; lengths, in quarters where there are many; or upstream ATGs, see `upstream_atg`.
    source : str
        For messages.
    construct : Construct
        What stands around the UTRs.

    Raises
    ------
    RibocastError
        If there is no such column.
    """
    if by == "length":
        return _length_bins(np.array([len(utr) for utr in utrs]))
    if by == "uatg":
        return np.array([upstream_atg(utr, construct) for utr in utrs])
    if by not in frame.columns:
        raise InputError(f"{source}: no column {by!r} among: {', '.join(map(str, frame.columns))}")
    names = ["" if is_missing(name) else str(name).strip() for name in frame[by].tolist()]
    return np.array([name or "(none)" for name in names], dtype=object)


def upstream_atg(utr: str, construct: Construct = EGFP) -> str:
    """Say what upstream ATGs a UTR has, one that it makes with the adapter included.

    Returns
    -------
    str
        ``out of frame`` if any is out of the start codon's frame, else ``in frame`` if there is any, else ``none``.
    """
    # Two bases of adapter: an ATG can begin there and end in the UTR.
    text = construct.before[-2:] + utr.upper().replace("U", "T")
    found = [at for at in range(len(text) - 2) if text.startswith("ATG", at)]
    frames = {frame(at, len(text)) for at in found}
    return "none" if not frames else "in frame" if frames == {0} else "out of frame"


def _compare_group(name: str, measured: Floats, predicted: dict[str, Floats], seed: int, resamples: int) -> Group:
    found = score_together(measured, predicted, seed=seed, resamples=resamples)
    pairs = combinations(predicted, 2)
    differences = [_difference(first, second, figure, found) for first, second in pairs for figure in FIGURES]
    return Group(name, len(measured), {model: scores for model, (scores, _) in found.items()}, differences)


def _difference(first: str, second: str, figure: str, found: dict[str, Scored]) -> Difference:
    (scores, samples), (other_scores, other_samples) = found[first], found[second]
    value = getattr(scores, figure) - getattr(other_scores, figure)
    drawn = samples[figure] - other_samples[figure]
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not drawn.size:
        return Difference(first, second, figure, None, (None, None), 1.0)
    p = 2 * min((drawn <= 0).mean(), (drawn >= 0).mean())
    return Difference(first, second, figure, float(value), middle95(drawn), float(min(p, 1.0)))


def _natural(name: str) -> tuple[float, str]:
    """Sort 25 nt before 100 nt."""
    number = re.match(r"\d+", name)
    return float(number[0]) if number else np.inf, name


def _length_bins(lengths: NDArray[np.int64]) -> NDArray[Any]:
    single = np.unique(lengths)
    if len(single) <= _MOST_SINGLE_LENGTHS:
        return np.array([f"{length} nt" for length in lengths])
    edges = np.unique(np.quantile(lengths, np.arange(1, _LENGTH_BINS) / _LENGTH_BINS, method="nearest"))
    bins = np.searchsorted(edges, lengths, side="right")
    names = {number: f"{lengths[bins == number].min()} to {lengths[bins == number].max()} nt" for number in set(bins)}
    return np.array([names[number] for number in bins])
