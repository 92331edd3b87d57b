"""How far designs are from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field

from ribocast.design.constraints.base import MOST_COMPARED, Rule, RuleOptions, Size, Work
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct


@dataclass(frozen=True)
class MinDistance(Rule):
    """Any two designs at least `least` edits apart.

    Parameters
    ----------
    least : int
        Substitutions, insertions and deletions.

    Examples
    --------
    >>> import ribocast
    >>> from ribocast.design import MinDistance
    >>> def a_content(seqs):
    ...     return [seq.count("A") for seq in seqs]
    >>> table = ribocast.design(
    ...     a_content, n=2, length=8, constraints=[MinDistance(5)], budget=100, independent=None
    ... )
    >>> sum(one != other for one, other in zip(*table["seq"])) >= 5
    True
    """

    least: int

    is_steered = True

    class Options(RuleOptions):
        """Its field."""

        min_distance: Size = Field(
            1, title="Edits between designs", description="Edits between any two designs of a target at least."
        )

    @classmethod
    def from_request(cls, request: Options, remarks: list[str]) -> list[Self]:
        """Make one of ``min_distance``."""
        return [cls(request.min_distance)] if request.min_distance > 1 else []

    def __post_init__(self) -> None:
        if self.least < 1:
            raise OptionError(f"{self}: must be at least 1")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Find nothing: one sequence alone keeps it."""
        return []

    @property
    def distance(self) -> int:
        """Its edits."""
        return self.least

    def check_work(self, work: Work) -> None:
        """Refuse what two designs cannot be, or what takes hours to compare."""
        if self.least > work.longest:
            raise OptionError(
                f"{self}: two designs of up to {work.longest:,} nt are at most {work.longest:,} edits apart"
            )
        # Below the square root of the length nearly all pairs are told apart by the words that they share.
        if self.least**2 > work.longest and work.designs**2 * work.longest * self.least > MOST_COMPARED:
            most = int((MOST_COMPARED / work.longest / self.least) ** 0.5)
            raise OptionError(
                f"{self}: comparing {work.designs:,} designs of up to {work.longest:,} nt would take hours; at most "
                f"{most:,} are possible, or a distance of up to {int(work.longest**0.5)}"
            )

    def __str__(self) -> str:
        return f"min distance {self.least}"
