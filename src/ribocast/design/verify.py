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
    before = _Before(least, min(map(len, seqs), default=0) // least)
    for seq in seqs:
        wrong = [f"{letter!r} is not a base" for letter in sorted(set(seq) - set("ACGT"))] + ["is empty"] * (not seq)
        if not wrong:
            wrong += [f"{rule}: {said}" for rule in rules for said in rule.violations(seq, construct)]
            if any(closer_than(seq, other, least) for other in before.that_may_be_near(seq)):
                wrong.append(f"fewer than {least} edits from another design")
        before.add(seq)
        found.append(wrong)
    return found


class _Before:
    """Designs by the pieces that they are made of.

    Fewer than `least` edits leave one of `least` pieces as it is, so that another design holds its first `size` letters
    somewhere.
    """

    def __init__(self, least: int, size: int) -> None:
        self._least, self._size = least, size
        self._by_piece: dict[str, list[str]] = {}

    def add(self, seq: str) -> None:
        begins = (len(seq) * number // self._least for number in range(self._least))
        for piece in {seq[begin : begin + self._size] for begin in begins}:
            self._by_piece.setdefault(piece, []).append(seq)

    def that_may_be_near(self, seq: str) -> set[str]:
        words = {seq[at : at + self._size] for at in range(len(seq) - self._size + 1)}
        return {other for word in words for other in self._by_piece.get(word, ())}
