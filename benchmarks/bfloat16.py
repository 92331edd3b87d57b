"""How far bfloat16 moves MRLs, by the length of the sequence.

    python benchmarks/bfloat16.py [--model default] [--json FILE]

Random sequences, predicted in float32 and in bfloat16 for every assay that the model knows; the largest difference of
each length. It needs a processor with bfloat16.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import ribocast

SEQUENCES = {25: 2_000, 50: 4_000, 100: 2_000, 300: 600, 723: 300, 1_000: 200, 3_000: 60}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    exact, rounded = (ribocast.load(options.model, engine=engine) for engine in ("openvino", "openvino-bf16"))
    random, found = np.random.default_rng(0), {}
    print(f"{options.model}: largest difference of MRL, ribosomes per mRNA")
    print(f"{'nt':>8}{'sequences':>12}{'difference':>12}")
    for length, count in SEQUENCES.items():
        utrs = ["".join(random.choice(list("ACGT"), length)) for _ in range(count)]
        moved = [
            np.abs(exact.mrl(utrs, assay=one.name) - rounded.mrl(utrs, assay=one.name)) for one in exact.card.assays
        ]
        found[length] = float(np.max(moved))
        print(f"{length:>8,}{count:>12,}{found[length]:>12.3f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
