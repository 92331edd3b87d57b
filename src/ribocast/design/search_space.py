"""The sequences of one length that keep all rules: drawn, changed, crossed and tested many at a time.

The rules that can be read letter by letter are kept by construction or tested by one automaton
(`ribocast.design.automaton`); the others are counted here, so that a first sequence that keeps them all can be
climbed to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ribocast.design.automaton import LetterRules
from ribocast.design.codes import Codes, Near
from ribocast.design.constraints.base import Penalty, Rule
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct

_ROUNDS, _FEWEST_ROUNDS, _HELD, _FRESH = 150, 10, 128, 64


class Space:
    """All UTRs of one length that keep the rules.

    Attributes
    ----------
    length : int
        Letters.
    letters : LetterRules
        The rules that are read letter by letter.
    tests : dict of str to callable
        The others: each gives how badly sequences break it, 0 where they keep it.
    free : numpy.ndarray of int
        The positions that can have more than one letter.
    """

    def __init__(self, rules: Sequence[Rule], construct: Construct, length: int, near: Near | None = None) -> None:
        self.length = length
        self._rules = tuple(rules)
        self.letters = LetterRules(rules, construct, length, near)
        tests = {str(rule): rule.penalty(construct, length, near) for rule in rules}
        self.tests: dict[str, Penalty] = {name: test for name, test in tests.items() if test is not None}
        allowed = self.letters.allowed
        self.free = np.flatnonzero(allowed.sum(axis=1) > 1)
        # What a letter can become: its position's other letters first, how many there are, by position and letter.
        others = allowed[:, None, :] & ~np.eye(4, dtype=bool)
        self._others = np.argsort(~others, axis=2, kind="stable").astype(np.uint8)
        self._choices = others.sum(axis=2)

    def keep(self, block: Codes) -> NDArray[np.bool_]:
        """Say which sequences, shape (n, length), keep all rules; shape (n,)."""
        good = self.letters.keep(block)
        for test in self.tests.values():
            if not good.any():
                break
            good[good] = test(block[good]) == 0
        return good

    def change(self, block: Codes, rng: np.random.Generator, most: int = 1) -> Codes:
        """Substitute 1 to `most` letters of each sequence by others that its position may have."""
        changed = block.copy()
        if not len(self.free):
            return changed
        times = rng.integers(1, most + 1, len(block))
        for number in range(most):
            rows = np.flatnonzero(times > number)
            at = self.free[rng.integers(0, len(self.free), len(rows))]
            old = changed[rows, at]
            some = rng.integers(0, self._choices[at, old])
            changed[rows, at] = self._others[at, old, some]
        return self.pull_back(changed, rng)

    def pull_back(self, block: Codes, rng: np.random.Generator) -> Codes:
        """Give letters of the seed back to sequences that are too far from it."""
        near = self.letters.near
        if near is None:
            return block
        differs = near.differs(block)
        if (differs.sum(axis=1) <= near.most).all():
            return block
        # The `most` lowest of random numbers stay; positions that do not differ come last.
        order = np.argsort(np.where(differs, rng.random(block.shape), 2.0), axis=1)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(self.length)[None, :], axis=1)
        return np.where(differs & (rank >= near.most), near.letters, block).astype(np.uint8)

    def propose(self, parents: Codes, make: Callable[[Codes], Codes], tries: int = 6) -> Codes:
        """Make a child of each parent; where none of a few tries keeps the rules, the parent itself is given."""
        children = parents.copy()
        missing = np.arange(len(parents))
        for _ in range(tries):
            made = make(parents[missing])
            good = self.keep(made)
            children[missing[good]] = made[good]
            missing = missing[~good]
            if not len(missing):
                break
        return children

    def neighbours(self, sequence: Codes) -> Codes:
        """List every substitution of one sequence, shape (length,), that keeps the rules; shape (n, length)."""
        at, base = np.nonzero(self.letters.allowed & (np.arange(4) != sequence[:, None]))
        block = np.repeat(sequence[None, :], len(at), axis=0)
        block[np.arange(len(at)), at] = base
        return block[self.keep(block)]

    def begin(self, count: int, rng: np.random.Generator) -> Codes:
        """Draw sequences that keep all rules; shape (count, length).

        Raises
        ------
        RibocastError
            If none is found in a bounded search; it names the rules that the best one breaks.
        """
        if not self.tests:
            return self.letters.draw(count, rng)
        found = np.empty((0, self.length), dtype=np.uint8)
        held = self.letters.draw(max(_HELD, count), rng)
        # Folding takes a time that grows with the square of the length.
        is_slow = any(rule.is_slow for rule in self._rules)
        rounds = max(_FEWEST_ROUNDS, min(_ROUNDS, _ROUNDS * 100**2 // self.length**2)) if is_slow else _ROUNDS
        for _ in range(rounds):
            broken = sum((test(held) for test in self.tests.values()), np.zeros(len(held)))
            order = np.argsort(broken, kind="stable")
            held, broken = held[order], broken[order]
            found = np.unique(np.concatenate([found, held[broken == 0]]), axis=0)
            if len(found) >= count:
                break
            best = held[:_HELD]
            children = self.change(best, rng, 3)
            children = children[self.letters.keep(children)]
            held = np.concatenate([best[broken[: len(best)] > 0], children, self.letters.draw(_FRESH, rng)])
        if not len(found):
            names = [name for name, test in self.tests.items() if test(held[:1])[0] > 0]
            raise OptionError(
                f"no sequence of {self.length} nt was found that keeps all rules: what comes nearest breaks "
                f"{' and '.join(names)}"
            )
        picked = rng.permutation(len(found))[:count]
        return np.asarray(found[np.concatenate([picked, rng.integers(0, len(found), count - len(picked))])])
