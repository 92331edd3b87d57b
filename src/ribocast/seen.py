"""What was predicted lately: sequences that come again are not predicted again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.engine import Outputs

SEQUENCES = 1 << 18
LETTERS = 1 << 26


class Question(NamedTuple):
    """Which of some different sequences are to be predicted, and where each one's answer is (or is to be) kept."""

    is_new: NDArray[np.bool_]
    places: NDArray[np.int64]


class Seen:
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
        self._place_of: dict[str, int] = {}
        self._kept: list[str | None] = [None] * sequences
        self._letters = self._next = self._oldest = 0

    def ask(self, utrs: list[str]) -> Question:
        """Look up sequences that all differ; remember the new ones."""
        places = np.empty(len(utrs), dtype=np.int64)
        is_new = np.zeros(len(utrs), dtype=bool)
        for row, utr in enumerate(utrs):
            place = self._place_of.get(utr)
            if place is None:
                is_new[row] = True
                place = self._remember(utr)
            places[row] = place
        return Question(is_new, places)

    def answer(self, question: Question, outputs: Outputs) -> Outputs:
        """Return the answers, shape (sequences asked for, width), given those of the new ones."""
        # The old ones first: a new one may take the place of one that was asked for with it.
        answers = self._answers[question.places]
        answers[question.is_new] = outputs
        self._answers[question.places[question.is_new]] = outputs
        return answers

    def _remember(self, utr: str) -> int:
        place = self._next % self._most
        if self._next - self._oldest == self._most:
            self._forget()
        self._kept[place] = utr
        self._place_of[utr] = place
        self._letters += len(utr)
        self._next += 1
        while self._letters > self._most_letters:
            self._forget()
        return place

    def _forget(self) -> None:
        place = self._oldest % self._most
        utr = self._kept[place]
        if utr is not None:
            del self._place_of[utr]
            self._letters -= len(utr)
            self._kept[place] = None
        self._oldest += 1
