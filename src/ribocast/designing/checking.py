"""A second look at every design, by code that shares nothing with the search: the rules read one by one."""

from __future__ import annotations

from collections.abc import Sequence

from ribocast.construct import Construct
from ribocast.designing.constraints import Constraint, MinDistance
from ribocast.designing.distances import closer_than


def find_violations(seqs: Sequence[str], constraints: Sequence[Constraint], construct: Construct) -> list[list[str]]:
    """Say in words all that is wrong with designs; empty lists where nothing is.

    Parameters
    ----------
    seqs : sequence of str
        The designs of one goal.
    constraints : sequence of Constraint
        The rules.
    construct : Construct
        What stands around them.
    """
    least = max((rule.least for rule in constraints if isinstance(rule, MinDistance)), default=1)
    found: list[list[str]] = []
    for number, seq in enumerate(seqs):
        wrong = [f"{letter!r} is no base" for letter in sorted(set(seq) - set("ACGT"))] + ["is empty"] * (not seq)
        if not wrong:
            wrong += [f"{rule}: {said}" for rule in constraints for said in rule.violations(seq, construct)]
            if any(other == seq if least == 1 else closer_than(seq, other, least) for other in seqs[:number]):
                wrong.append(f"fewer than {least} edits from another design")
        found.append(wrong)
    return found
