"""What a model has learnt: the mean MRL of UTRs by their upstream start, its context, its stop, by letters, length.

The same summary of measured MRLs shows what there was to learn: both are of the same sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import InputError
from ribocast.io.tables import Chunk, read_table
from ribocast.model.applicability import base_counts
from ribocast.model.bundle import AssayCard
from ribocast.model.predictor import Predictor
from ribocast.sequence.batch import Batch
from ribocast.sequence.construct import Construct
from ribocast.sequence.kozak import POSITIONS as KOZAK_POSITIONS
from ribocast.sequence.uorf import Uorf, find_uorfs

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
RANDOM_UTRS = 20_000
LETTERS = "ACGT"
NEAR = -15
"""Upstream starts nearer than this to the start codon have a term of their own in the fit of contexts."""
_FEWEST = 10
"""Groups of fewer UTRs are left out."""
_SHARES = 10
_LENGTHS = 8
GROUPS = (
    "no upstream ATG",
    "uORF of 1 to 3 codons",
    "uORF of 4 to 10 codons",
    "longer uORF",
    "N-terminal extension",
    "overlapping uORF, frame 1",
    "overlapping uORF, frame 2",
    "several upstream ATGs",
)


@dataclass(frozen=True)
class GlobalEffects:
    """Mean ribosome loads (MRLs) of UTRs, summarised.

    Attributes
    ----------
    rows : int
        UTRs.
    baseline : float
        Mean MRL of those without an upstream ATG, ribosomes per mRNA.
    groups : pandas.DataFrame
        ``group`` (see `GROUPS`), ``n``, ``mean``, ``error`` (standard error of the mean).
    positions : pandas.DataFrame
        UTRs with one upstream ATG and no stop for it: ``position``, ``frame``, ``n``, ``effect`` (mean MRL less
        `baseline`), ``error``.
    matrix : pandas.DataFrame
        UTRs with one overlapping uORF: ``minus_3``, ``plus_4``, ``n``, ``mean``, ``error``.
    context : numpy.ndarray of float, shape (4, 8), or None
        What each letter (A, C, G, T) at −6 … −1, +4, +5 of one overlapping uORF takes; see `fit_context`.
    letters : pandas.DataFrame
        UTRs without an upstream ATG, by the share of each letter: ``letter``, ``share``, ``n``, ``mean``, ``error``.
    slopes : dict of str to float
        What 10 % more of a letter, at the cost of the others alike, adds to the MRL there.
    lengths : pandas.DataFrame
        UTRs without an upstream ATG, by length, if it varies: ``length``, ``n``, ``mean``, ``error``.
    """

    rows: int
    baseline: float
    groups: pd.DataFrame
    positions: pd.DataFrame
    matrix: pd.DataFrame
    context: Floats | None
    letters: pd.DataFrame
    slopes: dict[str, float]
    lengths: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        tables = ("groups", "positions", "matrix", "letters", "lengths")
        return {
            "rows": self.rows,
            "baseline": self.baseline,
            **{name: getattr(self, name).to_dict("records") for name in tables},
            "context": None if self.context is None else dict(zip(LETTERS, self.context.tolist(), strict=True)),
            "slopes": self.slopes,
        }


def random_utrs(assay: AssayCard, count: int = RANDOM_UTRS, *, seed: int = 0) -> list[str]:
    """Draw random UTRs of the lengths of an assay, all letters equally likely."""
    random = np.random.default_rng(seed)
    lengths = random.integers(assay.min_length, assay.max_length + 1, count)
    letters = "".join(random.choice(list(LETTERS), int(lengths.sum())))
    ends = np.cumsum(lengths)
    return [letters[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]


def measured_rows(path: str | Path, assay: AssayCard, *, column: str | None = None) -> Chunk:
    """Read measurements of an assay: a table, or a folder with ``ASSAY.csv.gz`` (or .csv, .tsv, .parquet).

    Raises
    ------
    RibocastError
        If there is none, or a row has a bad sequence or no MRL.
    """
    path = Path(path)
    if path.is_dir():
        found = [path / f"{assay.name}{ending}" for ending in (".csv.gz", ".csv", ".tsv.gz", ".tsv", ".parquet")]
        path = next((file for file in found if file.is_file()), found[0])
    chunk = read_table(path, column=column)
    chunk.check(need_label=True)
    return chunk


def summarise(utrs: Sequence[str], mrls: Floats, construct: Construct) -> GlobalEffects:
    """Summarise MRLs, predicted or measured.

    Parameters
    ----------
    utrs : sequence of str, of length n
        Checked sequences.
    mrls : numpy.ndarray of float, shape (n,)
        Ribosomes per mRNA.
    construct : Construct
        What stands around them.

    Raises
    ------
    RibocastError
        If fewer than ten UTRs have no upstream ATG: nothing can be compared with them.
    """
    import pandas as pd

    starts = [find_uorfs(utr, construct) for utr in utrs]
    frame = pd.DataFrame({"mrl": mrls, "group": [_group(uorfs) for uorfs in starts]})
    calm = (frame["group"] == GROUPS[0]).to_numpy()
    if calm.sum() < _FEWEST:
        raise InputError(f"{calm.sum()} UTRs have no upstream ATG; at least {_FEWEST} are needed")
    baseline = float(mrls[calm].mean())
    single = [
        (uorfs[0], mrl) for uorfs, mrl in zip(starts, mrls.tolist(), strict=True)
        if len(uorfs) == 1 and uorfs[0].kind != "uORF"
    ]  # fmt: skip
    ones = pd.DataFrame(
        [(u.position, u.frame, u.context[3], u.context[9], mrl) for u, mrl in single],
        columns=["position", "frame", "minus_3", "plus_4", "mrl"],
    )
    positions = _means(ones, ["position", "frame"])
    overlapping = [(uorf, mrl) for uorf, mrl in single if uorf.frame]
    known = ones[(ones["frame"] > 0) & ones["minus_3"].isin(list(LETTERS)) & ones["plus_4"].isin(list(LETTERS))]
    lengths = np.array([len(utr) for utr in utrs])
    letters, slopes = _by_letter((base_counts(Batch.of(utrs)) / lengths[:, None])[calm], mrls[calm])
    groups = _means(frame, ["group"])
    return GlobalEffects(
        rows=len(utrs),
        baseline=baseline,
        groups=groups.sort_values("group", key=lambda names: names.map(GROUPS.index)).reset_index(drop=True),
        positions=positions.assign(effect=positions["mean"] - baseline).drop(columns="mean"),
        matrix=_means(known, ["minus_3", "plus_4"]),
        context=fit_context(*map(list, zip(*overlapping, strict=True)))[0] if len(overlapping) >= 100 else None,
        letters=letters,
        slopes=slopes,
        lengths=_by_bins("length", lengths[calm], mrls[calm], _LENGTHS),
    )


def fit_context(uorfs: Sequence[Uorf], mrls: Sequence[float]) -> tuple[Floats, float]:
    """Fit what each letter around one overlapping upstream ATG takes from the MRL.

    Least squares of the MRLs on the letters at ``KOZAK_POSITIONS``, the frame, and whether the ATG is within 15 nt of
    the start codon.

    Returns
    -------
    numpy.ndarray of float, shape (4, 8)
        By letter (A, C, G, T) and position, ribosomes per mRNA; each position sums to 0.
    float
        Squared correlation of the fit.
    """
    letters = np.array([list(uorf.context[:6] + uorf.context[9:]) for uorf in uorfs])
    one_hot = np.concatenate([letters == letter for letter in LETTERS], axis=1)
    context = [[1, uorf.frame == 1, uorf.position > NEAR] for uorf in uorfs]
    terms = np.concatenate([one_hot, context], axis=1).astype(float)
    # Letters of a position sum to 1, so only their differences are determined; the solution is centred below.
    solution = np.linalg.lstsq(terms, np.asarray(mrls), rcond=None)[0]
    weights = -solution[: one_hot.shape[1]].reshape(len(LETTERS), len(KOZAK_POSITIONS))
    r = np.corrcoef(terms @ solution, mrls)[0, 1]
    return weights - weights.mean(axis=0), float(r * r)


def predict_summary(model: Predictor, utrs: Sequence[str], assay: str | None) -> GlobalEffects:
    """Summarise what a model predicts."""
    card = model.card.assay(assay)
    return summarise(utrs, model.mrl(utrs, assay=card.name), card.surroundings)


def _group(uorfs: list[Uorf]) -> str:
    if len(uorfs) != 1:
        return GROUPS[-1] if uorfs else GROUPS[0]
    (uorf,) = uorfs
    if uorf.kind == "uORF":
        codons = ((uorf.stop or 0) - uorf.position) // 3
        return GROUPS[1] if codons <= 3 else GROUPS[2] if codons <= 10 else GROUPS[3]
    return uorf.kind if uorf.frame == 0 else f"{uorf.kind}, frame {uorf.frame}"


def _means(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Average MRLs by columns; groups of few rows are left out."""
    found = frame.groupby(by)["mrl"].agg(n="size", mean="mean", spread="std").reset_index()
    found = found[found["n"] >= _FEWEST].reset_index(drop=True)
    return found.assign(error=found["spread"] / np.sqrt(found["n"])).drop(columns="spread")


def _by_letter(shares: Floats, mrls: Floats) -> tuple[pd.DataFrame, dict[str, float]]:
    import pandas as pd

    parts = [
        _by_bins("share", share, mrls, _SHARES).assign(letter=letter)
        for letter, share in zip(LETTERS, shares.T, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True)[["letter", "share", "n", "mean", "error"]]
    # The shares sum to 1: centred slopes are those of one letter at the cost of the others alike.
    terms = np.concatenate([np.ones((len(mrls), 1)), shares], axis=1)
    slopes = np.linalg.lstsq(terms, mrls, rcond=None)[0][1:]
    centred = (slopes - slopes.mean()) * len(LETTERS) / (len(LETTERS) - 1)
    return table, {letter: float(slope) / 10 for letter, slope in zip(LETTERS, centred, strict=True)}


def _by_bins(name: str, values: NDArray[Any], mrls: Floats, bins: int) -> pd.DataFrame:
    """Average MRLs in bins of about as many UTRs each, by the mean of the values in them."""
    import pandas as pd

    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins))
    part = pd.DataFrame({"bin": np.searchsorted(edges, values, side="right"), "mrl": mrls, name: values})
    found = _means(part, ["bin"])
    return found.assign(**{name: found["bin"].map(part.groupby("bin")[name].mean())})[[name, "n", "mean", "error"]]
