"""The rules as the command line spells them: words and numbers in, constraints out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
    no_upstream_starts,
    read_seed,
)
from ribocast.design.folding import free_energy as fold
from ribocast.design.request import LARGEST_TARGET
from ribocast.design.restriction_sites import forbid_sites
from ribocast.errors import InputError, OptionError, OutputError, RibocastError
from ribocast.io.tables import read_table
from ribocast.io.writers import unsupported_extension
from ribocast.sequence.construct import Construct
from ribocast.sequence.letters import to_dna

_MOST_STEPS = 1_000
_FIGURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Given:
    """The options of ``ribocast design`` that are rules; see its ``--help``."""

    length: str | None = None
    template: str | None = None
    like: str | None = None
    max_edits: int | None = None
    keep_start: int = 0
    keep_end: int = 0
    forbid: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()
    forbid_sites: tuple[str, ...] = ()
    no_near_cognates: bool = False
    no_stops: bool = False
    gc: str | None = None
    gc_window: str | None = None
    max_run: int | None = None
    no_repeat: int | None = None
    min_distance: int = 1
    no_overlap: Path | None = None
    overlap: int = 12
    free_energy: str | None = None


def read_rules(given: Given) -> tuple[list[Constraint], list[str]]:
    """Make the constraints, and say in lines what the user should know of them."""
    return make_rules(given, read_like(given.like))


def make_rules(given: Given, seed: str | None) -> tuple[list[Constraint], list[str]]:
    """Make the constraints with the letters of the sequence to stay near to, whatever `given.like` says."""
    rules: list[Constraint] = []
    remarks: list[str] = []
    if given.length is not None:
        low, high = _pair(given.length, "--length", "50 or 40:60") if ":" in given.length else (given.length,) * 2
        rules.append(Length(_whole(low, "--length"), _whole(high, "--length")))
    if given.template is not None:
        rules.append(Template(given.template))
    if seed is not None and given.max_edits is not None:
        rules.append(MaxEdits(seed, given.max_edits))
    elif given.max_edits is not None:
        raise OptionError("--max-edits counts from a sequence: give --like too")
    if given.keep_start or given.keep_end:
        rules += _kept(given, seed, remarks)
    if given.forbid:
        rules.append(Forbid(_motifs(given.forbid, "--forbid")))
    if given.avoid:
        rules.append(Forbid(_motifs(given.avoid, "--avoid"), unless_needed=True))
    if given.forbid_sites:
        rules.append(forbid_sites(_words(given.forbid_sites)))
    if given.no_near_cognates:
        rules.append(no_upstream_starts(near_cognates=True))
    if given.no_stops:
        rules.append(NoInFrameStops())
    if given.gc is not None:
        least, most = _numbers(given.gc, "--gc", 2, "0.35:0.6")
        rules.append(GC(least, most))
    if given.gc_window is not None:
        least, most, size = _numbers(given.gc_window, "--gc-window", 3, "0.3:0.7:20")
        if not size.is_integer():
            raise OptionError(f"--gc-window {given.gc_window}: the size must be a whole number of nt, not {size:g}")
        rules.append(GC(least, most, int(size)))
    if given.max_run is not None:
        rules.append(MaxRun(given.max_run))
    if given.no_repeat is not None:
        rules.append(NoRepeat(given.no_repeat))
    if given.min_distance > 1:
        rules.append(MinDistance(given.min_distance))
    if given.no_overlap is not None:
        rules.append(
            NoOverlap(
                tuple(_read_sequences(given.no_overlap)), given.overlap, f"no overlap with {given.no_overlap.name}"
            )
        )
    if given.free_energy is not None:
        fold("ACGT")  # says at once where ViennaRNA is missing
        rules.append(FreeEnergy(*_numbers(given.free_energy, "--free-energy", 2, "-8:-2")))
    return rules, remarks


def read_like(like: str | None) -> str | None:
    """Read the sequence to stay near to: the letters themselves, or a file that holds one."""
    if like is None:
        return None
    if not os.path.isfile(like):  # noqa: PTH113 (a Path raises where a name is too long)
        if set(to_dna(like)) <= set("ACGT"):
            return read_seed(like)
        raise InputError(f"--like {like}: neither a file nor a sequence of A, C, G and T (or U)")
    seqs = _read_sequences(like)
    if len(seqs) > 1:
        raise InputError(f"--like {like}: has {len(seqs):,} sequences; give one")
    return read_seed(seqs[0])


def _read_sequences(path: str | Path) -> list[str]:
    chunk = read_table(path)
    chunk.check(need_label=False)
    return chunk.utrs


def read_series(series: str) -> list[float]:
    """Read LOW:HIGH:STEPS as MRLs."""
    low, high, steps = _numbers(series, "--series", 3, "4:8:9")
    if max(abs(low), abs(high)) > LARGEST_TARGET:
        raise OptionError(f"--series {series}: targets are ribosomes per mRNA, at most {LARGEST_TARGET:g}")
    if steps != int(steps) or not 1 <= steps <= _MOST_STEPS:
        raise OptionError(f"--series {series}: steps must be a whole number from 1 to {_MOST_STEPS:,}")
    return [round(float(mrl), 6) for mrl in np.linspace(low, high, int(steps))]


def read_construct(for_cds: Path | None, adapter: str | None, usual: Construct) -> Construct | None:
    """Read what stands around the designs; None is what the assay has."""
    if for_cds is None and adapter is None:
        return None
    after = usual.after
    if for_cds is not None:
        seqs = _read_sequences(for_cds)
        if len(seqs) > 1:
            raise InputError(f"--for-cds {for_cds}: has {len(seqs):,} sequences; give one coding sequence")
        after = seqs[0]
    try:
        return Construct(usual.before if adapter is None else adapter, after)
    except RibocastError as error:
        raise InputError(f"{for_cds or '--adapter'}: {error}") from None


def check_figure(path: Path) -> None:
    """Raise RibocastError unless a figure can be drawn and has an ending that is known."""
    if path.suffix.lower() not in _FIGURES:
        raise OutputError(f"--figure {unsupported_extension(path, _FIGURES)}")
    import matplotlib  # noqa: F401  (missing, it is better said before the search than after)


def _kept(given: Given, seed: str | None, remarks: list[str]) -> list[Constraint]:
    """Say what stays as it is: letters of the seed, or of the template as far as it has them."""
    if seed is not None:
        return [Keep(seed, given.keep_start, given.keep_end)]
    if given.template is None:
        raise OptionError("--keep-start and --keep-end keep letters of --like, or of --template: give one")
    size, letters = len(given.template), given.template.upper()
    if max(given.keep_start, given.keep_end) > size:
        raise OptionError(f"--keep-start, --keep-end: the template has {size} letters")
    kept = letters[: given.keep_start] + letters[size - given.keep_end :]
    open_ = sum(letter not in "ACGTU" for letter in kept)
    if open_:
        remarks.append(
            f"{open_} of the {len(kept)} kept letters are open in the template and stay open; --like gives letters"
        )
    return []


def _words(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(word.strip() for text in given for word in text.split(",") if word.strip())


def _motifs(given: Sequence[str], option: str) -> tuple[str, ...]:
    motifs = _words(given)
    if not motifs:
        raise OptionError(f"{option}: no motif is named")
    return motifs


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    parts = text.split(":")
    if len(parts) != 2:
        raise OptionError(f"{option} must be like {example}, not {text!r}")
    return parts[0], parts[1]


def _whole(text: str, option: str) -> int:
    if not text.strip().isdecimal():
        raise OptionError(f"{option}: {text!r} is not a whole number")
    return int(text)


def _numbers(text: str, option: str, count: int, example: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise OptionError(f"{option} must be like {example}, not {text!r}")
    return numbers
