"""A simulated MPRA: random 5′ UTRs, a mechanism that puts ribosomes on them, an assay that counts these.

It is for tests and demonstrations where the truth has to be known, and it needs no download. The mechanism is
scanning, as reviewed in Kozak, Gene 299, 1–34 (2002): ribosomes enter at the 5′ end and move to the start
codon; an upstream start codon takes some of them away, and a short upstream ORF gives part of these back.
What raises and lowers the MRL follows the literature named at each constant. The numbers, unless said
otherwise, are **chosen**, so that groups of sequences (without an upstream ATG, with one in a good context,
…) lie about where they lie in the random 50-nt library of Sample et al., Nature Biotechnology 37, 803–809
(2019). They are neither fitted nor measured: a model trained on simulated rows says nothing about real
UTRs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ribocast.errors import OptionError, SequenceError
from ribocast.sequence.batch import encode, find_faults
from ribocast.sequence.construct import EGFP, Construct
from ribocast.sequence.letters import PAD

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

FRACTION_WEIGHTS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.8, 6.5, 7.5, 8.5, 10.5, 10.5, 12.0, 13.0)
"""Ribosomes per mRNA in each polysome fraction of the random 50-nt eGFP library (Sample et al. 2019)."""

LOWEST_MRL = 2.6
HIGHEST_MRL = 8.5
"""Ribosomes per mRNA when none and when all of the ribosomes find the reporter's frame. Chosen: 98 % of the
random library lie between. The lower is not 0, because uORFs are translated too and neighbouring fractions
mix."""

# Log-odds that a scanning ribosome stops at an ATG, by the letters around it (A, C, G, T). −3 and +4 (the
# letter after ATG) are the main terms: A > G ≫ C ≥ T at −3, Kozak, Cell 44, 283–292 (1986); G at +4, Kozak,
# EMBO J 16, 2482–2492 (1997). The small terms follow the best motif RYMRMV-AUG-G of Noderer et al., Mol
# Syst Biol 10, 748 (2014). Signs and ranks are from there, sizes are chosen. Each row sums to 0: an N means
# an average context.
_CONTEXT = {
    -6: (0.1, -0.1, 0.1, -0.1),
    -5: (-0.1, 0.1, -0.1, 0.1),
    -4: (0.1, 0.1, -0.1, -0.1),
    -3: (1.0, -0.5, 0.5, -1.0),
    -2: (0.15, 0.15, -0.15, -0.15),
    -1: (0.1, 0.1, 0.1, -0.3),
    3: (-0.25, -0.25, 0.75, -0.25),
}
_AVERAGE_CONTEXT = 0.7
# Shares of what an ATG in the same context takes. That near-cognates do initiate: Diaz de Arce et al.,
# Nucleic Acids Res 46, 985–994 (2018). The shares are chosen, and low: in the random library they hardly
# show.
_START_CODONS = {
    "ATG": 1.0,
    "CTG": 0.03,
    "GTG": 0.02,
    "ACG": 0.02,
    "TTG": 0.01,
    "ATA": 0.01,
    "ATC": 0.01,
    "ATT": 0.01,
}
_STOP_CODONS = ("TAA", "TAG", "TGA")
# Share of the ribosomes that would pass the reporter's own start codon in a context that never initiates.
# Chosen: in the random library its context matters much less than that of an upstream ATG.
_MISSED_START = 0.15

# After a stop codon a ribosome may scan on, and must first bind a new initiator tRNA; the farther it scans,
# the likelier it has one: Kozak, Mol Cell Biol 7, 3438–3445 (1987). A longer uORF costs factors that it
# needs: Kozak, Nucleic Acids Res 29, 5226–5232 (2001). All three numbers are chosen.
_SCANS_ON = 0.5
_REARM_NT = 14.0
_FORGET_CODONS = 25.0

# Structure near the cap hinders loading: Babendure et al., RNA 12, 851–861 (2006). GC content stands in for a
# folding energy, each letter weighing less the farther it is from the 5′ end. All three numbers are chosen.
_CAP_NT = 60.0
_GC_HALF = 0.63
_GC_SLOPE = 0.045

# Spread of a profile over the axis of ribosomes per mRNA, and of ln(reads) over sequences. Chosen.
_PROFILE_SD = 4.2
_LOG_READS_SD = 0.8

# A multiple of four: NumPy draws bytes four at a time, and what it leaves over at the end of a call is lost.
_CHUNK_ROWS = 16_384
_CHUNK_LETTERS = 1_500_000

_LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)
_UNKNOWN = 4
_CODE = np.full(256, _UNKNOWN, dtype=np.uint8)
_CODE[list(b"ACGTUacgtu")] = (0, 1, 2, 3, 3) * 2


def _by_codon(values: dict[str, float]) -> Floats:
    table = np.zeros((5, 5, 5))
    for codon, value in values.items():
        table[tuple(_CODE[list(codon.encode())])] = value
    return table.ravel()


_IS_START = _by_codon(_START_CODONS)
_IS_STOP = _by_codon(dict.fromkeys(_STOP_CODONS, 1.0)) > 0


def true_mrl(utrs: Sequence[str], *, construct: Construct = EGFP) -> Floats:
    """Work out the mean ribosome load (MRL) that the mechanism gives to sequences, without any noise.

    Parameters
    ----------
    utrs : sequence of str
        5′→3′, ending right before the start codon; any lengths, either case, T or U. A codon with an N
        neither starts nor stops a ribosome.
    construct : Construct
        What stands around the UTRs; start codons across a joint count.

    Returns
    -------
    numpy.ndarray of float64, shape (len(utrs),)
        Ribosomes per mRNA, between ``LOWEST_LOAD`` and ``HIGHEST_LOAD``.

    Raises
    ------
    SequenceError
        At the first missing or empty sequence, or one with another letter than A, C, G, T, U or N.

    Examples
    --------
    >>> true_mrl(["CAA" * 16 + "CA", "CAACAAGCCACCATGGCCAA" + "CAA" * 10]).round(1)
    array([8.4, 2.9])
    """
    if faults := find_faults(utrs):
        raise SequenceError(*faults[0])
    lengths = np.fromiter(map(len, utrs), dtype=np.int64, count=len(utrs))
    # Longest first: the first of a batch then says how much memory its rows take.
    order = np.argsort(-lengths, kind="stable")
    mrls = np.empty(len(utrs))
    done = 0
    while done < len(utrs):
        longest = int(lengths[order[done]]) + len(construct.before)
        rows = order[done : done + max(1, _CHUNK_LETTERS // longest)]
        mrls[rows] = _scan([utrs[row] for row in rows], construct)
        done += len(rows)
    return mrls


def simulate(
    n: int,
    *,
    seed: int = 0,
    min_length: int = 50,
    max_length: int = 50,
    construct: Construct = EGFP,
    fraction_weights: Sequence[float] = FRACTION_WEIGHTS,
    reads: float = 600,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Simulate the measurements of a library of random 5′ UTRs.

    Parameters
    ----------
    n : int
        How many sequences.
    seed : int
        Not negative. The same seed gives the same rows, and a larger `n` only adds rows to them. Sequences do
        not depend on `construct`, `fraction_weights` and `reads`.
    min_length, max_length : int
        Lengths in nt, both included, each as likely as any other.
    construct : Construct
        What stands around the UTRs.
    fraction_weights : sequence of float
        Ribosomes per mRNA in each polysome fraction, in any order; they must reach from below
        ``LOWEST_LOAD`` to above ``HIGHEST_LOAD``.
    reads : float
        Median sequencing reads of a sequence. The noise of the measured MRL falls with its square root.
    progress : callable, optional
        Called now and then with the number of rows done so far.

    Returns
    -------
    pandas.DataFrame
        One row per sequence: ``seq``; ``mrl``, the measured mean ribosome load (MRL); ``true_mrl``, the same
        without noise (see `true_mrl`); ``reads``; ``r0`` …, the share of the reads in each fraction, whose
        mean weighted by `fraction_weights` is ``mrl``; ``origin``, always "simulated".

    Raises
    ------
    RibocastError
        If a number is out of its range.
    """
    weights = _check(n, seed, min_length, max_length, fraction_weights, reads)
    # One stream for each thing drawn, so that none depends on how much of another was drawn before.
    streams = [np.random.Generator(np.random.PCG64(part)) for part in np.random.SeedSequence(seed).spawn(4)]
    for_lengths, for_letters, for_reads, for_fractions = streams
    profile_of = _profiles(weights)
    utrs: list[str] = []
    true, depth = np.empty(n), np.empty(n, dtype=np.int64)
    fractions = np.empty((n, len(weights)))
    for start in range(0, n, _CHUNK_ROWS):
        rows = slice(start, min(start + _CHUNK_ROWS, n))
        size = rows.stop - start
        lengths = for_lengths.integers(min_length, max_length, endpoint=True, size=size)
        # Every sequence is drawn at full length and cut, so that the letters after it stay where they are.
        letters = _LETTERS[for_letters.integers(4, size=size * max_length, dtype=np.uint8)]
        text, firsts = letters.tobytes().decode("ascii"), range(0, len(letters), max_length)
        utrs += [text[first : first + length] for first, length in zip(firsts, lengths.tolist(), strict=True)]
        true[rows] = true_mrl(utrs[rows], construct=construct)
        spread = np.exp(_LOG_READS_SD * for_reads.standard_normal(size))
        depth[rows] = np.maximum(1, np.rint(reads * spread))
        counts = for_fractions.multinomial(depth[rows], profile_of(true[rows]))
        fractions[rows] = counts / depth[rows, None]
        if progress is not None:
            progress(rows.stop)
    # Not a matrix product: that would round differently for another number of rows.
    measured = (fractions * weights).sum(axis=1)
    columns = {"seq": utrs, "mrl": measured, "true_mrl": true, "reads": depth}
    columns |= {f"r{number}": fractions[:, number] for number in range(len(weights))}
    return pd.DataFrame(columns).assign(origin="simulated")


def _check(
    n: int, seed: int, min_length: int, max_length: int, fraction_weights: Sequence[float], reads: float
) -> Floats:
    if n < 1:
        raise OptionError(f"the number of sequences must be at least 1, not {n}")
    if seed < 0:
        raise OptionError(f"the seed is {seed}, but must not be negative")
    if min_length < 1:
        raise OptionError(f"the shortest length is {min_length} nt, but must be at least 1")
    if max_length < min_length:
        raise OptionError(f"the longest length, {max_length} nt, is below the shortest, {min_length} nt")
    if not 1 <= reads <= 1e9:
        raise OptionError(f"the median number of reads is {reads}, but must be from 1 to 1e9")
    weights = np.asarray(fraction_weights, dtype=np.float64)
    if weights.ndim != 1 or not weights.size or not ((weights >= 0) & (weights <= 1_000)).all():
        raise OptionError("fraction weights must be a list of numbers from 0 to 1000 ribosomes per mRNA")
    if not weights.min() < LOWEST_MRL < HIGHEST_MRL < weights.max():
        raise OptionError(
            f"fraction weights reach from {weights.min():g} to {weights.max():g}, but must reach from below "
            f"{LOWEST_MRL:g} to above {HIGHEST_MRL:g} ribosomes per mRNA, the MRLs that are simulated"
        )
    return weights


# --- the mechanism ------------------------------------------------------------------------------------------


def _scan(utrs: Sequence[str], construct: Construct) -> Floats:
    """Send ribosomes down the UTRs, position by position, and return the MRLs; shape (len(utrs),)."""
    # The letter after the start codon belongs to its context; a construct may end before.
    after = construct.after[:4].ljust(4, "N")
    letters = encode([construct.before + utr + after for utr in utrs])
    # (position, row), so that a step of the scan works on neighbours in memory. Padding reads as unknown
    # letters.
    codes = np.ascontiguousarray(_CODE[letters].T)
    start, rows = len(codes) - len(after), len(utrs)
    codons = codes[:-2] * np.uint8(25) + codes[1:-1] * np.uint8(5) + codes[2:]
    initiation = _initiation(codes, codons[: start + 1])
    ends = _next_stop(_IS_STOP[codons[: max(start - 2, 0)]], start)

    # Shares of the ribosomes that are recruited: armed ones can initiate; spent ones have left a uORF
    # without a new initiator tRNA; loaded ones translate in the reporter's frame.
    armed = _entry(codes[:start], letters[:, :start].T != PAD)
    spent, loaded = np.zeros(rows), np.zeros(rows)
    released = np.zeros((start + 2, rows))
    rearmed_each_nt = 1 - math.exp(-1 / _REARM_NT)
    for position in range(start):
        spent += released[position]
        rearmed = spent * rearmed_each_nt
        spent -= rearmed
        armed += rearmed
        (here,) = np.nonzero(initiation[position])
        taken = armed[here] * initiation[position, here]
        armed[here] -= taken
        end = ends[position, here]
        if (start - position) % 3 == 0:
            # Without a stop codon this is an N-terminal extension of the reporter, which is translated.
            loaded[here] += np.where(end > start, taken, 0.0)
        scans_on = _SCANS_ON * np.exp((position - end) / (3 * _FORGET_CODONS))
        # A uORF that runs on past the start codon ends in the spare last row: its ribosomes are lost.
        released[end, here] += taken * scans_on
    loaded += armed * (1 - _MISSED_START * (1 - initiation[start]))
    return LOWEST_MRL + (HIGHEST_MRL - LOWEST_MRL) * loaded


def _initiation(codes: Codes, codons: Codes) -> Floats:
    """Chance that an armed ribosome initiates at each position; shape (positions, rows), mostly 0."""
    chance = _IS_START[codons]
    position, row = np.nonzero(chance)
    log_odds = np.full(position.shape, _AVERAGE_CONTEXT)
    for offset, (a, c, g, t) in _CONTEXT.items():
        inside = position + offset >= 0
        letter = np.where(inside, codes[np.maximum(position + offset, 0), row], _UNKNOWN)
        log_odds += np.array([a, c, g, t, 0.0])[letter]
    chance[position, row] /= 1 + np.exp(-log_odds)
    return chance


def _next_stop(is_stop: NDArray[np.bool_], start: int) -> NDArray[np.int32]:
    """Find the end of the ORF that begins at each position; ``start + 1`` if it is not in the UTR."""
    ends = np.full((start + 3, is_stop.shape[1]), start + 1, dtype=np.int32)
    for position in range(len(is_stop) - 1, -1, -1):
        ends[position] = np.where(is_stop[position], position + 3, ends[position + 3])
    return ends


def _entry(codes: Codes, is_letter: NDArray[np.bool_]) -> Floats:
    """Share of the ribosomes that get past the structure near the cap; shape (rows,)."""
    positions, rows = codes.shape
    first = positions - is_letter.sum(axis=0)
    # C is 1 and G is 2; an unknown letter is either, as often as not.
    is_gc = np.array([0.0, 1.0, 1.0, 0.0, 0.5])
    bound, total = np.zeros(rows), np.zeros(rows)
    for position in range(positions):
        weight = np.where(is_letter[position], np.exp(np.minimum(first - position, 0) / _CAP_NT), 0.0)
        bound += weight * is_gc[codes[position]]
        total += weight
    return 1 / (1 + np.exp((bound / total - _GC_HALF) / _GC_SLOPE))


# --- the assay ----------------------------------------------------------------------------------------------


def _profiles(weights: Floats) -> Callable[[Floats], Floats]:
    """Return what turns MRLs, shape (n,), into polysome profiles, shape (n, fractions), of these means.

    A profile is a bell over the axis of ribosomes per mRNA, cut off at the outermost fractions and shifted
    (exponentially tilted) until its mean is the MRL.
    """

    def tilted(tilt: Floats) -> Floats:
        log_share = tilt[:, None] * weights - weights**2 / (2 * _PROFILE_SD**2)
        share = np.exp(log_share - log_share.max(axis=1, keepdims=True))
        shares: Floats = share / share.sum(axis=1, keepdims=True)
        return shares

    # The mean rises with the tilt, so it is found by halving, once for a fine grid of MRLs and not for
    # each row.
    grid = np.linspace(LOWEST_MRL, HIGHEST_MRL, 2_001)
    low, high = np.full(grid.shape, -100.0), np.full(grid.shape, 100.0)
    for _ in range(60):
        middle = (low + high) / 2
        too_low = tilted(middle) @ weights < grid
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    return lambda mrls: tilted(np.interp(mrls, grid, low))
