"""How long designs are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BeforeValidator, Field

from ribocast.design.constraints.base import Lengths, Rule, RuleOptions, Spelling
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct


def _alone(given: object) -> object:
    return given[0] if isinstance(given, list | tuple) and len(given) == 1 else given


@dataclass(frozen=True)
class Length(Rule):
    """From `shortest` to `longest` nt.

    Parameters
    ----------
    shortest, longest : int
        Letters of the 5′ UTR.

    Examples
    --------
    >>> from ribocast.design import Length
    >>> from ribocast.sequence.construct import EGFP
    >>> Length(40, 60).violations("ACGT", EGFP)
    ['4 nt']
    """

    shortest: int
    longest: int

    is_steered = True

    class Options(RuleOptions):
        """Its field."""

        length: Annotated[
            int | tuple[int, int] | None, BeforeValidator(_alone), Spelling("N|LOW:HIGH", "50 or 40:60")
        ] = Field(
            None, title="Length, nt",
            description="Letters, or the fewest and the most; else of the template or of like, or 50.",
        )  # fmt: skip

    @classmethod
    def from_request(cls, request: Options, remarks: list[str]) -> list[Self]:
        """Make one of ``length``."""
        length = request.length
        return [] if length is None else [cls(length, length) if isinstance(length, int) else cls(*length)]

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.longest:
            raise OptionError(f"{self}: lengths must be at least 1 nt, the shorter one first")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the length."""
        return [] if self.shortest <= len(seq) <= self.longest else [f"{len(seq)} nt"]

    def lengths(self) -> Lengths:
        """Give its own."""
        return Lengths(str(self), self.shortest, self.longest, exact=True)

    def __str__(self) -> str:
        return f"length {self.shortest}" + (f":{self.longest}" if self.longest > self.shortest else "")
