"""What is in a table of sequences, before a model is trained on it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ribocast.io.tables import read_chunks
from ribocast.sequence.letters import is_missing, to_dna

_SAMPLE = 10


@dataclass(frozen=True)
class Description:
    """A table in figures.

    Attributes
    ----------
    source : str
        Its name.
    rows : int
        Without the header.
    columns : list of str
        All of them.
    seq_column, label_column : str, str or None
        The ones that are used.
    bad_rows : int
        Rows that cannot be used (with a label column: also those with a bad label); the rest is about the others.
    first_fault : str or None
        What is wrong with the first of them.
    lengths : dict
        ``min``, ``median``, ``max``, ``distinct``.
    letters : dict of str to int
        How often each stands there, upper case, U as T.
    duplicates : int
        Rows whose sequence stood in an earlier row.
    upstream_atg_share : float
        Share of rows with an ATG inside the UTR.
    label : dict or None
        ``mean``, ``sd``, ``min``, ``q25``, ``median``, ``q75``, ``max``.
    sample : list of dict
        Ten random rows, in their order; values that JSON does not know as text, missing ones as None.
    """

    source: str
    rows: int
    columns: list[str]
    seq_column: str
    label_column: str | None
    bad_rows: int
    first_fault: str | None
    lengths: dict[str, float]
    letters: dict[str, int]
    duplicates: int
    upstream_atg_share: float
    label: dict[str, float] | None
    sample: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return asdict(self)


def describe(path: str | Path, *, column: str | None = None, label: str | None = None, seed: int = 0) -> Description:
    """Read a table and describe it; see `ribocast.io.tables.read_chunks` for what can be read.

    Parameters
    ----------
    path : str or Path
        The table; ``-`` is standard input.
    column, label : str, optional
        Columns with unusual names.
    seed : int
        Of the sample.
    """
    rows = bad = duplicates = with_atg = 0
    first_fault: str | None = None
    lengths: Counter[int] = Counter()
    letters: Counter[str] = Counter()
    seen: set[int] = set()
    labels: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    sample: list[tuple[int, dict[str, Any]]] = []
    random = np.random.default_rng(seed)
    for chunk in read_chunks(path, column=column, label=label):
        faults = chunk.faults(need_label=chunk.label_column is not None)
        if faults and first_fault is None:
            first_fault = chunk.say(faults[0])
        good = np.ones(len(chunk.frame), dtype=bool)
        good[[fault.row for fault in faults]] = False
        usable = chunk.keep(good)
        utrs = [to_dna(utr) for utr in usable.utrs]
        lengths.update(map(len, utrs))
        letters.update("".join(utrs))
        with_atg += sum("ATG" in utr for utr in utrs)
        for key in map(hash, utrs):
            duplicates += key in seen
            seen.add(key)
        if usable.label_column is not None:
            labels.append(usable.labels())
        # Reservoir sampling: every row has the same chance, whatever the length of the file.
        for offset, draw in enumerate(random.random(len(chunk)).tolist()):
            place = len(sample) if len(sample) < _SAMPLE else int(draw * (rows + offset + 1))
            if place < _SAMPLE:
                record = {str(key): _plain(value) for key, value in chunk.frame.iloc[offset].items()}
                sample[place : place + 1] = [(rows + offset, record)]
        rows += len(chunk.frame)
        bad += len(faults)
    every_length = np.repeat(list(lengths), list(lengths.values())) if lengths else np.zeros(1)
    return Description(
        source=chunk.source,
        rows=rows,
        columns=[str(name) for name in chunk.frame.columns],
        seq_column=chunk.seq_column,
        label_column=chunk.label_column,
        bad_rows=bad,
        first_fault=first_fault,
        lengths={
            "min": float(every_length.min()),
            "median": float(np.median(every_length)),
            "max": float(every_length.max()),
            "distinct": len(lengths),
        },
        letters=dict(sorted(letters.items())),
        duplicates=duplicates,
        upstream_atg_share=with_atg / max(rows - bad, 1),
        label=_label_figures(np.concatenate(labels)) if labels and rows > bad else None,
        sample=[record for _, record in sorted(sample, key=lambda entry: entry[0])],
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return None if is_missing(value) else str(value)


def _label_figures(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    low, q25, median, q75, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    sd = values.std(ddof=1) if len(values) > 1 else 0.0
    figures = {"mean": values.mean(), "sd": sd, "min": low, "q25": q25, "median": median, "q75": q75, "max": high}
    return {name: float(value) for name, value in figures.items()}
