"""The libraries whose measurements ribocast knows, and tables of a user's own.

A library is an entry here, not a fork of the code: its construct, its lengths, the weights of its polysome
fractions. Source of all of them: Sample et al., Nature Biotechnology 37, 803–809 (2019), GEO series GSE114002.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import InputError
from ribocast.io.tables import Chunk, as_chunk, read_table
from ribocast.model.bundle import AssayCard, TrainingData
from ribocast.sequence.construct import EGFP, MCHERRY, Construct
from ribocast.sequence.letters import Fault, is_missing

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Assay:
    """A library of measured 5′ UTRs.

    Attributes
    ----------
    name : str
        What users call it.
    description : str
        What was measured, for people.
    construct : Construct
        What stands around the UTR.
    min_length, max_length : int
        Lengths that were measured, in nt.
    fraction_weights : tuple of float, optional
        Ribosomes per mRNA in each polysome fraction; the MRL is their mean weighted by the reads.
    profile_measured : bool
        Whether the fractions of any row are known. Where they are not, a predicted profile is an inference
        from its sibling libraries.
    """

    name: str
    description: str
    construct: Construct
    min_length: int
    max_length: int
    fraction_weights: tuple[float, ...] | None = None
    profile_measured: bool = False


_RANDOM_WEIGHTS = (0, 1, 2, 3, 4, 5, 5.8, 6.5, 7.5, 8.5, 10.5, 10.5, 12, 13)
_HUMAN_WEIGHTS = (0, 0.5, 1, 2, 3, 4, 4.8, 5.8, 7, 8.2, 9.5, 10.5, 12, 13)
# The thirteenth column of this library is out of gradient order.
_VARYING_WEIGHTS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 3.5)

_READS_BY_RANK = (
    (1000, 4489), (3500, 3655), (7500, 3150), (15_000, 2686), (50_000, 1900), (100_000, 1200), (140_000, 750),
    (180_000, 420), (220_000, 240), (260_000, 115), (280_000, 80),
)  # fmt: skip
# Shares that were rounded to two digits.
_SUM_OF_SHARES = 0.05

ASSAYS = {
    assay.name: assay
    for assay in (
        Assay("egfp_random50", "random 50-nt UTRs, eGFP, unmodified RNA", EGFP, 50, 50, _RANDOM_WEIGHTS, True),
        Assay(
            "egfp_human50",
            "last 50 nt of human 5′ UTRs and variants of them, eGFP, unmodified RNA",
            EGFP,
            50,
            50,
            _HUMAN_WEIGHTS,
            True,
        ),
        Assay(
            "egfp_varying25to100",
            "random and human UTRs of 25 to 100 nt, eGFP, unmodified RNA",
            EGFP,
            25,
            100,
            _VARYING_WEIGHTS,
            True,
        ),
        # Its weights were not published with the rows; those of the unmodified library stand in.
        Assay(
            "egfp_random50_m1psi",
            "random 50-nt UTRs, eGFP, N1-methylpseudouridine RNA",
            EGFP,
            50,
            50,
            _RANDOM_WEIGHTS,
            False,
        ),
    )
}
"""The libraries that are at hand, and that the shipped model was trained on."""

# Their fraction weights are not known.
KNOWN_ASSAYS = ASSAYS | {
    assay.name: assay
    for assay in (
        Assay("egfp_random50_pseudo", "random 50-nt UTRs, eGFP, pseudouridine RNA", EGFP, 50, 50),
        Assay("mcherry_random50", "random 50-nt UTRs, mCherry, unmodified RNA", MCHERRY, 50, 50),
    )
}
"""These, and two more of the same publication."""


def assay_of(chunk: Chunk, name: str | None = None, *, construct: Construct = EGFP) -> Assay:
    """Say which assay a table is: a library by its name, or else one of the user's own.

    Parameters
    ----------
    chunk : Chunk
        The table.
    name : str, optional
        A library of ``KNOWN_ASSAYS``, or any other name for an assay of one's own; the file's name without it.
    construct : Construct
        What stands around the UTRs of an assay of one's own.

    Raises
    ------
    RibocastError
        If a library is named and the table holds other lengths.
    """
    lengths = chunk.frame[chunk.seq_column].str.len()
    shortest, longest = int(lengths.min()), int(lengths.max())
    name = name or chunk.source.split(".")[0].replace("the frame", "own")
    if name in KNOWN_ASSAYS:
        known = KNOWN_ASSAYS[name]
        if shortest < known.min_length or longest > known.max_length:
            raise InputError(
                f"{chunk.source}: {name} holds {known.min_length} to {known.max_length} nt, "
                f"but the table has {shortest} to {longest} nt; give it another --assay name"
            )
        return known
    return Assay(name, f"measurements of {chunk.source}", construct, shortest, longest)


def describe_assay(assay: Assay, rows: pd.DataFrame) -> AssayCard:
    """Describe an assay for ``model.json``, with the mean and scale of its rows.

    Raises
    ------
    RibocastError
        If the rows do not fit it: half a profile, MRLs outside its scale, or all alike.
    """
    own = rows[rows["assay"] == assay.name]
    mrl, weights = own["mrl"], assay.fraction_weights
    columns = [f"r{number}" for number in range(len(weights or ()))]
    measured = [column for column in columns if column in own and own[column].notna().any()]
    if 0 < len(measured) < len(columns):
        raise InputError(
            f"{assay.name}: its polysome profile has {len(columns)} fractions (r0 to {columns[-1]}), but the table has "
            f"only {', '.join(measured)}"
        )
    if weights and len(mrl) and not min(weights) <= mrl.min() <= mrl.max() <= max(weights):
        raise InputError(
            f"{assay.name}: MRLs from {mrl.min():g} to {mrl.max():g} are not ribosomes per mRNA, which lie between "
            f"{min(weights):g} and {max(weights):g} in this library; if they were standardised, give another assay name"
        )
    if len(mrl) < 2:
        raise InputError(f"{assay.name}: {len(mrl)} of its rows are left to train on: at least 2 are needed")
    if not mrl.std(ddof=0) > 0:
        raise InputError(f"{assay.name}: {len(mrl)} training rows with MRLs that do not differ: nothing to learn")
    return AssayCard(
        name=assay.name,
        description=assay.description,
        before=assay.construct.before,
        after=assay.construct.after,
        min_length=assay.min_length,
        max_length=assay.max_length,
        label_mean=float(mrl.mean()),
        label_scale=float(mrl.std(ddof=0)),
        fraction_weights=assay.fraction_weights,
        profile_measured=assay.profile_measured,
        measured_quantiles=tuple(np.quantile(mrl, np.linspace(0, 1, 21)).round(4).tolist()),
    )


def labelled_rows(
    table: str | Path | pd.DataFrame, assay: str | None = None, *, column: str | None = None, label: str | None = None
) -> tuple[pd.DataFrame, dict[str, Assay]]:
    """Bring a labelled table, on disk or in memory, to what `fit` trains on, every row checked.

    Parameters
    ----------
    table : str, Path or pandas.DataFrame
        Sequences and mean ribosome loads (MRLs). A frame with a column ``assay`` may hold several.
    assay : str, optional
        The assay of all rows; see `assay_of`.
    column, label : str, optional
        Columns with unusual names.

    Returns
    -------
    pandas.DataFrame
        See `training_rows`; under the index of a frame.
    dict of str to Assay
        What its column ``assay`` names.

    Raises
    ------
    RibocastError
        At the first row that cannot be used.
    """
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        chunk = as_chunk(table, column=column, label=label)
    else:
        chunk = read_table(table, column=column, label=label)
    chunk.check(need_label=True)
    if assay is None and isinstance(table, pd.DataFrame) and "assay" in chunk.frame.columns:
        of_row = np.array(chunk.names("assay"), dtype=object)
        if not of_row.all():
            raise InputError(chunk.say(Fault(list(of_row).index(""), "no assay is named (column 'assay')")))
        names = list(dict.fromkeys(of_row))
        assays = {name: assay_of(chunk.keep(of_row == name), name) for name in names}
        rows = training_rows(chunk, assay="").assign(assay=of_row)
        for name in names:
            _refuse_no_shares(chunk, rows, name)
    else:
        library = assay_of(chunk, assay)
        rows, assays = training_rows(chunk, library.name), {library.name: library}
    return (rows.set_axis(table.index) if isinstance(table, pd.DataFrame) else rows), assays


def training_rows(chunk: Chunk, assay: str) -> pd.DataFrame:
    """Bring a checked, labelled table to the columns that `fit` trains on.

    Returns
    -------
    pandas.DataFrame
        ``seq``, ``mrl``, ``assay``; and ``reads``, ``origin``, ``published_split``, ``r0`` … where the table has them.

    Raises
    ------
    RibocastError
        Where reads or a fraction are neither missing nor a number from 0 on, or fractions are not shares.
    """
    import pandas as pd

    frame = pd.DataFrame({"seq": chunk.utrs, "mrl": chunk.labels(), "assay": assay})
    fractions = [f"r{number}" for number in range(20) if f"r{number}" in chunk.frame.columns]
    for column in ("reads", *fractions):
        if column in chunk.frame.columns:
            frame[column] = _optional_numbers(chunk, column)
    _refuse_no_shares(chunk, frame, assay)
    for column in ("origin", "published_split"):
        if column in chunk.frame.columns:
            frame[column] = chunk.frame[column].to_numpy()
    if "rank_by_reads" in chunk.frame.columns and assay == "egfp_random50":
        estimated = pd.Series(reads_at_rank(_optional_numbers(chunk, "rank_by_reads")))
        frame["reads"] = frame["reads"].fillna(estimated) if "reads" in frame else estimated
    return frame


def reads_at_rank(rank: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate the reads behind rows of the published random library, whose order by reads is known and little more.

    Up to rank 15,000 these are medians of known reads. Beyond it nobody published any: the variance of a network's
    residuals grows there with the rank as it does with falling reads (``v * (1 + 380 / reads)``; see `Recipe`).

    Parameters
    ----------
    rank : numpy.ndarray of float64, shape (n,)
        1 is the sequence with most reads of all 280,000; NaN where it is not known, and then so are the reads.

    Examples
    --------
    >>> reads_at_rank(np.array([1000.0, 100_000.0])).round().tolist()
    [4489.0, 1200.0]
    """
    ranks, reads = np.array(_READS_BY_RANK).T
    return np.asarray(np.exp(np.interp(rank, ranks, np.log(reads))))


def _refuse_no_shares(chunk: Chunk, rows: pd.DataFrame, assay: str) -> None:
    """Raise at the first row of a library whose polysome fractions are percentages or the like."""
    known = KNOWN_ASSAYS.get(assay)
    if known is None or known.fraction_weights is None:
        return
    shares = rows.reindex(columns=[f"r{number}" for number in range(len(known.fraction_weights))])
    whole = shares.sum(axis=1).to_numpy()
    # Half a profile does not count; see `ribocast.learn.train.batches.has_profile`.
    wrong = (shares.notna().all(axis=1).to_numpy() & (whole < 1 - _SUM_OF_SHARES)) | (whole > 1 + _SUM_OF_SHARES)
    if (bad := wrong & (rows["assay"] == assay).to_numpy()).any():
        row = int(np.flatnonzero(bad)[0])
        reason = f"polysome fractions (r0 …) are shares of 1, here they sum to {whole[row]:g}"
        raise InputError(chunk.say(Fault(row, reason)))


def _optional_numbers(chunk: Chunk, column: str) -> NDArray[np.float64]:
    import pandas as pd

    given = chunk.frame[column]
    numbers = pd.to_numeric(given, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = ~((numbers >= 0) & (numbers < np.inf))
    for row in np.flatnonzero(bad).tolist():
        bad[row] = not (is_missing(given.iloc[row]) or str(given.iloc[row]).strip() == "")
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        reason = f"{str(given.iloc[row])[:60]!r} is not a number from 0 on (column {column!r})"
        raise InputError(chunk.say(Fault(row, reason)))
    return numbers


def load_measurements(folder: str | Path, names: Iterable[str] = tuple(ASSAYS)) -> pd.DataFrame:
    """Read libraries from a folder of ``NAME.csv.gz`` files, one under the other; see `training_rows`."""
    import pandas as pd

    frames = [training_rows(read_table(Path(folder) / f"{name}.csv.gz"), name) for name in names]
    return pd.concat(frames, ignore_index=True)


def describe_data(rows: pd.DataFrame) -> tuple[TrainingData, ...]:
    """Say what was trained on: rows of each assay and a SHA-256 over its sequences and MRLs, in order."""
    cards = []
    for name, part in rows.groupby("assay", sort=False):
        digest = hashlib.sha256()
        digest.update("\n".join(part["seq"]).encode())
        digest.update(part["mrl"].to_numpy("<f8").tobytes())
        cards.append(TrainingData(assay=str(name), rows=len(part), sha256=digest.hexdigest()))
    return tuple(cards)
