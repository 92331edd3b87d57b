"""How strongly a design folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple, Self

from pydantic import Field

from ribocast.design.codes import Near
from ribocast.design.constraints.base import AlsoObject, Penalty, Rule, RuleOptions, Spelling, Work, of_strings
from ribocast.design.folding import free_energy
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct

_FOLDS_A_CALL, _FOLD_SECONDS, _MOST_FOLDING = 2, 4e-7, 1_800
"""Seconds a core takes to fold a sequence, divided by its length squared."""
_LEAST_ENERGY = -2.0
"""kcal/mol a letter: less than any fold has, of G and C alone in one long hairpin it is -1.65."""


class Energies(NamedTuple):
    """The lowest and the highest, kcal/mol."""

    low: float
    high: float


@dataclass(frozen=True)
class FreeEnergy(Rule):
    """The minimum free energy of the UTR alone, kcal/mol at 37 °C (ViennaRNA).

    Parameters
    ----------
    low, high : float
        kcal/mol; the lower one is the stronger fold.

    Examples
    --------
    >>> from ribocast.design import FreeEnergy
    >>> str(FreeEnergy(-8, -2))
    'free energy -8:-2'
    """

    low: float
    high: float

    is_slow = True

    class Options(RuleOptions):
        """Its field."""

        free_energy: Annotated[Annotated[Energies, AlsoObject()] | None, Spelling("LOW:HIGH", "-8:-2")] = Field(
            None, title="Folding energy",
            description="kcal/mol of the folded 5′ UTR, lowest and highest; needs ViennaRNA.",
        )  # fmt: skip

    @classmethod
    def from_request(cls, request: Options, remarks: list[str]) -> list[Self]:
        """Make one of ``free_energy``."""
        if request.free_energy is None:
            return []
        free_energy("ACGT")  # says at once where ViennaRNA is missing
        return [cls(*request.free_energy)]

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise OptionError(f"{self}: the lower one must come first")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the energy."""
        energy = free_energy(seq)
        return [] if max(self.low - energy, energy - self.high) < 1e-6 else [f"free energy is {energy:.1f}"]

    def penalty(self, construct: Construct, length: int, near: Near | None) -> Penalty | None:
        """Count the kcal/mol beyond."""
        return of_strings(lambda seq: max(0.0, self.low - free_energy(seq), free_energy(seq) - self.high))

    def check_work(self, work: Work) -> None:
        """Refuse what no sequence folds into, or what takes hours of folding without a budget."""
        if self.low > 0 or self.high < _LEAST_ENERGY * work.longest:
            raise OptionError(
                f"{self}: a sequence of {work.longest:,} nt folds between {_LEAST_ENERGY * work.longest:,.0f} and 0"
            )
        seconds = work.predictions * _FOLDS_A_CALL * _FOLD_SECONDS * work.longest**2
        if not work.has_budget and seconds > _MOST_FOLDING:
            raise OptionError(
                f"{self}: folding designs of up to {work.longest:,} nt takes about {seconds / 3600:,.1f} hours for "
                f"{work.predictions:,} predictions; with a budget of predictions they are searched for all the same"
            )

    def __str__(self) -> str:
        return f"free energy {self.low:g}:{self.high:g}"
