"""Stops in the frame of the start codon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field

from ribocast.design.constraints.base import Rule, RuleOptions, occurrences, shown_position
from ribocast.sequence.construct import Construct
from ribocast.sequence.uorf import STOPS


@dataclass(frozen=True)
class NoInFrameStops(Rule):
    """No TAA, TAG or TGA in the frame of the start codon.

    Examples
    --------
    >>> from ribocast.design import NoInFrameStops
    >>> from ribocast.sequence.construct import EGFP
    >>> NoInFrameStops().violations("CTGACCTAG", EGFP)
    ['in-frame TAG at -3']
    """

    is_steered = True

    class Options(RuleOptions):
        """Its field."""

        no_stops: bool = Field(False, title="No in-frame stop", description="No stop in the frame of the start codon.")

    @classmethod
    def from_request(cls, request: Options, remarks: list[str]) -> list[Self]:
        """Make one of ``no_stops``."""
        return [cls()] * request.no_stops

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each stop and where it begins."""
        return [f"in-frame {stop} at {shown_position(at, len(seq))}" for stop in sorted(STOPS)
                for at in occurrences(stop, seq, construct) if (at - len(seq)) % 3 == 0]  # fmt: skip

    def in_frame_patterns(self) -> list[str]:
        """Return the three stops."""
        return sorted(STOPS)

    def __str__(self) -> str:
        return "no in-frame stops"
