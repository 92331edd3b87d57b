"""Train the homework's two networks and Optimus 5-Prime on the published training half, and test them on the other.

    ribocast data homework [TABLE] -o TABLES
    python benchmarks/homework.py --tables TABLES [--work DIR] [--json FILE] [--homework FILE --picture FILE]

``attention-2conv`` and ``attention-3conv`` are trained as in the homework: a fifth of the rows (seed 42) picks the best
of 20 epochs, batches of 64, Adam at 0.001. ``optimus`` is trained as in the paper: three epochs of all rows, batches of
128, no validation; a seed with which it dies (every row gets the same MRL) is told. Each network and seed has a folder
in DIR and goes on after its last epoch, or is only read, if it is there: a second run continues, and two runs of other
``--networks`` can share the folder and the cores. Losses are in the homework's unit, squared standard deviations of the
training half; test errors in ribosomes per mRNA, and, "standardised twice", as the homework has them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

# Small steps leave a second thread little to do. Read when PyTorch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

import ribocast
from ribocast.io.writers import whole_file
from ribocast.learn import evaluate, fit
from ribocast.learn.data.random50 import HALVES, NAME
from ribocast.learn.data.splits import random_split
from ribocast.learn.train.setup import own_recipe

EPOCHS = {"attention-2conv": 20, "attention-3conv": 20, "optimus": 3}
# Validation loss of the best epoch and r of the test half: the homework's; of Optimus, the paper's r² of 0.934.
THEIRS = {"attention-2conv": (0.2673, 0.8784), "attention-3conv": (0.1382, 0.9546), "optimus": (None, 0.934**0.5)}
TRAIN, TEST = HALVES


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, required=True, help="what `ribocast data homework` wrote")
    parser.add_argument("--work", type=Path, default=Path("homework-run"), help="the networks and their figures")
    parser.add_argument("--networks", nargs="+", default=list(EPOCHS), choices=list(EPOCHS), help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="default: 1 2 3")
    parser.add_argument("--epochs", type=int, help="for a trial: of every network")
    parser.add_argument("--json", type=Path, help="write figures and curves of all networks in DIR here")
    parser.add_argument("--homework", type=Path, help="text of the homework, whose curves are drawn beside")
    parser.add_argument("--picture", type=Path, help="draw losses by epoch here")
    options = parser.parse_args()
    halves = {half.name: pd.read_csv(options.tables / f"{half.name}_mrl.csv") for half in HALVES}
    print(f"{len(halves['train']):,} rows to train on, {len(halves['test']):,} to test on", file=sys.stderr)
    for seed in options.seeds:
        for network in options.networks:
            run(network, seed, halves, options)
    results = [json.loads(path.read_text()) for path in sorted(options.work.glob("*/seed-*/figures.json"))]
    print_table(results)
    if options.json:
        with whole_file(options.json) as partial:
            partial.write_text(json.dumps(results, indent=1) + "\n")
    if options.picture:
        draw(results, read_curves(options.homework) if options.homework else {}, options.picture)


def run(network: str, seed: int, halves: dict[str, pd.DataFrame], options: argparse.Namespace) -> None:
    """Train one network, or go on, and write its figures; nothing if they are there."""
    folder = options.work / network / f"seed-{seed}"
    figures = folder / "figures.json"
    if figures.is_file():
        return
    last = time.perf_counter()

    def say(line: str) -> None:
        nonlocal last
        now = time.perf_counter()
        print(f"{network}, seed {seed}: {line} ({now - last:.0f} s)", file=sys.stderr, flush=True)
        last = now

    train, test = halves["train"], halves["test"]
    trained = fit(
        train, folder, assay=NAME, model=network, seed=seed, resume=True, say=say,
        recipe=own_recipe(network).with_changes(epochs=options.epochs or EPOCHS[network]),
        held_out=0.0 if network == "optimus" else random_split(len(train), 0.2, seed=42),
    )  # fmt: skip
    model, card = ribocast.load(folder, threads=1), trained.bundle.card
    scores = evaluate(model, test)
    standardised = (model.mrl(test["seq"].tolist()) - TRAIN.mean) / TRAIN.sd
    off = standardised - (test["mrl"].to_numpy() - TEST.mean) / TEST.sd
    unit = (card.assays[0].label_scale / TRAIN.sd) ** 2
    curve = [{key: value * unit if key.endswith("loss") else value for key, value in epoch.items()}
             for epoch in trained.history]  # fmt: skip
    found = {
        "network": network, "seed": seed, "train_rows": len(train), "best_epoch": card.epoch, "curve": curve,
        "val_loss": min((epoch["val_loss"] for epoch in curve if "val_loss" in epoch), default=None),
        "test": dataclasses.asdict(scores), "standardised_twice": {"mse": np.mean(off**2), "mae": np.mean(abs(off))},
    }  # fmt: skip
    with whole_file(figures) as partial:
        partial.write_text(json.dumps(found, indent=1) + "\n")


def print_table(results: list[dict[str, Any]]) -> None:
    """Print the figures of every network and seed, those of the homework and the paper above."""
    print(f"{'network':<17}{'seed':>6}{'epoch':>7}{'val. loss':>11}{'test r':>9}{'r²':>8}{'MSE':>8}{'MAE':>8}"
          f"{'MSE, MAE standardised twice':>30}")  # fmt: skip
    for network, (loss, r) in THEIRS.items():
        print(f"{network:<17}{'theirs':>6}{'':>7}{f'{loss:.4f}' if loss else '':>11}{r:>9.4f}{r**2:>8.3f}")
        for found in results:
            if found["network"] == network:
                test, twice, loss = found["test"], found["standardised_twice"], found["val_loss"]
                print(f"{'':<17}{found['seed']:>6}{found['best_epoch']:>7}{f'{loss:.4f}' if loss else '':>11}"
                      f"{test['pearson_r']:>9.4f}{test['pearson_r2']:>8.3f}{test['mse']:>8.3f}{test['mae']:>8.3f}"
                      f"{twice['mse']:>21.4f}{twice['mae']:>9.4f}")  # fmt: skip


def read_curves(homework: Path) -> dict[str, list[tuple[float, float]]]:
    """Read the homework's own losses: those of its first training are of two convolutions, of its second of three."""
    text = homework.read_text(encoding="utf-8")
    losses = re.findall(r"Epoch (\d+): Train Loss = ([\d.]+), Val Loss = ([\d.]+)", text)
    first = [number for number, (epoch, _, _) in enumerate(losses) if epoch == "1"]
    parts = zip(("attention-2conv", "attention-3conv"), first, [*first[1:], None], strict=True)
    return {name: [(float(train), float(val)) for _, train, val in losses[begin:end]] for name, begin, end in parts}


def draw(results: list[dict[str, Any]], theirs: dict[str, list[tuple[float, float]]], picture: Path) -> None:
    """Draw losses by epoch of the homework's networks, and the homework's own beside."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    for panel, name in zip(panels, ("attention-2conv", "attention-3conv"), strict=True):
        for kind, color, key in (("training", "#0072b2", "train_loss"), ("validation", "#d55e00", "val_loss")):
            own = [found["curve"] for found in results if found["network"] == name]
            for number, curve in enumerate(own):
                label = f"{kind}, {len(own)} seed{'s' * (len(own) > 1)}" if number == 0 else None
                epochs = [epoch["epoch"] for epoch in curve]
                panel.plot(epochs, [epoch[key] for epoch in curve], color=color, lw=1, label=label)
            if name in theirs:
                losses = [pair[kind == "validation"] for pair in theirs[name]]
                panel.plot(range(1, len(losses) + 1), losses, color=color, ls="", marker="o", ms=3,
                           label=f"{kind}, homework")  # fmt: skip
        panel.set(title=name, xlabel="epoch", xticks=range(0, 21, 5), ylim=(0, None))
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("mean squared error (standard deviations²)")
    panels[0].legend(frameon=False)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main()
