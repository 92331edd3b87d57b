"""Fixed letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from ribocast.design.codes import IUPAC
from ribocast.design.constraints.base import Lengths, Rule, RuleOptions, Spelling, read_motif, shown_position
from ribocast.sequence.construct import Construct


@dataclass(frozen=True)
class Template(Rule):
    """A fixed length, with the bases that each position may have.

    Parameters
    ----------
    letters : str
        IUPAC letters from 5′ to 3′; N is any base.
    name : str
        What messages call it.

    Examples
    --------
    >>> from ribocast.design import Template
    >>> from ribocast.sequence.construct import EGFP
    >>> Template("NNNNRCC").violations("ACGTTCC", EGFP)
    ['T at -3, not R']
    """

    letters: str
    name: str = "template"

    is_steered = True

    class Options(RuleOptions):
        """Its field."""

        template: Annotated[str | None, Spelling("LETTERS")] = Field(
            None, max_length=2_000, title="Template",
            description="IUPAC letters from 5′ to 3′, such as NNNNNNNNNNGCCACC.",
        )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "letters", read_motif(self.letters))

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each position with another base, or the length."""
        if len(seq) != len(self.letters):
            return [f"{len(seq)} nt, the {self.name} has {len(self.letters)}"]
        pairs = enumerate(zip(seq, self.letters, strict=True))
        return [f"{base} at {shown_position(at, len(seq))}, not {wanted}" for at, (base, wanted) in pairs
                if base not in IUPAC[wanted]]  # fmt: skip

    def lengths(self) -> Lengths:
        """Give the length of the template."""
        size = len(self.letters)
        return Lengths(f"{self.name} of {size} letters", size, size, exact=True)

    def fixed(self, length: int) -> Iterator[tuple[int, str]]:
        """Give every position."""
        return enumerate(self.letters[:length])

    def __str__(self) -> str:
        return f"{self.name} {self.letters}"
