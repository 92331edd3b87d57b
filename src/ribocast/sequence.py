"""Letters: checking 5′ UTRs and turning a batch of them into one array of bytes.

A model takes the letters themselves (ASCII) and looks them up inside its own graph, where ``U`` is ``T``
and lower case is upper case. So nothing here maps letters to numbers: it checks, and it right-aligns,
because every sequence ends at the start codon.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import RibocastError

ALPHABET = "ACGTUN"
SEQUENCE_NAMES = ("seq", "sequence", "utr")
"""What users call the column of sequences, in the order in which it is looked for."""
PAD = 0
"""The byte on the left of sequences that are shorter than the longest of their batch."""

_IS_LETTER = np.zeros(256, dtype=bool)
_IS_LETTER[[ord(letter) for letter in ALPHABET + ALPHABET.lower()]] = True
_TO_DNA = str.maketrans("acgtunU", "ACGTTNT")

Letters = NDArray[np.uint8]


class Fault(NamedTuple):
    """One unusable sequence: its 0-based row and what is wrong with it, in words."""

    row: int
    reason: str


class SequenceError(RibocastError):
    """A sequence cannot be read.

    Attributes
    ----------
    fault : Fault
        The first unusable sequence.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"row {fault.row + 1}: {fault.reason}")
        self.fault = fault


def find_faults(utrs: Sequence[object]) -> list[Fault]:
    """Find every sequence that is missing, empty or has a letter other than A, C, G, T, U and N.

    Parameters
    ----------
    utrs : sequence of str
        5′→3′; either case, T or U.

    Returns
    -------
    list of Fault
        In row order, one per bad row; it names the row's first wrong letter. Positions in the reason count
        from 1 at the 5′ end.
    """
    if all(isinstance(utr, str) and utr for utr in utrs):
        flat, lengths = _flatten(utrs)  # type: ignore[arg-type]
        wrong = np.flatnonzero(~_IS_LETTER[flat])
        if not wrong.size:
            return []
        rows = np.unique(np.searchsorted(np.cumsum(lengths), wrong, side="right"))
        return [Fault(int(row), _wrong_letter(str(utrs[row]))) for row in rows]
    faults = []
    for row, utr in enumerate(utrs):
        if not isinstance(utr, str):
            missing = utr is None or utr != utr
            kind = "the sequence is missing" if missing else f"{utr!r} is not a sequence"
            faults.append(Fault(row, kind))
        elif not utr:
            faults.append(Fault(row, "the sequence is empty"))
        elif reason := _wrong_letter(utr):
            faults.append(Fault(row, reason))
    return faults


def encode(utrs: Sequence[str]) -> Letters:
    """Turn a batch of sequences into one array of ASCII bytes, right-aligned.

    Parameters
    ----------
    utrs : sequence of str
        5′→3′, ending right before the start codon; either case, T or U.

    Returns
    -------
    numpy.ndarray of uint8, shape (len(utrs), longest)
        The letters as given; shorter sequences have ``PAD`` on their left.

    Raises
    ------
    SequenceError
        At the first missing or empty sequence, or one with another letter than A, C, G, T, U or N.
    """
    faults = find_faults(utrs)
    if faults:
        raise SequenceError(faults[0])
    flat, lengths = _flatten(utrs)
    longest = int(lengths.max(initial=0))
    if lengths.size and int(lengths.min()) == longest:
        return flat.reshape(len(utrs), longest)
    letters = np.full((len(utrs), longest), PAD, dtype=np.uint8)
    letters[np.arange(longest) >= longest - lengths[:, None]] = flat
    return letters


def decode(letters: Letters) -> list[str]:
    """Undo `encode`: bytes of shape (n, length) back to n strings without their padding."""
    return [bytes(row[row != PAD]).decode("ascii") for row in letters]


def to_dna(utr: str) -> str:
    """Spell a sequence in upper case with T for U."""
    return utr.translate(_TO_DNA)


def _flatten(utrs: Iterable[str]) -> tuple[Letters, NDArray[np.int64]]:
    utrs = list(utrs)
    lengths = np.fromiter(map(len, utrs), dtype=np.int64, count=len(utrs))
    # "replace" gives one byte per letter, so that positions still hold where a letter is not ASCII.
    flat = np.frombuffer("".join(utrs).encode("ascii", "replace"), dtype=np.uint8)
    return flat, lengths


def _wrong_letter(utr: str) -> str:
    for position, letter in enumerate(utr, start=1):
        if letter.upper() not in ALPHABET or not letter.isascii():
            return f"{letter!r} at position {position} is not a nucleotide (A, C, G, T, U or N)"
    return ""
