"""Words that stand twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from ribocast.design.codes import Codes, Counts, Near, words_of
from ribocast.design.constraints.base import Penalty, Rule, RuleOptions, Size, shown_position
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct


@dataclass(frozen=True)
class NoRepeat(Rule):
    """No word of `size` letters twice in the UTR.

    Parameters
    ----------
    size : int
        Letters.

    Examples
    --------
    >>> from ribocast.design import NoRepeat
    >>> from ribocast.sequence.construct import EGFP
    >>> NoRepeat(3).violations("ACGTTACG", EGFP)
    ['ACG again at -3']
    """

    size: int

    class Options(RuleOptions):
        """Its field."""

        no_repeat: Size | None = Field(None, title="No repeated word of", description="No word of this length twice.")

    def __post_init__(self) -> None:
        if self.size < 1:
            raise OptionError(f"{self}: must be at least 1 letter")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each word that is there again."""
        words = [seq[at : at + self.size] for at in range(len(seq) - self.size + 1)]
        first = {word: at for at, word in reversed([*enumerate(words)])}
        return [f"{word} again at {shown_position(at, len(seq))}" for at, word in enumerate(words) if first[word] < at]

    def penalty(self, construct: Construct, length: int, near: Near | None) -> Penalty | None:
        """Count the words that stand again."""
        size = self.size

        def long(block: Codes) -> Counts:
            return np.array([len(row) - size + 1 - len({bytes(row[at : at + size])
                             for at in range(len(row) - size + 1)}) if len(row) >= size else 0 for row in block],
                            dtype=np.float64)  # fmt: skip

        def short(block: Codes) -> Counts:
            words = np.sort(words_of(block, size), axis=1)
            return np.asarray((words[:, 1:] == words[:, :-1]).sum(axis=1), dtype=np.float64)

        return long if size > 31 else short  # a word of 31 letters is a number of 62 bits

    def __str__(self) -> str:
        return f"no repeat {self.size}"
