"""Rules that no sequence can keep together: recognised before anything is searched, and said in one line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ribocast.design.automaton import LetterRules
from ribocast.design.constraints import GC, Constraint, Forbid, Keep, Length, MaxEdits, Template, occurrences
from ribocast.design.search_space import Space, lay_along
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct, position_from_start

DEFAULT_LENGTH = 50
LONGEST = 1_000
"""Letters of the longest designs."""
_LAYINGS = 25


def possible_lengths(rules: Sequence[Constraint]) -> range:
    """Return the lengths that the rules leave; 50 if they say nothing of it.

    Raises
    ------
    RibocastError
        If they leave none, or more than 1,000 nt.
    """
    lowest, highest = 1, LONGEST
    says: list[tuple[str, int, int]] = []
    for rule in rules:
        match rule:
            case Length():
                says.append((str(rule), rule.shortest, rule.longest))
            case Template():
                says.append((f"{rule.name} of {len(rule.letters)} letters", len(rule.letters), len(rule.letters)))
            case MaxEdits():
                size = len(rule.seed)
                says.append((f"{rule} of a seed of {size} nt", max(1, size - rule.most), size + rule.most))
            case Keep():
                says.append((str(rule), max(rule.first, rule.last, 1), LONGEST))
    # A limit on edits alone asks for the length of its seed.
    exact = [rule for rule in rules if isinstance(rule, Length | Template)]
    asked = [rule.longest if isinstance(rule, Length) else len(rule.letters) for rule in exact]
    seeds = [len(rule.seed) for rule in rules if isinstance(rule, MaxEdits)]
    too_long = max([0, *asked, *seeds])
    if too_long > LONGEST:
        raise OptionError(f"designs are up to {too_long:,} nt; the maximum is {LONGEST:,}")
    for name, shortest, longest in says:
        if shortest > highest or longest < lowest:
            other = next(other for other, low, high in says if shortest > high or longest < low)
            raise OptionError(f"{other} and {name} contradict each other")
        lowest, highest = max(lowest, shortest), min(highest, longest)
    if exact:
        return range(lowest, highest + 1)
    # Only what limits it speaks of length: as the seed, if there is one.
    length = seeds[0] if seeds else min(max(DEFAULT_LENGTH, lowest), highest)
    return range(length, length + 1)


def make_space(rules: Sequence[Constraint], construct: Construct, length: int, rng: np.random.Generator) -> Space:
    """Make the space of one length.

    Where a limit on edits needs letters put in or left out, their places are drawn: each call gives another such space.

    Raises
    ------
    RibocastError
        If the rules contradict each other; it names the fewest that do.
    """
    seed = next((rule for rule in rules if isinstance(rule, MaxEdits)), None)
    if seed is None:
        space = Space(rules, construct, length)
        if not space.letters.possible():
            raise OptionError(_explain(rules, construct, length))
        return space
    # A seed of this length has one laying; another length has many, of which some may hold what is forbidden.
    for _ in range(1 if len(seed.seed) == length else _LAYINGS):
        space = Space(rules, construct, length, lay_along(seed.seed, length, seed.most, rng))
        if space.letters.possible():
            return space
    raise OptionError(_explain(rules, construct, length))


def _explain(rules: Sequence[Constraint], construct: Construct, length: int) -> str:
    """Name the fewest rules that contradict each other, found by leaving out one after the other."""
    needed = [rule for rule in rules if not isinstance(rule, Length)]
    for rule in list(needed):
        fewer = [other for other in needed if other is not rule]
        if not _possible(fewer, construct, length):
            needed = fewer
    names = [str(rule) for rule in needed]
    if len(needed) == 1:
        return f"no sequence of {length} nt keeps {names[0]}{_why(needed, construct, length)}"
    return f"{', '.join(names[:-1])} and {names[-1]} contradict each other{_why(needed, construct, length)}"


def _possible(rules: Sequence[Constraint], construct: Construct, length: int) -> bool:
    seed = next((rule for rule in rules if isinstance(rule, MaxEdits)), None)
    rng = np.random.default_rng(0)
    near = [None] if seed is None else [lay_along(seed.seed, length, seed.most, rng)
                                        for _ in range(1 if len(seed.seed) == length else _LAYINGS)]  # fmt: skip
    return any(LetterRules(rules, construct, length, one).possible() for one in near)


def _why(rules: Sequence[Constraint], construct: Construct, length: int) -> str:
    """Say where fixed letters hold a forbidden motif, or what share of GC they leave, if that is it."""
    allowed = LetterRules(rules, construct, length).allowed
    if not allowed.any(axis=1).all():
        at = int(np.flatnonzero(~allowed.any(axis=1))[0])
        return f": they leave no letter for position {position_from_start(at, length)}"
    fixed = "".join("ACGT"[row.argmax()] if row.sum() == 1 else "N" for row in allowed)
    for rule in rules:
        if isinstance(rule, Forbid):
            for motif in rule.patterns():
                for at in occurrences(motif, fixed, construct):
                    return f": the fixed letters hold {motif} at {position_from_start(at, length)}"
        if isinstance(rule, GC) and rule.window is None:
            least = float(allowed[:, [0, 3]].any(axis=1).__invert__().mean())
            most = float(allowed[:, [1, 2]].any(axis=1).mean())
            low, high = rule.counts(length)
            if low > high:
                return f": no whole number of {length} letters has such a share"
            if least > rule.high or most < rule.low:
                return f": the fixed letters leave shares from {least:.2f} to {most:.2f}"
    return ""
