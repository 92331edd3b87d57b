"""Motifs that designs do not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ribocast.design.codes import BASES
from ribocast.design.constraints.base import (
    Rule,
    RuleOptions,
    Spelling,
    Words,
    occurrences,
    read_motif,
    reverse_complement,
    shown_position,
)  # fmt: skip
from ribocast.design.restriction_sites import find_site
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct, position_from_start
from ribocast.sequence.uorf import NEAR_COGNATES


@dataclass(frozen=True)
class Forbid(Rule):
    """No motif in the UTR, nor across its joints with what stands before and after it.

    Parameters
    ----------
    motifs : str or sequence of str
        IUPAC letters; a single string is one motif.
    both_strands : bool
        Also the reverse complement, as a restriction enzyme reads.
    unless_needed : bool
        Dropped for a target that the search does not reach with it.
    name : str
        What messages call it; made from the motifs without it.

    Examples
    --------
    >>> from ribocast.design import Forbid
    >>> from ribocast.sequence.construct import EGFP
    >>> Forbid("ATG").violations("CCATGC", EGFP)
    ['ATG at -4']
    """

    motifs: tuple[str, ...]
    both_strands: bool = False
    unless_needed: bool = False
    name: str = ""

    is_steered = True

    class Options(RuleOptions):
        """Its fields."""

        forbid: Annotated[Words, Spelling("MOTIFS")] = Field(
            (), title="Forbidden motifs", description="Motifs (IUPAC letters) that no design holds, nor its joints."
        )
        avoid: Annotated[Words, Spelling("MOTIFS")] = Field(
            (), title="Avoided motifs", description="The same, but allowed where a target is not reached without."
        )
        forbid_sites: Annotated[Words, Spelling("ENZYMES")] = Field(
            (), title="Forbidden sites", description="Restriction enzymes, both strands, such as BsaI."
        )
        no_near_cognates: bool = Field(
            False, title="No upstream near-cognate starts", description="No upstream ATG, CTG, GTG, TTG and the like."
        )

    @classmethod
    def from_request(cls, request: Options, remarks: list[str]) -> list[Self]:
        """Make one of each field."""
        rules = [cls(request.forbid)] * bool(request.forbid)
        rules += [cls(request.avoid, unless_needed=True)] * bool(request.avoid)
        if request.forbid_sites:
            rules.append(cls.sites(request.forbid_sites))
        if request.no_near_cognates:
            rules.append(cls.upstream_starts(near_cognates=True))
        return rules

    @classmethod
    def sites(cls, enzymes: Sequence[str]) -> Self:
        """Forbid the sites of enzymes, on both strands and across the joints."""
        names = [name.strip() for name in enzymes if name.strip()]
        if not names:
            raise OptionError("forbid sites: no enzyme is named")
        return cls(tuple(map(find_site, names)), both_strands=True, name=f"forbid sites {','.join(names)}")

    @classmethod
    def upstream_starts(cls, *, near_cognates: bool = False) -> Self:
        """Forbid upstream ATGs, and with `near_cognates` the nine codons that differ from it in one letter."""
        codons = ("ATG", *sorted(NEAR_COGNATES)) if near_cognates else ("ATG",)
        return cls(codons, name="no upstream starts" if near_cognates else "no upstream ATG")

    def __post_init__(self) -> None:
        given = (self.motifs,) if isinstance(self.motifs, str) else tuple(self.motifs)
        object.__setattr__(self, "motifs", tuple(read_motif(motif) for motif in given))

    def patterns(self) -> tuple[str, ...]:
        """Return all that is looked for, each once."""
        turned = [reverse_complement(motif) for motif in self.motifs] if self.both_strands else []
        return tuple(dict.fromkeys([*self.motifs, *turned]))

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each motif and where it begins."""
        return [f"{motif} at {shown_position(at, len(seq))}" for motif in self.patterns()
                for at in occurrences(motif, seq, construct)]  # fmt: skip

    def contradiction(self, allowed: NDArray[np.bool_], construct: Construct) -> str:
        """Say which motif the fixed letters hold."""
        fixed = "".join(BASES[row.argmax()] if row.sum() == 1 else "N" for row in allowed)
        for motif in self.patterns():
            for at in occurrences(motif, fixed, construct):
                return f": the fixed letters hold {motif} at {position_from_start(at, len(fixed))}"
        return ""

    def why_low(self) -> str:
        """Say what a design without an upstream ATG lacks."""
        if "ATG" not in self.patterns():
            return ""
        ask = "" if self.unless_needed else "; avoid ATG, not forbid it, and designs hold one where they need it"
        return f" (a low MRL comes from an upstream ATG, which takes ribosomes before they reach the start codon{ask})"

    def __str__(self) -> str:
        return self.name or f"{'avoid' if self.unless_needed else 'forbid'} {','.join(self.motifs)}"


forbid_sites = Forbid.sites
no_upstream_starts = Forbid.upstream_starts
