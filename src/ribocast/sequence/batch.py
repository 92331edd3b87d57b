"""Sequences as one row of bytes: made once, checked once, and from there to the network without a step for each.

A model takes the letters themselves (ASCII) and looks them up inside its own graph. So nothing here maps letters to
numbers: it checks, spells in upper case with T for U, and right-aligns, because every sequence ends at the start codon.
"""

from __future__ import annotations

import reprlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import SequenceError
from ribocast.sequence.letters import PAD, Fault, Letters, is_missing

if TYPE_CHECKING:
    import pyarrow as pa

_TO_DNA = bytes.maketrans(b"acgtunU", b"ACGTTNT")
_DNA = b"ACGTN"
_IS_WRONG = np.ones(256, dtype=bool)
_IS_WRONG[list(_DNA)] = False


@dataclass(frozen=True, eq=False)
class Batch:
    """Sequences in upper case with T for U, one after the other. Other characters are kept.

    Attributes
    ----------
    letters : numpy.ndarray of uint8, shape (letters,)
        All of them, in ASCII.
    bounds : numpy.ndarray of int64, shape (n + 1,)
        Sequence i is ``letters[bounds[i]:bounds[i + 1]]``.
    is_clean : bool
        Whether all of `letters` are A, C, G, T and N.
    """

    letters: Letters
    bounds: NDArray[np.int64]
    is_clean: bool = True

    @classmethod
    def of(cls, utrs: Sequence[str]) -> Batch:
        """Make a batch of the program's own sequences; ``NA`` is two letters among them (see `read_batch` for users').

        Raises
        ------
        SequenceError
            At the first that is not text, or empty, or has another letter than A, C, G, T, U or N, in either case.
        """
        batch, faults = _read(utrs)
        if faults:
            raise SequenceError(*faults[0])
        return batch

    @classmethod
    def of_column(cls, column: pa.ChunkedArray | pa.Array) -> Batch:
        """Make a batch of a column of text; what is missing or not text is empty in it (see `suspects`)."""
        import pyarrow as pa

        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            return cls(np.zeros(0, dtype=np.uint8), np.zeros(len(column) + 1, dtype=np.int64))
        column = column.cast(pa.large_string())
        if column.null_count:
            column = column.fill_null("")
        letters, bounds = _parts_of(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
        return cls(*_spell(letters, bounds))

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """Put sequences behind one another: those of the first part, then those of the second, and so on."""
        offsets = np.cumsum([0, *(len(part.letters) for part in parts)])
        bounds = [part.bounds[1:] + offset for part, offset in zip(parts, offsets, strict=False)]
        return cls(
            np.concatenate([part.letters for part in parts]),
            np.concatenate([[0], *bounds]).astype(np.int64),
            is_clean=all(part.is_clean for part in parts),
        )

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Letters of each sequence."""
        return np.diff(self.bounds)

    @cached_property
    def texts(self) -> list[str]:
        """The sequences as Python has them."""
        return list(self._as_arrow().to_pylist())

    @property
    def checksum(self) -> int:
        """CRC-32 of the letters and of where the sequences end."""
        return zlib.crc32(self.bounds.astype("<i8").tobytes(), zlib.crc32(self.letters.data))

    def suspects(self, longest: int) -> NDArray[np.int64]:
        """Return rows that are empty or missing, longer than `longest`, or have anything but A, C, G, T and N."""
        odd = (self.lengths == 0) | (self.lengths > longest)
        # In any case of letters, which was spelled away: that a row is looked at again does no harm.
        for row in np.flatnonzero((self.lengths == 2) | (self.lengths == 3)):
            odd[row] |= self.letters[self.bounds[row] : self.bounds[row + 1]].tobytes() in (b"NA", b"NAN")
        odd[self.wrong_rows()] = True
        return np.flatnonzero(odd)

    def wrong_rows(self) -> NDArray[np.int64]:
        """Return rows that have anything but A, C, G, T and N."""
        return np.zeros(0, dtype=np.int64) if self.is_clean else _first_wrong(self)[0]

    def first(self, counts: NDArray[np.int64]) -> Batch:
        """Return the first letters of each sequence, `counts` of them, shape (n,)."""
        if (counts == self.lengths).all():
            return self
        stay = np.arange(len(self.letters)) - np.repeat(self.bounds[:-1], self.lengths) < np.repeat(
            counts, self.lengths
        )
        bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Batch(self.letters[stay], bounds, self.is_clean)

    def count(self, letter: bytes) -> NDArray[np.int64]:
        """Count a letter in each sequence."""
        upto = np.zeros(len(self.letters) + 1, dtype=np.int64)
        np.cumsum(self.letters == ord(letter), out=upto[1:])
        return np.diff(upto[self.bounds])

    def take(self, rows: NDArray[np.int64]) -> Batch:
        """Return some of the sequences, in the order of `rows`."""
        from ribocast.sequence.arrow import as_array

        letters, bounds = _parts_of(self._as_arrow().take(as_array(rows)))
        return Batch(np.frombuffer(letters, np.uint8), bounds, self.is_clean)

    def distinct(self) -> tuple[Batch, NDArray[np.int64]]:
        """Return each different sequence once, in the order in which they come, and its number for each row."""
        texts = self._as_arrow().dictionary_encode()
        numbers = np.frombuffer(texts.indices.buffers()[1], dtype=np.int32, count=len(texts))
        letters, bounds = _parts_of(texts.dictionary)
        return Batch(np.frombuffer(letters, np.uint8), bounds, self.is_clean), numbers.astype(np.int64)

    def rows(self, rows: NDArray[np.int64], width: int = 0) -> Letters:
        """Return some sequences as an array, right-aligned: uint8, shape (rows, the longest or `width`).

        Shorter sequences have ``PAD`` on their left.
        """
        lengths = self.lengths[rows]
        longest = int(lengths.max(initial=width))
        places = (self.bounds[rows + 1] - longest)[:, None] + np.arange(longest)
        if (lengths == longest).all():
            return np.take(self.letters, places)
        is_letter = np.arange(longest) >= longest - lengths[:, None]
        return np.where(is_letter, np.take(self.letters, places, mode="clip"), np.uint8(PAD))

    def _as_arrow(self) -> pa.LargeStringArray:
        from ribocast.sequence.arrow import as_texts

        return as_texts(self.letters, self.bounds)


def encode(utrs: Sequence[str]) -> Letters:
    """Turn the program's own sequences into one array of bytes, shape (n, longest); see `Batch.of` and `Batch.rows`."""
    batch = Batch.of(utrs)
    longest = int(batch.lengths.max(initial=0))
    if len(batch.letters) == len(batch) * longest:
        return batch.letters.reshape(len(batch), longest)
    letters = np.full((len(batch), longest), PAD, dtype=np.uint8)
    letters[np.arange(longest) >= longest - batch.lengths[:, None]] = batch.letters
    return letters


def read_batch(utrs: Sequence[object], longest: int | None = None) -> tuple[Batch, list[Fault]]:
    """Make a batch of users' sequences, and find every one that cannot be used.

    Parameters
    ----------
    utrs : sequence of str
        5′→3′; either case, T or U.
    longest : int, optional
        How many letters a sequence may have.

    Returns
    -------
    Batch
        To be used where there are no faults.
    list of Fault
        In row order, one for each row that is missing (`is_missing`), empty or too long or has another letter than A,
        C, G, T, U and N: it names the first one. Positions in the reason count from 1 at the 5′ end.
    """
    return _read(utrs, longest, may_be_missing=True)


def find_faults(utrs: Sequence[object]) -> list[Fault]:
    """Find every sequence that cannot be used; see `read_batch`."""
    return read_batch(utrs)[1]


def _read(
    utrs: Sequence[object], longest: int | None = None, *, may_be_missing: bool = False
) -> tuple[Batch, list[Fault]]:  # fmt: skip
    batch = _of_one_length(cast("Sequence[str]", utrs))
    # Of two or three letters, each may be one that stands for a missing value.
    if batch and batch.lengths[0] <= (longest or np.inf) and not (may_be_missing and batch.lengths[0] in (2, 3)):
        return batch, []
    utrs = [None if may_be_missing and is_missing(utr) else utr for utr in utrs]
    faults = {row: Fault(row, _unusable(utr)) for row, utr in enumerate(utrs) if not (isinstance(utr, str) and utr)}
    texts = cast("list[str]", [utr if isinstance(utr, str) else "" for utr in utrs] if faults else utrs)
    bounds = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)), out=bounds[1:])
    # "replace" gives one byte per letter, so that positions still hold where a letter is not ASCII.
    batch = Batch(*_spell("".join(texts).encode("ascii", "replace"), bounds))
    if not batch.is_clean:
        for row, position in zip(*(found.tolist() for found in _first_wrong(batch)), strict=True):
            reason = f"{texts[row][position]!r} at position {position + 1} is not a nucleotide (A, C, G, T, U or N)"
            faults[row] = Fault(row, reason)
    for row in np.flatnonzero(batch.lengths > (longest or np.inf)).tolist():
        reason = f"sequence is {batch.lengths[row]:,} nt; the maximum is {longest:,}"
        faults.setdefault(row, Fault(row, reason))
    return batch, [faults[row] for row in sorted(faults)]


def _of_one_length(utrs: Sequence[str]) -> Batch | None:
    """Make a batch of sequences that are all right and of one length, without a step for each; None if they are not."""
    try:
        text = "\n".join(utrs).encode("ascii")
    except (TypeError, UnicodeEncodeError):
        return None
    rows, width = len(utrs), text.find(b"\n") if len(utrs) > 1 else len(text)
    if width < 1 or len(text) + 1 != rows * (width + 1):
        return None
    breaks = b"\n" * (rows - 1)
    # What is left without the nucleotides must be the line breaks, and these must stand in one column.
    if text.translate(None, _DNA) != breaks:
        text = text.translate(_TO_DNA)
        if text.translate(None, _DNA) != breaks:
            return None
    lines = np.frombuffer(text + b"\n", dtype=np.uint8).reshape(rows, width + 1)
    if (lines[:, width] != ord("\n")).any():
        return None
    return Batch(lines[:, :width].copy().reshape(-1), np.arange(rows + 1) * width)


def _parts_of(texts: Any) -> tuple[bytes, NDArray[np.int64]]:
    """Return the letters of Arrow's texts, and where each text begins and ends in them."""
    from ribocast.sequence.arrow import bounds_of, letters_of

    bounds = bounds_of(texts)
    return bytes(letters_of(texts)[bounds[0] : bounds[-1]]), bounds - bounds[0]


def _spell(letters: bytes, bounds: NDArray[np.int64]) -> tuple[Letters, NDArray[np.int64], bool]:
    # Looking is faster than spelling, and most tables are spelled like this.
    is_clean = not letters.translate(None, _DNA)
    if not is_clean:
        letters = letters.translate(_TO_DNA)
        is_clean = not letters.translate(None, _DNA)
    return np.frombuffer(letters, np.uint8), bounds, is_clean


def _first_wrong(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that have a wrong letter, and where in each the first one is, from 0."""
    wrong = np.flatnonzero(_IS_WRONG[batch.letters])
    rows, first = np.unique(np.searchsorted(batch.bounds, wrong, side="right") - 1, return_index=True)
    return rows, wrong[first] - batch.bounds[rows]


def _unusable(value: object) -> str:
    if isinstance(value, str):
        return "the sequence is empty"
    if is_missing(value):
        return "the sequence is missing"
    # A repr can be long and, of an array, more than one line.
    return f"{' '.join(reprlib.repr(value).split())} is not a sequence"
