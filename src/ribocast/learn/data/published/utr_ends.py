"""Where a UTR ends in a sequence that may run on into the coding sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ribocast.sequence.construct import Construct

if TYPE_CHECKING:
    import pandas as pd

_START = "ATG"
_SURE = 5
"""So many letters of the coding sequence, at the end of a sequence, do not stand there by accident."""


def cut_to_utr(seqs: pd.Series[str], construct: Construct, length: int) -> pd.Series[str]:
    """Cut sequences at the start codon and keep the last `length` letters before it.

    A sequence of at most `length` letters is a UTR. In a longer one the start codon is looked for right after the first
    `length` letters (it runs on into the coding sequence), and then, for UTRs with a letter too many or too few, where
    the rest is the beginning of the coding sequence.

    Parameters
    ----------
    seqs : pandas.Series of str
        DNA letters, upper case.
    construct : Construct
        What follows the UTRs.
    length : int
        That of the library, in nt.

    Returns
    -------
    pandas.Series of str
        The UTRs; shorter than `length` where letters are missing, empty where no start codon was found.
    """
    runs_on = seqs.str.len() > length
    cut = seqs.where(~runs_on, seqs.str[:length])
    odd = runs_on & (seqs.str[length : length + len(_START)] != _START)
    # By place, since labels may stand there twice.
    cut[odd] = seqs[odd].map(lambda seq: _odd_utr(seq, construct.after, length)).to_numpy()
    return cut


def _odd_utr(seq: str, after: str, length: int) -> str:
    for end in range(max(1, len(seq) - len(after)), len(seq) - _SURE + 1):
        if after.startswith(seq[end:]):
            return seq[max(0, end - length) : end]
    return ""
