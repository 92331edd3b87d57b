"""Words of other sequences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ribocast.design.codes import Near, codes_of, words_of
from ribocast.design.constraints.base import Penalty, Rule, RuleOptions, Spelling, reverse_complement, shown_position
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct
from ribocast.sequence.letters import to_dna

_MOST_GIVEN = 5_000_000


@dataclass(frozen=True)
class NoOverlap(Rule):
    """No word of `size` letters that is in any of some sequences, on either strand.

    Parameters
    ----------
    sequences : sequence of str
        A, C, G, T or U, N.
    size : int
        Letters, from 1 to 31.

    Examples
    --------
    >>> from ribocast.design import NoOverlap
    >>> from ribocast.sequence.construct import EGFP
    >>> NoOverlap(("TTTTACGTAAC",), 5).violations("GGTTACGGG", EGFP)
    ['GTTAC at -8 is in the given sequences']
    """

    sequences: tuple[str, ...]
    size: int = 12

    # A server would read all of them for each design.
    on_web = False

    class Options(RuleOptions):
        """Its fields."""

        no_overlap: Annotated[tuple[str, ...] | None, Spelling("FILE", file="sequences")] = Field(
            None, description="Share no word with these sequences: FASTA, or a table."
        )
        overlap: int = Field(12, ge=1, le=31, description="Letters of such a word.")

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 31:
            raise OptionError(f"{self}: words must have 1 to 31 letters")
        if (total := sum(map(len, self.sequences))) > _MOST_GIVEN:
            raise OptionError(f"{self}: {total:,} nt are given; the maximum is {_MOST_GIVEN:,}")
        object.__setattr__(self, "sequences", tuple(to_dna(sequence) for sequence in self.sequences))

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the first word that is shared."""
        both = [*self.sequences, *map(reverse_complement, self.sequences)]
        for at in range(len(seq) - self.size + 1):
            word = seq[at : at + self.size]
            if any(word in other for other in both):
                return [f"{word} at {shown_position(at, len(seq))} is in the given sequences"]
        return []

    def penalty(self, construct: Construct, length: int, near: Near | None) -> Penalty | None:
        """Count the words that are shared."""
        known = _known_words(self)
        return lambda block: np.isin(words_of(block, self.size), known).sum(axis=1).astype(np.float64)

    def __str__(self) -> str:
        return f"no overlap of {self.size} nt"


@lru_cache(maxsize=4)
def _known_words(rule: NoOverlap) -> NDArray[np.int64]:
    """Give all words of the sequences, both strands, as sorted numbers; those with an N are left out."""
    pieces = [
        piece for sequence in rule.sequences for piece in re.split("[^ACGT]+", sequence) if len(piece) >= rule.size
    ]
    both = [*pieces, *map(reverse_complement, pieces)]
    return np.unique(
        np.concatenate([np.empty(0, np.int64), *(words_of(codes_of([one]), rule.size)[0] for one in both)])
    )
