"""The sequences of one length that keep all rules: drawn, changed, crossed and tested many at a time.

The rules that can be read letter by letter are kept by construction or tested by one automaton
(`ribocast.design.automaton`); the others are counted here, so that a first sequence that keeps them all can be
climbed to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ribocast.design.automaton import ANY, Codes, LetterRules, Near, codes_of, strings_of
from ribocast.design.constraints import (
    GC,
    Constraint,
    Forbid,
    FreeEnergy,
    Keep,
    Length,
    MaxEdits,
    MaxRun,
    MinDistance,
    NoInFrameStops,
    NoOverlap,
    NoRepeat,
    Template,
    reverse_complement,
)
from ribocast.design.distances import quick_edit_distance
from ribocast.design.folding import free_energy
from ribocast.errors import OptionError
from ribocast.model.stopping import check_stopped
from ribocast.sequence.construct import Construct

Counts = NDArray[np.float64]
Test = Callable[[Codes], Counts]
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

    def __init__(
        self, rules: Sequence[Constraint], construct: Construct, length: int, near: Near | None = None
    ) -> None:
        self.length = length
        self._rules = tuple(rules)
        self.letters = LetterRules(rules, construct, length, near)
        tests = {str(rule): _test(rule, construct, length, near) for rule in rules}
        self.tests: dict[str, Test] = {name: test for name, test in tests.items() if test is not None}
        allowed = self.letters.allowed
        self.free = np.flatnonzero(allowed.sum(axis=1) > 1)
        # What a letter can become: its position's other letters first, how many there are, by position and letter.
        self._others = np.zeros((length, 4, 4), dtype=np.uint8)
        self._choices = np.zeros((length, 4), dtype=np.int64)
        for at in range(length):
            for base in range(4):
                others = [other for other in range(4) if allowed[at, other] and other != base]
                self._others[at, base, : len(others)] = others
                self._choices[at, base] = len(others)

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
        folds = any(isinstance(rule, FreeEnergy) for rule in self._rules)
        rounds = max(_FEWEST_ROUNDS, min(_ROUNDS, _ROUNDS * 100**2 // self.length**2)) if folds else _ROUNDS
        for _ in range(rounds):
            broken = self.broken(held)
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

    def broken(self, block: Codes) -> Counts:
        """Count how badly sequences break the rules that are not read letter by letter; shape (n,)."""
        total = np.zeros(len(block))
        for test in self.tests.values():
            total += test(block)
        return total


def lay_along(seed: str, length: int, most: int, rng: np.random.Generator) -> Near:
    """Lay a seed along UTRs of a length, with letters inserted or left out at random places where it has another."""
    letters = list(map(int, codes_of([seed])[0]))
    spare = most - abs(length - len(seed))
    while len(letters) < length:
        letters.insert(int(rng.integers(0, len(letters) + 1)), ANY)
    while len(letters) > length:
        letters.pop(int(rng.integers(0, len(letters))))
    return Near(np.array(letters, dtype=np.uint8), spare)


def _test(rule: Constraint, construct: Construct, length: int, near: Near | None) -> Test | None:
    """Return how a rule is counted, or None if it is read letter by letter, or not of one sequence alone."""
    match rule:
        case Forbid() | MaxRun() | NoInFrameStops() | Template() | Keep() | Length() | MinDistance():
            return None
        case GC():
            if rule.window is None or rule.window >= length:
                return None
            low, high = rule.counts(rule.window)
            return lambda block: _windows(block, rule.window or 1, low, high)
        case NoRepeat():
            return lambda block: _repeats(block, rule.size)
        case MaxEdits():
            if near is not None:
                # The substitutions and the letters put in or left out are already at most as many.
                return None
            return _of_strings(lambda seq: max(0, quick_edit_distance(seq, rule.seed) - rule.most))
        case NoOverlap():
            known = _words_of(rule)
            return lambda block: np.isin(_words(block, rule.size), known).sum(axis=1).astype(np.float64)
        case FreeEnergy():
            return _of_strings(lambda seq: max(0.0, rule.low - free_energy(seq), free_energy(seq) - rule.high))
        case _:
            return _of_strings(lambda seq: len(rule.violations(seq, construct)))


def _of_strings(count: Callable[[str], float]) -> Test:
    def counts(block: Codes) -> Counts:
        found = np.empty(len(block))
        for row, seq in enumerate(strings_of(block)):
            check_stopped()  # folding 300 nt takes 70 ms
            found[row] = count(seq)
        return found

    return counts


def _windows(block: Codes, size: int, low: int, high: int) -> Counts:
    is_gc = (block == 1) | (block == 2)
    sums = np.cumsum(np.pad(is_gc, ((0, 0), (1, 0))), axis=1)
    inside = sums[:, size:] - sums[:, :-size]
    return np.asarray((np.maximum(low - inside, 0) + np.maximum(inside - high, 0)).sum(axis=1), dtype=np.float64)


def _words(block: Codes, size: int) -> NDArray[np.int64]:
    """Give all words of sequences, shape (n, length), as numbers, shape (n, words); at most 31 letters each."""
    count = block.shape[1] - size + 1
    words = np.zeros((len(block), max(count, 0)), dtype=np.int64)
    for at in range(size if count > 0 else 0):
        words = words * 4 + block[:, at : at + count]
    return words


@lru_cache(maxsize=4)
def _words_of(rule: NoOverlap) -> NDArray[np.int64]:
    """Give all words of the sequences of a rule, both strands, as sorted numbers; those with an N are left out."""
    pieces = [
        piece for sequence in rule.sequences for piece in re.split("[^ACGT]+", sequence) if len(piece) >= rule.size
    ]
    both = [*pieces, *map(reverse_complement, pieces)]
    return np.unique(np.concatenate([np.empty(0, np.int64), *(_words(codes_of([one]), rule.size)[0] for one in both)]))


def _repeats(block: Codes, size: int) -> Counts:
    if size > 31:
        return np.array([len(row) - size + 1 - len({bytes(row[at : at + size]) for at in range(len(row) - size + 1)})
                         if len(row) >= size else 0 for row in block], dtype=np.float64)  # fmt: skip
    words = np.sort(_words(block, size), axis=1)
    return np.asarray((words[:, 1:] == words[:, :-1]).sum(axis=1), dtype=np.float64)
