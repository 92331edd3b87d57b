"""Upstream ATGs in the frame of the start codon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ribocast.design.codes import BASES
from ribocast.design.constraints.base import Rule, RuleOptions, occurrences, shown_position
from ribocast.sequence.construct import Construct


@dataclass(frozen=True)
class NoExtensions(Rule):
    """No upstream ATG in the frame of the start codon: without a stop, it adds residues to the protein.

    One whose frame has a stop before the start codon adds none, and is forbidden too: a substitution brings it back.

    Examples
    --------
    >>> from ribocast.design import NoExtensions
    >>> from ribocast.sequence.construct import EGFP
    >>> NoExtensions().violations("CATGACATGACC", EGFP)
    ['in-frame ATG at -6']
    """

    is_steered = True
    by_default = True

    class Options(RuleOptions):
        """Its field."""

        allow_extensions: bool = Field(
            False, title="Allow N-terminal extensions",
            description="Allow an upstream ATG in the frame of the start codon, which adds residues to the protein.",
        )  # fmt: skip

    @classmethod
    def from_request(cls, request: Options, remarks: list[str]) -> list[Self]:
        """Make one unless ``allow_extensions`` is given."""
        return [] if request.allow_extensions else [cls()]

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each in-frame ATG and where it begins."""
        return [f"in-frame ATG at {shown_position(at, len(seq))}" for at in occurrences("ATG", seq, construct)
                if (at - len(seq)) % 3 == 0]  # fmt: skip

    def in_frame_patterns(self) -> list[str]:
        """Return the start codon."""
        return ["ATG"]

    def contradiction(self, allowed: NDArray[np.bool_], construct: Construct) -> str:
        """Say where the fixed letters hold one, and what allows it."""
        fixed = "".join(BASES[row.argmax()] if row.sum() == 1 else "N" for row in allowed)
        return next((f": the fixed letters hold an {said}; `allow_extensions` allows it"
                     for said in self.violations(fixed, construct)), "")  # fmt: skip

    def __str__(self) -> str:
        return "no N-terminal extensions"
