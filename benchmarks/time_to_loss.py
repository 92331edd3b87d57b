"""Time to the loss that the homework's three-convolution network ends at: the notebook, and ours with better schedules.

    python benchmarks/time_to_loss.py [--data DIR] [--rows 16000] [--threads N] [--json FILE]

A tenth of the rows is held out; all learn from the others. The notebook: its loop as written, 20 epochs, float32,
without validation in between. Ours: `ribocast train`'s loop, each way from a fresh network to the end of its one-cycle
schedule, so that nothing is stopped by looking at the held-out rows; from the table to the trained network, rows'
encoding and hairpins included. ``--data`` takes the published test rows of egfp_random50; else rows are simulated. The
mean squared error is in standard deviations of the train_rows MRLs.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from notebook import Notebook, ThreeConvolutions
from ribocast.learn.data.assays import labelled_rows, load_measurements
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import architecture
from ribocast.learn.recipe import FRAMED_RECIPE
from ribocast.learn.train.setup import prepare

EPOCHS, SEED = 20, 1


class Way(NamedTuple):
    """An architecture, its settings, and the epochs of its one-cycle schedule."""

    model: str
    settings: dict[str, Any]
    epochs: int


WAYS = (
    Way("framed", {}, 1),
    Way("framed", {}, 2),
    Way("framed", {"channels": 32, "dilations": (1, 2, 4)}, 1),
    Way("framed", {"channels": 32, "dilations": (1, 2, 4)}, 2),
    Way("framed", {"channels": 32, "dilations": (1,)}, 1),
    Way("framed", {"channels": 32, "dilations": (1,)}, 2),
    Way("optimus", {}, 2),
)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with egfp_random50.csv.gz")
    parser.add_argument("--rows", type=int, default=16_000)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = read(options.data, options.rows)
    held_out = np.zeros(len(rows), bool)
    held_out[np.random.default_rng(SEED).permutation(len(rows))[: len(rows) // 10]] = True
    found: list[dict[str, Any]] = [notebook(rows[~held_out], rows[held_out])]
    report(found[0], found[0])
    for way in WAYS:
        found.append(ours(way, rows[~held_out], rows[held_out]))
        report(found[-1], found[0])
    print(f"{len(rows):,} rows, {torch.get_num_threads()} threads")
    if options.json:
        options.json.write_text(json.dumps({"rows": len(rows), "ways": found}, indent=2) + "\n")


def read(folder: Path | None, count: int) -> pd.DataFrame:
    """Read measured rows, or simulate some."""
    if folder is None:
        return simulate(count, seed=0)[["seq", "mrl"]]
    rows = load_measurements(folder)
    mine = (rows["assay"] == "egfp_random50") & (rows["published_split"] == "test")
    return rows.loc[mine, ["seq", "mrl"]].reset_index(drop=True).iloc[:count]


def notebook(train_rows: pd.DataFrame, held_out: pd.DataFrame) -> dict[str, Any]:
    """Train as the notebook does; return its seconds and loss."""
    began = time.perf_counter()
    mean, deviation = train_rows["mrl"].mean(), train_rows["mrl"].std()
    torch.manual_seed(SEED)
    mrls = ((train_rows["mrl"] - mean) / deviation).to_numpy(np.float32, copy=True)
    book = Notebook(ThreeConvolutions(), train_rows["seq"].tolist(), mrls)
    for _ in range(EPOCHS):
        book.epoch()
    seconds = time.perf_counter() - began
    loss = book.loss(held_out["seq"].tolist(), ((held_out["mrl"] - mean) / deviation).to_numpy(np.float32, copy=True))
    return {"way": f"the notebook, {EPOCHS} epochs", "seconds": seconds, "loss": loss}


def ours(way: Way, train_rows: pd.DataFrame, held_out: pd.DataFrame) -> dict[str, Any]:
    """Train by our loop; return its seconds and loss."""
    table, assays = labelled_rows(pd.concat([train_rows, held_out], ignore_index=True), "any")
    unseen = table.iloc[len(train_rows) :]
    # Muon gets further in eight epochs; in one or two, Adam is as good and its steps are shorter.
    framed = FRAMED_RECIPE.with_changes(optimiser="adamw", weight_decay=0.1)
    recipe = framed if way.model == "framed" else architecture(way.model).recipe
    assert recipe is not None
    recipe = recipe.with_changes(schedule="one-cycle", bfloat16=True, epochs=way.epochs, noise_reads=0.0)
    began = time.perf_counter()
    loop = prepare(
        table, np.arange(len(train_rows)), table.iloc[:0], assays=assays, model=way.model, settings=way.settings,
        recipe=recipe, seed=SEED, device=torch.device("cpu"), name="any",
    )  # fmt: skip
    for epoch in range(1, way.epochs + 1):
        loop.learn(epoch, [], None)
    loop.settle()
    seconds = time.perf_counter() - began
    errors = loop.predict(unseen) - unseen["mrl"].to_numpy()
    loss = float((errors**2).mean() / train_rows["mrl"].var())
    settings = "".join(f", {key} {value}" for key, value in way.settings.items())
    return {"way": f"{way.model}{settings}, {way.epochs} epochs", "seconds": seconds, "loss": loss}


def report(line: dict[str, Any], first: dict[str, Any]) -> None:
    """Print a way, and how many times as fast it came to the notebook's loss, if it did."""
    reached = line["loss"] <= first["loss"]
    line["times_as_fast"] = first["seconds"] / line["seconds"] if reached else None
    times = f"{line['times_as_fast']:.1f} times as fast" if reached else "not reached"
    print(f"{line['way']:<52}{line['seconds']:>8.2f} s   loss {line['loss']:.4f}   {times}", flush=True)


if __name__ == "__main__":
    main()
