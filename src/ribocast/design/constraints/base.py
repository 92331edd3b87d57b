"""What a constraint can say of itself, whichever it is; each has a file of its own beside this one."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from ribocast.design.codes import IUPAC, Codes, Counts, Near, strings_of
from ribocast.errors import OptionError
from ribocast.model.stopping import check_stopped
from ribocast.sequence.construct import Construct
from ribocast.sequence.letters import to_dna

LONGEST = 1_000
"""Letters of the longest designs."""
LONGEST_MOTIF = 2_000
MOST_COMPARED = 1_500_000_000
"""Letters times letters: what comparing designs may take before it is hours."""
_COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")
Penalty = Callable[[Codes], Counts]
"""From sequences, shape (n, length), to how badly each breaks a constraint, shape (n,); 0 where it keeps it."""


@runtime_checkable
class Constraint(Protocol):
    """The least that a constraint is: anything with this method can be given to `ribocast.design`."""

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Say in words each way in which a UTR, in A, C, G and T, breaks the constraint; nothing if it keeps it."""


class Spelling(NamedTuple):
    """How the command line spells a field of a request.

    Attributes
    ----------
    metavar : str
        What the help shows of its value.
    example : str
        What a message about a wrong value shows.
    option : str
        The name of the option, where it is not the field's.
    file : {"", "sequence", "sequences", "letters"}
        What is read from a file: one sequence, all of them, or one that the option may also spell by its letters.
    """

    metavar: str = ""
    example: str = ""
    option: str = ""
    file: str = ""


def _words(given: object) -> object:
    """Divide texts at commas; what is left has no empty words, but not none where something was given."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return given
    words = tuple(word.strip() for text in texts for word in text.split(",") if word.strip())
    if not words and texts and given != "":
        raise OptionError("no motif or name is given")
    return words


Words = Annotated[
    tuple[Annotated[str, Field(max_length=LONGEST_MOTIF)], ...],
    Field(max_length=1_000), BeforeValidator(_words),
]  # fmt: skip
"""Motifs or names; Python and the command line may put several into one text, with commas."""


class AlsoObject:
    """Says in the JSON schema of a named tuple that it is taken as an object too."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:  # fmt: skip
        """Describe both."""
        array = handler(schema)
        fields = {part["title"].lower(): part for part in handler.resolve_ref_schema(array)["prefixItems"]}
        as_object = {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}
        return {"anyOf": [array, as_object]}


Count = Annotated[int, Field(ge=0, le=2_000)]
Size = Annotated[int, Field(ge=1, le=2_000)]


class RuleOptions(BaseModel):
    """The fields of a request that make constraints of one kind."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, arbitrary_types_allowed=True)


class Lengths(NamedTuple):
    """The lengths that a constraint leaves, in words and numbers.

    `usual` is the one that it asks for where no other constraint is `exact`.
    """

    words: str
    shortest: int
    longest: int
    exact: bool = False
    usual: int | None = None


class Work(NamedTuple):
    """What is asked of a search: designs of each target, targets, predictions (limited by a budget or not), letters."""

    designs: int
    targets: int
    predictions: int
    has_budget: bool
    longest: int

    @property
    def words(self) -> str:
        """Say how many designs of which length."""
        return f"{self.designs * self.targets:,} designs of up to {self.longest:,} nt"


class Rule(ABC):
    """A constraint of ribocast's own: what it forbids, and how a search keeps it.

    Only `violations` has to be written. A search then counts them in each sequence; where a constraint can say more,
    by the other methods, whole blocks are read letter by letter, and contradictions are known before a search.

    Attributes
    ----------
    Options : type
        Its fields in a request, if it has any; `from_request` reads them.
    on_web : bool
        Whether requests to a server have these fields.
    unless_needed : bool
        Whether it is left out for a target that is not reached with it.
    by_default : bool
        Whether a request has it without asking for it.
    is_slow : bool
        Whether its penalty takes a time that grows with the square of the length.
    is_steered : bool
        Whether lengths, patterns and fixed letters say all of it, so that a search need count nothing.
    distance : int
        Edits that any two designs are apart.
    edits_from : str or None
        The sequence that edits are counted from.
    """

    class Options(RuleOptions):
        """None."""

    on_web: bool = True
    unless_needed: bool = False
    by_default: bool = False
    is_slow: bool = False
    is_steered: bool = False

    @classmethod
    def from_request(cls, request: Any, remarks: list[str]) -> list[Self]:
        """Make the constraints that the fields of a request ask for; `remarks` takes lines for the user.

        Without a method of its own: one of its fields, in their order, where the first of them is given.
        """
        given = [getattr(request, name) for name in cls.Options.model_fields]
        return [cls(*given)] if given and given[0] is not None else []

    @abstractmethod
    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Say in words each way in which a UTR breaks the constraint."""

    @property
    def distance(self) -> int:
        """Edits that any two designs are apart."""
        return 1

    @property
    def edits_from(self) -> str | None:
        """The sequence that edits are counted from."""
        return None

    def lengths(self) -> Lengths | None:
        """Say which lengths it leaves; None if all."""
        return None

    def patterns(self) -> Sequence[str]:
        """Return what must not stand in the UTR nor across its joints, in IUPAC letters."""
        return ()

    def in_frame_patterns(self) -> Sequence[str]:
        """Return what must not stand in the UTR in the frame of the start codon, three letters each."""
        return ()

    def fixed(self, length: int) -> Iterator[tuple[int, str]]:
        """Give the positions, from 0, of UTRs of a length that may have the bases of one IUPAC letter alone."""
        return iter(())

    def gc_counts(self, length: int) -> tuple[int, int]:
        """Return the fewest and the most G and C of UTRs of a length."""
        return 0, length

    def layings(self, length: int, rng: np.random.Generator) -> Iterator[Near]:
        """Give ways to lay a seed along UTRs of a length, of which one is enough."""
        return iter(())

    def penalty(self, construct: Construct, length: int, near: Near | None) -> Penalty | None:
        """Return how its breaches are counted; None if the methods above say all of it."""
        return None if self.is_steered else of_strings(lambda seq: len(self.violations(seq, construct)))

    def contradiction(self, allowed: NDArray[np.bool_], construct: Construct) -> str:
        """Say why no sequence keeps it, given the letters, shape (length, 4), that are left; else nothing."""
        return ""

    def why_low(self) -> str:
        """Say why it keeps low MRLs out of reach, and what to do; nothing if it does not."""
        return ""

    def check_work(self, work: Work) -> None:  # noqa: B027 (most constraints refuse nothing)
        """Raise OptionError if a search under it cannot succeed, or takes hours without a budget."""


@dataclass(frozen=True)
class Custom(Rule):
    """A user's own object with ``violations(seq, construct)``."""

    constraint: Constraint

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Ask the object."""
        return self.constraint.violations(seq, construct)

    def __str__(self) -> str:
        return str(self.constraint)


def as_rule(constraint: object) -> Rule:
    """Return a constraint as a `Rule`.

    Raises
    ------
    OptionError
        If it has no method ``violations(seq, construct)``.
    """
    if isinstance(constraint, Rule):
        return constraint
    if not isinstance(constraint, Constraint) or isinstance(constraint, type):
        raise OptionError(f"{constraint!r} is not a constraint: it needs a method violations(seq, construct)")
    return Custom(constraint)


def of_strings(count: Callable[[str], float]) -> Penalty:
    """Make a penalty of a function of one string."""

    def penalty(block: Codes) -> Counts:
        found = np.empty(len(block))
        for row, seq in enumerate(strings_of(block)):
            check_stopped()  # folding 300 nt takes 70 ms
            found[row] = count(seq)
        return found

    return penalty


def read_motif(motif: str) -> str:
    """Spell a motif in upper case with T for U; raise OptionError unless it is made of IUPAC letters."""
    letters = motif.strip().upper().replace("U", "T")
    wrong = next((letter for letter in letters if letter not in IUPAC), None)
    if not letters or wrong is not None:
        why = "is empty" if not letters else f"{wrong!r} is not an IUPAC letter ({''.join(IUPAC)})"
        raise OptionError(f"motif {motif[:60]!r}: {why}")
    if len(letters) > LONGEST_MOTIF:
        raise OptionError(f"motif {letters[:20]}…: {len(letters):,} letters; the maximum is {LONGEST_MOTIF:,}")
    return letters


def read_seed(seed: str) -> str:
    """Spell a sequence to start from in upper case with T for U; it has no N."""
    letters = to_dna(seed.strip())
    if not letters or set(letters) - set("ACGT"):
        raise OptionError(f"cannot start from {seed[:60]!r}: the sequence must have A, C, G, T or U only")
    return letters


def reverse_complement(motif: str) -> str:
    """Return how a motif, also with IUPAC letters, reads on the other strand."""
    return motif.translate(_COMPLEMENT)[::-1]


def occurrences(motif: str, seq: str, construct: Construct) -> Iterator[int]:
    """Give the 0-based index, counted from the first base of the UTR, of each place where a motif touches the UTR."""
    pattern = re.compile("(?=" + "".join(f"[{IUPAC[letter]}]" for letter in motif) + ")")
    first = len(construct.before)
    for found in pattern.finditer(construct.around(seq)):
        at = found.start() - first
        if at + len(motif) > 0 and at < len(seq):
            yield at


def shown_position(index: int, length: int) -> int:
    """Return the position that people use of an index into a UTR; +1 is the A of the start codon."""
    return index - length + (index >= length)
