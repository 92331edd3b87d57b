"""Staying near to a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, Field

from ribocast.design.codes import ANY, Near, codes_of
from ribocast.design.constraints.base import (
    MOST_COMPARED,
    Count,
    Lengths,
    Penalty,
    Rule,
    RuleOptions,
    Spelling,
    Work,
    of_strings,
    read_seed,
)  # fmt: skip
from ribocast.design.distances import edit_distance, quick_edit_distance
from ribocast.errors import OptionError
from ribocast.sequence.batch import Batch
from ribocast.sequence.construct import Construct
from ribocast.sequence.start_codon import cut_at_start, start_notes

SHARE_OF_EDITS = 4
"""Where only a sequence to stay near to is given, one letter in four may differ."""
_LAYINGS = 25


@dataclass(frozen=True)
class MaxEdits(Rule):
    """At most `most` substitutions, insertions and deletions away from `seed` (Levenshtein, 1966).

    Parameters
    ----------
    seed : str
        The sequence to stay near to.
    most : int
        Edits.

    Examples
    --------
    >>> from ribocast.design import MaxEdits
    >>> from ribocast.sequence.construct import EGFP
    >>> MaxEdits("ACGTACGT", 1).violations("ACCCACGT", EGFP)
    ['2 edits']
    """

    seed: str
    most: int

    class Options(RuleOptions):
        """Its fields."""

        like: Annotated[str | None, AfterValidator(lambda like: like and read_seed(like)),
                        Spelling("SEQUENCE|FILE", file="letters")] = Field(
            None, max_length=2_000, title="Stay near to this sequence", description="Stay near to this sequence."
        )  # fmt: skip
        max_edits: Count | None = Field(
            None, title="Most edits",
            description="Letters that may differ from the sequence to stay near to; else a quarter.",
        )  # fmt: skip
        cut_at_start: bool = Field(
            False, title="Cut that sequence at its start codon",
            description="Leave out the start codon, and what follows it, of the sequence to stay near to.",
        )  # fmt: skip

        @property
        def seed_sequence(self) -> str | None:
            """The sequence to stay near to, cut if that is wanted."""
            if self.like is None or not self.cut_at_start:
                return self.like
            return cut_at_start(Batch.of([self.like]))[0].texts[0]

    @classmethod
    def from_request(cls, request: Options, remarks: list[str]) -> list[Self]:
        """Make one of ``like`` and ``max_edits``; a quarter of the letters where nothing says how far."""
        if request.like is None:
            if request.max_edits is not None:
                raise OptionError("`max_edits` counts edits from a sequence: give `like` too")
            if request.cut_at_start:
                raise OptionError("`cut_at_start` cuts the sequence to stay near to: give `like` too")
            return []
        given, seed = Batch.of([request.like]), request.seed_sequence or request.like
        (said,) = cut_at_start(given)[1] if request.cut_at_start else start_notes(given)
        remarks += [f"`like`: {said}"] * bool(said)
        most = request.max_edits
        if most is None and any(isinstance(given, cls) for given in getattr(request, "constraints", ())):
            return []
        return [cls(seed, max(1, len(seed) // SHARE_OF_EDITS) if most is None else most)]

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", read_seed(self.seed))
        if self.most < 0:
            raise OptionError(f"{self}: must be at least 0")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the number of edits."""
        edits = edit_distance(seq, self.seed)
        return [f"{edits} edits"] if edits > self.most else []

    @property
    def edits_from(self) -> str:
        """The seed."""
        return self.seed

    def lengths(self) -> Lengths:
        """Give those that its edits reach; alone, it asks for the length of its seed."""
        size = len(self.seed)
        return Lengths(f"{self} of a seed of {size} nt", max(1, size - self.most), size + self.most, usual=size)

    def layings(self, length: int, rng: np.random.Generator) -> Iterator[Near]:
        """Lay the seed along, with letters inserted or left out at random places where UTRs have another length."""
        # A seed of this length has one laying; another length has many, of which some may hold what is forbidden.
        for _ in range(1 if len(self.seed) == length else _LAYINGS):
            letters = list(map(int, codes_of([self.seed])[0]))
            while len(letters) < length:
                letters.insert(int(rng.integers(len(letters) + 1)), ANY)
            while len(letters) > length:
                letters.pop(int(rng.integers(len(letters))))
            yield Near(np.array(letters, dtype=np.uint8), self.most - abs(length - len(self.seed)), self)

    def penalty(self, construct: Construct, length: int, near: Near | None) -> Penalty | None:
        """Count the edits beyond; with a laying, substitutions and letters put in or left out are already counted."""
        if near is not None and near.rule is self:
            return None
        return of_strings(lambda seq: max(0, quick_edit_distance(seq, self.seed) - self.most))

    def check_work(self, work: Work) -> None:
        """Refuse to compare each design with a seed for hours."""
        if work.designs * work.targets * work.longest * len(self.seed) > MOST_COMPARED:
            raise OptionError(f"{work.words}: comparing each with a seed of {len(self.seed):,} nt would take hours")

    def __str__(self) -> str:
        return f"max edits {self.most}"
