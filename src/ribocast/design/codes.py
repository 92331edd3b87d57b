"""UTRs of one length as a block of numbers: 0 to 3 for A, C, G and T."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BASES = "ACGT"
ANY = 255
IUPAC = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
"""The bases that each letter stands for (Cornish-Bowden, Nucleic Acids Research 13, 3021–3030 (1985))."""
Codes = NDArray[np.uint8]
Counts = NDArray[np.float64]


class Near(NamedTuple):
    """A seed, laid along UTRs of one length, and how many of its letters may be others.

    `letters` has shape (length,), with ``ANY`` where a letter is inserted, which no substitution is counted at; `rule`
    is the one that laid it.
    """

    letters: Codes
    most: int
    rule: object = None

    def differs(self, block: Codes) -> NDArray[np.bool_]:
        """Say where sequences, shape (n, length), have another letter; same shape."""
        return np.asarray((block != self.letters) & (self.letters != ANY))

    def changes(self, block: Codes) -> NDArray[np.int64]:
        """Count the other letters; shape (n,)."""
        return np.asarray(self.differs(block).sum(axis=1))


def codes_of(sequences: Sequence[str]) -> Codes:
    """Turn sequences of one length, in A, C, G and T, into numbers 0 to 3; shape (n, length)."""
    letters = np.frombuffer("".join(sequences).encode("ascii"), dtype=np.uint8).reshape(len(sequences), -1)
    # A, C, G and T end in the bits 00, 01, 11 and 10.
    two_bits = letters >> 1 & 3
    return np.asarray(np.where(two_bits > 1, 5 - two_bits, two_bits), dtype=np.uint8)


def strings_of(block: Codes) -> list[str]:
    """Turn numbers 0 to 3, shape (n, length), back into sequences."""
    text = np.frombuffer(BASES.encode("ascii"), dtype=np.uint8)[block].tobytes().decode("ascii")
    return [text[begin:end] for begin, end in pairwise(range(0, len(text) + 1, block.shape[1]))]


def words_of(block: Codes, size: int) -> NDArray[np.int64]:
    """Give all words of sequences, shape (n, length), as numbers, shape (n, words); at most 31 letters each."""
    count = block.shape[1] - size + 1
    words = np.zeros((len(block), max(count, 0)), dtype=np.int64)
    for at in range(size if count > 0 else 0):
        words = words * 4 + block[:, at : at + count]
    return words
