"""What is asked for: the goals, the rules and how to search, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ribocast.design.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from ribocast.design.constraints import Constraint, Forbid, Length, MaxEdits, MinDistance, read_seed
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct

SHARE_OF_EDITS = 4
_CALLS_EACH, _FEWEST_CALLS = 600, 6_000
_MOST_DESIGNS, _MOST_CALLS = 10_000, 10_000_000
_LARGEST = 1e6
LARGEST_TARGET = 1e6


@dataclass(frozen=True)
class Brief:
    """What is asked for; see `ribocast.design`, whose arguments these are."""

    target: float | Sequence[float] | None = None
    n: int = 10
    constraints: Sequence[Constraint] = ()
    length: int | tuple[int, int] | None = None
    forbid: str | Sequence[str] = ()
    like: str | None = None
    assay: str | None = None
    construct: Construct | None = None
    algorithm: str = DEFAULT_ALGORITHM
    budget: int | None = None
    seed: int = 0
    risk_aversion: float = 1.0
    out_of_distribution_penalty: float = 0.1
    weight: float = 1.0
    pareto: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.n <= _MOST_DESIGNS:
            raise OptionError(f"designs must be between 1 and {_MOST_DESIGNS:,}, not {self.n:,}")
        if self.n * len(self.targets) > _MOST_DESIGNS:
            raise OptionError(
                f"{self.n:,} designs of each of {len(self.targets):,} targets; the maximum is {_MOST_DESIGNS:,} in all"
            )
        if self.algorithm not in ALGORITHMS:
            raise OptionError(f"unknown algorithm {self.algorithm!r}; use {', '.join(ALGORITHMS)}")
        if self.budget is not None and not 1 <= self.budget <= _MOST_CALLS:
            raise OptionError(f"the budget must be between 1 and {_MOST_CALLS:,} predictions, not {self.budget:,}")
        if self.seed < 0:
            raise OptionError(f"seed must be at least 0, not {self.seed}")
        for name in ("risk_aversion", "out_of_distribution_penalty", "weight"):
            value = getattr(self, name)
            least = -_LARGEST if name == "weight" else 0
            if not least <= value <= _LARGEST:
                raise OptionError(f"{name} must be between {least:,.0f} and {_LARGEST:,.0f}, not {value:g}")
        for target in self.targets:
            if target is not None and not abs(target) <= LARGEST_TARGET:
                raise OptionError(f"target must be a finite number of ribosomes per mRNA, not {target:g}")
        for rule in self.constraints:
            if not isinstance(rule, Constraint):
                raise OptionError(f"{rule!r} is not a constraint: it needs a method violations(seq, construct)")

    @property
    def targets(self) -> list[float | None]:
        """The wanted MRLs, each once; None is the highest."""
        if self.target is None:
            return [None]
        several = [self.target] if isinstance(self.target, int | float) else list(self.target)
        if not several:
            raise OptionError("a series needs at least one target")
        return list(dict.fromkeys(map(float, several)))

    @property
    def rules(self) -> tuple[Constraint, ...]:
        """All rules: those given as objects, and those that the shorter arguments stand for."""
        rules = list(self.constraints)
        if self.length is not None:
            shortest, longest = (self.length, self.length) if isinstance(self.length, int) else self.length
            rules.append(Length(shortest, longest))
        if self.forbid:
            rules.append(Forbid((self.forbid,) if isinstance(self.forbid, str) else tuple(self.forbid)))
        if self.like is not None and not any(isinstance(rule, MaxEdits) for rule in rules):
            rules.append(MaxEdits(self.like, max(1, len(read_seed(self.like)) // SHARE_OF_EDITS)))
        return tuple(rules)

    @property
    def start(self) -> str | None:
        """The sequence that edits are counted from."""
        if self.like is not None:
            return read_seed(self.like)
        return next((rule.seed for rule in self.rules if isinstance(rule, MaxEdits)), None)

    @property
    def least(self) -> int:
        """How many edits any two designs have to be apart."""
        return max([1, *(rule.least for rule in self.rules if isinstance(rule, MinDistance))])

    @property
    def calls(self) -> int:
        """How often the model may be asked."""
        return self.budget or max(_FEWEST_CALLS, _CALLS_EACH * self.n * len(self.targets))
