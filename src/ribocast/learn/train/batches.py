"""Labelled rows as arrays, and the order in which a network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ribocast.model.bundle import AssayCard
from ribocast.sequence.batch import encode
from ribocast.sequence.letters import PAD, Letters

if TYPE_CHECKING:
    import pandas as pd

_POOL_BATCHES = 50


@dataclass(frozen=True)
class Labelled:
    """What a network trains on.

    Attributes
    ----------
    letters : numpy.ndarray of uint8, shape (n, longest)
        Right-aligned.
    lengths : numpy.ndarray of int64, shape (n,)
        Letters that are read of each row.
    assay : numpy.ndarray of int64, shape (n,)
        The number of the row's assay.
    target : numpy.ndarray of float32, shape (n,)
        Standardised MRL.
    fractions : numpy.ndarray of float32, shape (n, width)
        The measured profile, zeros where it is not known.
    weight : numpy.ndarray of float32, shape (n,)
        What the row counts in the loss; 1 on average.
    """

    letters: Letters
    lengths: NDArray[np.int64]
    assay: NDArray[np.int64]
    target: NDArray[np.float32]
    fractions: NDArray[np.float32]
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.target)


def label(
    rows: pd.DataFrame, assays: Sequence[AssayCard], *, width: int, fixed_length: int | None, noise_reads: float
) -> Labelled:
    """Bring rows to arrays.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``seq``, ``mrl``, ``assay``; ``reads`` and ``r0`` … if known.
    assays : sequence of AssayCard
        With the label mean and scale to standardise by.
    width : int
        Fractions of the network; 1 if it has none.
    fixed_length : int, optional
        Keep this many last letters, and pad to them.
    noise_reads : float
        See `Recipe`.
    """
    utrs = rows["seq"].tolist()
    letters = encode(utrs)
    lengths = np.fromiter(map(len, utrs), dtype=np.int64, count=len(utrs))
    if fixed_length is not None:
        letters = letters[:, -fixed_length:]
        letters = np.pad(letters, ((0, 0), (fixed_length - letters.shape[1], 0)), constant_values=PAD)
        lengths = np.full(len(utrs), fixed_length, dtype=np.int64)
    number = {assay.name: index for index, assay in enumerate(assays)}
    assay = np.asarray(rows["assay"].map(number), dtype=np.int64)
    mean = np.array([card.label_mean for card in assays])[assay]
    scale = np.array([card.label_scale for card in assays])[assay]
    target = ((rows["mrl"].to_numpy(np.float64) - mean) / scale).astype(np.float32)
    fractions = np.zeros((len(rows), width), dtype=np.float32)
    if width > 1:
        for index in range(width):
            if f"r{index}" in rows:
                fractions[:, index] = rows[f"r{index}"].fillna(0.0)
        fractions[~has_profile(rows)] = 0.0
    return Labelled(letters, lengths, assay, target, fractions, _weights(rows, assay, noise_reads))


def has_profile(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which rows have a whole profile, every fraction that any row of their assay has."""
    shares = rows[[f"r{number}" for number in range(20) if f"r{number}" in rows]].notna()
    if "r0" not in shares:
        return np.zeros(len(rows), dtype=bool)
    measured = shares.groupby(rows["assay"]).transform("any")
    return np.asarray(shares["r0"] & (shares | ~measured).all(axis=1), dtype=bool)


def _weights(rows: pd.DataFrame, assay: NDArray[np.int64], noise_reads: float) -> NDArray[np.float32]:
    if not noise_reads or "reads" not in rows:
        return np.ones(len(rows), dtype=np.float32)
    import pandas as pd

    # Where reads are unknown, those typical of the same half of the same library stand in.
    half = rows["published_split"] if "published_split" in rows else pd.Series("", index=rows.index)
    reads = rows["reads"]
    typical = reads.groupby([rows["assay"], half.fillna("")]).transform("median")
    reads = reads.fillna(typical).fillna(np.inf)
    weight = (1 / (1 + noise_reads / reads.clip(lower=1))).to_numpy(np.float64)
    mean = np.bincount(assay, weight) / np.maximum(np.bincount(assay), 1)
    return (weight / mean[assay]).astype(np.float32)


def epoch_batches(
    lengths: NDArray[np.int64], batch_size: int, random: np.random.Generator, fewest: int = 2
) -> list[NDArray[np.int64]]:
    """Shuffle rows into batches of like length.

    Rows are shuffled, sorted by length within pools of many batches, cut, and the batches shuffled: little padding,
    and every epoch new batches. Rows of one length are simply shuffled. Where fewer than `fewest` rows
    are left over, they go with the last batch.
    """
    order = random.permutation(len(lengths))
    pool = batch_size * _POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[at : at + batch_size] for at in range(0, len(part), batch_size)]
        # Batch normalisation cannot learn from one row, and it would be the longest of all every time.
        if len(batches[-1]) < fewest and len(batches) > 1:
            batches[-2:] = [np.concatenate(batches[-2:])]
    return [batches[index] for index in random.permutation(len(batches))]
