"""From the published tables of GSE114002 to tables that can be trained on, with the published split.

What the files hold and how their authors split them is in `ribocast.learn.data.published.series`. Every row that is
left out is counted under its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import InputError, OptionError
from ribocast.io.output_paths import OutputPaths
from ribocast.io.writers import make_folder, open_table
from ribocast.learn.data.assays import KNOWN_ASSAYS, Assay
from ribocast.learn.data.published.published import Published, read_published
from ribocast.learn.data.published.series import PAIRS, Library
from ribocast.learn.data.published.utr_ends import cut_to_utr
from ribocast.sequence.construct import Construct

if TYPE_CHECKING:
    import pandas as pd

_AGREE = 1e-3
"""Largest difference, in ribosomes per mRNA, of MRLs that are said to be the same."""
_FIT_ROWS = 20_000
_HUMAN = ("human_utrs", "snv")
_PAIR_COLUMNS = ("library", "id", "info4", "mother", "designed")


@dataclass(frozen=True)
class Prepared:
    """How a published table became one to train on.

    Attributes
    ----------
    library : str
        Its name.
    source, output : str
        The files.
    rows_in, rows : int
        Rows read and written; those left out are the difference.
    train, test : int
        Rows written of each half of the published split.
    left_out : dict of str to int
        Rows by the reason why they were left out; a row counts for the first.
    remarks : tuple of str
        What was decided, and what does not agree.
    """

    library: str
    source: str
    output: str
    rows_in: int
    rows: int
    train: int
    test: int
    left_out: dict[str, int]
    remarks: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return {**asdict(self), "remarks": list(self.remarks)}


def prepare(library: Library, folder: str | Path, output: str | Path, *, replicate: int = 1) -> Prepared:
    """Turn a fetched file into ``NAME.csv.gz``, written whole or not at all.

    Parameters
    ----------
    library : Library
        Of ``ribocast.learn.data.published.series.LIBRARIES``.
    folder : str or Path
        Where the fetched files are.
    output : str or Path
        The folder for the table; it is made if it does not exist. For the second replicate the name is
        ``NAME_replicate2.csv.gz``.
    replicate : int
        From 1. The published split is that of the first.

    Raises
    ------
    RibocastError
        If the file is not there, cannot be read, lacks a column or has no usable row.
    """
    if not 1 <= replicate <= len(library.files):
        raise OptionError(f"{library.name}: has no replicate {replicate}, only {len(library.files)}")
    source = Path(folder) / library.files[replicate - 1].name
    if not source.is_file():
        raise InputError(f"{source}: no such file; ribocast data fetch GSE114002 --library {library.name}")
    output = Path(output)
    target = output / f"{library.name}{f'_replicate{replicate}' if replicate > 1 else ''}.csv.gz"
    make_folder(output)
    OutputPaths(Path(folder) / file.name for file in library.files).add(target, "the table")
    tally = _Tally(source.name)
    extra = {"random": (), "designed": _PAIR_COLUMNS, "varying": ("set",)}[library.kind]
    published = read_published(source, extra=extra)
    tally.remarks += published.remarks
    rows_in = len(published.rows)
    if library.name == PAIRS:
        table = _pairs(_measured(library, published, KNOWN_ASSAYS["egfp_human50"], tally), tally)
        digits, splits = 12, {}
    else:
        assay = KNOWN_ASSAYS[library.name]
        table = _split(library, _measured(library, published, assay, tally), tally)
        table = table[_columns(assay, published.fractions)]
        digits, splits = 9, table["published_split"].value_counts().to_dict()
    if library.note:
        tally.remarks.append(f"split: {library.note}")
    with open_table(target) as sink:
        sink.write(table.apply(_spell, digits=digits))
    return Prepared(library.name, source.name, str(target), rows_in, len(table), int(splits.get("train", 0)),
                    int(splits.get("test", 0)), tally.left_out, tuple(tally.remarks))  # fmt: skip


class _Tally:
    """Counts what is left out."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.left_out: dict[str, int] = {}
        self.remarks: list[str] = []

    def keep(self, rows: pd.DataFrame, good: pd.Series[bool] | NDArray[np.bool_], why: str) -> pd.DataFrame:
        """Return the good rows; count the others under a reason."""
        good = np.asarray(good, dtype=bool)
        if not good.all():
            self.left_out[why] = int((~good).sum())
        if not good.any():
            counts = ", ".join(f"{number:,} {reason}" for reason, number in self.left_out.items())
            raise InputError(f"{self.source}: no row is usable: {counts}")
        return rows[good].reset_index(drop=True)


def _measured(library: Library, published: Published, assay: Assay, tally: _Tally) -> pd.DataFrame:
    """Give the usable rows, those with the most reads first, each UTR once; adds ``seq`` and ``origin``."""
    rows = published.rows
    if library.kind == "designed":
        part = _need(rows, "library", tally.source).str.lower()
        rows = tally.keep(rows, part.isin(_HUMAN), "designed, neither human UTRs nor variants of them")
        rows["origin"] = "human"
    elif library.kind == "varying":
        rows["origin"] = _need(rows, "set", tally.source).str.lower()
        rows = tally.keep(rows, rows["origin"].isin(("random", "human")), "neither random nor human")
    else:
        rows["origin"] = "random"
    rows = tally.keep(rows, rows["utr"].str.strip() != "", "without a sequence")
    rows["seq"] = rows["utr"].str.strip().str.upper().str.replace("U", "T")
    rows = tally.keep(rows, rows["seq"].str.fullmatch("[ACGTN]+"), "with letters other than A, C, G, T, U and N")
    if assay.min_length == assay.max_length:
        rows["seq"] = _cut(rows["seq"], assay.construct, assay.max_length, tally)
        rows = tally.keep(rows, rows["seq"] != "", "longer than the UTR, but no start codon follows it")
    lengths = rows["seq"].str.len()
    span = f"{assay.min_length} to {assay.max_length}" if assay.min_length < assay.max_length else f"{assay.min_length}"
    rows = tally.keep(rows, lengths.between(assay.min_length, assay.max_length), f"of other lengths than {span} nt")
    rows = _with_mrls(rows, published.fractions, assay, tally)
    rows = tally.keep(rows, rows["mrl"].notna(), "without an MRL")
    rows = tally.keep(rows, rows["reads"] > 0, "without reads")
    rows = tally.keep(rows, rows["reads"] >= library.least_reads, f"with fewer than {library.least_reads} reads")
    rows["reads"] = np.rint(rows["reads"]).astype(np.int64)
    rows = rows.sort_values("reads", ascending=False, kind="stable", ignore_index=True)
    return tally.keep(rows, ~rows["seq"].duplicated(), "repeats of a UTR with more reads")


def _split(library: Library, rows: pd.DataFrame, tally: _Tally) -> pd.DataFrame:
    if library.keep is not None:
        most = np.arange(len(rows)) < library.keep
        rows = tally.keep(rows, most, f"beyond the {library.keep:,} with the most reads")
    if library.kind == "varying":
        rank = rows.groupby([rows["origin"], rows["seq"].str.len()]).cumcount().to_numpy()
    else:
        rank = np.arange(len(rows))
    return rows.assign(published_split=np.where(rank < library.test, "test", "train"))


def _pairs(rows: pd.DataFrame, tally: _Tally) -> pd.DataFrame:
    """Put each designed variant beside its reference, which is measured in the same table."""
    import pandas as pd

    for name in _PAIR_COLUMNS:
        _need(rows, name, tally.source)
    mrl = dict(zip(rows["seq"], rows["mrl"], strict=True))
    is_variant = (
        (rows["library"].str.lower() == "snv")
        & (rows["info4"].str.lower() == "variant")
        & (rows["designed"].str.lower() == "true")
    )
    rows = tally.keep(rows, is_variant, "human UTRs that are not designed variants")
    reference = rows["mother"].fillna("").str.strip().str.upper().str.replace("U", "T")
    rows["reference"] = _cut(reference, KNOWN_ASSAYS["egfp_human50"].construct, 50, tally)
    rows = tally.keep(rows, rows["reference"].isin(mrl.keys()), "variants whose reference was not measured")
    rows = tally.keep(rows, rows["reference"] != rows["seq"], "variants like their reference")
    ref_mrl = rows["reference"].map(mrl)
    positive = (rows["mrl"] > 0) & (ref_mrl > 0)
    rows, ref_mrl = tally.keep(rows, positive, "variants with an MRL of 0"), ref_mrl[positive].reset_index(drop=True)
    tally.remarks.append("gene_symbol, clin_sig and phenotype are not in the series: these are left empty")
    empty = pd.Series(np.nan, index=rows.index)
    return pd.DataFrame({
        "id": rows["id"], "gene_symbol": empty, "clin_sig": empty, "phenotype": empty,
        "ref_seq": rows["reference"], "alt_seq": rows["seq"], "ref_mrl": ref_mrl, "alt_mrl": rows["mrl"],
        "alt_reads": rows["reads"], "log2_fold_change": np.log2(rows["mrl"] / ref_mrl),
    })  # fmt: skip


def _with_mrls(rows: pd.DataFrame, fractions: int, assay: Assay, tally: _Tally) -> pd.DataFrame:
    """Compute MRLs where a file has none; else see whether they are the shares weighted as is known."""
    shares = rows[[f"r{number}" for number in range(fractions)]].to_numpy(np.float64)
    weights = assay.fraction_weights
    computed = shares @ weights if weights and fractions == len(weights) else None
    if rows["mrl"].isna().all():
        if computed is None:
            raise InputError(
                f"{tally.source}: no column of MRLs (rl), and the weights of its {fractions} fractions are not known"
            )
        tally.remarks.append("no MRLs in the file: they are computed from the shares and the weights of the assay")
        return rows.assign(mrl=computed)
    both = rows["mrl"].notna().to_numpy() & np.isfinite(shares).all(axis=1)
    if not fractions or not both.any():
        return rows
    mrls, shares = rows["mrl"].to_numpy()[both], shares[both]
    if computed is not None:
        apart = np.abs(computed[both] - mrls).max()
        if apart <= _AGREE:
            tally.remarks.append(f"the MRLs are the shares with the assay's weights (at most {apart:.2g} apart)")
            return rows
        tally.remarks.append(f"warning: MRLs and shares with the assay's weights are up to {apart:.3g} apart")
    elif weights:
        tally.remarks.append(f"its {fractions} fractions are not the {len(weights)} of the assay: they are left out")
    if len(mrls) > fractions:
        found = np.linalg.lstsq(shares[:_FIT_ROWS], mrls[:_FIT_ROWS])[0].round(3) + 0.0
        apart = np.abs(shares @ found - mrls).max()
        fits = f"the weights {', '.join(f'{weight:g}' for weight in found)} give the MRLs (at most {apart:.2g} apart)"
        tally.remarks.append(fits if apart <= _AGREE else "no weights of the fractions give the MRLs")
    return rows


def _cut(seqs: pd.Series[str], construct: Construct, length: int, tally: _Tally) -> pd.Series[str]:
    """Cut at the start codon; what has none where it should be becomes empty."""
    cut = cut_to_utr(seqs, construct, length)
    changed, lost = int(((cut != seqs) & (cut != "")).sum()), int(((cut == "") & (seqs != "")).sum())
    if lost > len(seqs) / 2:
        first = seqs[(cut == "").to_numpy()].iloc[0]
        raise InputError(
            f"{tally.source}: {lost:,} of {len(seqs):,} sequences are longer than {length} nt, but no start codon "
            f"follows the UTR, as in {first}"
        )
    if changed:
        tally.remarks.append(
            f"{changed:,} of {len(seqs):,} sequences run on: their last {length} nt before the start codon are kept"
        )
    return cut


def _columns(assay: Assay, fractions: int) -> list[str]:
    weights = assay.fraction_weights
    written = fractions if weights is None or len(weights) == fractions else 0
    return ["seq", "mrl", "origin", "published_split", "reads", *(f"r{number}" for number in range(written))]


def _need(rows: pd.DataFrame, name: str, source: str) -> pd.Series[str]:
    if name not in rows:
        raise InputError(f"{source}: no column {name} among: {', '.join(map(str, rows.columns))}")
    return rows[name].fillna("").astype(str).str.strip()


def _spell(column: pd.Series[Any], digits: int) -> pd.Series[Any]:
    """Write numbers with `digits` digits, and what is missing as nothing."""
    if column.dtype.kind != "f":
        return column
    spell: Callable[[float], str] = f"{{:.{digits}g}}".format
    return column.map(spell, na_action="ignore").astype(object)
