"""Time one epoch of the homework's three-convolution network: the notebook's loop as written, and `ribocast train`'s.

    python benchmarks/epoch_speed.py [--rows 20000] [--turns 5] [--threads N] [--json FILE]

The same simulated rows, Adam at 0.001, batches of 64, epochs of learning without validation; ours in float32 and, where
the processor has it, in bfloat16. An epoch of each in turn; times are medians, and how many times as fast is the median
of the turns' ratios, since the speed of a machine with neighbours changes from turn to turn. The notebook's loop goes
through a DataLoader over a TensorDataset of one-hot letters, encoded beforehand; ours looks letters up inside the
network. The loss of the last epoch stands beside each: the mathematics is the same, the order of rows and dropout are
not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from notebook import Notebook, ThreeConvolutions
from ribocast.learn.data.assays import labelled_rows
from ribocast.learn.data.simulate import simulate
from ribocast.learn.device import has_bfloat16
from ribocast.learn.train.setup import own_recipe, prepare

NOTEBOOK = "the notebook's loop"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = simulate(options.rows, seed=0)[["seq", "mrl"]]
    ways = {NOTEBOOK: notebook_epoch(rows), "ribocast train, float32": our_epoch(rows, bfloat16=False)}
    if has_bfloat16(torch.device("cpu")):
        ways["ribocast train, bfloat16"] = our_epoch(rows, bfloat16=True)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses: dict[str, float] = {}
    for _ in range(options.turns):
        for name, epoch in ways.items():
            began = time.perf_counter()
            losses[name] = epoch()
            seconds[name].append(time.perf_counter() - began)
    results = {}
    for name, turns in seconds.items():
        middle = statistics.median(turns)
        times = statistics.median(first / own for first, own in zip(seconds[NOTEBOOK], turns, strict=True))
        results[name] = {"seconds_an_epoch": middle, "rows_per_second": options.rows / middle,
                         "times_as_fast": times, "loss": losses[name]}  # fmt: skip
        print(f"{name:<24}{middle:>8.2f} s an epoch{options.rows / middle:>9,.0f} rows/s"
              f"{times:>7.2f} times as fast   loss {losses[name]:.4f}")  # fmt: skip
    print(f"{options.rows:,} rows, {torch.get_num_threads()} threads")
    if options.json:
        options.json.write_text(json.dumps({"rows": options.rows, "ways": results}, indent=2) + "\n")


def notebook_epoch(rows: pd.DataFrame) -> Callable[[], float]:
    """Return an epoch of the notebook's loop, encoded beforehand."""
    torch.manual_seed(0)
    mrls = ((rows["mrl"] - rows["mrl"].mean()) / rows["mrl"].std()).to_numpy(np.float32, copy=True)
    return Notebook(ThreeConvolutions(), rows["seq"].tolist(), mrls).epoch


def our_epoch(rows: pd.DataFrame, *, bfloat16: bool) -> Callable[[], float]:
    """Return an epoch of ribocast's loop."""
    checked, assays = labelled_rows(rows, "simulated")
    recipe = own_recipe("attention-3conv").with_changes(bfloat16=bfloat16)
    loop = prepare(
        checked, np.arange(len(checked)), checked.iloc[:0], assays=assays, model="attention-3conv", settings={},
        recipe=recipe, seed=0, device=torch.device("cpu"), name="any", base=None, say=lambda _: None,
    )  # fmt: skip
    done = 0

    def epoch() -> float:
        nonlocal done
        done += 1
        return loop.learn(done, [], None)

    return epoch


if __name__ == "__main__":
    main()
