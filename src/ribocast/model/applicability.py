"""How far a sequence lies from those that an assay measured, and how much wider its interval is for that.

Three things can be unlike what was measured: the length, the share of letters that are not known (N), and the share of
each base. How much more was missed on such rows is measured where a model is trained, and stands in ``model.json``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.model.bundle import AssayCard, Knots
from ribocast.sequence.batch import Batch

Floats = NDArray[np.float64]
_FAR_COMPOSITION = 4.0
"""Standard deviations: of three normal variables, one row in nine hundred lies further out (chi-squared)."""


class Unusual(NamedTuple):
    """What is unusual about sequences, each of shape (n,).

    `beyond` is how many nt shorter or longer they are than what was measured; `unknown` the share of N; `composition`
    how far the shares of the bases lie from the mean of the measured ones, in standard deviations (Mahalanobis, 1936),
    0 where the assay does not say.
    """

    beyond: Floats
    unknown: Floats
    composition: Floats

    @property
    def worth_saying(self) -> NDArray[np.bool_]:
        """Which sequences a user should be told of."""
        return (self.beyond > 0) | (self.unknown > 0) | (self.composition > _FAR_COMPOSITION)

    def of(self, row: int) -> tuple[float, float, float]:
        """Return the three of one sequence."""
        return float(self.beyond[row]), float(self.unknown[row]), float(self.composition[row])


def how_unusual(utrs: Batch, assay: AssayCard) -> Unusual:
    """Compare sequences with those that an assay measured.

    Parameters
    ----------
    utrs : Batch
        The sequences.
    assay : AssayCard
        The assay.
    """
    length = utrs.lengths.astype(np.float64)
    known = base_counts(utrs)
    unknown = length - known.sum(axis=1)
    beyond = np.maximum(np.maximum(assay.min_length - length, length - assay.max_length), 0.0)
    card = assay.composition
    distance = np.zeros(len(utrs))
    if card is not None:
        some = known.sum(axis=1) > 0
        shares = known[some, :3] / known[some].sum(axis=1, keepdims=True) - np.array(card.mean)
        squares = np.einsum("ni,ij,nj->n", shares, np.array(card.precision), shares)
        distance[some] = np.sqrt(np.maximum(squares, 0.0))  # a stranger's matrix need not be a precision
    return Unusual(beyond, unknown / np.maximum(length, 1.0), distance)


def base_counts(utrs: Batch) -> Floats:
    """Count A, C, G and T of each sequence; shape (n, 4). U is T."""
    return np.stack([utrs.count(base) for base in (b"A", b"C", b"G", b"T")], axis=1).astype(np.float64)


def interval_scaling(unusual: Unusual, assay: AssayCard) -> Floats:
    """Say how many times wider than usual each interval is; shape (n,), at least 1."""
    card = assay.interval.scaling if assay.interval else None
    if card is None:
        return np.ones(len(unusual.beyond))
    each = [_along(getattr(card, name), getattr(unusual, name)) for name in Unusual._fields]
    return np.asarray(each[0] * each[1] * each[2])


def remark(assay: AssayCard, length: int, unusual: tuple[float, float, float]) -> list[str]:
    """Say in words what is unusual about one sequence, if anything is."""
    beyond, unknown, composition = unusual
    remarks = []
    if beyond:
        measured = f"{assay.min_length}"
        if assay.max_length > assay.min_length:
            measured += f" to {assay.max_length}"
        remarks.append(f"{length} nt: extrapolated, measured were {measured} nt")
    if letters := round(unknown * length):
        remarks.append(f"{letters} unknown letter{'s' if letters > 1 else ''} (N)")
    if composition > _FAR_COMPOSITION:
        remarks.append("unusual shares of the bases")
    return remarks


def _along(knots: Knots, values: Floats) -> Floats:
    """Go straight from knot to knot, and beyond the last on in the same direction."""
    at, factor = np.array(knots.at), np.array(knots.factor)
    inside: Floats = np.interp(values, at, factor)
    if len(at) < 2:
        return inside
    slope = (factor[-1] - factor[-2]) / (at[-1] - at[-2])
    return np.asarray(inside + slope * np.maximum(values - at[-1], 0.0))
