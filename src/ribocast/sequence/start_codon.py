"""Inputs that likely hold their own start codon, or go on into a coding sequence: a 5′ UTR ends right before it.

A UTR with its start codon looks to a model like one with an upstream ATG, and is predicted as a bad one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ribocast.sequence.batch import Batch

_MOST_BEHIND = 8
"""Letters behind an ATG that a primer's or a cloning sequence's end may have."""
_OPEN_CODONS = 60
"""Of frames of random letters, one in 18 has no stop in 60 codons: (61 / 64)⁶⁰."""
_CLOSED_CODONS = 20
"""With its stop: the shortest coding sequence that is taken for one."""
_STOPS = (b"TAA", b"TAG", b"TGA")


def find_start(utrs: Batch) -> NDArray[np.int64]:
    """Find the likely start codon within sequences; return how many letters stand before it, shape (n,).

    It is the last ATG that ends a sequence, or that up to 8 letters follow in a strong context (A or G at −3, G at +4;
    Kozak, EMBO J 16, 2482–2492 (1997)) or in the consensus (CCACC or CCGCC before it). Else it is the first ATG that
    opens a frame without a stop to the end, of 60 codons or more, or with a stop as its last codon, of 20 or more.
    Where there is none, and where a letter is no nucleotide, it is the length. Of random UTRs of 50 nt 3 % have one.

    Examples
    --------
    >>> find_start(Batch.of(["ACTTCTGCCACCATGG", "ACTTCTGCCACC"])).tolist()
    [12, 12]
    """
    letters, ends = utrs.letters, utrs.bounds[1:]
    found = utrs.lengths.copy()
    starts = _places(letters, b"ATG")
    rows = np.searchsorted(utrs.bounds, starts, side="right") - 1
    left = ends[rows] - starts
    # Near the end, or far enough from it for a coding sequence; most ATGs are neither.
    likely = ((left >= 3) & (left <= 3 + _MOST_BEHIND)) | (left >= 3 * _CLOSED_CODONS)
    likely[likely] = ~np.isin(rows[likely], utrs.wrong_rows())
    starts, rows, left = starts[likely], rows[likely], left[likely]
    if not len(starts):
        return found
    stop = _first_stops(letters, starts)
    at_end = (left == 3) | ((left <= 3 + _MOST_BEHIND) & (stop + 3 > ends[rows]) & _good_context(utrs, starts, rows))
    opens = ((left >= 3 * _OPEN_CODONS) & (stop + 3 > ends[rows])) | (
        (left >= 3 * _CLOSED_CODONS) & (stop + 3 == ends[rows])
    )
    before = starts - utrs.bounds[rows]
    # The first of a row is written last, and after it the last of those at an end.
    found[rows[opens][::-1]] = before[opens][::-1]
    found[rows[at_end]] = before[at_end]
    return found


def start_notes(utrs: Batch) -> list[str]:
    """Say of each sequence whether it likely holds its start codon; empty where it does not."""
    notes, ends = [""] * len(utrs), find_start(utrs)
    for row in np.flatnonzero(ends < utrs.lengths).tolist():
        left = int(utrs.lengths[row] - ends[row])
        if ends[row] == 0:
            notes[row] = "likely a coding sequence without a 5′ UTR: begins with a start codon"
        elif left == 3:
            notes[row] = "likely ends in its start codon: a 5′ UTR ends right before it; cut_at_start leaves it out"
        else:
            notes[row] = (
                f"likely goes on past its start codon: the last {left:,} nt begin with it; cut_at_start leaves them out"
            )
    return notes


def cut_at_start(utrs: Batch) -> tuple[Batch, list[str]]:
    """Leave out what `find_start` takes for the start codon and what follows; never a whole sequence.

    Returns
    -------
    Batch
        The UTRs.
    list of str
        What was left out of each, in words; empty where nothing was.
    """
    ends = find_start(utrs)
    ends = np.where(ends == 0, utrs.lengths, ends)
    return utrs.first(ends), _said(utrs, ends)


def cut_pairs(refs: Batch, alts: Batch) -> tuple[Batch, Batch, list[str]]:
    """Cut references as `cut_at_start` does, and the same letters from the end of their variants.

    A pair whose variant has other letters there is not cut.
    """
    ends = find_start(refs)
    left = np.where(ends == 0, 0, refs.lengths - ends)
    for row in np.flatnonzero(left).tolist():
        tail = refs.letters[refs.bounds[row + 1] - left[row] : refs.bounds[row + 1]]
        other = alts.letters[alts.bounds[row] : alts.bounds[row + 1]]
        if len(other) <= len(tail) or (other[-len(tail) :] != tail).any():
            left[row] = 0
    ends = refs.lengths - left
    return refs.first(ends), alts.first(alts.lengths - left), _said(refs, ends)


def join_notes(first: Iterable[str], second: Iterable[str]) -> list[str]:
    """Put two notes on each row together."""
    return ["; ".join(filter(None, both)) for both in zip(first, second, strict=True)]


def _said(utrs: Batch, ends: NDArray[np.int64]) -> list[str]:
    left = (utrs.lengths - ends).tolist()
    return [f"cut at its likely start codon: without the last {count:,} nt" if count else "" for count in left]


def _places(letters: NDArray[np.uint8], codon: bytes) -> NDArray[np.int64]:
    one, two, three = codon
    return np.flatnonzero((letters[:-2] == one) & (letters[1:-1] == two) & (letters[2:] == three))


def _first_stops(letters: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the first stop in the frame of each start is; beyond all letters where there is none."""
    stops = np.sort(np.concatenate([_places(letters, stop) for stop in _STOPS]))
    found = np.full(len(starts), len(letters) + 3)
    for frame in range(3):
        mine, own = np.flatnonzero(starts % 3 == frame), stops[stops % 3 == frame]
        at = np.searchsorted(own, starts[mine])
        some = at < len(own)
        found[mine[some]] = own[at[some]]
    return found


def _good_context(utrs: Batch, starts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which starts, of the rows, have a strong context or the consensus before them."""
    room, letters = starts - utrs.bounds[rows], utrs.letters
    at = [np.take(letters, starts + place, mode="clip") for place in (-5, -4, -3, -2, -1, 3)]
    is_purine = (room >= 3) & ((at[2] == ord("A")) | (at[2] == ord("G")))
    is_consensus = room >= 5
    for place in (0, 1, 3, 4):
        is_consensus &= at[place] == ord("C")
    return np.asarray(is_purine & ((at[5] == ord("G")) | is_consensus))
