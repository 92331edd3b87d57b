"""What is asked for: the goals, the rules and how to search, said once for Python, the command line and the server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, create_model, model_validator
from pydantic_core import ErrorDetails

from ribocast.design.algorithms import Algorithm
from ribocast.design.constraints import CONSTRAINTS
from ribocast.design.constraints.base import Rule, RuleOptions, Spelling, Work, as_rule
from ribocast.errors import OptionError
from ribocast.sequence.construct import EGFP, Construct

_CALLS_EACH, _FEWEST_CALLS = 600, 6_000
_MOST_DESIGNS, _MOST_CALLS = 10_000, 10_000_000
LARGEST = 1e6
_MOST_LETTERS = 1_000_000_000
_LETTERS_AN_HOUR = 900_000_000
"""What one core predicts, about (docs/speed.md)."""
_REASONS = {
    "greater_than_equal": "must be at least {ge:,g}", "less_than_equal": "the maximum is {le:,.0f}",
    "int_parsing": "must be a whole number", "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large",
    "float_parsing": "must be a number", "finite_number": "must be a finite number", "literal_error": "use {expected}",
    "extra_forbidden": "unknown option",
    "missing": "a number is missing", "missing_argument": "a number is missing",
    "unexpected_positional_argument": "there are too many numbers", "too_long": "the maximum is {max_length:,}",
    "string_too_long": "{length:,} letters; the maximum is {max_length:,}",
}  # fmt: skip
"""What is wrong with a value, in the words of the project, where pydantic has longer ones."""
Target = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


def _listed(given: object) -> object:
    return list(given) if isinstance(given, Iterable) and not isinstance(given, str | dict) else given


def _checked_adapter(adapter: str | None) -> str | None:
    return adapter and Construct(adapter, EGFP.after).before


def _checked_cds(cds: str | None) -> str | None:
    return cds and Construct("", cds).after


if TYPE_CHECKING:
    from ribocast.design.constraints import Keep

    class _WebOptions(Keep.Options):
        """What type checkers know of the fields of rules."""

    class _MoreOptions(RuleOptions):
        """The same, of those that a server does not take."""
else:

    def _options(*, on_web: bool) -> type[RuleOptions]:
        # The fields of the first come first.
        kinds = [kind.Options for kind in reversed(CONSTRAINTS) if kind.on_web == on_web]
        return create_model("RuleOptions", __base__=(*kinds, RuleOptions))

    _WebOptions, _MoreOptions = _options(on_web=True), _options(on_web=False)


def reason_of(problem: ErrorDetails) -> str:
    """Say why a value of a request cannot be."""
    about = problem.get("ctx", {})
    if "error" in about:
        return str(about["error"])
    length = len(problem["input"]) if isinstance(problem["input"], str) else 0
    return _REASONS.get(problem["type"], problem["msg"]).format(**about, length=length)


class FieldError(OptionError):
    """A field of a request has a value that cannot be."""

    def __init__(self, field: str, value: object, reason: str) -> None:
        text = str(value)
        super().__init__(f"{field} {text[:60]}{'…' * (len(text) > 60)}: {reason}")
        self.field, self.reason = field, reason


class DesignOptions(_WebOptions):
    """Designs that are wanted, and the rules that they keep; as the options of ``ribocast design``."""

    target: Annotated[Target | Annotated[tuple[Target, ...], Field(min_length=1, max_length=1_000)] | None,
                      BeforeValidator(_listed)] = Field(
        None, title="Target MRL", description="The wanted MRL, or several; the highest without it."
    )  # fmt: skip
    n: Annotated[int, Spelling(option="-n")] = Field(
        10, ge=1, le=_MOST_DESIGNS, title="Designs", description="Designs of each target."
    )
    adapter: Annotated[str | None, AfterValidator(_checked_adapter)] = Field(
        None, max_length=2_000, title="Before the 5′ UTR",
        description="What stands before the 5′ UTR; else the assay's. May be empty.",
    )  # fmt: skip
    cds: Annotated[str | None, AfterValidator(_checked_cds), Spelling("FILE", option="--for-cds", file="sequence")] = (
        Field(
            None,
            max_length=100_000,
            title="Coding sequence",
            description="The coding sequence that follows; else the assay's.",
        )
    )
    algorithm: Algorithm = Field("genetic", description="How to search.")
    budget: int | None = Field(
        None, ge=1, le=_MOST_CALLS, title="Budget",
        description="Predictions at most, after a first round; 600 a design, at least 6,000, without it.",
    )  # fmt: skip
    risk_aversion: float = Field(
        1.0, ge=0, le=LARGEST, title="Risk aversion", description="What a standard deviation of uncertainty costs."
    )
    out_of_distribution_penalty: float = Field(
        0.1, ge=0, le=LARGEST, title="Out-of-distribution penalty",
        description="What being unlike the measured sequences costs.",
    )  # fmt: skip
    assay: str | None = Field(
        None, max_length=200, description="In which assay's units; the model's default without it."
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, title="Seed", description="Makes a search repeatable.")


class DesignRequest(DesignOptions, _MoreOptions):
    """What is asked for: the arguments of `ribocast.design`, and the options of the command line.

    Raises
    ------
    RibocastError
        If a value cannot be; the message names the field.
    """

    weight: float = Field(
        1.0, ge=-LARGEST, le=LARGEST, description="Of the second objective; below 0, lower is better."
    )
    pareto: bool = Field(False, description="Designs along the front of the two objectives.")
    constraints: Annotated[tuple[Any, ...], AfterValidator(lambda given: tuple(map(as_rule, given)))] = ()
    construct_: Construct | None = Field(None, alias="construct")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field, reason = str(first["loc"][0]) if first["loc"] else "", reason_of(first)
            raise (FieldError(field, values[field], reason) if field in values else OptionError(reason)) from None

    @model_validator(mode="after")
    def _check_count(self) -> Self:
        if self.n * len(self.targets) > _MOST_DESIGNS:
            raise OptionError(
                f"{self.n:,} designs of each of {len(self.targets):,} targets; the maximum is {_MOST_DESIGNS:,} in all"
            )
        return self

    @property
    def targets(self) -> list[float | None]:
        """The wanted MRLs, each once; None is the highest."""
        return list(dict.fromkeys(self.target if isinstance(self.target, tuple) else [self.target]))

    @cached_property
    def _read(self) -> tuple[tuple[Rule, ...], list[str]]:
        remarks: list[str] = []
        own = [rule for kind in CONSTRAINTS for rule in kind.from_request(self, remarks)]
        return (*self.constraints, *own), remarks

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules: those given as objects, and those that the other fields stand for."""
        return self._read[0]

    @property
    def remarks(self) -> list[str]:
        """What the user should know of the rules, a line each."""
        return self._read[1]

    @property
    def start(self) -> str | None:
        """The sequence that edits are counted from."""
        return self.seed_sequence or next((seed for rule in self.rules if (seed := rule.edits_from) is not None), None)

    @property
    def least(self) -> int:
        """How many edits any two designs have to be apart."""
        return max((rule.distance for rule in self.rules), default=1)

    @property
    def calls(self) -> int:
        """How often the model may be asked."""
        return self.budget or max(_FEWEST_CALLS, _CALLS_EACH * self.n * len(self.targets))

    def around(self, usual: Construct) -> Construct:
        """Return what stands around the designs, with what is `usual` where the request says nothing."""
        return self.construct_ or Construct(
            usual.before if self.adapter is None else self.adapter, self.cds or usual.after
        )

    def check_work(self, lengths: Sequence[int]) -> None:
        """Raise RibocastError if designs of some lengths cannot be, or take hours and no budget asks for that."""
        work = Work(self.n, len(self.targets), self.calls, self.budget is not None, max(lengths))
        if not work.has_budget and self.calls * work.longest > _MOST_LETTERS:
            raise OptionError(
                f"{work.words} take {self.calls:,} predictions, about "
                f"{self.calls * work.longest / _LETTERS_AN_HOUR:,.0f} hours of one core; "
                "with a budget of predictions they are searched for all the same"
            )
        for rule in self.rules:
            rule.check_work(work)
