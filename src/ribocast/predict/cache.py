"""What was predicted lately: sequences that come again are not predicted again."""

from __future__ import annotations

from collections import deque
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.model.engine import Outputs

SEQUENCES = 1 << 18
LETTERS = 1 << 26


class Lookup(NamedTuple):
    """Which of some different sequences are to be predicted, and where each one's answer is (or is to be) kept."""

    is_new: NDArray[np.bool_]
    slots: NDArray[np.int64]


class AnswerCache:
    """The last different sequences and their answers, in bounded memory.

    One thread asks and one answers, both in the order of the pieces; what is forgotten, and when, depends on the
    sequences alone.

    Parameters
    ----------
    width : int
        Numbers of an answer.
    sequences, letters : int
        As much is kept at most; the oldest is forgotten first.
    """

    def __init__(self, width: int, *, sequences: int = SEQUENCES, letters: int = LETTERS) -> None:
        self._most, self._most_letters = sequences, letters
        self._answers = np.zeros((sequences, width), dtype=np.float32)
        self._slot_of: dict[str, int] = {}
        self._in_order: deque[str] = deque()
        self._letters = self._next = 0

    def ask(self, utrs: list[str]) -> Lookup:
        """Look up sequences that all differ; remember the new ones."""
        found = list(map(self._slot_of.get, utrs))
        is_new = np.fromiter((slot is None for slot in found), dtype=bool, count=len(utrs))
        new = list(compress(utrs, is_new))
        slots = (self._next + np.arange(len(new))) % self._most
        self._next += len(new)
        self._slot_of.update(zip(new, slots.tolist(), strict=True))
        self._in_order.extend(new)
        self._letters += sum(map(len, new))
        while len(self._in_order) > self._most or self._letters > self._most_letters:
            oldest = self._in_order.popleft()
            del self._slot_of[oldest]
            self._letters -= len(oldest)
        of_all = np.empty(len(utrs), dtype=np.int64)
        of_all[is_new] = slots
        of_all[~is_new] = [slot for slot in found if slot is not None]
        return Lookup(is_new, of_all)

    def answer(self, question: Lookup, outputs: Outputs) -> Outputs:
        """Return the answers, shape (sequences asked for, width), given those of the new ones."""
        # The old ones first: a new one may take the slot of one that was asked for with it.
        answers = self._answers[question.slots]
        answers[question.is_new] = outputs
        self._answers[question.slots[question.is_new]] = outputs
        return answers
