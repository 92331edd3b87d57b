"""Compare the design algorithms at equal numbers of model calls, with the opinion of a model that none of them saw.

    python benchmarks/design.py --judge MODEL --output design.json

For the highest load and a few targets, every algorithm designs as many 50-nt leaders without an upstream ATG from the
same number of predictions, with several seeds. The table shows what the model says (mean and best), what the judge
says, the gap between the two, broken rules, how far the designs are apart, and the time. The same is done once without
pessimism and naturalness, to show how far a search is fooled then.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np

import ribocast
from ribocast.designing import Brief, Forbid, propose
from ribocast.designing.algorithms import ALGORITHMS
from ribocast.designing.checking import find_violations
from ribocast.designing.distances import quick_edit_distance
from ribocast.errors import RibocastError
from ribocast.terminal import number, print_table


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--judge", help="a model that the search never sees; default-large if the package brings it")
    parser.add_argument("--calls", type=int, default=12_000)
    parser.add_argument("--designs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--targets", default="max,7,8", help="max is the highest load")
    parser.add_argument("--algorithms", default=",".join(ALGORITHMS))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, help="JSON")
    args = parser.parse_args()
    model = ribocast.load(args.model, threads=args.threads)
    judge = ribocast.load(args.judge, threads=args.threads) if args.judge else "shipped"
    rows = []
    for wanted, (pessimism, naturalness), algorithm in itertools.product(
        args.targets.split(","), ((1.0, 0.1), (0.0, 0.0)), args.algorithms.split(",")
    ):
        runs = []
        for seed in range(args.seeds):
            brief = Brief(
                None if wanted == "max" else float(wanted), n=args.designs, forbid="ATG", algorithm=algorithm,
                budget=args.calls, pessimism=pessimism, naturalness=naturalness, seed=seed,
            )  # fmt: skip
            began = time.perf_counter()
            try:
                found = propose(model, brief, judge=judge, threads=args.threads)
            except RibocastError as error:
                print(f"{algorithm}: {error}")
                break
            seqs = list(found.table["seq"])
            apart = [quick_edit_distance(*pair) for pair in itertools.combinations(seqs, 2)]
            runs.append({
                "mean": found.table["mrl"].mean(),
                "best": found.table["mrl"].max(),
                "off": (found.table["mrl"] - found.table["target"]).abs().mean(),
                "judge": found.table["judge_mrl"].mean(),
                "gap": (found.table["mrl"] - found.table["judge_mrl"]).mean(),
                "judge_off": (found.table["judge_mrl"] - found.table["target"]).abs().mean(),
                "violations": sum(map(len, find_violations(seqs, [Forbid("ATG")], found.construct))),
                "apart": np.mean(apart) if apart else np.nan,
                "calls": found.calls,
                "seconds": time.perf_counter() - began,
            })  # fmt: skip
        if runs:
            means = {key: float(np.mean([one[key] for one in runs])) for key in runs[0]}
            rows.append({"wanted": wanted, "careful": pessimism > 0, "algorithm": algorithm, **means})
            print_table(list(rows[-1]), [[_spell(value) for value in rows[-1].values()]])
    print_table(list(rows[0]), [[_spell(value) for value in row.values()] for row in rows])
    if args.output:
        clean = [{key: None if value != value else value for key, value in row.items()} for row in rows]
        args.output.write_text(
            json.dumps({"calls": args.calls, "designs": args.designs, "rows": clean}, indent=2) + "\n"
        )


def _spell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else number(value)
    return str(value)


if __name__ == "__main__":
    main()
