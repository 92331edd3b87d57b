"""Upstream open reading frames: every start codon before the start codon, and what a variant does to them.

The whole construct is read, so a start or a stop that forms across a joint counts: a UTR that begins with TG makes an
upstream ATG with an adapter that ends with A, a UTR that ends with TA a stop with the A of the start codon.

Positions are those people use: −1 is the last base of the UTR, +1 the A of the start codon, and there is no 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ribocast.sequence.construct import EGFP, Construct
from ribocast.sequence.kozak import Strength, kozak_score, kozak_strength

Kind = Literal["uORF", "overlapping uORF", "N-terminal extension"]

STOPS = frozenset({"TAA", "TAG", "TGA"})
NEAR_COGNATES = frozenset({"CTG", "GTG", "TTG", "ACG", "AAG", "AGG", "ATA", "ATC", "ATT"})
"""The nine codons that differ from ATG in one letter."""
NO_CONSEQUENCE = "none"
MOST_TOLD = 50
"""Consequences of one variant that are put in words: it can move the stops of thousands of upstream ATGs."""
# When windows of one length are read as an indel: fewer letters agree, or differ, by accident.
_FEWEST_MISMATCHES, _FEWEST_MOVED, _LONGEST_INDEL = 4, 4, 10


@dataclass(frozen=True, slots=True)
class Uorf:
    """An upstream start codon and the reading frame it opens.

    Attributes
    ----------
    codon : str
        ATG, or a near-cognate.
    position : int
        Of its first base: −3 for an ATG that ends right before the start codon. In the adapter it is further from the
        start codon than the UTR is long.
    frame : int
        0, 1 or 2; 0 is the frame of the start codon (see `ribocast.sequence.construct.frame`).
    context : str
        Its letters −6 to +5 (its own A is +1), 11 in all; N beyond the ends of the construct.
    strength : {"weak", "moderate", "strong", "unknown"}
        See `ribocast.sequence.kozak.kozak_strength`.
    score : float
        How many ribosomes per mRNA more (less, if negative) an overlapping ATG in this context took in measurements
        than one in an average context; see `ribocast.sequence.kozak`. The codon itself is not part of it.
    stop : int or None
        Position of the first base of the first stop codon in its frame; None if the construct as known has none.
    kind : {"uORF", "overlapping uORF", "N-terminal extension"}
        A uORF ends before the start codon; else it overlaps the coding sequence out of frame, or is in frame with it.
    """

    codon: str
    position: int
    frame: int
    context: str
    strength: Strength
    score: float
    stop: int | None
    kind: Kind

    def in_words(self, *, full: bool = False) -> str:
        """Describe it: Kozak, frame, stop in the UTR, kind; with `full`, first its codon, position and score."""
        words = _in_words(self.strength, self.frame, self.stop if self.kind == "uORF" else None)
        return f"{self.codon} at {self.position}, score {self.score:+.2f}, {words}" if full else words


@dataclass(frozen=True, slots=True)
class Start:
    """The context of the start codon itself; `context`, `strength` and `score` as those of a `Uorf`."""

    context: str
    strength: Strength
    score: float


def start_of(utr: str, construct: Construct = EGFP) -> Start:
    """Grade the context of the start codon behind a UTR."""
    whole, start = construct.around(utr), construct.start(utr)
    context = _letters(whole, start - 6, start + 5)
    return Start(context, kozak_strength(context[3], context[9]), kozak_score(context))


def find_uorfs(utr: str, construct: Construct = EGFP, *, near_cognates: bool = False) -> list[Uorf]:
    """Find every start codon upstream of the start codon.

    Parameters
    ----------
    utr : str
        5′→3′, ending right before the start codon; either case, T or U. An N is in no start and no stop.
    construct : Construct
        What stands around it. Starts in the adapter count too: ribosomes read them.
    near_cognates : bool
        Also CTG, GTG, TTG, ACG, AAG, AGG, ATA, ATC and ATT.

    Returns
    -------
    list of Uorf
        From 5′ to 3′.
    """
    whole, start = construct.around(utr), construct.start(utr)
    if near_cognates:
        found = [at for at in range(start) if (codon := whole[at : at + 3]) == "ATG" or codon in NEAR_COGNATES]
    else:
        found = _upstream_atgs(whole, start)
    return [_describe(whole, start, at, stop) for at, stop in _first_stops(whole, found, len(whole)).items()]


def consequence(ref: str, alt: str, construct: Construct = EGFP) -> str:
    """Say in words what a variant does to upstream ATGs, their stops, and Kozak contexts.

    Parameters
    ----------
    ref, alt : str
        The UTR without and with the variant, both ending right before the start codon. Where an insertion or deletion
        makes the lengths differ, starts upstream of it are followed by their distance from the 5′ end and the others
        by their distance from the start codon. In windows of one length, as libraries have them, an insertion or
        deletion of up to 10 nt is recognised by the letters before it, which it moves.
    construct : Construct
        What stands around them.

    Returns
    -------
    str
        Such as ``uATG gained, strong Kozak, frame 1, no stop: overlapping uORF``; more than one, joined by ``; ``;
        ``none`` if nothing of this changes. "No stop" means none before the start codon. Of more than 50, the first
        50, and how many more there are.
    """
    whole_ref, whole_alt = construct.around(ref), construct.around(alt)
    if whole_ref == whole_alt:
        return NO_CONSEQUENCE
    start_ref, start_alt = construct.start(ref), construct.start(alt)
    told: list[str] = []
    atgs_ref, atgs_alt = _upstream_atgs(whole_ref, start_ref), _upstream_atgs(whole_alt, start_alt)
    if atgs_ref or atgs_alt:
        kept = _kept_atgs(whole_ref, start_ref, atgs_ref, whole_alt, start_alt, atgs_alt, len(construct.before))
        stops_ref, stops_alt = (
            _first_stops(whole_ref, atgs_ref, start_ref),
            _first_stops(whole_alt, atgs_alt, start_alt),
        )
        stayed = set(kept.values())
        gained = [at for at in atgs_alt if at not in stayed]
        told += ["uATG gained, " + _words_of(whole_alt, start_alt, at, stops_alt[at]) for at in gained]
        lost = [at for at in atgs_ref if at not in kept]
        told += ["uATG lost, " + _words_of(whole_ref, start_ref, at, stops_ref[at]) for at in lost]
        for at, now in kept.items():
            told += _compare(whole_ref, start_ref, at, stops_ref[at], whole_alt, start_alt, now, stops_alt[now])
    told += _compare_kozak("the start codon", whole_ref, start_ref, whole_alt, start_alt)
    if len(told) > MOST_TOLD:
        told[MOST_TOLD:] = [f"and {len(told) - MOST_TOLD:,} more"]
    return "; ".join(told) or NO_CONSEQUENCE


def _kept_atgs(
    ref: str, start_ref: int, atgs_ref: list[int], alt: str, start_alt: int, atgs_alt: list[int], first: int
) -> dict[int, int]:
    """Find upstream ATGs that a variant leaves: where each is in the reference, and where in the variant.

    Those in the letters that both end with keep their distance from the start codon, those in the letters that both
    begin with their distance from the 5′ end. An indel beside equal letters can be read at several places (of the two
    A before TG either may go), so that these letters overlap: no ATG is taken twice. Of the rest, which the variant
    touches, those are the same that are as far from the start codon. `first` is the index of the UTR.
    """
    prefix, suffix, moved = _common_prefix(ref, alt), _common_suffix(ref, alt), 0
    if len(ref) == len(alt):
        moved = _moved_in_window(ref, alt, first, prefix)
    if moved:
        prefix = len(ref) - suffix
    shift = start_alt - start_ref
    places = set(atgs_alt)
    kept: dict[int, int] = {}

    def keep(at: int, now: int) -> None:
        if at not in kept and now in places:
            places.remove(now)
            kept[at] = now

    for at in atgs_ref:
        if at >= len(ref) - suffix:
            keep(at, at + shift)
    for at in atgs_ref:
        if at + 3 <= prefix:
            keep(at, at + moved * (at >= first))
    for at in atgs_ref:
        keep(at, at + shift)
    return dict(sorted(kept.items()))


def _compare(
    ref: str, start_ref: int, at_ref: int, old: int | None, alt: str, start_alt: int, at_alt: int, new: int | None
) -> list[str]:
    """Compare an upstream ATG that is in both, whose first stops before the start codons are at `old` and `new`."""
    told = []
    where = f"the uATG at {at_alt - start_alt}"
    old_frame, new_frame = (at_ref - start_ref) % 3, (at_alt - start_alt) % 3
    # From the ATG on, as the ribosome counts: an indel before the ATG moves neither.
    old_codons, new_codons = (None if stop is None else stop - at for stop, at in ((old, at_ref), (new, at_alt)))
    if old_codons != new_codons or (old is None and old_frame != new_frame):
        if old_codons is None and new_codons is None:
            change = "frame changed"
        elif new_codons is None or (old_codons is not None and new_codons > old_codons):
            change = "stop lost"
        else:
            change = "stop gained"
        told.append(f"{change} of {where}, {_words_of(alt, start_alt, at_alt, new)}")
    return told + _compare_kozak(where, ref, at_ref, alt, at_alt)


def _compare_kozak(where: str, ref: str, at_ref: int, alt: str, at_alt: int) -> list[str]:
    old, new = _kozak_letters(ref, at_ref), _kozak_letters(alt, at_alt)
    if old == new:
        return []
    changes = [
        f"at {place} ({a} to {b})" for place, a, b in zip(("-3", "+4"), old, new, strict=True) if a != b
    ]  # fmt: skip
    was, now = kozak_strength(*old), kozak_strength(*new)
    return [
        f"Kozak of {where} changed {' and '.join(changes)}, " + (f"still {now}" if was == now else f"{was} to {now}")
    ]


def _describe(whole: str, start: int, at: int, stop: int | None) -> Uorf:
    context = _letters(whole, at - 6, at + 5)
    return Uorf(
        codon=whole[at : at + 3],
        position=at - start,
        frame=(at - start) % 3,
        context=context,
        strength=kozak_strength(context[3], context[9]),
        score=kozak_score(context),
        stop=None if stop is None else stop - start + (stop >= start),
        kind=_kind((at - start) % 3, stop is not None and stop + 3 <= start),
    )


def _kind(frame: int, ends_in_utr: bool) -> Kind:
    if ends_in_utr:
        return "uORF"
    return "overlapping uORF" if frame else "N-terminal extension"


def _words_of(whole: str, start: int, at: int, stop: int | None) -> str:
    return _in_words(
        kozak_strength(*_kozak_letters(whole, at)), (at - start) % 3, None if stop is None else stop - start
    )


def _in_words(strength: Strength, frame: int, stop: int | None) -> str:
    ends = "no stop" if stop is None else f"stop at {stop}"
    return f"{strength} Kozak, frame {frame}, {ends}: {_kind(frame, stop is not None)}"


def _upstream_atgs(whole: str, start: int) -> list[int]:
    found = []
    # Not beyond the first base of the start codon, which is an ATG itself.
    end = start + 2
    at = whole.find("ATG", 0, end)
    while at >= 0:
        found.append(at)
        at = whole.find("ATG", at + 1, end)
    return found


def _first_stops(whole: str, starts: list[int], end: int) -> dict[int, int | None]:
    """Find the first stop codon that lies before `end` in the frame of each start, given from 5′ to 3′.

    Each frame is read once: what was found for a start holds for the next one too, unless it lies before that.
    """
    found: dict[int, int | None] = {}
    known = [0, 0, 0]
    for at in starts:
        if known[at % 3] < at + 3:
            places = range(at + 3, end - 2, 3)
            known[at % 3] = next((place for place in places if whole[place : place + 3] in STOPS), len(whole))
        stop = known[at % 3]
        found[at] = None if stop == len(whole) else stop
    return found


def _letters(whole: str, first: int, last: int) -> str:
    left, right = max(0, -first), max(0, last - len(whole))
    return "N" * left + whole[first + left : last - right] + "N" * right


def _kozak_letters(whole: str, at: int) -> tuple[str, str]:
    context = _letters(whole, at - 3, at + 4)
    return context[0], context[-1]


def _moved_in_window(ref: str, alt: str, first: int, same: int) -> int:
    """Return how far an indel has moved the letters before it, between strings of equal length; 0 if there is none.

    What is before `first` does not move; the first `same` letters are equal.
    """
    last = len(ref) - _common_suffix(ref, alt)
    # Nearly always a substitution: seen at once.
    if last - same < _FEWEST_MISMATCHES:
        return 0
    if sum(a != b for a, b in zip(ref[same:last], alt[same:last], strict=True)) < _FEWEST_MISMATCHES:
        return 0
    for size in range(1, _LONGEST_INDEL + 1):
        if last - first - size < _FEWEST_MOVED:
            return 0
        if alt[first + size : last] == ref[first : last - size]:
            return size
        if ref[first + size : last] == alt[first : last - size]:
            return -size
    return 0


def _common_suffix(first: str, second: str) -> int:
    return _common_prefix(first[::-1], second[::-1])


def _common_prefix(first: str, second: str) -> int:
    """Count the letters that two strings share at their beginning."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
