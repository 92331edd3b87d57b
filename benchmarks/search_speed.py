"""Time the same small search four ways: as a notebook would, and ours with folds in turn or at the same time.

    python benchmarks/search_speed.py [--rows 2000] [--folds 4] [--epochs 2] [--work DIR] [--json FILE]

Simulated rows, Optimus 5-Prime with 60 and 120 filters, random folds, no pruning. The notebook: its loop as written, a
fold after the other in one process of all cores, each scored on its unseen rows. Ours: the time of `search` without the
refit, from its start, processes and all, to the last fold. From the seconds of a fold it says how long a 10-fold
grid over 2 × 2 × 2 settings on 16,000 rows would take here, if time grows with rows × epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from notebook import Notebook, Optimus
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import architecture
from ribocast.learn.recipe import OPTIMUS_RECIPE
from ribocast.learn.tune.search import Found, search

GRID = {"filters": [60, 120]}
NOTEBOOK, BATCH = "the notebook's loop", OPTIMUS_RECIPE.batch_size
TARGET_ROWS, TARGET_FOLDS, TARGET_TRIALS = 16_000, 10, 8


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--work", type=Path, help="where the searches go; else a temporary folder")
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ways = {f"1 process of {cores} threads": (1, cores), "1 process of 1 thread": (1, 1),
            f"{cores} processes of 1 thread": (cores, 1)}  # fmt: skip
    work = options.work or Path(tempfile.mkdtemp())
    results: dict[str, dict[str, float]] = {NOTEBOOK: {"seconds": notebook(options)}}
    results |= {name: measure(options, work / str(index), *way) for index, (name, way) in enumerate(ways.items())}
    if options.work is None:
        shutil.rmtree(work)
    one_by_one = results[NOTEBOOK]["seconds"]
    print(f"{len(GRID['filters'])} trials, {options.folds} folds, {options.rows:,} rows, {options.epochs} epochs")
    print(f"{'':<26}{'seconds':>9}{'times as fast':>15}{'16,000 rows, 8 × 10 folds, an epoch':>38}")
    for name, result in results.items():
        result["times_as_fast"] = one_by_one / result["seconds"]
        estimate = f"{result['estimate']:>30.0f} seconds" if "estimate" in result else ""
        print(f"{name:<26}{result['seconds']:>9.1f}{result['times_as_fast']:>15.2f}{estimate}")
    if options.json:
        facts = {"rows": options.rows, "folds": options.folds, "epochs": options.epochs, "cores": cores}
        options.json.write_text(json.dumps({**facts, "ways": results}, indent=2) + "\n")


def notebook(options: argparse.Namespace) -> float:
    """Train each setting on all folds but one, in turn, as a notebook would; return the seconds."""
    rows = simulate(options.rows, seed=1)
    mrls = ((rows["mrl"] - rows["mrl"].mean()) / rows["mrl"].std()).to_numpy(np.float32, copy=True)
    utrs = rows["seq"].to_numpy()
    fold = np.random.default_rng(1).permutation(len(rows)) % options.folds
    began = time.perf_counter()
    for filters in GRID["filters"]:
        for number in range(options.folds):
            trained, unseen = fold != number, fold == number
            book = Notebook(Optimus(filters), utrs[trained].tolist(), mrls[trained], batch_size=BATCH)
            for _ in range(options.epochs):
                book.epoch()
                book.loss(utrs[unseen].tolist(), mrls[unseen])
    return time.perf_counter() - began


def measure(options: argparse.Namespace, folder: Path, workers: int, threads: int) -> dict[str, float]:
    """Search once; return the seconds, and those that a search of the target's size would take an epoch."""
    began, ended = time.perf_counter(), [0.0]

    def watch(done: int, total: int | None, _: str) -> None:
        if done == total:
            ended[0] = time.perf_counter()

    found: Found = search(
        simulate(options.rows, seed=1)[["seq", "mrl"]], folder, grid=GRID, assay="simulated", folds=options.folds,
        recipe=architecture("optimus").recipe.with_changes(epochs=options.epochs), split_kind="random", prune=False,
        workers=workers, threads=threads, watch=watch,
    )  # fmt: skip
    # Each fold trains on all rows but its own.
    trained = options.rows * (1 - 1 / options.folds) * options.epochs * options.folds * len(found.verdicts)
    target = TARGET_ROWS * (1 - 1 / TARGET_FOLDS) * TARGET_FOLDS * TARGET_TRIALS
    inside = sum(sum(verdict.trial.seconds.values()) for verdict in found.verdicts) / workers
    return {"seconds": ended[0] - began, "estimate": inside / trained * target}


if __name__ == "__main__":
    main()
