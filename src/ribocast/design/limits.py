"""What is refused before a search begins, because it would take hours or all memory."""

from __future__ import annotations

from collections.abc import Sequence

from ribocast.design.constraints import FreeEnergy, MaxEdits, MinDistance
from ribocast.design.request import Brief
from ribocast.errors import OptionError

_MOST_LETTERS = 1_000_000_000
_LETTERS_AN_HOUR = 900_000_000
"""What one core predicts, about (docs/speed.md)."""
_MOST_COMPARED = 1_500_000_000
_FOLDS_A_CALL, _FOLD_SECONDS, _MOST_FOLDING = 2, 4e-7, 1_800
"""Seconds a core takes to fold a sequence, divided by its length squared."""
_LEAST_ENERGY = -2.0
"""kcal/mol a letter: less than any fold has, of G and C alone in one long hairpin it is -1.65."""


def check_work(brief: Brief, lengths: Sequence[int]) -> None:
    """Raise RibocastError if the designs of some lengths cannot be, or would take hours without being asked to.

    Parameters
    ----------
    brief : Brief
        What is asked for.
    lengths : sequence of int
        How long the designs may be.
    """
    longest, count = max(lengths), brief.n * len(brief.targets)
    of = f"{count:,} designs of up to {longest:,} nt"
    if brief.budget is None and brief.calls * longest > _MOST_LETTERS:
        hours = brief.calls * longest / _LETTERS_AN_HOUR
        raise OptionError(
            f"{of} take {brief.calls:,} predictions, about {hours:,.0f} hours of one core; "
            "with a budget of predictions they are searched for all the same"
        )
    for rule in brief.rules:
        match rule:
            case MinDistance():
                _check_distance(rule, brief.n, longest)
            case MaxEdits():
                if count * longest * len(rule.seed) > _MOST_COMPARED:
                    raise OptionError(f"{of}: comparing each with a seed of {len(rule.seed):,} nt would take hours")
            case FreeEnergy():
                _check_energy(rule, brief, longest)
            case _:
                pass


def _check_distance(rule: MinDistance, count: int, longest: int) -> None:
    if rule.least > longest:
        raise OptionError(f"{rule}: two designs of up to {longest:,} nt are at most {longest:,} edits apart")
    # Below the square root of the length nearly all pairs are told apart by the words that they share.
    if rule.least**2 > longest and count**2 * longest * rule.least > _MOST_COMPARED:
        most = int((_MOST_COMPARED / longest / rule.least) ** 0.5)
        raise OptionError(
            f"{rule}: comparing {count:,} designs of up to {longest:,} nt would take hours; at most {most:,} are "
            f"possible, or a distance of up to {int(longest**0.5)}"
        )


def _check_energy(rule: FreeEnergy, brief: Brief, longest: int) -> None:
    if rule.low > 0 or rule.high < _LEAST_ENERGY * longest:
        raise OptionError(f"{rule}: a sequence of {longest:,} nt folds between {_LEAST_ENERGY * longest:,.0f} and 0")
    seconds = brief.calls * _FOLDS_A_CALL * _FOLD_SECONDS * longest**2
    if brief.budget is None and seconds > _MOST_FOLDING:
        raise OptionError(
            f"{rule}: folding designs of up to {longest:,} nt takes about {seconds / 3600:,.1f} hours for "
            f"{brief.calls:,} predictions; with a budget of predictions they are searched for all the same"
        )
