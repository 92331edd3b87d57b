"""Many sequences as one row of bytes: what is done to letters is done to all of them at once."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ribocast.sequence.letters import PAD, Letters

if TYPE_CHECKING:
    import pyarrow as pa

_SPELL = bytes.maketrans(b"acgtunU", b"ACGTTNT")
_RIGHT = b"ACGTN"
_IS_WRONG = np.ones(256, dtype=bool)
_IS_WRONG[list(_RIGHT)] = False


@dataclass(frozen=True)
class Spelled:
    """Sequences in upper case with T for U, one after the other. What is no letter is left as it is.

    Attributes
    ----------
    letters : bytes
        All of them.
    bounds : numpy.ndarray of int64, shape (n + 1,)
        Sequence i is ``letters[bounds[i]:bounds[i + 1]]``.
    is_clean : bool
        Whether all of `letters` are A, C, G, T and N.
    """

    letters: bytes
    bounds: NDArray[np.int64]
    is_clean: bool

    @classmethod
    def of(cls, utrs: Sequence[str]) -> Spelled:
        """Spell sequences that were checked (`ribocast.sequence.letters.find_faults`)."""
        bounds = np.zeros(len(utrs) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, utrs), dtype=np.int64, count=len(utrs)), out=bounds[1:])
        return cls._spell("".join(utrs).encode("ascii"), bounds)

    @classmethod
    def of_column(cls, column: pa.ChunkedArray | pa.Array) -> Spelled:
        """Spell a column of text, unchecked; missing values are empty, as is all that is no text (see `suspects`)."""
        import pyarrow as pa

        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            return cls(b"", np.zeros(len(column) + 1, dtype=np.int64), is_clean=True)
        column = column.cast(pa.large_string())
        if column.null_count:
            column = column.fill_null("")
        return cls._of_texts(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)

    @classmethod
    def _of_texts(cls, texts: Any) -> Spelled:
        from ribocast.sequence.arrow import bounds_of, letters_of

        bounds = bounds_of(texts)
        return cls._spell(bytes(letters_of(texts)[bounds[0] : bounds[-1]]), bounds - bounds[0])

    @classmethod
    def _spell(cls, letters: bytes, bounds: NDArray[np.int64]) -> Spelled:
        # Looking is faster than spelling, and most tables are spelled like this.
        if not letters.translate(None, _RIGHT):
            return cls(letters, bounds, is_clean=True)
        letters = letters.translate(_SPELL)
        return cls(letters, bounds, is_clean=not letters.translate(None, _RIGHT))

    @classmethod
    def joined(cls, parts: Sequence[Spelled]) -> Spelled:
        """Put sequences behind one another: those of the first part, then those of the second, and so on."""
        offsets = np.cumsum([0, *(len(part.letters) for part in parts)])
        bounds = [part.bounds[1:] + offset for part, offset in zip(parts, offsets, strict=False)]
        return cls(
            b"".join(part.letters for part in parts),
            np.concatenate([[0], *bounds]).astype(np.int64),
            is_clean=all(part.is_clean for part in parts),
        )

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Letters of each sequence."""
        return np.diff(self.bounds)

    @property
    def checksum(self) -> int:
        """CRC-32 of the letters and of where the sequences end."""
        return zlib.crc32(self.bounds.astype("<i8").tobytes(), zlib.crc32(self.letters))

    def suspects(self, longest: int) -> NDArray[np.int64]:
        """Return rows that are empty or missing, longer than `longest`, or have anything but A, C, G, T and N."""
        odd = (self.lengths == 0) | (self.lengths > longest)
        # In any case of letters, which was spelled away: that a row is looked at again does no harm.
        for row in np.flatnonzero((self.lengths == 2) | (self.lengths == 3)):
            odd[row] |= self.letters[self.bounds[row] : self.bounds[row + 1]] in (b"NA", b"NAN")
        if not self.is_clean:
            odd[self._rows_of(np.flatnonzero(_IS_WRONG[np.frombuffer(self.letters, np.uint8)]))] = True
        return np.flatnonzero(odd)

    def count(self, letter: bytes) -> NDArray[np.int64]:
        """Count a letter in each sequence."""
        upto = np.zeros(len(self.letters) + 1, dtype=np.int64)
        np.cumsum(np.frombuffer(self.letters, np.uint8) == ord(letter), out=upto[1:])
        return np.diff(upto[self.bounds])

    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """Return each different sequence once, in the order in which they come, and its number for each row."""
        from ribocast.sequence.arrow import as_texts

        texts = as_texts(self.letters, self.bounds).dictionary_encode()
        numbers = np.frombuffer(texts.indices.buffers()[1], dtype=np.int32, count=len(texts))
        return texts.dictionary.to_pylist(), numbers.astype(np.int64)

    def rows(self, rows: NDArray[np.int64], width: int = 0) -> Letters:
        """Return some sequences as an array, right-aligned as by `encode`: uint8, (rows, the longest or `width`)."""
        letters: Letters = np.frombuffer(self.letters, np.uint8)
        lengths = self.lengths[rows]
        longest = max(int(lengths.max(initial=0)), width)
        places = (self.bounds[rows + 1] - longest)[:, None] + np.arange(longest)
        if (lengths == longest).all():
            return np.take(letters, places)
        is_letter = np.arange(longest) >= longest - lengths[:, None]
        return np.where(is_letter, np.take(letters, np.where(is_letter, places, 0)), np.uint8(PAD))

    def _rows_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self.bounds, places, side="right") - 1


def as_spelled(utrs: Sequence[str] | Spelled) -> Spelled:
    """Spell checked sequences that are not spelled yet."""
    return utrs if isinstance(utrs, Spelled) else Spelled.of(utrs)
