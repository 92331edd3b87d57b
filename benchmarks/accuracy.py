"""Compare the shipped models with published architectures trained on the same rows, evaluated on the same unseen folds.

    python benchmarks/accuracy.py --data DIR [--work DIR] [--json FILE]

The folds are those of `train_shipped.py` (whole groups of sequences that share a 24-mer, and nobody learns the
published test half of the random library); the shipped models' own out-of-fold figures stand in their ``model.json``,
where it wrote them. Every other architecture is trained by its own recipe, seed 1 (or the next, where a network dies in
training and gives every row the same MRL: `optimus` does so with some seeds), on what the shipped models' networks of
each fold were trained on, and predicts the fold. Its best epoch is picked on a tenth of the groups; training ends after
five epochs without a better one. Those that learn one library at a time are trained once for each, of the random
library once in all, since its training half is theirs whatever the fold; libraries of 25 to 100 nt are read whole
(``length=100``). Every r² has a 95 % interval from a thousand draws of whole groups. One process of one thread trains a
network, as many at a time as there are cores; a second run continues.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import ribocast
from ribocast.errors import RibocastError
from ribocast.learn import fit
from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.evaluation.metrics import Floats
from ribocast.learn.evaluation.variant_changes import pair_unseen
from ribocast.learn.train.setup import own_recipe
from ribocast.model.bundle import PRETRAINED, Evaluation, open_bundle
from train_shipped import (
    HUMAN,
    JUDGED,
    RANDOM,
    SHIPPED,
    VARYING,
    evaluate_subsets,
    evaluate_variants,
    published_test,
    read_rows,
    trained_on,
)

# The longest to train comes first, so that no core waits at the end.
BASELINES = ("framepool", "optimus", "attention-3conv", "attention-2conv")
# They learn all libraries at once.
TOGETHER = ("framepool",)
SEEDS, PATIENCE = (1, 2, 3), 5


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.csv.gz of every library")
    parser.add_argument("--work", type=Path, default=Path("accuracy-run"), help="networks, and what they predicted")
    parser.add_argument("--json", type=Path, help="write the table here too")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="networks trained at a time")
    options = parser.parse_args()
    rows, fold = read_rows(options.data)
    predicted = train_baselines(rows, fold, options.work, options.workers)
    judged = fold < JUDGED
    rows, fold = rows[judged].reset_index(drop=True), fold[judged]
    pairs = pd.read_csv(options.data / f"{HUMAN}_snv_pairs.csv.gz")
    figures = {name: open_bundle(PRETRAINED / name).card.evaluations for name in SHIPPED}
    for name, found in predicted.items():
        mrls = found[judged]
        unseen_pairs = pair_unseen(pairs, rows.assign(fold=fold, predicted=mrls), HUMAN)
        figures[name] = (*evaluate_subsets(rows, mrls), evaluate_variants(unseen_pairs, rows))
    for number, entry in enumerate(figures["default"]):
        if all(number < len(found) and found[number].subset == entry.subset for found in figures.values()):
            print_part({name: found[number] for name, found in figures.items()})
    if options.json:
        report = {name: [entry.model_dump() for entry in found] for name, found in figures.items()}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def print_part(found: dict[str, Evaluation]) -> None:
    """Print the figures of every model on the same rows."""
    first = next(iter(found.values()))
    print(f"\n{first.assay}, {first.subset}: {first.rows:,} rows")
    print(f"{'':<18}{'r²':>7}   {'95 % interval':<18}{'Spearman':>8}{'MAE':>8}")
    for name, entry in found.items():
        low, high = entry.pearson_r2_ci95 or (np.nan, np.nan)
        interval = f"{low:.3f} to {high:.3f}"
        print(f"{name:<18}{entry.pearson_r2:>7.3f}   {interval:<18}{entry.spearman_r:>8.3f}{entry.mae:>8.3f}")


def train_baselines(rows: pd.DataFrame, fold: NDArray[np.int64], work: Path, workers: int) -> dict[str, Floats]:
    """Train every baseline without each fold, and predict the fold."""
    # Read by the new processes when they load PyTorch.
    os.environ["OMP_NUM_THREADS"] = "1"
    predicted = {name: np.full(len(rows), np.nan) for name in BASELINES}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        tasks = []
        for name in BASELINES:
            for library in ["all"] if name in TOGETHER else ASSAYS:
                mine = np.ones(len(rows), bool) if library == "all" else (rows["assay"] == library).to_numpy()
                # Its training half shares nothing with its test half, and only eGFP values of this library are learnt.
                unseen_by = {"all": published_test(rows)} if library == RANDOM else {
                    f"fold-{number}": mine & (fold == number) for number in range(JUDGED)
                }  # fmt: skip
                for number, (part, unseen) in enumerate(unseen_by.items()):
                    train_rows = (
                        rows[mine & ~published_test(rows)]
                        if library == RANDOM
                        else trained_on(rows[mine], fold[mine], number)
                    )
                    folder = work / name / library / part
                    task = pool.submit(train_and_predict, name, train_rows, rows[unseen], folder)
                    tasks.append((name, rows.index[unseen], task))
        for name, index, task in tasks:
            predicted[name][index] = task.result()
    return predicted


def train_and_predict(name: str, train_rows: pd.DataFrame, unseen: pd.DataFrame, folder: Path) -> Floats:
    """Train one network, or read what it predicted before; MRLs of the unseen rows.

    One that died in training, and gives every row the same MRL, is trained again with the next seed.
    """
    done = folder / "unseen.npy"
    if done.is_file():
        return np.load(done)  # type: ignore[no-any-return]
    label = "/".join(folder.parts[-3:])
    names = list(dict.fromkeys(train_rows["assay"]))
    for seed in SEEDS:
        work = folder / f"seed-{seed}"
        fit(
            train_rows.reset_index(drop=True), work, assays={assay: ASSAYS[assay] for assay in names}, model=name,
            settings={"length": 100} if names == [VARYING] else {}, held_out=0.1, split_kind="grouped", seed=seed,
            recipe=own_recipe(name).with_changes(patience=PATIENCE), resume=True,
            say=lambda line: print(f"{label}: {line}", file=sys.stderr, flush=True),
        )  # fmt: skip
        model = ribocast.load(work, threads=1)
        mrls = np.zeros(len(unseen))
        for assay in names:
            mine = (unseen["assay"] == assay).to_numpy()
            mrls[mine] = model.mrl(unseen.loc[mine, "seq"].tolist(), assay=assay)
        if all(np.ptp(mrls[(unseen["assay"] == assay).to_numpy()]) > 0 for assay in names):
            np.save(done, mrls)
            return mrls
    raise RibocastError(f"{label}: died in training with every seed of {SEEDS}")


if __name__ == "__main__":
    main()
