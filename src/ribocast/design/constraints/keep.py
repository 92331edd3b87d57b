"""Ends that stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from ribocast.design.constraints.base import LONGEST, Count, Lengths, Rule, read_seed
from ribocast.design.constraints.max_edits import MaxEdits
from ribocast.design.constraints.template import Template
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct


@dataclass(frozen=True)
class Keep(Rule):
    """The ends that stay as they are, whatever the length is.

    Parameters
    ----------
    seed : str
        The sequence whose ends they are.
    first, last : int
        Letters of its 5′ end and of its 3′ end.

    Examples
    --------
    >>> from ribocast.design import Keep
    >>> from ribocast.sequence.construct import EGFP
    >>> Keep("ACGTACGT", first=2, last=3).violations("ACCCAGGT", EGFP)
    ['does not end with CGT']
    """

    seed: str
    first: int = 0
    last: int = 0

    is_steered = True

    class Options(MaxEdits.Options, Template.Options):
        """Its fields; what is kept is that of ``like``, or of ``template``."""

        keep_start: Count = Field(
            0, title="Kept first letters", description="First letters of the sequence to stay near to that are kept."
        )
        keep_end: Count = Field(
            0, title="Kept last letters", description="Last letters of the sequence to stay near to that are kept."
        )

    @classmethod
    def from_request(cls, request: Options, remarks: list[str]) -> list[Self]:
        """Make one of ``keep_start`` and ``keep_end``; those of a template are kept as far as it has letters."""
        first, last = request.keep_start, request.keep_end
        if not first and not last:
            return []
        if request.seed_sequence is not None:
            return [cls(request.seed_sequence, first, last)]
        if request.template is None:
            raise OptionError("`keep_start` and `keep_end` keep letters of `like`, or of `template`: give one")
        letters = request.template.upper()
        if max(first, last) > len(letters):
            raise OptionError(f"`keep_start`, `keep_end`: the template has {len(letters)} letters")
        kept = letters[:first] + letters[len(letters) - last :]
        if open_ := sum(letter not in "ACGTU" for letter in kept):
            remarks.append(
                f"{open_} of the {len(kept)} kept letters are open in the template and stay open; `like` gives letters"
            )
        return []

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", read_seed(self.seed))
        if min(self.first, self.last) < 0 or max(self.first, self.last) > len(self.seed):
            raise OptionError(f"{self}: the seed has {len(self.seed)} nt")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the end that is not kept."""
        begin, end = self.seed[: self.first], self.seed[len(self.seed) - self.last :]
        return [f"does not begin with {begin}"] * (not seq.startswith(begin)) + [f"does not end with {end}"] * (
            not seq.endswith(end)
        )

    def lengths(self) -> Lengths:
        """Give those that hold the longer end."""
        return Lengths(str(self), max(self.first, self.last, 1), LONGEST)

    def fixed(self, length: int) -> Iterator[tuple[int, str]]:
        """Give the positions of both ends."""
        first, last = min(self.first, length), min(self.last, length)
        yield from enumerate(self.seed[:first])
        yield from enumerate(self.seed[len(self.seed) - last :], length - last)

    def __str__(self) -> str:
        return ", ".join([f"keep start {self.first}"] * bool(self.first) + [f"keep end {self.last}"] * bool(self.last))
