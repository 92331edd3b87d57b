"""Compare the shipped models with published architectures trained on the same rows, judged on the same unseen folds.

    python benchmarks/accuracy.py --data DIR [--work DIR] [--json FILE]

The folds are those of `train_shipped.py` (five, whole groups of sequences that share a 24-mer), and so are the figures
of the shipped models: run it first, with the same ``--work``, where it leaves its out-of-fold predictions. Every other
architecture is trained by its own recipe, seed 1, without each fold in turn, and predicts the fold. Its best epoch is
picked on a tenth of the groups of the others; training ends after five epochs without a better one. Those that learn
one library at a time are trained once for each; libraries of 25 to 100 nt are read whole (``length=100``). Every
difference to `default` has a 95 % interval, from a thousand draws of the same rows for both. One process of one thread
trains a network, as many at a time as there are cores; a second run continues.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import ribocast
from ribocast.learn import fit
from ribocast.learn.assays import ASSAYS, load_measurements
from ribocast.learn.beginning import own_recipe
from ribocast.learn.changes import pair_unseen
from ribocast.learn.scoring import Floats
from ribocast.learn.splits import grouped_k_fold, shared_kmer_groups
from train_shipped import FOLD_SEED, FOLDS, HUMAN, WELL_MEASURED_READS

BASELINES = ("attention-2conv", "attention-3conv", "optimus", "framepool")
# They learn all libraries at once.
TOGETHER = ("framepool",)
SHIPPED, SEED, DRAWS, PATIENCE = ("default", "default-large"), 1, 1_000, 5
VARYING = "egfp_varying25to100"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with NAME.csv.gz of every library")
    parser.add_argument("--work", type=Path, default=Path("shipped-run"), help="the --work of train_shipped.py")
    parser.add_argument("--json", type=Path, help="write the table here too")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="networks trained at a time")
    options = parser.parse_args()
    rows = load_measurements(options.data)
    fold = grouped_k_fold(shared_kmer_groups(rows["seq"].tolist()), FOLDS, seed=FOLD_SEED)
    predicted = {name: shipped_predictions(options.work / f"{name}.parquet", rows, fold) for name in SHIPPED}
    predicted |= train_baselines(rows, fold, options.work, options.workers)
    pairs = pd.read_csv(options.data / f"{HUMAN}_snv_pairs.csv.gz")
    table = []
    for part, measured, loads in parts(rows, fold, predicted, pairs):
        table += compare(part, measured, loads)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


def shipped_predictions(file: Path, rows: pd.DataFrame, fold: NDArray[np.int64]) -> Floats:
    """Read the out-of-fold predictions of a shipped model."""
    if not file.is_file():
        sys.exit(f"{file} is not there: run benchmarks/train_shipped.py with the same --work first")
    table = pd.read_parquet(file)
    if not (len(table) == len(rows) and (table["seq"] == rows["seq"]).all() and (table["fold"] == fold).all()):
        sys.exit(f"{file}: predictions of other rows or folds")
    return table["predicted"].to_numpy(np.float64)


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
                for number in range(FOLDS):
                    learnt, unseen = rows[mine & (fold != number)], rows[mine & (fold == number)]
                    folder = work / name / library / f"fold-{number}"
                    tasks.append((name, unseen.index, pool.submit(train_and_predict, name, learnt, unseen, folder)))
        for name, index, task in tasks:
            predicted[name][index] = task.result()
    return predicted


def train_and_predict(name: str, learnt: pd.DataFrame, unseen: pd.DataFrame, folder: Path) -> Floats:
    """Train one network, or read what it predicted before; loads of the unseen rows."""
    done = folder / "unseen.npy"
    if done.is_file():
        return np.load(done)  # type: ignore[no-any-return]
    label = "/".join(folder.parts[-3:])
    names = list(dict.fromkeys(learnt["assay"]))
    fit(
        learnt.reset_index(drop=True), folder, assays={assay: ASSAYS[assay] for assay in names}, model=name,
        settings={"length": 100} if names == [VARYING] else {}, held_out=0.1, split_kind="grouped", seed=SEED,
        recipe=own_recipe(name).with_changes(patience=PATIENCE), resume=True,
        say=lambda line: print(f"{label}: {line}", file=sys.stderr, flush=True),
    )  # fmt: skip
    model = ribocast.load(folder, threads=1)
    loads = np.zeros(len(unseen))
    for assay in names:
        mine = (unseen["assay"] == assay).to_numpy()
        loads[mine] = model.mrl(unseen.loc[mine, "seq"].tolist(), assay=assay)
    np.save(done, loads)
    return loads


def parts(
    rows: pd.DataFrame, fold: NDArray[np.int64], predicted: dict[str, Floats], pairs: pd.DataFrame
) -> list[tuple[str, Floats, dict[str, Floats]]]:
    """Cut out what publications report: its name, measured values, predicted ones by model."""
    assay, measured = rows["assay"].to_numpy(), rows["mrl"].to_numpy(np.float64)
    test, human = (rows["published_split"] == "test").to_numpy(), (rows["origin"] == "human").to_numpy()
    masks = {
        "egfp_random50, published test rows": (assay == "egfp_random50") & test,
        f"{HUMAN}, rows with most reads": (assay == HUMAN) & test,
        f"{HUMAN}, other rows": (assay == HUMAN) & ~test,
        f"{VARYING}, random": (assay == VARYING) & ~human,
        f"{VARYING}, human, most reads": (assay == VARYING) & human & test,
        "egfp_random50_m1psi": assay == "egfp_random50_m1psi",
    }
    found = [
        (name, measured[mask], {model: loads[mask] for model, loads in predicted.items()})
        for name, mask in masks.items()
    ]
    changes: dict[str, Floats] = {}
    for model, loads in predicted.items():
        judged = pair_unseen(pairs, rows.assign(fold=fold, predicted=loads), HUMAN)
        judged = judged[judged["alt_reads"] >= WELL_MEASURED_READS]
        changes[model] = judged["predicted"].to_numpy()
    name = f"SNV pairs, log2 fold change, ≥ {WELL_MEASURED_READS} reads"
    return [*found, (name, judged["log2_fold_change"].to_numpy(), changes)]


def compare(part: str, measured: Floats, loads: dict[str, Floats]) -> list[dict[str, Any]]:
    """Print r² of every model, its interval, and how far it is from `default`; return the lines."""
    print(f"\n{part}: {len(measured):,} rows")
    print(f"{'':<18}{'r²':>7}   {'95 % interval':<18}less than default by")
    random = np.random.default_rng(SEED)
    drawn = [random.integers(len(measured), size=len(measured)) for _ in range(DRAWS)]
    draws = {model: np.array([r2(measured[rows], load[rows]) for rows in drawn]) for model, load in loads.items()}
    lines = []
    for model, load in loads.items():
        low, high = np.percentile(draws[model], (2.5, 97.5))
        behind = np.percentile(draws["default"] - draws[model], (2.5, 97.5))
        line = {"part": part, "rows": len(measured), "model": model, "pearson_r2": r2(measured, load),
                "ci95": [low, high], "behind_default_ci95": behind.tolist()}  # fmt: skip
        rest = "" if model == "default" else f"{behind[0]:.3f} to {behind[1]:.3f}"
        print(f"{model:<18}{line['pearson_r2']:>7.3f}   {low:.3f} to {high:.3f}    {rest}", flush=True)
        lines.append(line)
    return lines


def r2(measured: Floats, predicted: Floats) -> float:
    """Compute the squared Pearson correlation."""
    return float(np.corrcoef(measured, predicted)[0, 1] ** 2)


if __name__ == "__main__":
    main()
