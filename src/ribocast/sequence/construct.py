"""What stands around a 5′ UTR: an adapter before it and the coding sequence after it.

The start codon is the origin. People count positions from it: −1 is the last base of the UTR. Reading frame 0
is the frame of the start codon; a position `d` bases upstream of it is in frame ``-d % 3``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ribocast.errors import InputError
from ribocast.sequence.batch import find_faults
from ribocast.sequence.letters import to_dna


@dataclass(frozen=True)
class Construct:
    """The transcript around the UTR.

    Attributes
    ----------
    before : str
        What the ribosome scans before the UTR (5′ cap side), DNA letters; may be empty.
    after : str
        The coding sequence from its start codon on, DNA letters; begins with ATG.

    Raises
    ------
    RibocastError
        If a letter is not a nucleotide, or `after` does not begin with ATG.
    """

    before: str
    after: str

    def __post_init__(self) -> None:
        for name, piece in (("before", self.before), ("after", self.after)):
            for fault in find_faults([piece] if piece else []):
                raise InputError(f"construct, {name}: {fault.reason}")
            object.__setattr__(self, name, to_dna(piece))
        if not self.after.startswith("ATG"):
            raise InputError(f"construct: the coding sequence begins with {self.after[:3]!r}, not with ATG")

    def around(self, utr: str) -> str:
        """Return adapter, UTR and coding sequence as one DNA string."""
        return self.before + to_dna(utr) + self.after

    def start(self, utr: str) -> int:
        """Return the 0-based index of the start codon's A within ``around(utr)``."""
        return len(self.before) + len(utr)


def position_from_start(index: int, length: int) -> int:
    """Return the position shown to people of the base at 0-based `index` of a UTR of `length` (−1 is the last)."""
    return index - length


def frame(index: int, length: int) -> int:
    """Return the reading frame (0, 1 or 2) of the base at 0-based `index` of a UTR of `length` letters.

    A codon that begins at a base in frame 0 is read in the frame of the start codon.
    """
    return (index - length) % 3


# Sample et al., Nature Biotechnology 37, 803–809 (2019): 25-nt adapter, then eGFP. mCherry follows the same adapter;
# the beginning of its coding sequence is that in the public code of two groups that use the library, who agree.
EGFP = Construct(before="GGGACATCGTAGAGAGTCGTACTTA", after="ATGGGCGAATTAAGTAAGGGCGAGGAGCTG")
MCHERRY = Construct(before=EGFP.before, after="ATGCCTCCCGAGAAGAAGATCAAGAGCGTG")
