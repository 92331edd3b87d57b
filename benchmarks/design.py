"""Compare the design algorithms at equal numbers of model calls, with the prediction of a model that none of them saw.

    python benchmarks/design.py --independent MODEL --output design.json

For the highest MRL and a few targets, every algorithm designs as many 50-nt UTRs without an upstream ATG from the same
number of predictions, with several seeds. The table shows what the model says (mean and best), what the independent
model predicts, the gap between the two, broken rules, how far the designs are apart, and the time. The same is done
once without risk aversion and the out-of-distribution penalty, to show how far a search is fooled then. Where Ledidi is
installed, it edits a random UTR with as many predictions (it knows no rules, so the ATGs of its designs are counted,
not forbidden).
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

import ribocast
from ribocast.cli.terminal import number, print_table
from ribocast.design import DesignRequest, Forbid, Length, propose
from ribocast.design.algorithms import ALGORITHMS
from ribocast.design.codes import strings_of
from ribocast.design.distances import quick_edit_distance
from ribocast.design.feasibility import make_space
from ribocast.design.verify import find_violations
from ribocast.errors import RibocastError
from ribocast.model.members import share_out_networks
from ribocast.model.predictor import Predictor
from ribocast.sequence.construct import EGFP, Construct


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument(
        "--independent", help="a model that the search never sees; default-large if the package brings it"
    )
    parser.add_argument("--calls", type=int, default=12_000)
    parser.add_argument("--designs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--targets", default="max,7,8", help="max is the highest MRL")
    parser.add_argument("--algorithms", default=",".join(ALGORITHMS))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, help="JSON")
    args = parser.parse_args()
    model = ribocast.load(args.model, threads=args.threads)
    independent = ribocast.load(args.independent, threads=args.threads) if args.independent else "shipped"
    rows: list[dict[str, object]] = []
    for wanted, (risk_aversion, out_of_distribution_penalty), algorithm in itertools.product(
        args.targets.split(","), ((1.0, 0.1), (0.0, 0.0)), args.algorithms.split(",")
    ):
        runs = []
        for seed in range(args.seeds):
            request = DesignRequest(
                target=None if wanted == "max" else float(wanted), n=args.designs, forbid="ATG", algorithm=algorithm,
                budget=args.calls, risk_aversion=risk_aversion,
                out_of_distribution_penalty=out_of_distribution_penalty, seed=seed,
            )  # fmt: skip
            began = time.perf_counter()
            try:
                found = propose(model, request, independent=independent, threads=args.threads)
            except RibocastError as error:
                print(f"{algorithm}: {error}")
                break
            runs.append(describe(found.table, found.construct, found.calls, time.perf_counter() - began))
        note(rows, wanted, risk_aversion > 0, algorithm, runs)
    if importlib.util.find_spec("ledidi"):
        for wanted in args.targets.split(","):
            target = None if wanted == "max" else float(wanted)
            runs = [ledidi_run(model, target, args.designs, args.calls, seed) for seed in range(args.seeds)]
            note(rows, wanted, False, "Ledidi", runs)
    else:
        print("Ledidi is not installed (pip install ledidi): not compared with")
    print_table(list(rows[0]), [[_spell(value) for value in row.values()] for row in rows])
    if args.output:
        clean = [{key: None if value != value else value for key, value in row.items()} for row in rows]
        args.output.write_text(
            json.dumps({"calls": args.calls, "designs": args.designs, "rows": clean}, indent=2) + "\n"
        )


def describe(table: pd.DataFrame, construct: Construct, calls: int, seconds: float) -> dict[str, float]:
    """Say how good the designs of a run are."""
    seqs = list(table["seq"])
    apart = [quick_edit_distance(*pair) for pair in itertools.combinations(seqs, 2)]
    return {
        "mean": table["mrl"].mean(),
        "best": table["mrl"].max(),
        "off": (table["mrl"] - table["target"]).abs().mean(),
        "independent": table["independent_mrl"].mean(),
        "gap": (table["mrl"] - table["independent_mrl"]).mean(),
        "independent_off": (table["independent_mrl"] - table["target"]).abs().mean(),
        "violations": sum(map(len, find_violations(seqs, [Forbid("ATG")], construct))),
        "apart": float(np.mean(apart)) if apart else float("nan"),
        "calls": calls,
        "seconds": seconds,
    }


def ledidi_run(model: Predictor, target: float | None, count: int, calls: int, seed: int) -> dict[str, float]:
    """Design by Ledidi from a random UTR without an upstream ATG."""
    from ledidi_designs import ledidi_designs

    space = make_space([Length(50, 50), Forbid("ATG")], EGFP, 50, np.random.default_rng(seed))
    start = strings_of(space.begin(1, np.random.default_rng(seed)))[0]
    began = time.perf_counter()
    seqs = ledidi_designs(model, target, start, count, calls, seed)
    seconds = time.perf_counter() - began
    independent = share_out_networks(ribocast.load("default-large"), [model], None)[1]
    table = pd.DataFrame({"seq": seqs, "mrl": model.mrl(seqs), "target": float("nan") if target is None else target})
    table["independent_mrl"] = independent(seqs) if independent else float("nan")
    return describe(table, EGFP, calls, seconds)


def note(
    rows: list[dict[str, object]], wanted: str, careful: bool, algorithm: str, runs: list[dict[str, float]]
) -> None:
    """Keep and print the mean of some runs."""
    if runs:
        means = {key: float(np.mean([one[key] for one in runs])) for key in runs[0]}
        rows.append({"wanted": wanted, "careful": careful, "algorithm": algorithm, **means})
        print_table(list(rows[-1]), [[_spell(value) for value in rows[-1].values()]])


def _spell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else number(value)
    return str(value)


if __name__ == "__main__":
    main()
