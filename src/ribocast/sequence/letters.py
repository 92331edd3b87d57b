"""What the letters of a sequence are and what stands for a missing one."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ALPHABET = "ACGTUN"
SEQUENCE_NAMES = ("seq", "sequence", "utr")
"""What users call the column of sequences, in the order in which it is looked for."""
PAD = 0
"""The byte on the left of sequences that are shorter than the longest of their batch."""

_TO_DNA = str.maketrans("acgtunU", "ACGTTNT")

SPACE = r"[\s\p{Z}\x{200B}\x{FEFF}]+"
"""White space of any kind, as Arrow's regular expressions spell it."""
_SPACE = re.compile(r"[\s\u200b\ufeff]+")

_MISSING = frozenset({"na", "nan", "n/a", "#n/a", "null", "none", "<na>"})
_LONGEST_WORD = 20
"""With the white space around it; longer texts are not looked at."""

Letters = NDArray[np.uint8]


class Fault(NamedTuple):
    """One unusable sequence: its 0-based row and what is wrong with it, in words."""

    row: int
    reason: str


def is_missing(value: object) -> bool:
    """Tell whether a value is missing: None, NaN and the like, or text that stands for a missing value.

    The one rule for sequences, labels, reads and groups, in files and in Python alike: ``NA``, ``NaN``, ``N/A``,
    ``#N/A``, ``NULL``, ``None`` and ``<NA>``, in any case, quoted or not, with white space around them or not.
    The letters of the first two are nucleotides as well (N is any of them): a sequence of two or three letters that is
    spelled so is a missing value all the same, and no UTR that anybody has measured.
    """
    if isinstance(value, str):
        return len(value) <= _LONGEST_WORD and value.strip().lower() in _MISSING
    # pandas' own missing values are known by name: this module does not import pandas.
    is_nan = isinstance(value, float | np.floating) and value != value
    return value is None or is_nan or type(value).__name__ in {"NAType", "NaTType"}


def without_space(value: Any) -> Any:
    """Return text without the white space around and in it, of any kind; other values as they are."""
    return value if not isinstance(value, str) or value.isalpha() else _SPACE.sub("", value)


def to_dna(utr: str) -> str:
    """Spell a sequence in upper case with T for U."""
    return utr.translate(_TO_DNA)
