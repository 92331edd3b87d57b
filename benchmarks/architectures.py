"""Train every architecture on the same rows and score it on the same unseen ones.

    python benchmarks/architectures.py --data DIR [--json FILE]

The library is egfp_random50. A fifth of its rows (random, seed 42) is unseen; a tenth of the rest picks each
network's best epoch. Every architecture is trained by its own recipe and seed 42.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import ribocast
from ribocast.learn import evaluate, fit
from ribocast.learn.data.assays import ASSAYS, load_measurements
from ribocast.learn.data.splits import random_split
from ribocast.learn.networks import ARCHITECTURES

ASSAY = "egfp_random50"
EXPECTED = {"attention-2conv": 0.63, "attention-3conv": 0.69, "optimus": 0.87, "framed": 0.91}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help=f"folder with {ASSAY}.csv.gz")
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    rows = load_measurements(options.data, [ASSAY])
    parts = random_split(len(rows), 0.2, seed=42)
    train_rows, unseen = rows.iloc[parts.train].reset_index(drop=True), rows.iloc[parts.held_out].reset_index(drop=True)
    print(f"{ASSAY}: {len(train_rows):,} rows to train on and choose the epoch, {len(unseen):,} unseen")
    columns = f"{'architecture':<18}{'parameters':>11}{'epoch':>7}{'r²':>8}  {'95 % interval':<16}"
    print(columns + f"{'MAE':>6}{'minutes':>9}{'expected':>10}")
    results = []
    for name in EXPECTED:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            card = fit(train_rows, folder, assays={ASSAY: ASSAYS[ASSAY]}, model=name, held_out=0.1, seed=42).bundle.card
            minutes = (time.perf_counter() - began) / 60
            scores = evaluate(ribocast.load(folder), unseen)
            parameters = ARCHITECTURES[name].build(card.assays, **card.settings).count_parameters()
        low, high = scores.ci95["pearson_r2"]
        print(
            f"{name:<18}{parameters:>11,}{card.epoch:>7}{scores.pearson_r2:>8.3f}  {low:.3f} to {high:.3f}  "
            f"{scores.mae:>6.3f}{minutes:>9.1f}{EXPECTED[name]:>10.2f}",
            flush=True,
        )
        results.append({"architecture": name, "parameters": parameters, "best_epoch": card.epoch, "minutes": minutes,
                        **asdict(scores)})  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"assay": ASSAY, "split": parts.how, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
