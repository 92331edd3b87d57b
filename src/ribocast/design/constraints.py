"""What a designed 5′ UTR has to keep: each rule says in words how a sequence breaks it.

The rules here read one string at a time, as a person would; the search has its own, faster test of the same rules
(`ribocast.design.search_space`), and every design that is returned is read by these again (`ribocast.design.verify`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ribocast.design.distances import edit_distance
from ribocast.design.folding import free_energy
from ribocast.errors import OptionError
from ribocast.sequence.construct import Construct
from ribocast.sequence.letters import to_dna
from ribocast.sequence.uorf import NEAR_COGNATES, STOPS

IUPAC = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip
"""The bases that each letter stands for (Cornish-Bowden, Nucleic Acids Research 13, 3021–3030 (1985))."""
LONGEST_MOTIF = 2_000
_MOST_GIVEN = 5_000_000
_COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")


@runtime_checkable
class Constraint(Protocol):
    """What a rule is: anything with this method can be given to `ribocast.design`."""

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Say in words each way in which a UTR, in A, C, G and T, breaks the rule; nothing if it keeps it."""


def read_motif(motif: str) -> str:
    """Spell a motif in upper case with T for U; raise RibocastError unless it is made of IUPAC letters."""
    letters = motif.strip().upper().replace("U", "T")
    wrong = next((letter for letter in letters if letter not in IUPAC), None)
    if not letters or wrong is not None:
        why = "is empty" if not letters else f"{wrong!r} is not an IUPAC letter ({''.join(IUPAC)})"
        raise OptionError(f"motif {motif[:60]!r}: {why}")
    if len(letters) > LONGEST_MOTIF:
        raise OptionError(f"motif {letters[:20]}…: {len(letters):,} letters; the maximum is {LONGEST_MOTIF:,}")
    return letters


def reverse_complement(motif: str) -> str:
    """Return how a motif, also with IUPAC letters, reads on the other strand."""
    return motif.translate(_COMPLEMENT)[::-1]


def occurrences(motif: str, seq: str, construct: Construct) -> Iterator[int]:
    """Give the 0-based index, counted from the first base of the UTR, of each place where a motif touches the UTR."""
    pattern = re.compile("(?=" + "".join(f"[{IUPAC[letter]}]" for letter in motif) + ")")
    first = len(construct.before)
    for found in pattern.finditer(construct.around(seq)):
        at = found.start() - first
        if at + len(motif) > 0 and at < len(seq):
            yield at


def place(index: int, length: int) -> int:
    """Return the position that people use of an index into a UTR; +1 is the A of the start codon."""
    return index - length + (index >= length)


@dataclass(frozen=True)
class Forbid:
    """No motif in the UTR, nor across its joints with what stands before and after it.

    Attributes
    ----------
    motifs : tuple of str
        IUPAC letters; a single string is one motif.
    both_strands : bool
        Also the reverse complement, as a restriction enzyme reads.
    unless_needed : bool
        Dropped for a target that the search does not reach with it.
    name : str
        What messages call it; made from the motifs without it.
    """

    motifs: tuple[str, ...]
    both_strands: bool = False
    unless_needed: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        given = (self.motifs,) if isinstance(self.motifs, str) else tuple(self.motifs)
        object.__setattr__(self, "motifs", tuple(read_motif(motif) for motif in given))

    def patterns(self) -> tuple[str, ...]:
        """Return all that is looked for, each once."""
        turned = [reverse_complement(motif) for motif in self.motifs] if self.both_strands else []
        return tuple(dict.fromkeys([*self.motifs, *turned]))

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each motif and where it begins."""
        return [f"{motif} at {place(at, len(seq))}" for motif in self.patterns()
                for at in occurrences(motif, seq, construct)]  # fmt: skip

    def __str__(self) -> str:
        return self.name or f"{'avoid' if self.unless_needed else 'forbid'} {','.join(self.motifs)}"


def no_upstream_starts(*, near_cognates: bool = False) -> Forbid:
    """Forbid upstream ATGs, and with `near_cognates` the nine codons that differ from it in one letter."""
    codons = ("ATG", *sorted(NEAR_COGNATES)) if near_cognates else ("ATG",)
    return Forbid(codons, name="no upstream starts" if near_cognates else "no upstream ATG")


@dataclass(frozen=True)
class NoInFrameStops:
    """No TAA, TAG or TGA in the frame of the start codon."""

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each stop and where it begins."""
        return [f"in-frame {stop} at {place(at, len(seq))}" for stop in sorted(STOPS)
                for at in occurrences(stop, seq, construct) if (at - len(seq)) % 3 == 0]  # fmt: skip

    def __str__(self) -> str:
        return "no in-frame stops"


@dataclass(frozen=True)
class GC:
    """The share of G and C, from `low` to `high`; of every window of `window` nt if that is given."""

    low: float
    high: float
    window: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise OptionError(f"{self}: must be two shares from 0 to 1, the lower one first")
        if self.window is not None and self.window < 1:
            raise OptionError(f"{self}: the window must be at least 1 nt")

    def counts(self, length: int) -> tuple[int, int]:
        """Return the fewest and the most G and C that a sequence of a length may have."""
        # 0.6 times 50 need not be 30 in binary.
        return math.ceil(self.low * length - 1e-9), math.floor(self.high * length + 1e-9)

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the share, or the first window that has another."""
        size = min(self.window or len(seq), len(seq))
        for at in range(len(seq) - size + 1):
            share = (seq.count("G", at, at + size) + seq.count("C", at, at + size)) / size
            if not self.low - 1e-9 <= share <= self.high + 1e-9:
                where = "" if size == len(seq) else f" of the {size} nt from {place(at, len(seq))}"
                return [f"GC{where} is {share:.2f}"]
        return []

    def __str__(self) -> str:
        return f"GC {self.low:g}:{self.high:g}" + (f" in windows of {self.window}" if self.window is not None else "")


@dataclass(frozen=True)
class MaxRun:
    """No more than `most` equal letters in a row, with those of the joints."""

    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.most <= LONGEST_MOTIF:
            raise OptionError(f"{self}: must be from 1 to {LONGEST_MOTIF:,}")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each run."""
        first, found = len(construct.before), []
        for run in re.finditer(r"A+|C+|G+|T+", construct.around(seq)):
            # A run that enters the UTR by a letter is the design's doing if what touches the UTR is too long.
            if run.end() > first and run.start() < first + len(seq) and run.end() - run.start() > self.most:
                found.append(f"{run.end() - run.start()} {run.group()[0]} at {place(run.start() - first, len(seq))}")
        return found

    def __str__(self) -> str:
        return f"no run above {self.most}"


@dataclass(frozen=True)
class NoRepeat:
    """No word of `size` letters twice in the UTR."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise OptionError(f"{self}: must be at least 1 letter")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each word that is there again."""
        words = [seq[at : at + self.size] for at in range(len(seq) - self.size + 1)]
        first = {word: at for at, word in reversed([*enumerate(words)])}
        return [f"{word} again at {place(at, len(seq))}" for at, word in enumerate(words) if first[word] < at]

    def __str__(self) -> str:
        return f"no repeat {self.size}"


@dataclass(frozen=True)
class Template:
    """A fixed length, with the bases that each position may have.

    Attributes
    ----------
    letters : str
        IUPAC letters from 5′ to 3′; N is any base.
    name : str
        What messages call it.
    """

    letters: str
    name: str = "template"

    def __post_init__(self) -> None:
        object.__setattr__(self, "letters", read_motif(self.letters))

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name each position with another base, or the length."""
        if len(seq) != len(self.letters):
            return [f"{len(seq)} nt, the {self.name} has {len(self.letters)}"]
        pairs = enumerate(zip(seq, self.letters, strict=True))
        return [f"{base} at {place(at, len(seq))}, not {wanted}" for at, (base, wanted) in pairs
                if base not in IUPAC[wanted]]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.name} {self.letters}"


@dataclass(frozen=True)
class Keep:
    """The ends that stay as they are: numbers of first and last letters of `seed`, whatever the length is."""

    seed: str
    first: int = 0
    last: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", read_seed(self.seed))
        if min(self.first, self.last) < 0 or max(self.first, self.last) > len(self.seed):
            raise OptionError(f"{self}: the seed has {len(self.seed)} nt")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the end that is not kept."""
        begin, end = self.seed[: self.first], self.seed[len(self.seed) - self.last :]
        return [f"does not begin with {begin}"] * (not seq.startswith(begin)) + [f"does not end with {end}"] * (
            not seq.endswith(end)
        )

    def __str__(self) -> str:
        return ", ".join([f"keep start {self.first}"] * bool(self.first) + [f"keep end {self.last}"] * bool(self.last))


@dataclass(frozen=True)
class Length:
    """From `shortest` to `longest` nt."""

    shortest: int
    longest: int

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.longest:
            raise OptionError(f"{self}: lengths must be at least 1 nt, the shorter one first")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the length."""
        return [] if self.shortest <= len(seq) <= self.longest else [f"{len(seq)} nt"]

    def __str__(self) -> str:
        return f"length {self.shortest}" + (f":{self.longest}" if self.longest > self.shortest else "")


@dataclass(frozen=True)
class MaxEdits:
    """At most `most` substitutions, insertions and deletions away from `seed` (Levenshtein, 1966)."""

    seed: str
    most: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", read_seed(self.seed))
        if self.most < 0:
            raise OptionError(f"{self}: must be at least 0")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the number of edits."""
        edits = edit_distance(seq, self.seed)
        return [f"{edits} edits"] if edits > self.most else []

    def __str__(self) -> str:
        return f"max edits {self.most}"


@dataclass(frozen=True)
class MinDistance:
    """Any two designs at least `least` edits apart."""

    least: int

    def __post_init__(self) -> None:
        if self.least < 1:
            raise OptionError(f"{self}: must be at least 1")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Find nothing: one sequence alone keeps it."""
        return []

    def __str__(self) -> str:
        return f"min distance {self.least}"


@dataclass(frozen=True)
class NoOverlap:
    """No word of `size` letters that is in any of `sequences`, on either strand."""

    sequences: tuple[str, ...]
    size: int = 12
    name: str = "no overlap"

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 31:
            raise OptionError(f"{self}: words must have 1 to 31 letters")
        if (total := sum(map(len, self.sequences))) > _MOST_GIVEN:
            raise OptionError(f"{self}: {total:,} nt are given; the maximum is {_MOST_GIVEN:,}")
        object.__setattr__(self, "sequences", tuple(to_dna(sequence) for sequence in self.sequences))

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the first word that is shared."""
        both = [*self.sequences, *map(reverse_complement, self.sequences)]
        for at in range(len(seq) - self.size + 1):
            word = seq[at : at + self.size]
            if any(word in other for other in both):
                return [f"{word} at {place(at, len(seq))} is in the given sequences"]
        return []

    def __str__(self) -> str:
        return f"{self.name} of {self.size} nt"


@dataclass(frozen=True)
class FreeEnergy:
    """The minimum free energy of the UTR alone, kcal/mol at 37 °C (ViennaRNA), from `low` to `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise OptionError(f"{self}: the lower one must come first")

    def violations(self, seq: str, construct: Construct) -> list[str]:
        """Name the energy."""
        energy = free_energy(seq)
        return [] if self.low - 1e-6 <= energy <= self.high + 1e-6 else [f"free energy is {energy:.1f}"]

    def __str__(self) -> str:
        return f"free energy {self.low:g}:{self.high:g}"


def read_seed(seed: str) -> str:
    """Spell a sequence to start from in upper case with T for U; it has no N."""
    letters = to_dna(seed.strip())
    if not letters or set(letters) - set("ACGT"):
        raise OptionError(f"cannot start from {seed[:60]!r}: the sequence must have A, C, G, T or U only")
    return letters
