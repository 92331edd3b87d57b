"""How much more is missed beyond the lengths that the model was trained on.

    python benchmarks/extrapolation.py --data DIR [--work DIR] [--json FILE]

A network is trained without a fifth of the sequences and without the UTRs of the varying-length library that are longer
than 70 nt, and evaluated on those of that fifth, by length: the residual that one row in ten exceeds, and how many
times that of 61 to 70 nt it is. `ribocast.learn.evaluation.intervals.BEYOND_LENGTHS` comes from here.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import ribocast
from ribocast.learn import fit
from ribocast.learn.data.assays import ASSAYS, load_measurements
from ribocast.learn.data.splits import grouped_k_fold, shared_kmer_groups

LONGEST, ASSAY = 70, "egfp_varying25to100"
PARTS = ((25, 34), (35, 45), (46, 60), (61, 70), (71, 80), (81, 90), (91, 95), (96, 100))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.csv.gz of every library")
    parser.add_argument("--work", type=Path, default=Path("extrapolation-run"), help="checkpoint and model")
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    rows = load_measurements(options.data)
    unseen = grouped_k_fold(shared_kmer_groups(rows["seq"].tolist()), 5, seed=1) == 0
    length = rows["seq"].str.len()
    own = rows["assay"] == ASSAY
    train_rows = rows[~unseen & ~(own & (length > LONGEST))].reset_index(drop=True)
    trained = fit(train_rows, options.work, assays=ASSAYS, held_out=0.0, seed=1, resume=True,
                  say=lambda line: print(line, file=sys.stderr, flush=True))  # fmt: skip
    held_out = rows[unseen & own]
    missed = np.abs(held_out["mrl"] - ribocast.load(trained.bundle.folder).mrl(held_out["seq"].tolist(), assay=ASSAY))
    table = []
    for low, high in PARTS:
        part = missed[held_out["seq"].str.len().between(low, high)]
        table.append({"shortest": low, "longest": high, "rows": len(part), "q90": float(part.quantile(0.9))})
    edge = next(part["q90"] for part in table if part["longest"] == LONGEST)
    print(f"{'nt':>10}{'rows':>7}{'90 %':>8}{'times':>8}")
    for part in table:
        part["times"] = part["q90"] / edge
        print(f"{part['shortest']:>6}-{part['longest']:<3}{part['rows']:>7}{part['q90']:>8.3f}{part['times']:>8.2f}")
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
