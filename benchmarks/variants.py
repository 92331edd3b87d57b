"""Predicted against measured changes of variants, out of fold, by reads; and the interval around predicted changes.

    python benchmarks/variants.py default.parquet --data DIR [--json FILE]

`default.parquet` is what `train_shipped.py` leaves in its work folder: for every row the MRL predicted by networks
that were trained without its fold. Reference and variant share 24-mers and so a fold. A large change is one of at least
0.5 log2, up or down, and is found if it is predicted as large in the same direction. Optimus 5-Prime's published r² is
0.553, on its authors' pairs with at least 620 reads on the variant (Sample et al. 2019).

The coverage of the interval around predicted changes is that of intervals from the pairs of the other folds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ribocast.learn.evaluation.metrics import score
from ribocast.learn.evaluation.variant_changes import covered_unseen, detect, pair_unseen
from ribocast.sequence.uorf import consequence

ASSAY = "egfp_human50"
PUBLISHED = "Optimus 5-Prime (Sample et al. 2019), published: r² 0.553 at 620 reads or more"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_of_fold", type=Path, help="predictions of train_shipped.py")
    parser.add_argument("--data", type=Path, required=True, help="folder with egfp_human50_snv_pairs.csv.gz")
    parser.add_argument("--json", type=Path, help="write the tables here too")
    options = parser.parse_args()
    pairs = pd.read_csv(options.data / f"{ASSAY}_snv_pairs.csv.gz")
    pairs = pair_unseen(pairs, pd.read_parquet(options.out_of_fold), ASSAY)
    report = {"accuracy": print_accuracy(pairs), "interval": print_interval(pairs)}
    if options.json:
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def changes(pairs: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return measured and predicted log2 fold changes."""
    return pairs["log2_fold_change"].to_numpy(), pairs["predicted"].to_numpy()


def print_accuracy(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Score subsets of the pairs by the reads on the variant, and those whose upstream starts change."""
    reads = pairs["alt_reads"]
    words = pd.Series([consequence(*pair) for pair in zip(pairs["ref_seq"], pairs["alt_seq"], strict=True)])
    subsets = {
        "all": reads > 0,
        "under 620 reads": reads < 620,
        "620 reads or more": reads >= 620,
        "620 to 1,500 reads": (reads >= 620) & (reads < 1500),
        "1,500 to 3,000 reads": (reads >= 1500) & (reads < 3000),
        "3,000 reads or more": reads >= 3000,
        "uATG gained": words.str.contains("uATG gained"),
        "uATG lost": words.str.contains("uATG lost"),
        "uORF's stop gained or lost": words.str.contains("stop gained|stop lost"),
        "none of these": ~words.str.contains("uATG gained|uATG lost|stop gained|stop lost"),
    }
    print(f"{'SNV pairs':<28}{'n':>6}{'r²':>7}   95 % interval  Spearman   MAE   |log2| ≥ 0.5: precision     recall")
    table = []
    for name, mask in subsets.items():
        measured, predicted = changes(pairs[mask.to_numpy()])
        scores, found = score(measured, predicted), detect(measured, predicted)
        low, high = scores.ci95["pearson_r2"]
        precision = f"{found.both}/{found.predicted} {share(found.precision)}"
        recall = f"{found.both}/{found.measured} {share(found.recall)}"
        print(
            f"{name:<28}{scores.n:>6,}{scores.pearson_r2:>7.3f}   {low:.3f} to {high:.3f}{scores.spearman_r:>10.3f}"
            f"{scores.mae:>6.2f}{precision:>24}{recall:>11}"
        )
        table.append({"subset": name, **scores.as_dict(), "measured_large": found.measured,
                      "predicted_large": found.predicted, "both_large": found.both,
                      "precision": found.precision, "recall": found.recall})  # fmt: skip
    print(PUBLISHED)
    return table


def print_interval(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Say how often measured changes of one fold lie in the interval that the other folds give."""
    measured, predicted = changes(pairs)
    inside, width = covered_unseen(measured, predicted, pairs["fold"].to_numpy())
    size = np.abs(predicted)
    print(f"\n{'predicted change, log2':<28}{'n':>6}   inside the 90 % interval   its mean width")
    table = []
    for low, high in ((0, np.inf), (0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, np.inf)):
        mine = (size >= low) & (size < high)
        name = "all" if high - low == np.inf and not low else f"{low:g} to {high:g}"
        print(f"{name:<28}{mine.sum():>6,}{inside[mine].mean():>27.3f}{width[mine].mean():>17.2f}")
        table.append({"predicted": name, "n": int(mine.sum()), "coverage": float(inside[mine].mean()),
                      "width": float(width[mine].mean())})  # fmt: skip
    return table


def share(value: float | None) -> str:
    """Spell a share."""
    return "" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
