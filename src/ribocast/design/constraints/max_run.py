"""Equal letters in a row."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import Field

from ribocast.design.codes import BASES
from ribocast.design.constraints.base import LONGEST_MOTIF, Rule, RuleOptions, Size, shown_position
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct


@dataclass(frozen=True)
class MaxRun(Rule):
    """No more than `most` equal letters in a row, with those of the joints.

    Parameters
    ----------
    most : int
        Letters.

    Examples
    --------
    >>> from ribocast.design import MaxRun
    >>> from ribocast.sequence.construct import EGFP
    >>> MaxRun(3).violations("CCGAAAAC", EGFP)
    ['4 A at -5']
    """

    most: int

    is_steered = True

    class Options(RuleOptions):
        """Its field."""

        max_run: Size | None = Field(
            None, title="Equal letters in a row", description="Equal letters in a row at most."
        )

    def __post_init__(self) -> None:
        if not 1 <= self.most <= LONGEST_MOTIF:
            raise OptionError(f"{self}: must be from 1 to {LONGEST_MOTIF:,}")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each run."""
        first, found = len(construct.before), []
        for run in re.finditer(r"A+|C+|G+|T+", construct.around(seq)):
            # A run that enters the UTR by a letter is the design's doing if what touches the UTR is too long.
            if run.end() > first and run.start() < first + len(seq) and run.end() - run.start() > self.most:
                at = shown_position(run.start() - first, len(seq))
                found.append(f"{run.end() - run.start()} {run.group()[0]} at {at}")
        return found

    def patterns(self) -> list[str]:
        """Return one letter more of each base."""
        return [base * (self.most + 1) for base in BASES]

    def __str__(self) -> str:
        return f"no run above {self.most}"
