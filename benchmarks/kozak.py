"""What the letters around an upstream ATG cost, measured: the numbers of `ribocast.sequence.kozak`.

    python benchmarks/kozak.py --data DIR [--write] [--json FILE]

Rows of the random library with exactly one upstream ATG in the whole construct, out of frame and without a stop before
the start codon, so that the only thing it can do is to take ribosomes away. Their measured MRLs are fitted by least
squares, each row by what its reads are worth: letters at −6 … −1, +4 and +5 of that ATG, what each pair of letters at
two of these positions adds, its frame, and how far it is from the start codon (every 4 nt). Letters alone are fitted
too, and both are judged on five folds of the rows. Weights are those of the cost, what the MRL is lowered by; of a
position, and of the letters of one position beside each letter of another, they sum to 0.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ribocast.learn.data.assays import reads_at_rank
from ribocast.learn.recipe import FRAMED_RECIPE
from ribocast.sequence.construct import EGFP
from ribocast.sequence.kozak import POSITIONS, WEIGHTS
from ribocast.sequence.uorf import find_uorfs

PAIRS = list(combinations(range(len(POSITIONS)), 2))
Floats = NDArray[np.float64]
# Pairs of letters that occur together in few rows are drawn towards 0.
RIDGE = 1.0


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with egfp_random50.csv.gz")
    parser.add_argument("--write", action="store_true", help="write the numbers where ribocast reads them")
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    options = parser.parse_args()
    table = fit(pd.read_csv(options.data / "egfp_random50.csv.gz"))
    print(f"{table['rows']:,} rows; r² in five folds: letters {table['r2_letters']:.3f}, and pairs {table['r2']:.3f}")
    print("    " + "".join(f"{position:>+7}" for position in POSITIONS))
    for letter, weights in table["letters"].items():
        print(f"  {letter} " + "".join(f"{weight:>7.2f}" for weight in weights))
    text = json.dumps({"letters": table["letters"], "pairs": table["pairs"]}) + "\n"
    if options.write:
        WEIGHTS.write_text(text)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")
    print(f"{WEIGHTS.name} has {'these numbers' if WEIGHTS.read_text() == text else 'OTHER NUMBERS'}")


def fit(rows: pd.DataFrame) -> dict[str, Any]:
    """Fit what each letter of the context costs, and each pair of letters, in ribosomes per mRNA."""
    found = [
        (uorfs[0], mrl, rank)
        for utr, mrl, rank in zip(rows["seq"], rows["mrl"], rows["rank_by_reads"], strict=True)
        if len(uorfs := find_uorfs(utr, EGFP)) == 1 and uorfs[0].kind == "overlapping uORF"
    ]
    mrls = np.array([mrl for _, mrl, _ in found])
    worth = 1 / (1 + FRAMED_RECIPE.noise_reads / reads_at_rank(np.array([rank for *_, rank in found], dtype=float)))
    contexts = np.array([list(uorf.context[:6] + uorf.context[9:]) for uorf, *_ in found])
    letters = np.stack([contexts == letter for letter in "ACGT"], axis=2).astype(float)  # (n, positions, 4)
    single = letters.reshape(len(letters), -1)
    pairs = [np.einsum("ni,nj->nij", letters[:, a], letters[:, b]).reshape(len(letters), -1) for a, b in PAIRS]
    where = np.array([[uorf.frame == 1, *(np.arange(16) == -uorf.position // 4)] for uorf, *_ in found], dtype=float)
    fold = np.random.default_rng(1).integers(5, size=len(mrls))
    terms = np.concatenate([single, *pairs, where], axis=1)
    solution = solve(terms, mrls, worth)
    alone, together = -solution[: single.shape[1]], -solution[single.shape[1] : -where.shape[1]]
    by_letter, by_pair = centre(alone.reshape(len(POSITIONS), 4), together.reshape(len(PAIRS), 4, 4))
    return {
        "rows": len(mrls),
        "r2_letters": judge(np.concatenate([single, where], axis=1), mrls, worth, fold),
        "r2": judge(terms, mrls, worth, fold),
        "letters": {letter: row.round(3).tolist() for letter, row in zip("ACGT", by_letter.T, strict=True)},
        "pairs": {
            f"{POSITIONS[a]:+} {POSITIONS[b]:+}": by_pair[number].round(3).tolist()
            for number, (a, b) in enumerate(PAIRS)
        },
    }


def solve(terms: Floats, mrls: Floats, worth: Floats) -> Floats:
    """Least squares, each row by its worth."""
    weighted = terms * worth[:, None]
    return np.linalg.solve(terms.T @ weighted + RIDGE * np.eye(terms.shape[1]), weighted.T @ mrls)


def judge(terms: Floats, mrls: Floats, worth: Floats, fold: NDArray[np.int64]) -> float:
    """Squared correlation of what each fold is predicted by the others."""
    predicted = np.zeros(len(mrls))
    for number in np.unique(fold):
        own = fold == number
        predicted[own] = terms[own] @ solve(terms[~own], mrls[~own], worth[~own])
    return float(np.corrcoef(predicted, mrls)[0, 1] ** 2)


def centre(alone: Floats, together: Floats) -> tuple[Floats, Floats]:
    """Let pairs say only what their letters do not say alone: every row and column of a pair sums to 0."""
    alone, together = alone.copy(), together.copy()
    for number, (a, b) in enumerate(PAIRS):
        rows, columns = together[number].mean(axis=1), together[number].mean(axis=0)
        alone[a] += rows
        alone[b] += columns
        together[number] += together[number].mean() - rows[:, None] - columns[None, :]
    return alone - alone.mean(axis=1, keepdims=True), together


if __name__ == "__main__":
    main()
