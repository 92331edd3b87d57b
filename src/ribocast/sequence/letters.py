"""Letters: checking 5′ UTRs and turning a batch of them into one array of bytes.

A model takes the letters themselves (ASCII) and looks them up inside its own graph, where ``U`` is ``T``
and lower case is upper case. So nothing here maps letters to numbers: it checks, and it right-aligns,
because every sequence ends at the start codon.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import SequenceError

ALPHABET = "ACGTUN"
SEQUENCE_NAMES = ("seq", "sequence", "utr")
"""What users call the column of sequences, in the order in which it is looked for."""
PAD = 0
"""The byte on the left of sequences that are shorter than the longest of their batch."""

_SPELLINGS = (ALPHABET + ALPHABET.lower()).encode()
_IS_WRONG = np.ones(256, dtype=bool)
_IS_WRONG[list(_SPELLINGS)] = False
_TO_DNA = str.maketrans("acgtunU", "ACGTTNT")

_MISSING = frozenset({"na", "nan", "n/a", "#n/a", "null", "none", "<na>"})
_LONGEST_WORD = 20
"""With the white space around it; longer texts are not looked at."""

Letters = NDArray[np.uint8]


class Fault(NamedTuple):
    """One unusable sequence: its 0-based row and what is wrong with it, in words."""

    row: int
    reason: str


def find_faults(utrs: Sequence[object]) -> list[Fault]:
    """Find every sequence that is missing (`is_missing`), empty or has a letter other than A, C, G, T, U and N.

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
    if _of_one_length(cast("Sequence[str]", utrs), maybe_missing=True) is not None:
        return []
    return _read(utrs, maybe_missing=True)[0]


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
        At the first sequence that is no text, or empty, or has another letter than A, C, G, T, U or N. (Whether text
        stands for a missing value is asked where users' sequences come in, by `find_faults`.)
    """
    letters = _of_one_length(utrs)
    if letters is not None:
        return letters
    faults, flat, lengths = _read(utrs)
    if faults:
        raise SequenceError(*faults[0])
    longest = int(lengths.max(initial=0))
    if lengths.size and int(lengths.min()) == longest:
        return flat.reshape(-1, longest)
    letters = np.full((len(lengths), longest), PAD, dtype=np.uint8)
    letters[np.arange(longest) >= longest - lengths[:, None]] = flat
    return letters


def decode(letters: Letters) -> list[str]:
    """Undo `encode`: bytes of shape (n, length) back to n strings without their padding."""
    return [bytes(row[row != PAD]).decode("ascii") for row in letters]


def to_dna(utr: str) -> str:
    """Spell a sequence in upper case with T for U."""
    return utr.translate(_TO_DNA)


def _of_one_length(utrs: Sequence[str], *, maybe_missing: bool = False) -> Letters | None:
    """Encode sequences that are all right and of one length, without a step for each; None if they are not.

    With `maybe_missing`, also None for those of which some may be spelled as a missing value is.
    """
    try:
        text = "\n".join(utrs).encode("ascii")
    except (TypeError, UnicodeEncodeError):
        return None
    rows, width = len(utrs), text.find(b"\n") if len(utrs) > 1 else len(text)
    # What is left without the nucleotides must be the line breaks, and these must stand in one column.
    if width in (2, 3) and maybe_missing:
        return None
    if width < 1 or len(text) + 1 != rows * (width + 1) or text.translate(None, _SPELLINGS) != b"\n" * (rows - 1):
        return None
    lines = np.frombuffer(text + b"\n", dtype=np.uint8).reshape(rows, width + 1)
    return lines[:, :width].copy() if (lines[:, width] == ord("\n")).all() else None


def _read(
    utrs: Sequence[object], *, maybe_missing: bool = False
) -> tuple[list[Fault], Letters, NDArray[np.int64]]:  # fmt: skip
    """Find the faults; give all letters in one row, and the length of each sequence (0 where it is none)."""
    utrs = [None if maybe_missing and is_missing(utr) else utr for utr in utrs]
    faults = [Fault(row, _unusable(utr)) for row, utr in enumerate(utrs) if not (isinstance(utr, str) and utr)]
    texts = cast("list[str]", [utr if isinstance(utr, str) else "" for utr in utrs] if faults else utrs)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    # "replace" gives one byte per letter, so that positions still hold where a letter is not ASCII.
    flat = np.array(np.frombuffer("".join(texts).encode("ascii", "replace"), dtype=np.uint8))
    wrong = np.flatnonzero(_IS_WRONG[flat])
    if wrong.size:
        ends = np.cumsum(lengths)
        rows, first = np.unique(np.searchsorted(ends, wrong, side="right"), return_index=True)
        positions = wrong[first] - (ends - lengths)[rows]
        faults += map(_wrong_letter, rows.tolist(), positions.tolist(), (texts[row] for row in rows))
        faults.sort()
    return faults, flat, lengths


def _wrong_letter(row: int, position: int, utr: str) -> Fault:
    return Fault(row, f"{utr[position]!r} at position {position + 1} is not a nucleotide (A, C, G, T, U or N)")


def _unusable(value: object) -> str:
    if isinstance(value, str):
        return "the sequence is empty"
    if is_missing(value):
        return "the sequence is missing"
    # A repr can be long and, of an array, more than one line.
    return f"{' '.join(reprlib.repr(value).split())} is not a sequence"
