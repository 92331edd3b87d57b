"""Ways to search, one interface: each proposes sequences that keep the rules, and is told how good they are.

An algorithm is a generator. It yields blocks of sequences, shape (n, length), and is sent their scores, shape (n,),
higher is better. It holds no results: all that was scored is remembered by `ribocast.design.rounds`. So many
searches go on side by side, and all that they propose in a round is one call of the network.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ribocast.design.codes import Codes
from ribocast.design.objectives import Estimator, Floats, Goal
from ribocast.design.search_space import Space
from ribocast.errors import MissingExtraError, OptionError

Search = Generator[Codes, Floats, None]
Algorithm = Literal["genetic", "beam", "evolution", "gradient"]
ALGORITHMS = get_args(Algorithm)
_ABROAD = 0.3


@dataclass(frozen=True)
class Task:
    """What an algorithm is given.

    Attributes
    ----------
    space : Space
        What it may propose.
    islands : int
        How many separate searches; each is to end at a design of its own.
    rng : numpy.random.Generator
        All its randomness.
    goal : Goal
        What is searched for; only a gradient needs to know.
    estimator : Estimator
        Who is asked; only a gradient needs to know.
    """

    space: Space
    islands: int
    rng: np.random.Generator
    goal: Goal
    estimator: Estimator


def start_search(algorithm: str, task: Task) -> Search:
    """Begin a search.

    Raises
    ------
    RibocastError
        If there is no such algorithm, or a gradient is asked for where PyTorch is not installed.
    """
    if algorithm == "gradient":
        try:
            module = importlib.import_module("ribocast.learn.gradient")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("ribocast"):
                raise
            raise MissingExtraError("the algorithm gradient needs PyTorch: pip install 'ribocast[learn]'") from None
        search: Search = module.straight_through(task)
        return search
    known: dict[str, Callable[[Task], Search]] = {"genetic": genetic, "beam": beam, "evolution": evolution}
    if algorithm not in known:
        raise OptionError(f"unknown algorithm {algorithm!r}; use {', '.join(ALGORITHMS)}")
    return known[algorithm](task)


def evolution(task: Task) -> Search:
    """Climb as Sample et al. did: one child a step with 1 or 2 substitutions, accepted if it is not worse.

    Sample et al., Nature Biotechnology 37, 803–809 (2019), who took 800 steps.
    """
    space, rng = task.space, task.rng
    held = space.begin(task.islands, rng)
    scores = yield held
    while True:
        children = space.propose(held, lambda parents: space.change(parents, rng, 2))
        new = yield children
        better = new >= scores
        held = np.where(better[:, None], children, held)
        scores = np.where(better, new, scores)


def genetic(task: Task, *, size: int = 4) -> Search:
    """Cross and change the better ones of each island, and keep the best `size` of old and new.

    Parents win a tournament of two. Half of the children are crossed: the letters between two random cuts come from
    another parent of the island, or, three times in ten, of any island. All but some of these are changed by one or two
    substitutions.
    """
    space, rng, islands = task.space, task.rng, task.islands
    held = space.begin(islands * size, rng).reshape(islands, size, space.length)
    scores = (yield held.reshape(-1, space.length)).reshape(islands, size)
    rows = np.arange(islands)[:, None]
    places = np.arange(space.length)

    def pick() -> Codes:
        pairs = rng.integers(0, size, (2, islands, size))
        first_wins = scores[rows, pairs[0]] >= scores[rows, pairs[1]]
        return np.asarray(held[rows, np.where(first_wins, *pairs)].reshape(-1, space.length))

    while True:
        mothers, fathers = pick(), pick()
        abroad = rng.random(len(fathers)) < _ABROAD
        fathers[abroad] = fathers[rng.permutation(len(fathers))[abroad]]
        cuts = np.sort(rng.integers(0, space.length + 1, (2, len(mothers))), axis=0)[:, :, None]
        crossed = rng.random(len(mothers)) < 0.5
        from_father = crossed[:, None] & (places >= cuts[0]) & (places < cuts[1])
        mixed = space.pull_back(np.where(from_father, fathers, mothers), rng)
        mixed[~space.keep(mixed)] = mothers[~space.keep(mixed)]
        as_crossed = crossed & (rng.random(len(mothers)) < 0.3) & (mixed != mothers).any(axis=1)
        children = space.propose(mixed, lambda parents: space.change(parents, rng, 2))
        children[as_crossed] = mixed[as_crossed]
        new = (yield children).reshape(islands, size)
        everyone = np.concatenate([held, children.reshape(held.shape)], axis=1)
        every_score = np.concatenate([scores, new], axis=1)
        order = np.argsort(np.where(_again(everyone), -np.inf, every_score), axis=1, kind="stable")[:, ::-1][:, :size]
        held, scores = everyone[rows, order], every_score[rows, order]


def beam(task: Task, *, width: int = 2, first: int = 24, singles: int = 48, together: int = 48) -> Search:
    """Score substitutions of the best sequences one by one, then the best ones of them in combination.

    Each island begins with the best of `first` sequences. A step scores up to `singles` substitutions of each of the
    `width` sequences it holds, then `together` combinations of 2 to 6 of the best of these, at other positions each,
    and holds the best of all.
    """
    space, rng = task.space, task.rng
    begun = space.begin(task.islands * first, rng)
    scores = (yield begun).reshape(task.islands, first)
    blocks = begun.reshape(task.islands, first, space.length)
    held: list[tuple[Codes, Floats]] = []
    for block, mine in zip(blocks, scores, strict=True):
        best = _best(block, mine, width)
        held.append((block[best], mine[best]))
    while True:
        # Single substitutions, of all islands in one block.
        parents, changed, owner = [], [], []
        for island, (block, mine) in enumerate(held):
            for sequence, score in zip(block, mine, strict=True):
                near = space.neighbours(sequence)
                if len(near) > singles:
                    near = near[rng.permutation(len(near))[:singles]]
                owner.append(island)
                parents.append((sequence, score))
                changed.append(near)
        ends = np.cumsum([len(near) for near in changed])
        if not ends[-1]:
            # Not one substitution keeps the rules: other beginnings may go further.
            fresh = space.begin(task.islands, rng)
            scores = yield fresh
            held = [(fresh[island : island + 1], scores[island : island + 1]) for island in range(task.islands)]
            continue
        singly = np.split((yield np.concatenate(changed)), ends[:-1])
        combined = [_combine(space, sequence, score, near, mine, together, rng)
                    for (sequence, score), near, mine in zip(parents, changed, singly, strict=True)]  # fmt: skip
        ends = np.cumsum([len(block) for block in combined])
        jointly = np.split((yield np.concatenate(combined)), ends[:-1]) if ends[-1] else [np.empty(0)] * len(combined)
        after = []
        for island, (block, mine) in enumerate(held):
            members = [number for number, whose in enumerate(owner) if whose == island]
            everyone = np.concatenate([block, *(changed[one] for one in members), *(combined[one] for one in members)])
            every_score = np.concatenate([mine, *(singly[one] for one in members), *(jointly[one] for one in members)])
            best = _best(everyone, every_score, width)
            after.append((everyone[best], every_score[best]))
        held = after


def _combine(
    space: Space, sequence: Codes, score: float, near: Codes, scores: Floats, count: int, rng: np.random.Generator
) -> Codes:
    """Draw combinations of the substitutions that make a sequence better, or less worse, at other positions each."""
    if len(near) < 2:
        return near[:0]
    best = _best(near, scores, 16)
    at = (near[best] != sequence).argmax(axis=1)
    base = near[best, at]
    made = np.repeat(sequence[None, :], count, axis=0)
    # The better ones are drawn more often: by rank.
    chances = 1.0 / np.arange(2, len(best) + 2)
    for row in made:
        some = rng.choice(
            len(best), size=min(int(rng.integers(2, 7)), len(best)), replace=False, p=chances / chances.sum()
        )
        row[at[some]] = base[some]
    made = np.unique(space.pull_back(made, rng), axis=0)
    return made[space.keep(made)]


def _best(block: Codes, scores: Floats, count: int) -> NDArray[np.int64]:
    """Return the rows of the best different sequences, best first."""
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(block[order], axis=0, return_index=True)
    return np.asarray(order[np.sort(first)][:count])


def _again(everyone: Codes) -> NDArray[np.bool_]:
    """Say which sequences of each island, shape (islands, n, length), are there before; shape (islands, n)."""
    # One number for each: equal sequences have equal ones, and others hardly ever.
    keys = everyone.astype(np.int64) @ np.random.default_rng(7).integers(1, 2**40, everyone.shape[2])
    order = np.argsort(keys, axis=1, kind="stable")
    in_order = np.take_along_axis(keys, order, axis=1)
    again = np.zeros(keys.shape, dtype=bool)
    np.put_along_axis(again, order[:, 1:], in_order[:, 1:] == in_order[:, :-1], axis=1)
    return again
