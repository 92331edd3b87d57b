"""Dividing rows into those that are trained on and those that evaluate, without leaks.

Natural libraries hold the same or nearly the same UTR many times (a variant beside its reference, a 50-nt
window of a longer UTR), so a row split lets a model recite. There, rows that share a 24-mer stay together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import InputError, OptionError
from ribocast.sequence.batch import encode
from ribocast.sequence.letters import PAD

Rows = NDArray[np.int64]
SplitKind = Literal["auto", "random", "grouped"]
KMER = 24
# Random sequences share a 24-mer with probability 1e-14 a pair: more than a few such rows are not chance.
_SHARED_BY_ACCIDENT = 0.005


class Split(NamedTuple):
    """Row numbers to train on and to evaluate on, and how they were chosen, in words."""

    train: Rows
    held_out: Rows
    how: str

    def among(self, kept: NDArray[np.bool_]) -> Split:
        """Return the split of the rows that are kept, shape (rows,), numbered anew."""
        number = np.cumsum(kept) - 1
        train, held_out = (number[rows[kept[rows]]] for rows in (self.train, self.held_out))
        return Split(train, held_out, self.how)


class Folds(NamedTuple):
    """The fold of every row, from 0, and how they were chosen, in words."""

    of_row: Rows
    how: str


def split(utrs: Sequence[str], fraction: float = 0.2, *, seed: int = 42, kind: SplitKind = "auto") -> Split:
    """Hold out a share of the rows.

    Parameters
    ----------
    utrs : sequence of str
        The rows.
    fraction : float
        The share to hold out.
    seed : int
        Makes the split repeatable.
    kind : {"auto", "random", "grouped"}
        ``random`` is by row; ``grouped`` keeps rows that share a 24-mer together; ``auto`` is ``grouped``
        where rows do share 24-mers (natural sequences, variants, repeats), else ``random``.
    """
    if kind == "random":
        return random_split(len(utrs), fraction, seed=seed)
    groups = shared_kmer_groups(utrs)
    if kind == "auto" and not _rows_share(groups):
        return random_split(len(utrs), fraction, seed=seed)
    return grouped_split(groups, fraction, seed=seed)


def divide_into_folds(utrs: Sequence[str], folds: int, *, seed: int = 42, kind: SplitKind = "auto") -> Folds:
    """Give every row a fold; `kind` as in `split`."""
    if kind != "random":
        groups = shared_kmer_groups(utrs)
        if kind == "grouped" or _rows_share(groups):
            of_row = grouped_k_fold(groups, folds, seed=seed)
            return Folds(of_row, f"{folds} folds grouped by shared {KMER}-mers, seed {seed}")
    return Folds(k_fold(len(utrs), folds, seed=seed), f"{folds} random folds, seed {seed}")


def random_split(rows: int, fraction: float = 0.2, *, seed: int = 42) -> Split:
    """Hold out random rows: the same ones, in the same order, as scikit-learn's ``train_test_split``.

    Parameters
    ----------
    rows : int
        How many there are.
    fraction : float
        ``test_size`` there.
    seed : int
        ``random_state`` there.
    """
    held_out = _held_out_rows(rows, fraction)
    # The legacy generator, since it is the one scikit-learn draws from.
    order = np.random.RandomState(seed).permutation(rows)
    return Split(order[held_out:], order[:held_out], f"random, {fraction:g} held out, seed {seed}")


def grouped_split(groups: NDArray[np.int64], fraction: float = 0.2, *, seed: int = 42) -> Split:
    """Hold out whole groups in random order, each that fits into `fraction` of the rows; else the smallest one."""
    wanted = _held_out_rows(len(groups), fraction)
    if len(np.unique(groups)) < 2:
        raise InputError("all rows share 24-mers with one another: no leak-free split is possible")
    order, sizes = _shuffled_groups(groups, seed)
    taken, filled = np.zeros(len(sizes), dtype=bool), 0
    for number, size in enumerate(sizes.tolist()):
        if filled + size <= wanted:
            taken[number], filled = True, filled + size
    if not filled:  # every group is larger than that
        taken[sizes.argmin()] = True
    held_out = np.isin(groups, order[taken])
    how = f"grouped by shared {KMER}-mers, {held_out.mean():.3g} held out, seed {seed}"
    return Split(np.flatnonzero(~held_out), np.flatnonzero(held_out), how)


def k_fold(rows: int, folds: int, *, seed: int = 42) -> NDArray[np.int64]:
    """Give every row a fold, 0 to `folds` − 1, at random; sizes differ by at most one."""
    return grouped_k_fold(np.arange(rows), folds, seed=seed)


def grouped_k_fold(groups: NDArray[np.int64], folds: int, *, seed: int = 42) -> NDArray[np.int64]:
    """Give every row a fold, whole groups at a time; each group, in random order, goes to the smallest fold."""
    if not 2 <= folds <= len(np.unique(groups)):
        raise OptionError(f"folds must be between 2 and the number of groups ({len(np.unique(groups))}), not {folds}")
    order, sizes = _shuffled_groups(groups, seed)
    filled = np.zeros(folds, dtype=np.int64)
    fold_of_group = np.empty(int(groups.max()) + 1, dtype=np.int64)
    for group, size in zip(order, sizes, strict=True):
        smallest = int(filled.argmin())
        fold_of_group[group] = smallest
        filled[smallest] += size
    return fold_of_group[groups]


def shared_kmer_groups(utrs: Sequence[str], k: int = KMER) -> NDArray[np.int64]:
    """Group rows: two that share a `k`-mer, directly or through others, get one number.

    Parameters
    ----------
    utrs : sequence of str
        The rows. Those shorter than `k` share only if they are equal.
    k : int
        At most 25.

    Returns
    -------
    numpy.ndarray of int64, shape (len(utrs),)
        Group numbers from 0.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not 1 <= k <= 25:
        raise OptionError(f"k must be between 1 and 25, not {k}")
    codes = np.zeros(256, dtype=np.uint64)
    for code, spellings in enumerate(("Nn", "Aa", "Cc", "Gg", "TtUu")):
        codes[[ord(letter) for letter in spellings]] = code
    hashes, owners = [], []
    for start in range(0, len(utrs), 50_000):
        letters = encode(list(utrs[start : start + 50_000]))
        letters = np.pad(letters, ((0, 0), (max(0, k - letters.shape[1]), 0)))
        digits, present = codes[letters], letters != PAD
        windows = letters.shape[1] - k + 1
        # Base 5 holds 25 letters (and a mark) in 64 bits: equal numbers are equal k-mers, not merely equal hashes.
        kmers = np.zeros((len(letters), windows), dtype=np.uint64)
        for offset in range(k):
            kmers = kmers * np.uint64(5) + digits[:, offset : offset + windows]
        whole = present[:, :windows]
        # A sequence shorter than k has one window, all of it, marked by its length beyond any real k-mer.
        short = ~whole.any(axis=1)
        whole[short, -1] = True
        kmers[short, -1] += np.uint64(5**k) * present[short].sum(axis=1).astype(np.uint64)
        row, window = np.nonzero(whole)
        hashes.append(kmers[row, window])
        owners.append(row + start)
    kmer, owner = np.concatenate(hashes), np.concatenate(owners)
    order = np.argsort(kmer, kind="stable")
    kmer, owner = kmer[order], owner[order]
    same = kmer[1:] == kmer[:-1]
    left, right = owner[:-1][same], owner[1:][same]
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(len(utrs), len(utrs)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _held_out_rows(rows: int, fraction: float) -> int:
    if not 0 < fraction < 1:
        raise OptionError(f"the share to hold out must be between 0 and 1, not {fraction:g}")
    held_out = int(np.ceil(fraction * rows))
    if not 0 < held_out < rows:
        raise InputError(f"{rows} row{'s' * (rows != 1)}: too few to hold out {fraction:g} of them")
    return held_out


def _rows_share(groups: Rows) -> bool:
    return bool(1 - np.count_nonzero(np.bincount(groups) == 1) / len(groups) > _SHARED_BY_ACCIDENT)


def _shuffled_groups(groups: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    names, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return names[order], sizes[order]
