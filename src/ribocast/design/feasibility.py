"""Rules that no sequence can keep together: recognised before anything is searched, and said in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ribocast.design.automaton import LetterRules
from ribocast.design.codes import Near
from ribocast.design.constraints.base import LONGEST, Rule
from ribocast.design.search_space import Space
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct, position_from_start

DEFAULT_LENGTH = 50


def longest_asked(rules: Sequence[Rule]) -> int:
    """Return the longest design that rules speak of; 0 if they do not."""
    limits = [limit for rule in rules if (limit := rule.lengths()) is not None]
    return max((limit.longest if limit.exact else limit.usual or 0 for limit in limits), default=0)


def possible_lengths(rules: Sequence[Rule]) -> range:
    """Return the lengths that the rules leave; 50 if they say nothing of it.

    Raises
    ------
    RibocastError
        If they leave none, or more than 1,000 nt.
    """
    lowest, highest = 1, LONGEST
    limits = [limit for rule in rules if (limit := rule.lengths()) is not None]
    usual = [limit.usual for limit in limits if limit.usual is not None]
    if (too_long := longest_asked(rules)) > LONGEST:
        raise OptionError(f"designs are up to {too_long:,} nt; the maximum is {LONGEST:,}")
    for limit in limits:
        if limit.shortest > highest or limit.longest < lowest:
            other = next(one for one in limits if limit.shortest > one.longest or limit.longest < one.shortest)
            raise OptionError(f"{other.words} and {limit.words} contradict each other")
        lowest, highest = max(lowest, limit.shortest), min(highest, limit.longest)
    if any(limit.exact for limit in limits):
        return range(lowest, highest + 1)
    # Only what limits it speaks of length: as the seed, if there is one.
    length = usual[0] if usual else min(max(DEFAULT_LENGTH, lowest), highest)
    return range(length, length + 1)


def make_space(rules: Sequence[Rule], construct: Construct, length: int, rng: np.random.Generator) -> Space:
    """Make the space of one length.

    Where a limit on edits needs letters put in or left out, their places are drawn: each call gives another such space.

    Raises
    ------
    RibocastError
        If the rules contradict each other; it names the fewest that do.
    """
    for near in _layings(rules, length, rng):
        space = Space(rules, construct, length, near)
        if space.letters.possible():
            return space
    raise OptionError(_explain(rules, construct, length))


def _layings(rules: Sequence[Rule], length: int, rng: np.random.Generator) -> Iterator[Near | None]:
    """Give the ways to align the first seed; a single None without a seed."""
    for rule in rules:
        if (first := next(others := rule.layings(length, rng), None)) is not None:
            yield first
            yield from others
            return
    yield None


def _explain(rules: Sequence[Rule], construct: Construct, length: int) -> str:
    """Name the fewest rules that contradict each other, found by leaving out one after the other."""
    needed = list(rules)
    # What the user asked for is named rather than what holds by default.
    for rule in sorted(rules, key=lambda rule: not rule.by_default):
        fewer = [other for other in needed if other is not rule]
        if not _possible(fewer, construct, length):
            needed = fewer
    names = [str(rule) for rule in needed]
    if len(needed) == 1:
        return f"no sequence of {length} nt keeps {names[0]}{_why(needed, construct, length)}"
    return f"{', '.join(names[:-1])} and {names[-1]} contradict each other{_why(needed, construct, length)}"


def _possible(rules: Sequence[Rule], construct: Construct, length: int) -> bool:
    layings = _layings(rules, length, np.random.default_rng(0))
    return any(LetterRules(rules, construct, length, near).possible() for near in layings)


def _why(rules: Sequence[Rule], construct: Construct, length: int) -> str:
    """Say in the words of the rules why they contradict each other, if they know."""
    allowed = LetterRules(rules, construct, length).allowed
    if not allowed.any(axis=1).all():
        at = int(np.flatnonzero(~allowed.any(axis=1))[0])
        return f": they leave no letter for position {position_from_start(at, length)}"
    return next((why for rule in rules if (why := rule.contradiction(allowed, construct))), "")
