"""Rules that can be read letter by letter, as one automaton: exact feasibility, and sequences drawn at random.

Forbidden motifs, runs, in-frame stops, templates, kept letters, the number of G and C and the number of substitutions
of a seed are such rules. How many sequences keep them all is counted from the start codon back to the 5′ end (dynamic
programming); where the count is 0 they contradict each other, and else letters are drawn by these counts, so that each
sequence that keeps the rules is as likely as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ribocast.design.codes import ANY, BASES, IUPAC, Codes, Near
from ribocast.design.constraints.base import Rule
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct

_MOST_STATES = 20_000
_MOST_COUNTS = 40_000_000
_SETS = {letter: frozenset(map(BASES.index, bases)) for letter, bases in IUPAC.items()}


@dataclass(frozen=True)
class Automaton:
    """Which letters may follow which, by state.

    Attributes
    ----------
    following : numpy.ndarray of int, shape (states, 4)
        The state after a letter.
    hits, stops : numpy.ndarray of bool, shape (states, 4)
        Whether the letter completes a forbidden motif, or an in-frame stop if it ends a codon of frame 0.
    may_end : numpy.ndarray of bool, shape (states,)
        Whether what comes after the UTR completes none.
    start : int
        The state after what comes before the UTR.
    """

    following: NDArray[np.int64]
    hits: NDArray[np.bool_]
    stops: NDArray[np.bool_]
    may_end: NDArray[np.bool_]
    start: int


def build_automaton(rules: Sequence[Rule], construct: Construct) -> Automaton:
    """Make the automaton of all motifs of the rules between the two joints."""
    plain = dict.fromkeys(motif for rule in rules for motif in rule.patterns())
    in_frame = dict.fromkeys(motif for rule in rules for motif in rule.in_frame_patterns())
    patterns = [tuple(_SETS[letter] for letter in motif) for motif in (*plain, *in_frame)]
    framed = len(plain)

    if (total := sum(map(len, patterns))) > _MOST_STATES:
        raise OptionError(f"the forbidden motifs have {total:,} letters; the maximum is {_MOST_STATES:,}")
    begins = [frozenset((one, 1) for one, sets in enumerate(patterns) if base in sets[0]) for base in range(4)]

    # A state is the set of motifs that are under way, each with how much of it has been read.
    def step(
        state: frozenset[tuple[int, int]], base: int, fresh: bool = True
    ) -> tuple[set[tuple[int, int]], list[int]]:
        read = {(one, done + 1) for one, done in state if base in patterns[one][done]}
        if fresh:
            read |= begins[base]
        ended = [one for one, done in read if done == len(patterns[one])]
        return {item for item in read if item[1] < len(patterns[item[0]])}, ended

    begin: frozenset[tuple[int, int]] = frozenset()
    for letter in construct.before:
        begin = frozenset(step(begin, BASES.index(letter))[0]) if letter in BASES else frozenset()
    numbers, waiting = {begin: 0}, [begin]
    following, hits, stops = [], [], []
    for state in waiting:
        row, hit, stop = [], [], []
        for base in range(4):
            after, ended = step(state, base)
            key = frozenset(after)
            if key not in numbers:
                if len(numbers) >= _MOST_STATES:
                    raise OptionError("the forbidden motifs are too many, or hold too many unknown letters, together")
                numbers[key] = len(waiting)
                waiting.append(key)
            row.append(numbers[key])
            hit.append(any(one < framed for one in ended))
            stop.append(any(one >= framed for one in ended))
        following.append(row)
        hits.append(hit)
        stops.append(stop)
    may_end = []
    for state in waiting:
        # Codons of frame 0 do not reach across the start codon.
        left, good = frozenset(item for item in state if item[0] < framed), True
        for letter in construct.after:
            if not left or letter not in BASES:
                break
            rest, ended = step(left, BASES.index(letter), fresh=False)
            left, good = frozenset(rest), good and not ended
        may_end.append(good)
    return Automaton(np.array(following), np.array(hits), np.array(stops), np.array(may_end), 0)


class LetterRules:
    """All rules that can be read letter by letter, for UTRs of one length.

    Attributes
    ----------
    allowed : numpy.ndarray of bool, shape (length, 4)
        What templates and kept ends leave to each position.
    near : Near or None
        What substitutions are counted from.
    gc : tuple of (int, int)
        The fewest and the most G and C.
    """

    def __init__(self, rules: Sequence[Rule], construct: Construct, length: int, near: Near | None = None) -> None:
        self.length = length
        self.automaton = build_automaton(rules, construct)
        self.allowed = np.ones((length, 4), dtype=bool)
        self.gc = 0, length
        self.near = near
        for rule in rules:
            for at, letter in rule.fixed(length):
                self.allowed[at] &= [base in IUPAC[letter] for base in BASES]
            low, high = rule.gc_counts(length)
            self.gc = max(self.gc[0], low), min(self.gc[1], high)
        self._counts: NDArray[np.float64] | None = None
        # By position, what follows state · 4 + letter, times 4; a wrong letter leads to a last state, never left.
        states = len(self.automaton.following)
        ways = [np.where(self.steps_at(at), states, self.automaton.following) for at in range(length)]
        self._ways = [np.append(way.ravel() * 4, [states * 4] * 4) for way in ways]
        self._may_end = np.append(self.automaton.may_end, False)

    def possible(self) -> bool:
        """Say whether any sequence keeps the rules."""
        return bool(self.counts()[0, self.automaton.start, 0, 0] > 0)

    def counts(self) -> NDArray[np.float64]:
        """Count the ways to go on: shape (length + 1, states, G and C so far, substitutions so far).

        Each position is scaled by itself, since there can be 4¹⁰⁰ ways.
        """
        if self._counts is not None:
            return self._counts
        states = len(self.automaton.following)
        most_gc = self.gc[1] if self.gc != (0, self.length) else 0
        most_edits = self.near.most if self.near else 0
        shape = (self.length + 1, states, max(most_gc, 0) + 1, most_edits + 1)
        if np.prod(shape, dtype=np.float64) > _MOST_COUNTS:
            raise OptionError("the forbidden motifs, the length and the limits on GC and edits are too many together")
        counts = np.zeros(shape)
        low = self.gc[0] if self.gc != (0, self.length) else 0
        counts[self.length, self.automaton.may_end, low:] = 1.0 if self.gc[0] <= self.gc[1] else 0.0
        for at in range(self.length - 1, -1, -1):
            for base, (gc, edit) in enumerate(self._costs(at)):
                ways = counts[at + 1][self.automaton.following[:, base]]
                ways[self.steps_at(at)[:, base]] = 0
                counts[at, :, : shape[2] - gc, : shape[3] - edit] += ways[:, gc:, edit:]
            counts[at] /= counts[at].max() or 1.0
        self._counts = counts
        return counts

    def steps_at(self, at: int) -> NDArray[np.bool_]:
        """Say which letter is wrong at a position in which state; shape (states, 4)."""
        bad = self.automaton.hits
        if (at + 1 - self.length) % 3 == 0:
            bad = bad | self.automaton.stops
        return np.asarray(bad | ~self.allowed[at])

    def _costs(self, at: int) -> list[tuple[int, int]]:
        """Return what each base adds to the counts of G and C, and of substitutions."""
        limited = self.gc != (0, self.length)
        own = self.near.letters[at] if self.near else ANY
        return [(int(limited and base in (1, 2)), int(own not in (ANY, base))) for base in range(4)]

    def draw(self, count: int, rng: np.random.Generator) -> Codes:
        """Draw sequences, each that keeps the rules as likely as any other; shape (count, length).

        There has to be one: see `possible`.
        """
        counts = self.counts()
        drawn = np.empty((count, self.length), dtype=np.uint8)
        state = np.full(count, self.automaton.start)
        gc, edits = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        rows = np.arange(count)
        for at in range(self.length):
            bad, costs = self.steps_at(at), np.array(self._costs(at))
            ways = np.zeros((count, 4))
            for base in range(4):
                more_gc, more_edits = gc + costs[base, 0], edits + costs[base, 1]
                fits = (more_gc < counts.shape[2]) & (more_edits < counts.shape[3]) & ~bad[state, base]
                ways[fits, base] = counts[
                    at + 1, self.automaton.following[state[fits], base], more_gc[fits], more_edits[fits]
                ]
            total = np.cumsum(ways, axis=1)
            base = (total < (rng.random(count) * total[:, 3])[:, None]).sum(axis=1)
            # A number at the very edge must not pick a letter that leads nowhere.
            base = np.where(ways[rows, np.minimum(base, 3)] > 0, np.minimum(base, 3), ways.argmax(axis=1))
            drawn[:, at] = base
            state = self.automaton.following[state, base]
            gc, edits = gc + costs[base, 0], edits + costs[base, 1]
        return drawn

    def keep(self, block: Codes) -> NDArray[np.bool_]:
        """Say which sequences, shape (n, length), keep the rules; shape (n,)."""
        state = np.full(len(block), self.automaton.start * 4)
        for way, base in zip(self._ways, np.ascontiguousarray(block.T), strict=True):
            state = way[state + base]
        gc = ((block == 1) | (block == 2)).sum(axis=1)
        good = self._may_end[state // 4] & (gc >= self.gc[0]) & (gc <= self.gc[1])
        if self.near is not None:
            good &= self.near.changes(block) <= self.near.most
        return np.asarray(good)
