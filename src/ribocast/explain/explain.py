"""Why a 5′ UTR is translated as it is: the effect of every small change of it, and its upstream ORFs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import OptionError, SequenceError
from ribocast.model.applicability import how_unusual, interval_scaling
from ribocast.model.bundle import AssayCard
from ribocast.model.predictor import Predictor, interval, to_mrl
from ribocast.sequence.batch import Batch
from ribocast.sequence.letters import Fault
from ribocast.sequence.start_codon import cut_at_start as cut_batch
from ribocast.sequence.start_codon import start_notes
from ribocast.sequence.uorf import Start, Uorf, consequence, find_uorfs, start_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

T = TypeVar("T")
EFFECTS = ("position", "kind", "ref", "alt", "mrl", "change", "log2_fold_change", "consequence")
MOST_INDEL = 3
_LETTERS = "ACGT"
_TOGETHER = 20_000
"""About how many changed sequences are held at once, of many short ones."""
_LETTERS_TOGETHER = 8_000_000
"""About how many letters of changed sequences are held at once."""
MOST_LETTERS = 100_000_000
"""Letters of all changed sequences of one that is explained without more ado: minutes."""
_LETTERS_AN_HOUR = 900_000_000
"""What one core predicts, about (docs/speed.md)."""


class Change(NamedTuple):
    """A small change of a UTR.

    `position` counts from the start codon (−1 is the last base); of an insertion it is the base that follows, +1 right
    before the start codon. `ref` and `alt` are the letters replaced and put in their place.
    """

    position: int
    kind: str
    ref: str
    alt: str


@dataclass(frozen=True)
class Explanation:
    """What a model says of one UTR, and why.

    Attributes
    ----------
    seq : str
        The UTR, DNA letters in upper case.
    assay : AssayCard
        In which assay's units MRLs are.
    mrl, mrl_low, mrl_high : float
        The mean ribosome load (MRL), ribosomes per mRNA, its 90 % prediction interval for a measurement (else NaN).
    profile : numpy.ndarray of float or None
        Shares of the assay's polysome fractions, if the model gives them.
    effects : pandas.DataFrame
        A row per change: ``position``, ``kind`` (substitution, deletion, insertion), ``ref``, ``alt`` as in `Change`;
        ``mrl`` of the changed sequence; ``change``, its difference; ``log2_fold_change``; ``consequence`` in words.
        All four letters of each position are there; those of the UTR's own letter are 0.
    uorfs : tuple of Uorf
        Every upstream start codon, from 5′ to 3′.
    start : Start
        The context of the start codon.
    note : str
        What is unusual about the sequence for this assay.
    name : str
        What the sequence is called; may be empty.
    """

    seq: str
    assay: AssayCard
    mrl: float
    mrl_low: float
    mrl_high: float
    profile: NDArray[np.floating] | None
    effects: pd.DataFrame
    uorfs: tuple[Uorf, ...]
    start: Start
    note: str = ""
    name: str = ""

    @property
    def headline(self) -> str:
        """Its name and MRL in one line."""
        mrl = f"{self.mrl:.2f}"
        if np.isfinite(self.mrl_low):
            mrl += f" ({self.mrl_low:.2f} to {self.mrl_high:.2f})"
        name = f"{self.name}: " if self.name else ""
        return f"{name}predicted MRL {mrl} {self.assay.unit}, {self.assay.name}"

    def plot(self) -> Figure:
        """Draw it; needs the extra ``plots``. See `ribocast.explain.plot.draw_explanation`."""
        from ribocast.explain.plot import draw_explanation

        return draw_explanation(self)


def explain(
    model: Predictor,
    utr: str,
    *,
    assay: str | None = None,
    indels: int = 0,
    near_cognates: bool = False,
    name: str = "",
    long: bool = False,
    cut_at_start: bool = False,
) -> Explanation:
    """Explain one UTR; see `explain_all`."""
    (explanation,) = explain_all(
        model, [utr], assay=assay, indels=indels, near_cognates=near_cognates, names=[name], long=long,
        cut_at_start=cut_at_start,
    )  # fmt: skip
    return explanation


def explain_all(
    model: Predictor,
    utrs: Sequence[str],
    *,
    assay: str | None = None,
    indels: int = 0,
    near_cognates: bool = False,
    names: Sequence[str] | None = None,
    long: bool = False,
    cut_at_start: bool = False,
) -> Iterator[Explanation]:
    """Explain UTRs by saturation mutagenesis, many changed sequences in one call of the network.

    Parameters
    ----------
    model : Predictor
        See `ribocast.load`.
    utrs : sequence of str
        5′→3′, each ending right before the start codon.
    assay : str, optional
        In which assay's units; the model's default assay without it.
    indels : int
        Besides all substitutions, all deletions and insertions of up to this many letters (at most 3). A changed length
        is right-aligned: every letter keeps its distance from the start codon except those 5′ of the change, which
        come nearer to it or move away.
    near_cognates : bool
        List near-cognate upstream starts too; see `ribocast.sequence.uorf.find_uorfs`.
    names : sequence of str, optional
        What they are called.
    long : bool
        Explain sequences too whose changes take the network hours; see `find_unexplainable`.
    cut_at_start : bool
        As in `ribocast.Predictor.predict`; the explanation is of the sequence that is left.

    Yields
    ------
    Explanation
        One per sequence, in order.

    Raises
    ------
    SequenceError
        At the first sequence that cannot be used.
    RibocastError
        If the model does not know the assay, or `indels` is not from 0 to 3.
    """
    if not 0 <= indels <= MOST_INDEL:
        raise OptionError(f"indels must be from 0 to {MOST_INDEL} nt, not {indels}")
    card = model.card.assay(assay)
    if isinstance(utrs, str):
        raise OptionError("explain_all takes a list of sequences, not one sequence")
    utrs = list(utrs)  # a Series would be looked up by its labels below
    if faults := find_unexplainable(model, utrs, indels=indels, long=long):
        raise SequenceError(*faults[0])
    names = [""] * len(utrs) if names is None else names
    batch = Batch.of(utrs)
    batch, notes = cut_batch(batch) if cut_at_start else (batch, start_notes(batch))
    named = zip(batch.texts, names, notes, strict=True)
    for group in _groups(named, lambda one: count_changes(len(one[0]), indels), _TOGETHER):
        yield from _explain_group(model, card, group, indels, near_cognates)


def find_unexplainable(model: Predictor, utrs: Sequence[object], *, indels: int = 0, long: bool = False) -> list[Fault]:
    """Find every sequence that cannot be predicted, or, unless it is to be `long`, would take far too long to explain.

    The work grows with the square of the length. The limit is 100 million letters of all changed sequences together:
    all substitutions of 5,000 nt, or all changes of up to 3 nt of 1,036 nt; minutes of a core.
    """
    found = {fault.row: fault for fault in model.faults(utrs)}
    for row, utr in enumerate(() if long else utrs):
        if row in found or not isinstance(utr, str):
            continue
        count = count_changes(len(utr), indels)
        if count * len(utr) > MOST_LETTERS:
            minutes = 60 * count * len(utr) / _LETTERS_AN_HOUR
            time = f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:,.0f} hours"
            found[row] = Fault(
                row,
                f"{len(utr):,} nt: explaining it takes {count:,} predictions of that length, about {time} of one core; "
                "--long (long=True) does it",
            )
    return [found[row] for row in sorted(found)]


def count_changes(length: int, indels: int) -> int:
    """Count how many changes `small_changes` lists for a UTR of a length."""
    deletions = sum(length - size + 1 for size in range(1, indels + 1) if length > size)
    inserts: int = sum(4**size for size in range(1, indels + 1))
    return 4 * length + deletions + (length + 1) * inserts


def small_changes(utr: str, indels: int = 0) -> Iterator[Change]:
    """List every substitution of a UTR, and every deletion and insertion of up to `indels` letters.

    The substitution of a letter by itself is among them. No deletion takes the whole sequence. Different changes can
    give the same sequence (any one of a run of equal letters can be deleted); all are listed.
    """
    length = len(utr)
    for index, ref in enumerate(utr):
        for alt in _LETTERS:
            yield Change(index - length, "substitution", ref, alt)
    for size in range(1, indels + 1):
        for index in range(length - size + 1 if length > size else 0):
            yield Change(index - length, "deletion", utr[index : index + size], "")
    for size in range(1, indels + 1):
        inserts = ["".join(letters) for letters in product(_LETTERS, repeat=size)]
        for index in range(length + 1):
            for alt in inserts:
                # There is no position 0.
                yield Change(index - length or 1, "insertion", "", alt)


def apply_change(utr: str, change: Change) -> str:
    """Return the changed sequence."""
    index = len(utr) + change.position if change.position < 0 else len(utr)
    return utr[:index] + change.alt + utr[index + len(change.ref) :]


def _explain_group(
    model: Predictor, card: AssayCard, named: list[tuple[str, str, str]], indels: int, near_cognates: bool
) -> Iterator[Explanation]:
    import pandas as pd

    utrs = [utr for utr, *_ in named]
    batch = Batch.of(utrs)
    outputs = model.run(batch)[:, model.number(card)]
    own = to_mrl(outputs, card)
    changed = _mrls_of_changes(model, card, utrs, own, indels)
    unusual = how_unusual(batch, card)
    low, high = interval(card, own, interval_scaling(unusual, card))
    notes = model.notes(batch, card, unusual, starts=[start for *_, start in named])
    construct = card.surroundings
    for number, ((utr, name, _), mrl) in enumerate(zip(named, changed, strict=True)):
        changes, ratio = list(small_changes(utr, indels)), mrl / own[number]
        effects = pd.DataFrame(changes, columns=list(Change._fields)).assign(
            mrl=mrl,
            change=mrl - own[number],
            # Networks that give one number can give MRLs below 0, of which there is no fold change.
            log2_fold_change=np.log2(
                ratio, out=np.full(len(ratio), np.nan), where=(mrl > 0) & (own[number] > 0) & np.isfinite(ratio)
            ),
            consequence=[consequence(utr, apply_change(utr, change), construct) for change in changes],
        )
        profile = outputs[number, : len(card.fraction_weights or ())] if model.card.output == "fractions" else None
        yield Explanation(
            seq=utr,
            assay=card,
            mrl=float(own[number]),
            mrl_low=float(low[number]),
            mrl_high=float(high[number]),
            profile=profile,
            effects=effects,
            uorfs=tuple(find_uorfs(utr, construct, near_cognates=near_cognates)),
            start=start_of(utr, construct),
            note=notes[number],
            name=name,
        )


def _mrls_of_changes(
    model: Predictor, card: AssayCard, utrs: list[str], own: NDArray[np.float64], indels: int
) -> list[NDArray[np.float64]]:
    """Predict the MRLs of all changes of each UTR, whose own MRLs are `own`; shape (changes,) each."""
    # MRLs that are known, so that a change which changes nothing has exactly the MRL of the sequence itself.
    known = dict(zip(utrs, own.tolist(), strict=True))
    mrls = np.empty(sum(count_changes(len(utr), indels) for utr in utrs))
    everything = (apply_change(utr, change) for utr in utrs for change in small_changes(utr, indels))
    done = 0
    for piece in _groups(everything, len, _LETTERS_TOGETHER):
        # Each sequence once.
        new = [sequence for sequence in dict.fromkeys(piece) if sequence not in known]
        # Not asked whether they are missing: NAC without its C is NA.
        mrls_of_new = to_mrl(model.run(Batch.of(new))[:, model.number(card)], card)
        found = known | dict(zip(new, mrls_of_new.tolist(), strict=True))
        mrls[done : done + len(piece)] = [found[sequence] for sequence in piece]
        done += len(piece)
    return np.split(mrls, np.cumsum([count_changes(len(utr), indels) for utr in utrs])[:-1])


def _groups(items: Iterable[T], size_of: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Give things in lists, each ended by the thing with which their sizes together reach `most`."""
    group: list[T] = []
    size = 0
    for item in items:
        group.append(item)
        size += size_of(item)
        if size >= most:
            yield group
            group, size = [], 0
    if group:
        yield group
