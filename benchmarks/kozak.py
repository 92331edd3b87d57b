"""What the letters around an upstream ATG cost, measured: the numbers of `ribocast.sequence.uorf.KOZAK_WEIGHTS`.

    python benchmarks/kozak.py --data DIR [--json FILE]

Rows of random libraries with exactly one upstream ATG in the whole construct, out of frame and without a stop before
the start codon, so that the only thing it can do is to take ribosomes away. Their measured MRLs are fitted by least
squares: letters at −6 … −1, +4 and +5 of that ATG, its frame, and whether it is within 15 nt of the start codon. Each
position's weights sum to 0, and are those of the cost: what the MRL is lowered by. Other libraries show how far they
hold elsewhere.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ribocast.explain.global_effects import fit_context
from ribocast.sequence.construct import EGFP
from ribocast.sequence.uorf import KOZAK_POSITIONS, KOZAK_WEIGHTS, find_uorfs

LIBRARIES = ("egfp_random50", "egfp_random50_m1psi", "egfp_varying25to100")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.csv.gz of every library")
    parser.add_argument("--json", type=Path, help="write the tables here too")
    options = parser.parse_args()
    tables = []
    for name in LIBRARIES:
        table = fit(pd.read_csv(options.data / f"{name}.csv.gz"))
        tables.append({"library": name, **table})
        print(
            f"\n{name}: {table['rows']:,} rows, r² {table['pearson_r2']:.3f}; the mean of the rows {table['mean']:.2f}"
        )
        print("    " + "".join(f"{position:>+7}" for position in KOZAK_POSITIONS))
        for letter, weights in table["weights"].items():
            print(f"  {letter} " + "".join(f"{weight:>7.2f}" for weight in weights))
    same = all(tuple(tables[0]["weights"][letter]) == KOZAK_WEIGHTS.get(letter) for letter in "ACGT")
    print(f"\nribocast.uorf has {'these numbers' if same else 'OTHER NUMBERS'} for {LIBRARIES[0]}")
    if options.json:
        options.json.write_text(json.dumps(tables, indent=2, ensure_ascii=False) + "\n")


def fit(rows: pd.DataFrame) -> dict[str, Any]:
    """Fit what each letter of the context costs, in ribosomes per mRNA."""
    rows = rows[rows["origin"] == "random"]
    if (rows["published_split"] == "test").any():
        # The rest of that half was picked because it excites filters of networks.
        rows = rows[rows["published_split"] == "test"]
    found = [(uorfs[0], mrl) for utr, mrl in zip(rows["seq"], rows["mrl"], strict=True)
             if len(uorfs := find_uorfs(utr, EGFP)) == 1 and uorfs[0].kind == "overlapping uORF"]  # fmt: skip
    mrls = [mrl for _, mrl in found]
    weights, r2 = fit_context([uorf for uorf, _ in found], mrls)
    return {
        "rows": len(mrls),
        "mean": float(np.mean(mrls)),
        "pearson_r2": r2,
        "weights": {
            letter: [round(float(weight), 2) for weight in row] for letter, row in zip("ACGT", weights, strict=True)
        },
    }


if __name__ == "__main__":
    main()
