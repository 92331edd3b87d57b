"""Which of all sequences that were scored become the designs: the best that are far enough from each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ribocast.design.distances import quick_edit_distance
from ribocast.design.objectives import Floats

_LOOKED_AT = 4_000
_WORD = 3


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
    order = _best(scores, count)
    near = _pick(seqs, order, count, least, least)
    typical = int(np.median([len(seqs[number]) for number in order])) if len(order) else 0
    for apart in (typical // 3, typical // 4, typical // 5, typical // 7, typical // 10):
        if apart > least:
            far = _pick(seqs, order, len(near), apart, least)
            if len(far) == len(near) and scores[far[-1]] >= scores[near[-1]] - slack:
                return far
    return near


def are_enough(seqs: Sequence[str], scores: Floats, count: int, *, least: int = 1) -> bool:
    """Say whether `count` of the best sequences are at least so far from each other; see `choose`."""
    return len(_pick(seqs, _best(scores, count), count, least, least)) == count


def _best(scores: Floats, count: int) -> NDArray[np.int64]:
    return np.argsort(-scores, kind="stable")[: max(_LOOKED_AT, 2 * count)]


def _pick(seqs: Sequence[str], order: NDArray[np.int64], count: int, apart: int, least: int) -> list[int]:
    """Take the best, then the best of those far enough from all that are taken, and so on.

    `apart` are substitutions between those of one length, `least` are edits. Where fewer than `count` are so far apart,
    it ends when that is sure.
    """
    letters = _padded([seqs[number] for number in order])
    lengths = np.array([len(seqs[number]) for number in order])
    waiting = np.ones(len(order), dtype=bool)
    # Sums of small whole numbers: NumPy's usual 64 bits take eight times as long.
    words = _count_words(letters) if least > 1 else np.empty((len(order), 0), dtype=np.int16)
    taken: list[int] = []  # places in `order`
    while len(taken) < count and waiting.any():
        place = int(waiting.argmax())
        waiting[place] = False
        own = seqs[order[place]]
        # Edits are never more than substitutions, but can be fewer.
        if least > 1:
            # An edit changes three words of three letters: few pairs share enough of them to be near.
            shared = np.abs(words[taken] - words[place]).sum(axis=1, dtype=np.int16) < 2 * _WORD * least
            if any(quick_edit_distance(own, seqs[order[taken[other]]]) < least for other in np.flatnonzero(shared)):
                continue
        taken.append(place)
        if apart > least:
            waiting &= ~((lengths == len(own)) & ((letters != letters[place]).sum(axis=1, dtype=np.uint16) < apart))
            if len(taken) + np.count_nonzero(waiting) < count:
                break
    return [int(order[place]) for place in taken]


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


def _count_words(letters: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Count each of the 64 words of three letters; shape (n, 64)."""
    codes = (letters >> 1 & 3).astype(np.int64)
    words = codes[:, :-2] * 16 + codes[:, 1:-1] * 4 + codes[:, 2:] if letters.shape[1] >= _WORD else codes[:, :0]
    at = np.arange(len(letters))[:, None] * 64 + words
    whole = letters[:, : words.shape[1]] != ord(" ")
    return np.bincount(at[whole], minlength=64 * len(letters)).reshape(-1, 64).astype(np.int16)


def _padded(seqs: Sequence[str]) -> NDArray[np.uint8]:
    longest = max(map(len, seqs), default=0)
    text = "".join(seq.rjust(longest) for seq in seqs)
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8).reshape(len(seqs), longest)
