"""Designs as a table, as FASTA and as an order sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ribocast.design.distances import quick_edit_distance
from ribocast.design.folding import free_energy, vienna
from ribocast.design.objectives import Estimator, Floats, mrls_of
from ribocast.errors import OptionError, StoppedError
from ribocast.io.writers import open_table, whole_file
from ribocast.model.applicability import how_unusual, remark
from ribocast.model.members import PredictMrl
from ribocast.model.predictor import Predictor
from ribocast.model.stopping import is_stopped
from ribocast.predict.files import describe_starts
from ribocast.sequence.batch import Batch
from ribocast.sequence.construct import Construct
from ribocast.sequence.start_codon import join_notes

if TYPE_CHECKING:
    import pandas as pd

SHOPS = ("idt",)
FASTA_ENDINGS = (".fasta", ".fa", ".fna")
# What Integrated DNA Technologies takes: longest oligonucleotides and Ultramers, shortest and longest gBlocks, nt.
_OLIGO, _ULTRAMER, _SHORTEST_BLOCK, _LONGEST_BLOCK = 100, 200, 125, 3_000


def describe_designs(
    found: Sequence[tuple[float | None, Sequence[str]]],
    estimator: Estimator,
    construct: Construct,
    *,
    independent: Predictor | PredictMrl | None = None,
    like: str | None = None,
) -> pd.DataFrame:
    """Make the table of designs; see `ribocast.design` for its columns.

    Parameters
    ----------
    found : sequence of (float or None, sequence of str)
        Each target with its designs.
    estimator : Estimator
        Who was asked.
    construct : Construct
        What stands around the designs.
    independent : Predictor or callable, optional
        Who predicts without having taken part in the search.
    like : str, optional
        What edits are counted from.
    """
    import pandas as pd

    seqs = [seq for _, mine in found for seq in mine]
    targets = [np.nan if target is None else target for target, mine in found for _ in mine]
    estimate = estimator.estimate(seqs)
    starts = describe_starts(seqs, construct)
    folded = vienna() is not None
    columns = {
        "name": [f"design_{number}" for number in range(1, len(seqs) + 1)],
        "target": targets,
        "seq": seqs,
        "length": list(map(len, seqs)),
        "mrl": estimate.mrl.round(4),
        "mrl_low": estimate.low.round(4),
        "mrl_high": estimate.high.round(4),
        "independent_mrl": _independent_mrl(seqs, independent, estimator),
    }
    if estimator.second is not None:
        columns["second"] = estimate.second.round(4)
    columns["out_of_distribution_score"] = estimate.out_of_distribution.round(2)
    columns |= {str(name): starts[name] for name in starts}
    columns["gc"] = [round((seq.count("G") + seq.count("C")) / len(seq), 4) for seq in seqs]
    # Folding 300 nt takes 70 ms: of a search that was stopped, the designs are given at once and without it.
    columns["free_energy"] = [np.nan if not folded or is_stopped() else round(free_energy(seq), 1) for seq in seqs]
    if like is not None:
        columns["edits"] = [quick_edit_distance(seq, like) for seq in seqs]
    columns["note"] = join_notes(_notes(seqs, estimator), map(_extension, starts["n_terminal_extensions"]))
    return pd.DataFrame(columns, index=pd.RangeIndex(len(seqs)))


def as_fasta(table: pd.DataFrame) -> str:
    """Spell designs as FASTA, with their MRLs in the titles."""
    lines = []
    for name, target, mrl, seq in zip(*(table[column] for column in ("name", "target", "mrl", "seq")), strict=True):
        wanted = "" if np.isnan(target) else f" target={target:g}"
        lines.append(f">{name}{wanted} mrl={mrl:.2f}\n{seq}\n")
    return "".join(lines)


def write_designs(table: pd.DataFrame, path: str | Path | None) -> None:
    """Write designs as a table, or as FASTA if the ending says so; standard output without a path."""
    if path is not None and Path(path).suffix.lower() in FASTA_ENDINGS:
        with whole_file(path) as partial:
            partial.write_text(as_fasta(table), encoding="utf-8")
        return
    with open_table(path) as sink:
        sink.write(table)


def order_sheet(table: pd.DataFrame, construct: Construct, shop: str) -> pd.DataFrame:
    """Make the sheet that a shop takes, each design with the adapter before and the letters after it.

    Parameters
    ----------
    table : pandas.DataFrame
        Designs.
    construct : Construct
        What is ordered around each.
    shop : {"idt"}
        Integrated DNA Technologies: single-stranded up to 200 nt (``Name``, ``Sequence``, ``Scale``, ``Purification``;
        of up to 100 nt on a scale of 100 nmol, beyond as Ultramers), else double-stranded gBlocks (``Name``,
        ``Sequence``).

    Raises
    ------
    RibocastError
        If the shop is not known or does not make such lengths.
    """
    import pandas as pd

    if shop not in SHOPS:
        raise OptionError(f"unknown order sheet {shop!r}; use {', '.join(SHOPS)}")
    whole = [construct.around(seq) for seq in table["seq"]]
    longest = max(map(len, whole), default=0)
    sheet = pd.DataFrame({"Name": table["name"], "Sequence": whole})
    if longest > _LONGEST_BLOCK:
        raise OptionError(f"order: {longest:,} nt with what stands around; the maximum is {_LONGEST_BLOCK:,}")
    if longest > _ULTRAMER:
        if min(map(len, whole)) < _SHORTEST_BLOCK:
            raise OptionError(f"order: some are above {_ULTRAMER} nt, some below {_SHORTEST_BLOCK}: make two orders")
        return sheet
    return sheet.assign(Scale=["100nm" if len(seq) <= _OLIGO else "4nmU" for seq in whole], Purification="STD")


def _independent_mrl(
    seqs: list[str], independent: Predictor | PredictMrl | None, estimator: Estimator
) -> Floats | float:
    if independent is None or not seqs:
        return np.nan
    try:
        return mrls_of(independent, seqs, _known_assay(independent, estimator)).round(4)
    except StoppedError:
        return np.nan


def _known_assay(independent: Predictor | PredictMrl | None, estimator: Estimator) -> str | None:
    """Return the assay of independent predictions: the one of the search if the model knows it, else its own."""
    name = estimator.card.name if estimator.card else None
    if isinstance(independent, Predictor) and name not in [known.name for known in independent.card.assays]:
        return None
    return name


def _extension(count: int) -> str:
    return f"adds residues to the protein: {count} in-frame upstream ATG{'s' * (count > 1)}" if count else ""


def _notes(seqs: Sequence[str], estimator: Estimator) -> list[str]:
    card = estimator.card
    if card is None:
        return [""] * len(seqs)
    unusual = how_unusual(Batch.of(seqs), card)
    return ["; ".join(remark(card, len(seq), unusual.of(row))) for row, seq in enumerate(seqs)]
