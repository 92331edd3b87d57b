"""Which of all sequences that were scored become the designs: the best that are far enough from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ribocast.designing.distances import quick_edit_distance
from ribocast.designing.objectives import Floats

_LOOKED_AT = 4_000


def choose(seqs: Sequence[str], scores: Floats, count: int, *, least: int = 1, slack: float = 0.05) -> list[int]:
    """Choose designs: far from each other where that costs little, at least so far from each other in any case.

    Parameters
    ----------
    seqs : sequence of str
        Different sequences.
    scores : numpy.ndarray of float, shape (n,)
        Higher is better.
    count : int
        How many at most.
    least : int
        Edits that any two have to be apart.
    slack : float
        What the worst of the chosen may lose so that they are further apart.

    Returns
    -------
    list of int
        Their numbers, best first; fewer than `count` if there are no more so far apart.
    """
    order = np.argsort(-scores, kind="stable")[:_LOOKED_AT]
    near = _pick(seqs, order, count, least, least)
    typical = int(np.median([len(seqs[number]) for number in order])) if len(order) else 0
    for apart in (typical // 3, typical // 4, typical // 5, typical // 7, typical // 10):
        if apart > least:
            far = _pick(seqs, order, count, apart, least)
            if len(far) == len(near) and scores[far[-1]] >= scores[near[-1]] - slack:
                return far
    return near


def _pick(seqs: Sequence[str], order: NDArray[np.int64], count: int, apart: int, least: int) -> list[int]:
    """Take the best, then the best of those far enough from all that are taken, and so on.

    `apart` are substitutions between those of one length, `least` are edits.
    """
    letters = _padded([seqs[number] for number in order])
    lengths = np.array([len(seqs[number]) for number in order])
    waiting = np.ones(len(order), dtype=bool)
    taken: list[int] = []
    while len(taken) < count and waiting.any():
        place = int(waiting.argmax())
        waiting[place] = False
        own = seqs[order[place]]
        # Edits are never more than substitutions, but can be fewer.
        if least > 1 and any(quick_edit_distance(own, seqs[other]) < least for other in taken):
            continue
        taken.append(int(order[place]))
        same = lengths == len(own)
        waiting &= ~(same & ((letters != letters[place]).sum(axis=1) < apart))
    return taken


def front(first: Floats, second: Floats) -> NDArray[np.int64]:
    """Return the numbers of those that no other is better than in both, by rising `first` (Pareto, 1906)."""
    order = np.lexsort((-second, -first))
    best, kept = -np.inf, []
    for number in order:
        if second[number] > best:
            kept.append(int(number))
            best = second[number]
    return np.array(kept[::-1], dtype=np.int64)


def spread(count: int, among: int) -> NDArray[np.int64]:
    """Return `count` numbers from 0 to below `among`, evenly, each once; all if there are not more."""
    return np.unique(np.linspace(0, among - 1, min(count, among)).round().astype(np.int64))


def _padded(seqs: Sequence[str]) -> NDArray[np.uint8]:
    longest = max(map(len, seqs), default=0)
    text = "".join(seq.rjust(longest) for seq in seqs)
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8).reshape(len(seqs), longest)
