"""A second look at every design, by code that shares nothing with the search: the rules read one by one."""

from __future__ import annotations

from collections.abc import Sequence

from ribocast.design.constraints.base import Rule
from ribocast.design.distances import closer_than
from ribocast.sequence.construct import Construct


def find_violations(seqs: Sequence[str], rules: Sequence[Rule], construct: Construct) -> list[list[str]]:
    """Say in words all that is wrong with designs; empty lists where nothing is.

    Parameters
    ----------
    seqs : sequence of str
        The designs of one goal.
    rules : sequence of Rule
        The rules.
    construct : Construct
        What stands around them.
    """
    least = max((rule.distance for rule in rules), default=1)
    found: list[list[str]] = []
    # Fewer than `least` edits leave one of `least` pieces as it is: another design holds its first letters somewhere.
    size, by_piece = min(map(len, seqs), default=0) // least, dict[str, list[str]]()
    for seq in seqs:
        wrong = [f"{letter!r} is not a base" for letter in sorted(set(seq) - set("ACGT"))] + ["is empty"] * (not seq)
        if not wrong:
            wrong += [f"{rule}: {said}" for rule in rules for said in rule.violations(seq, construct)]
            words = {seq[at : at + size] for at in range(len(seq) - size + 1)}
            near = {other for word in words for other in by_piece.get(word, ())}
            if any(closer_than(seq, other, least) for other in near):
                wrong.append(f"fewer than {least} edits from another design")
        for begin in {len(seq) * number // least for number in range(least)}:
            by_piece.setdefault(seq[begin : begin + size], []).append(seq)
        found.append(wrong)
    return found
