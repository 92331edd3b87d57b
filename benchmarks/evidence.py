"""How far predictions go beyond the libraries they were learnt from: measurements by others, never tuned on.

    python benchmarks/evidence.py --evidence DIR --data DIR [--model MODEL] [--json FILE] [--pictures DIR]

Three tables of `--evidence`: genome editing by a nuclease's mRNA behind 48 5′ UTRs in two cell lines
(``genome_editing_pdcd1.csv.gz``), translation efficiency of 3,407 human genes with their whole 5′ UTR
(``endogenous_te.csv.gz``; CenikLab/TE_classic_ML), and initiation at every context of an AUG
(``start_site_efficiency.csv.gz``; Noderer et al., Molecular Systems Biology 10, 748 (2014)). What the model makes of a
context is what an upstream ATG in it takes from the MRL, out of frame and without a stop, on average over random UTRs
that have no other. ``egfp_human50.csv.gz`` of `--data` says how far measured MRLs themselves go with the genes'.
Every rank correlation has a 95 % interval from a thousand draws of rows.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import ribocast
from ribocast.model.bundle import DEFAULT_MODEL
from ribocast.model.predictor import Predictor
from ribocast.sequence.construct import EGFP
from ribocast.sequence.kozak import kozak_score
from ribocast.sequence.uorf import find_uorfs

CELL_LINES = ("HEK293T", "A549", "HCT116", "MCF7", "Huh-7.5")
BACKGROUNDS, DRAWS = 8, 1000


@dataclass(frozen=True)
class Finding:
    """One correlation: of what, with what, on how many rows."""

    measured: str
    by: str
    rows: int
    pearson: float
    spearman: float
    spearman_low: float
    spearman_high: float


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evidence", type=Path, required=True, help="folder with the tables of others")
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.csv.gz of every library")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="default: %(default)s")
    parser.add_argument("--json", type=Path, help="write the table here too")
    parser.add_argument("--pictures", type=Path, help="write evidence.png into this folder")
    options = parser.parse_args()
    model = ribocast.load(options.model)
    editing = read_editing(options.evidence, options.data, model)
    genes = read_genes(options.evidence, options.data, model)
    starts = read_starts(options.evidence, model)
    findings = [*judge_editing(editing), *judge_genes(genes), *judge_starts(starts)]
    print(f"{'measured':<46}{'by':<36}{'rows':>7}{'Pearson':>9}{'Spearman':>10}   95 % interval")
    for one in findings:
        print(
            f"{one.measured:<46}{one.by:<36}{one.rows:>7,}{one.pearson:>9.3f}{one.spearman:>10.3f}"
            f"   {one.spearman_low:.3f} to {one.spearman_high:.3f}"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in findings], indent=2) + "\n")
    if options.pictures:
        draw(editing, genes, starts, options.pictures / "evidence.png")


def correlate(measured: str, by: str, x: pd.Series, y: pd.Series) -> Finding:
    """Correlate two columns where both are known."""
    known = (x.notna() & y.notna()).to_numpy()
    pairs = pd.DataFrame({"x": x[known].to_numpy(), "y": y[known].to_numpy()})
    ranks = pairs.rank().to_numpy()
    random = np.random.default_rng(1)
    drawn: list[float] = []
    for _ in range(DRAWS):
        rows = random.integers(len(pairs), size=len(pairs))
        drawn.append(float(np.corrcoef(ranks[rows].T)[0, 1]))
    low, high = np.nanquantile(drawn, (0.025, 0.975)).round(4).tolist()
    pearson = round(float(np.corrcoef(pairs.to_numpy().T)[0, 1]), 4)
    return Finding(measured, by, len(pairs), pearson, round(float(np.corrcoef(ranks.T)[0, 1]), 4), low, high)


def read_editing(folder: Path, data: Path, model: Predictor) -> pd.DataFrame:
    """Read the editing table, with the MRL `predicted` (9 to 105 nt), and whether the random library has it."""
    rows = pd.read_csv(folder / "genome_editing_pdcd1.csv.gz")
    rows["predicted"] = model.mrl(rows["seq"].tolist(), assay="egfp_varying25to100")
    library = pd.read_csv(data / "egfp_random50.csv.gz", usecols=["seq"])["seq"]
    return rows.assign(in_library=rows["seq"].isin(set(library)))


def judge_editing(rows: pd.DataFrame) -> list[Finding]:
    """Correlate editing in each cell line with predictions, the authors' predictions and measured MRLs."""
    findings = []
    for line, own in rows.groupby("cell_line"):
        parts = {"all": own, "not in the random library": own[~own["in_library"]]}
        parts["behind the library's adapter"] = own[own["in_library_construct"]]
        for name, part in parts.items():
            for column, by in (("predicted", "ribocast"), ("peer_mrl", "the authors' network")):
                findings.append(
                    correlate(f"editing, {line}, {name}", by, part["editing"], part[column])
                )  # fmt: skip
        measured = own[own["measured_mrl"].notna()]
        for column, by in (
            ("measured_mrl", "measured MRL"),
            ("predicted", "ribocast"),
            ("peer_mrl", "the authors' network"),
        ):
            findings.append(
                correlate(f"editing, {line}, MRL measured", by, measured["editing"], measured[column])
            )  # fmt: skip
    return findings


def read_genes(folder: Path, data: Path, model: Predictor) -> pd.DataFrame:
    """Read the genes, with the MRL `predicted` for the whole UTR and `measured` for its last 50 nt, where it was."""
    rows = pd.read_csv(folder / "endogenous_te.csv.gz")
    rows["predicted"] = model.mrl(rows["utr"].tolist(), assay="egfp_varying25to100")
    rows["uatgs"] = [len(find_uorfs(utr, EGFP)) for utr in rows["utr"]]
    human = pd.read_csv(data / "egfp_human50.csv.gz").drop_duplicates("seq").set_index("seq")["mrl"]
    rows["measured"] = human.reindex(rows["utr"].str[-50:]).to_numpy()
    return rows


def judge_genes(rows: pd.DataFrame) -> list[Finding]:
    """Correlate translation efficiencies with predictions, and what other numbers reach on the same genes."""
    findings = []
    for line in (*CELL_LINES, "mean"):
        column = f"te_{line}"
        findings.append(correlate(f"efficiency, {line}", "ribocast", rows[column], rows["predicted"]))
    te = rows["te_mean"]
    short = rows["utr_len"] <= 50
    some = rows["measured"].notna()
    findings += [
        correlate("efficiency, mean", "number of upstream ATGs, negative", te, -rows["uatgs"]),
        correlate("efficiency, mean", "length of the UTR, negative", te, -rows["utr_len"]),
        correlate("efficiency, mean", "authors' model of the whole mRNA", te, rows["peer_mean"]),
        correlate("efficiency, mean, UTR to 50 nt", "ribocast", te[short], rows["predicted"][short]),
        correlate("efficiency, mean, UTR over 50 nt", "ribocast", te[~short], rows["predicted"][~short]),
        correlate("efficiency, mean, last 50 nt measured", "measured MRL", te[some], rows["measured"][some]),
        correlate("efficiency, mean, last 50 nt measured", "ribocast", te[some], rows["predicted"][some]),
    ]
    return findings


def read_starts(folder: Path, model: Predictor) -> pd.DataFrame:
    """Read the contexts, with what an upstream ATG in each `takes` from the predicted MRL, and its Kozak score."""
    rows = pd.read_csv(folder / "start_site_efficiency.csv.gz")
    rows["context"] = rows["context"].str.replace("U", "T")
    rows = rows[rows["context"].str.len() == 11].reset_index(drop=True)
    rows["score"] = [kozak_score(context) for context in rows["context"]]
    rows["strong"] = rows["context"].str[3].isin(["A", "G"]).astype(int) + (rows["context"].str[9] == "G")
    takes = np.zeros(len(rows))
    for head, tail in backgrounds():
        plain = model.mrl([head + "C" * 11 + tail], assay="egfp_random50")[0]
        takes += plain - model.mrl([head + context + tail for context in rows["context"]], assay="egfp_random50")
    return rows.assign(takes=takes / BACKGROUNDS)


def backgrounds() -> list[tuple[str, str]]:
    """Draw what stands before and after a context in UTRs of 50 nt: no ATG, and no stop in the frame it opens."""
    random = np.random.default_rng(1)
    found: list[tuple[str, str]] = []
    while len(found) < BACKGROUNDS:
        letters = "".join(random.choice(list("ACGT"), 39))
        head, tail = letters[:19], letters[19:]  # out of frame
        # Any of the contexts can make another ATG with its neighbours; these few are part of the average.
        uorfs = find_uorfs(head + "CCCCCCATGCC" + tail, EGFP)
        if len(uorfs) == 1 and uorfs[0].kind == "overlapping uORF":
            found.append((head, tail))
    return found


def judge_starts(rows: pd.DataFrame) -> list[Finding]:
    """Correlate initiation at each context with the model's effect and with the scores that `uorf` gives."""
    named = {"takes": "ribocast: what it takes", "score": "Kozak score (numbers)", "strong": "Kozak strength (words)"}
    return [correlate("initiation at an AUG", name, rows["efficiency"], rows[column]) for column, name in named.items()]


def draw(editing: pd.DataFrame, genes: pd.DataFrame, starts: pd.DataFrame, picture: Path) -> None:
    """Draw the three tables side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for line, own in editing.groupby("cell_line"):
        panels[0].scatter(own["predicted"], own["editing"], s=14, label=str(line))
    panels[0].legend(frameon=False)
    panels[0].set_ylabel("editing (normalised share of indels)")
    panels[0].set_title("Genome editing by 48 5′ UTRs", fontsize=10)
    hexbin(panels[1], genes["predicted"], genes["te_mean"])
    panels[1].set_ylabel("translation efficiency (mean of cell lines, z)")
    panels[1].set_title("3,407 human genes", fontsize=10)
    hexbin(panels[2], starts["takes"], starts["efficiency"])
    panels[2].set_ylabel("initiation (Noderer et al. 2014)")
    panels[2].set_title("65,536 contexts of an AUG", fontsize=10)
    for panel in panels[:2]:
        panel.set_xlabel("predicted MRL (ribosomes per mRNA)")
    panels[2].set_xlabel("what an upstream ATG in it takes (predicted MRL)")
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=110)


def hexbin(panel: object, x: NDArray[np.float64] | pd.Series, y: NDArray[np.float64] | pd.Series) -> None:
    """Draw how many rows lie where."""
    panel.hexbin(x, y, gridsize=50, bins="log", cmap="viridis", lw=0)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
