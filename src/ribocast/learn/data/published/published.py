"""Reading a published table of the series GSE114002, whose columns are named otherwise in almost every file.

What is known of the columns, and from where, is said in `ribocast.learn.data.published.series`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import InputError
from ribocast.io.tables import read_rows

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

UTR_NAMES = ("utr", "seq", "sequence")
MRL_NAMES = ("rl", "mrl", "hrl")
READS_NAMES = ("total_reads", "reads", "total")
"""In this order: beside ``total_reads`` stands a ``total`` that is a sum of shares."""
_SHARE = re.compile(r"r_?(\d{1,3})")
_COUNT = re.compile(r"\d{1,3}")
_TOLERANCE = 1e-3
"""How far shares may be from a sum of 1; they are written with about twelve digits."""


class Columns(NamedTuple):
    """Which column of a file is what.

    Attributes
    ----------
    utr : str
        Sequences.
    mrl : str or None
        Mean ribosome loads (MRLs).
    reads : tuple of str
        Candidates for sequencing reads, the likeliest first.
    shares, counts : tuple of str
        Of the polysome fractions, in their order; empty where there are none.
    others : dict of str to str
        Other columns by their names in lower case.
    """

    utr: str
    mrl: str | None
    reads: tuple[str, ...]
    shares: tuple[str, ...]
    counts: tuple[str, ...]
    others: dict[str, str]


class Published(NamedTuple):
    """A published table as it is, its columns found.

    Attributes
    ----------
    rows : pandas.DataFrame
        ``utr`` (text), ``mrl`` and ``reads`` (numbers, NaN where the file has none), ``r0`` … if the file has
        fractions; and under their own names those of the `extra` columns that the file has.
    fractions : int
        How many fractions there are.
    remarks : tuple of str
        What had to be decided, for people.
    """

    rows: pd.DataFrame
    fractions: int
    remarks: tuple[str, ...]


def read_published(path: str | Path, *, extra: tuple[str, ...] = ()) -> Published:
    """Read a file of the series.

    Parameters
    ----------
    path : str or Path
        A CSV, usually gzipped.
    extra : tuple of str
        Further columns to read, by their names in lower case.

    Raises
    ------
    RibocastError
        If it cannot be read, or a column that is needed is not there: in one line, with the columns that are.
    """
    import pandas as pd

    path = Path(path)
    columns: Columns | None = None
    parts = []
    for frame in read_rows(path):
        if columns is None:
            columns = find_columns(list(frame.columns), path.name)
            further = {name: columns.others[name] for name in extra if name in columns.others}
            measured = (*filter(None, [columns.mrl]), *columns.reads, *columns.shares, *columns.counts)
        # Numbers at once, so that the text of a whole file is never in memory.
        texts = frame[list(dict.fromkeys([columns.utr, *further.values()]))]
        parts.append(texts.assign(**{name: pd.to_numeric(frame[name], errors="coerce") for name in measured}))
    table = pd.concat(parts, ignore_index=True)
    assert columns is not None
    remarks: list[str] = []

    def numbers(name: str) -> Floats:
        values = table[name].to_numpy(np.float64, na_value=np.nan)
        return np.where(np.isfinite(values), values, np.nan)

    counts = np.column_stack([numbers(name) for name in columns.counts]) if columns.counts else None
    rows = {"utr": table[columns.utr]}
    rows |= {name: table[column] for name, column in further.items()}
    rows["mrl"] = pd.Series(numbers(columns.mrl) if columns.mrl else np.full(len(table), np.nan))
    rows["reads"] = pd.Series(_reads(path.name, {name: numbers(name) for name in columns.reads}, counts, remarks))
    shares = None
    if columns.shares:
        shares = np.column_stack([numbers(name) for name in columns.shares])
    elif counts is not None:
        shares = shares_of(counts)
        remarks.append("shares are made from the counts: each divided by all of its fraction, then to a sum of 1")
    if shares is not None:
        bad = ~(np.abs(shares.sum(axis=1) - 1) < _TOLERANCE) | ~(shares >= 0).all(axis=1)
        if bad.any():
            remarks.append(f"shares do not sum to 1 in {bad.sum():,} of {len(bad):,} rows: there they are left empty")
            shares[bad] = np.nan
        rows |= {f"r{number}": pd.Series(shares[:, number]) for number in range(shares.shape[1])}
    return Published(pd.DataFrame(rows), 0 if shares is None else shares.shape[1], tuple(remarks))


def find_columns(names: list[str], source: str) -> Columns:
    """Find columns by the names that they are known to have.

    Parameters
    ----------
    names : list of str
        All columns of the file.
    source : str
        The file's name, for messages.

    Raises
    ------
    RibocastError
        If there is no column of sequences or reads, or fractions are not numbered from 0 without a gap.
    """
    by_name = {str(name).strip().lower(): str(name) for name in reversed(names)}

    def first(usual: tuple[str, ...]) -> str | None:
        return next((by_name[name] for name in usual if name in by_name), None)

    def numbered(pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
        found = {int(re.sub(r"\D", "", key)): name for key, name in by_name.items() if pattern.fullmatch(key)}
        gap = next((number for number in range(len(found)) if number not in found), None)
        if gap is not None:
            raise InputError(f"{source}: no column of {what} {gap} among: {', '.join(map(str, names))}")
        return tuple(found[number] for number in range(len(found)))

    utr = first(UTR_NAMES)
    if utr is None:
        raise InputError(f"{source}: no column {' or '.join(UTR_NAMES)} among: {', '.join(map(str, names))}")
    reads = tuple(by_name[name] for name in READS_NAMES if name in by_name)
    counts = numbered(_COUNT, "counts of fraction")
    if not reads and not counts:
        raise InputError(f"{source}: no column {' or '.join(READS_NAMES)} among: {', '.join(map(str, names))}")
    return Columns(utr, first(MRL_NAMES), reads, numbered(_SHARE, "shares of fraction"), counts, by_name)


def shares_of(counts: Floats) -> Floats:
    """Turn counts into shares as the series' authors did.

    Parameters
    ----------
    counts : numpy.ndarray of float, shape (rows, fractions)
        Reads of every row of a file in every fraction.

    Returns
    -------
    numpy.ndarray of float, shape (rows, fractions)
        Each count over all counts of its fraction, then to a sum of 1 in each row; NaN in rows without counts.
    """
    known = np.nan_to_num(counts)
    of_fraction = known.sum(axis=0)
    relative = counts / np.where(of_fraction > 0, of_fraction, 1)
    total = relative.sum(axis=1, keepdims=True)
    shares: Floats = relative / np.where(total > 0, total, np.nan)
    return shares


def _reads(source: str, candidates: dict[str, Floats], counts: Floats | None, remarks: list[str]) -> Floats:
    """Choose the column that holds whole numbers: that is what reads are."""
    for name, values in candidates.items():
        if _is_whole(values):
            passed = [other for other in candidates if other != name]
            if passed:
                remarks.append(f"reads are {name}, not {' or '.join(passed)}")
            return values
    if counts is not None and _is_whole(counts):
        remarks.append("reads are the sum of the counts of all fractions")
        return np.asarray(counts.sum(axis=1))
    raise InputError(f"{source}: {' and '.join(candidates) or 'counts'} must be whole numbers of reads")


def _is_whole(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size) and bool((known == np.rint(known)).all())
