"""How much of a design is G and C."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ribocast.design.codes import Codes, Counts, Near
from ribocast.design.constraints.base import AlsoObject, Penalty, Rule, RuleOptions, Size, Spelling, shown_position
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct

Share = Annotated[float, Field(ge=0, le=1)]


class Shares(NamedTuple):
    """The least and the most."""

    low: Share
    high: Share


class WindowShares(NamedTuple):
    """The least and the most, of every window of a size in nt."""

    low: Share
    high: Share
    window: Size


@dataclass(frozen=True)
class GC(Rule):
    """The share of G and C, of a whole design or of every window of it.

    Parameters
    ----------
    low, high : float
        From 0 to 1.
    window : int, optional
        nt; without it the share is that of the whole 5′ UTR.

    Examples
    --------
    >>> from ribocast.design import GC
    >>> from ribocast.sequence.construct import EGFP
    >>> GC(0.4, 0.6).violations("ATATATAC", EGFP)
    ['GC is 0.12']
    """

    low: float
    high: float
    window: int | None = None

    class Options(RuleOptions):
        """Its fields."""

        gc: Annotated[Annotated[Shares, AlsoObject()] | None, Spelling("LOW:HIGH", "0.35:0.6")] = Field(
            None, title="Share of G and C", description="Share of G and C, least and most."
        )
        gc_window: Annotated[Annotated[WindowShares, AlsoObject()] | None, Spelling("LOW:HIGH:SIZE", "0.3:0.7:20")] = (
            Field(
                None,
                title="Share of G and C in windows",
                description="The same in every window, and the size of the window in nt.",
            )
        )

    @classmethod
    def from_request(cls, request: Options, remarks: list[str]) -> list[Self]:
        """Make one of ``gc``, and one of ``gc_window``."""
        return [cls(*shares) for shares in (request.gc, request.gc_window) if shares is not None]

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise OptionError(f"{self}: must be two shares from 0 to 1, the lower one first")
        if self.window is not None and self.window < 1:
            raise OptionError(f"{self}: the window must be at least 1 nt")

    def counts(self, length: int) -> tuple[int, int]:
        """Return the fewest and the most G and C that a sequence of a length may have."""
        # 0.6 times 50 need not be 30 in binary.
        return math.ceil(self.low * length - 1e-9), math.floor(self.high * length + 1e-9)

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the share, or the first window that has another."""
        size = min(self.window or len(seq), len(seq))
        for at in range(len(seq) - size + 1):
            share = (seq.count("G", at, at + size) + seq.count("C", at, at + size)) / size
            if not self.low - 1e-9 <= share <= self.high + 1e-9:
                where = "" if size == len(seq) else f" of the {size} nt from {shown_position(at, len(seq))}"
                return [f"GC{where} is {share:.2f}"]
        return []

    def gc_counts(self, length: int) -> tuple[int, int]:
        """Limit the whole, if a window does not lie within it."""
        return self.counts(length) if self._is_of_all(length) else (0, length)

    def penalty(self, construct: Construct, length: int, near: Near | None) -> Penalty | None:
        """Count the letters that windows have too many or too few of."""
        if self._is_of_all(length):
            return None
        size = self.window or 1
        low, high = self.counts(size)

        def windows(block: Codes) -> Counts:
            is_gc = (block == 1) | (block == 2)
            sums = np.cumsum(np.pad(is_gc, ((0, 0), (1, 0))), axis=1)
            inside = sums[:, size:] - sums[:, :-size]
            return np.asarray((np.maximum(low - inside, 0) + np.maximum(inside - high, 0)).sum(axis=1), np.float64)

        return windows

    def contradiction(self, allowed: NDArray[np.bool_], construct: Construct) -> str:
        """Say that no whole number of letters is such a share, or which shares the fixed letters leave."""
        if self.window is not None:
            return ""
        least = float(allowed[:, [0, 3]].any(axis=1).__invert__().mean())
        most = float(allowed[:, [1, 2]].any(axis=1).mean())
        low, high = self.counts(len(allowed))
        if low > high:
            return f": no whole number of {len(allowed)} letters has such a share"
        if least > self.high or most < self.low:
            return f": the fixed letters leave shares from {least:.2f} to {most:.2f}"
        return ""

    def _is_of_all(self, length: int) -> bool:
        return self.window is None or self.window >= length

    def __str__(self) -> str:
        return f"GC {self.low:g}:{self.high:g}" + (f" in windows of {self.window}" if self.window is not None else "")
