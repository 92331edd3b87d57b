"""How good predictions are, each figure with its bootstrap interval. Needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ribocast.errors import InputError
from ribocast.io.tables import Chunk, as_chunk, read_table
from ribocast.learn.data.assays import describe_data
from ribocast.model.predictor import Predictor

Floats = NDArray[np.float64]
RESAMPLES = 1000
FEWEST_JUDGED = 3
"""Two rows lie on a line in any case."""
_BLOCK_COUNTS = 1 << 22
"""How many row counts of bootstrap samples are held at once: 32 MB."""


@dataclass(frozen=True)
class ProfileScores:
    """Agreement of predicted with measured polysome profiles.

    Attributes
    ----------
    n : int
        Rows with a measured profile.
    pearson_r2 : tuple of float or None
        Square of Pearson's correlation over rows, of each fraction, with its sign; None where it is undefined.
    mean_pearson_r2 : float or None
        Their mean.
    """

    n: int
    pearson_r2: tuple[float | None, ...]
    mean_pearson_r2: float | None


@dataclass(frozen=True)
class Scores:
    """Agreement of predicted with measured mean ribosome loads (MRLs).

    Attributes
    ----------
    n : int
        Rows.
    mse, mae, rmse : float
        Mean squared and absolute error and the root of the first; in (squared) ribosomes per mRNA.
    pearson_r, pearson_r2 : float
        Pearson's correlation and its square, the figure of the literature, which is negative here where the correlation
        is: predictions that fall where measurements rise are no good ones.
    r2 : float
        Share of variance explained, 1 − Σ(measured − predicted)² / Σ(measured − mean)²; unlike the square of
        Pearson's correlation it punishes an offset or a wrong scale.
    spearman_r : float
        Correlation of ranks.
    ci95 : dict of str to (float, float)
        Percentile bootstrap intervals over rows, of each of the above but `n`. That of Spearman's correlation
        resamples the ranks within all rows.
    profile : ProfileScores or None
        Where profiles were measured and the model predicts them.
    """

    n: int
    mse: float
    mae: float
    rmse: float
    pearson_r: float
    pearson_r2: float
    r2: float
    spearman_r: float
    ci95: dict[str, tuple[float, float]]
    profile: ProfileScores | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return a plain dictionary; what is undefined (a correlation with a constant) is None."""
        values = asdict(self)
        values["ci95"] = {name: [_or_none(low), _or_none(high)] for name, (low, high) in self.ci95.items()}
        return {name: _or_none(value) if isinstance(value, float) else value for name, value in values.items()}


Scored = tuple[Scores, dict[str, Floats]]
"""Scores, and those of each bootstrap sample by figure, shape (resamples,)."""


def score(
    measured: Floats, predicted: Floats, *, seed: int = 0, resamples: int = RESAMPLES,
    groups: NDArray[np.int64] | None = None,
) -> Scores:  # fmt: skip
    """Compare predictions with measurements.

    Parameters
    ----------
    measured, predicted : numpy.ndarray of float, shape (n,)
        In ribosomes per mRNA.
    seed : int
        Of the bootstrap.
    resamples : int
        Bootstrap samples.
    groups : numpy.ndarray of int, shape (n,), optional
        Rows of one number depend on each other (variants of a sequence, UTRs that overlap): samples are of whole
        groups then, since those of rows would make the intervals too narrow.

    Raises
    ------
    RibocastError
        With fewer than three rows (two lie on a line in any case), or different numbers of them.
    """
    return score_together(measured, {"": predicted}, seed=seed, resamples=resamples, groups=groups)[""][0]


def score_together(
    measured: Floats, predicted: Mapping[str, Floats], *, seed: int = 0, resamples: int = RESAMPLES,
    groups: NDArray[np.int64] | None = None,
) -> dict[str, Scored]:  # fmt: skip
    """Score predictions for the same rows as `score` does; give each figure on each sample too, shape (resamples,).

    All are resampled alike, so figures of two models can be subtracted sample by sample (a paired bootstrap).
    """
    measured = np.asarray(measured, np.float64)
    blocks = []
    for values in predicted.values():
        values = np.asarray(values, np.float64)
        if measured.shape != values.shape or measured.ndim != 1:
            raise InputError(f"{measured.shape} measurements cannot be compared with {values.shape} predictions")
        if len(measured) < FEWEST_JUDGED:
            rows = f"{len(measured)} row{'s' * (len(measured) != 1)}"
            raise InputError(f"{rows}: at least {FEWEST_JUDGED} are needed to evaluate; two lie on a line in any case")
        blocks.append(_moments(measured, values))
    width = blocks[0].shape[1]
    if groups is not None and len(groups) != len(measured):
        raise InputError(f"{len(measured)} measurements cannot be in the groups of {len(groups)}")
    drawn = _resample(np.concatenate(blocks, axis=1), resamples, seed, groups)
    found = {}
    for place, (name, moments) in enumerate(zip(predicted, blocks, strict=True)):
        samples = _statistics(drawn[:, place * width : (place + 1) * width])
        point = {figure: float(value[0]) for figure, value in _statistics(moments.mean(axis=0)[None]).items()}
        ci95 = {figure: middle95(values) for figure, values in samples.items()}
        found[name] = Scores(n=len(measured), **point, ci95=ci95, profile=None), samples
    return found


def middle95(values: Floats) -> tuple[float, float]:
    """Return the middle 95 % of samples, those that are undefined left out."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def evaluate(
    model: Predictor, table: str | Path | pd.DataFrame | Chunk, *, assay: str | None = None, seed: int = 0
) -> Scores:
    """Score a model on measurements.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    table : str, Path, pandas.DataFrame or Chunk
        Sequences and measured MRLs, and profiles (``r0`` …) if known; for how columns
        are found see `ribocast.io.tables.read_chunks`.
    assay : str, optional
        In which assay's units to predict; the model's default assay without it.
    seed : int
        Of the bootstrap.

    Raises
    ------
    RibocastError
        At the first row that cannot be used.
    """
    if isinstance(table, Chunk):
        chunk = table
    else:
        chunk = as_chunk(table) if isinstance(table, pd.DataFrame) else read_table(table)
    chunk.check(need_label=True)
    scores = score(chunk.labels(), model.mrl(chunk.utrs, assay=assay), seed=seed)
    weights = model.card.assay(assay).fraction_weights
    names = [f"r{number}" for number in range(len(weights or ()))]
    if model.card.output != "fractions" or not set(names) <= set(chunk.frame.columns):
        return scores
    measured = chunk.frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    known = np.isfinite(measured).all(axis=1)
    if known.sum() < 2:
        return scores
    utrs = [utr for utr, is_known in zip(chunk.utrs, known, strict=True) if is_known]
    return replace(scores, profile=score_profile(measured[known], model.profile(utrs, assay=assay)))


def score_profile(measured: Floats, predicted: NDArray[np.floating[Any]]) -> ProfileScores:
    """Compare profiles, both of shape (rows, fractions), fraction by fraction."""
    centred_y, centred_p = measured - measured.mean(axis=0), predicted - predicted.mean(axis=0)
    spread = (centred_y**2).sum(axis=0) * (centred_p.astype(np.float64) ** 2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        together = (centred_y * centred_p).sum(axis=0)
        r2 = together * np.abs(together) / spread
    defined = r2[np.isfinite(r2)]
    return ProfileScores(
        n=len(measured),
        pearson_r2=tuple(_or_none(float(value)) for value in r2),
        mean_pearson_r2=float(defined.mean()) if defined.size else None,
    )


def fit_line(predicted: Floats, measured: Floats) -> tuple[float, float]:
    """Fit measured ≈ slope · predicted + intercept by least squares.

    Where that falls, or there is nothing to fit, the slope is the ratio of the spreads instead, or 1.
    """
    spread = float(predicted.var())
    slope = (
        float(((predicted - predicted.mean()) * (measured - measured.mean())).mean() / spread) if spread > 0 else 1.0
    )
    if slope <= 0:
        slope = float(measured.std() / predicted.std()) or 1.0
    return slope, float(measured.mean() - slope * predicted.mean())


def was_trained_on(model: Predictor, chunk: Chunk) -> bool:
    """Say whether a table is one that the model was trained on, with or without the rows held out of it."""
    (data,) = describe_data(pd.DataFrame({"seq": chunk.utrs, "mrl": chunk.labels(), "assay": "any"}))
    return data.sha256 in {data_set.sha256 for data_set in (*model.card.data, *model.card.tables)}


def _moments(measured: Floats, predicted: Floats) -> Floats:
    # Every statistic is a function of means over rows, so a bootstrap sample is one weighted mean. Centred for
    # precision: a common shift changes none of them.
    centre = measured.mean()
    y, p = measured - centre, predicted - centre
    error = p - y
    ry, rp = _ranks(measured), _ranks(predicted)
    columns = [y, p, y * y, p * p, y * p, error * error, np.abs(error), ry, rp, ry * ry, rp * rp, ry * rp]
    return np.stack(columns, axis=1)


def _resample(moments: Floats, resamples: int, seed: int, groups: NDArray[np.int64] | None) -> Floats:
    """Draw as many rows, or groups of rows, as there are, with replacement; the mean of each sample."""
    sums, sizes = moments, np.ones(len(moments))
    if groups is not None:
        own = np.unique(groups, return_inverse=True)[1]
        sizes = np.bincount(own).astype(np.float64)
        sums = np.stack([np.bincount(own, column) for column in moments.T], axis=1)
    random, units = np.random.default_rng(seed), len(sums)
    means = np.empty((resamples, moments.shape[1]))
    # Some samples at a time: one matrix product for all of them.
    together = max(1, min(resamples, _BLOCK_COUNTS // units))
    counts = np.empty((together, units))
    for first in range(0, resamples, together):
        block = counts[: resamples - first]
        for sample in block:
            sample[:] = np.bincount(random.integers(0, units, units), minlength=units)
        means[first : first + together] = block @ sums / (block @ sizes)[:, None]
    return means


def _statistics(means: Floats) -> dict[str, Floats]:
    y, p, yy, pp, yp, squared, absolute, ry, rp, rryy, rrpp, rryp = means.T
    with np.errstate(invalid="ignore", divide="ignore"):
        r = _correlation(y, p, yy, pp, yp)
        return {
            "mse": squared,
            "mae": absolute,
            "rmse": np.sqrt(squared),
            "pearson_r": r,
            "pearson_r2": r * np.abs(r),
            "r2": np.where(yy - y * y > 0, 1 - squared / (yy - y * y), np.nan),
            "spearman_r": _correlation(ry, rp, rryy, rrpp, rryp),
        }


def _correlation(x: Floats, y: Floats, xx: Floats, yy: Floats, xy: Floats) -> Floats:
    # What may be rounding does not count as spread: a constant correlates with nothing.
    spread_x, spread_y = xx - x * x, yy - y * y
    defined = (spread_x > 1e-12 * xx) & (spread_y > 1e-12 * yy)
    return np.where(defined, (xy - x * y) / np.sqrt(np.where(defined, spread_x * spread_y, 1.0)), np.nan)


def _ranks(values: Floats) -> Floats:
    """Ranks from −½ to ½, ties sharing their mean."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[group] / len(values) - 0.5


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
