"""Time one epoch of the homework's three-convolution network: the notebook's loop as written, and `ribocast train`'s.

    python benchmarks/epoch_speed.py [--rows 20000] [--turns 3] [--threads N] [--json FILE]

The same simulated rows, float32, Adam at 0.001, batches of 64, an epoch of learning without validation, in turns that
alternate; the median of each. The notebook's loop goes through a DataLoader over a TensorDataset of one-hot letters,
encoded beforehand; ours looks letters up inside the network. The loss of the last epoch stands beside each: the
mathematics is the same, the order of rows and dropout are not.
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
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from ribocast.learn.assays import labelled_rows
from ribocast.learn.beginning import own_recipe, prepare
from ribocast.learn.simulate import simulate
from ribocast.sequence import encode

BATCH = 64


class Notebook(nn.Module):
    """The homework's CNN_Attention_Regressor1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(4, 64, 8, padding=4)
        self.conv2 = nn.Conv1d(64, 64, 5, padding=2)
        self.conv3 = nn.Conv1d(64, 128, 5, padding=2)
        self.pool1, self.pool3 = nn.MaxPool1d(2), nn.MaxPool1d(2)
        self.attn, self.dropout = nn.Linear(128, 1), nn.Dropout(0.2)
        self.fc = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor) -> Tensor:
        """One-hot letters (rows, 4, length) to loads (rows,)."""
        x = self.pool1(torch.relu(self.conv1(x)))
        x = self.pool3(torch.relu(self.conv3(torch.relu(self.conv2(x))))).permute(0, 2, 1)
        x = torch.sum(F.softmax(self.attn(x), dim=1) * x, dim=1)
        return self.fc(self.dropout(x)).squeeze(1)  # type: ignore[no-any-return]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = simulate(options.rows, seed=0)[["seq", "mrl"]]
    ways = {"the notebook's loop": notebook_epoch(rows), "ribocast train": our_epoch(rows)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses: dict[str, float] = {}
    for _ in range(options.turns):
        for name, epoch in ways.items():
            began = time.perf_counter()
            losses[name] = epoch()
            seconds[name].append(time.perf_counter() - began)
    first = statistics.median(seconds["the notebook's loop"])
    results = {}
    for name, turns in seconds.items():
        middle = statistics.median(turns)
        results[name] = {"seconds_an_epoch": middle, "rows_per_second": options.rows / middle,
                         "times_as_fast": first / middle, "loss": losses[name]}  # fmt: skip
        print(f"{name:<24}{middle:>8.2f} s an epoch{options.rows / middle:>9,.0f} rows/s"
              f"{first / middle:>7.2f} times as fast   loss {losses[name]:.4f}")  # fmt: skip
    print(f"{options.rows:,} rows, {torch.get_num_threads()} threads")
    if options.json:
        options.json.write_text(json.dumps({"rows": options.rows, "ways": results}, indent=2) + "\n")


def notebook_epoch(rows: pd.DataFrame) -> Callable[[], float]:
    """Return an epoch of the notebook's loop, encoded beforehand."""
    letters = encode(rows["seq"].tolist())
    hot = np.stack([letters == ord(base) for base in "ATCG"], axis=1)
    loads = ((rows["mrl"] - rows["mrl"].mean()) / rows["mrl"].std()).to_numpy(np.float32, copy=True)
    data = TensorDataset(torch.FloatTensor(hot.astype(np.float32)), torch.from_numpy(loads))
    loader = DataLoader(data, batch_size=BATCH, shuffle=True)
    torch.manual_seed(0)
    model = Notebook()
    criterion, optimizer = nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch() -> float:
        model.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * x.size(0)
        return total / len(data)

    return epoch


def our_epoch(rows: pd.DataFrame) -> Callable[[], float]:
    """Return an epoch of ribocast's loop."""
    checked, assays = labelled_rows(rows, "simulated")
    loop = prepare(
        checked, np.arange(len(checked)), checked.iloc[:0], assays=assays, model="attention-3conv", settings={},
        recipe=own_recipe("attention-3conv"), seed=0, device=torch.device("cpu"), name="any", base=None,
        say=lambda _: None,
    )  # fmt: skip
    done = 0

    def epoch() -> float:
        nonlocal done
        done += 1
        return loop.learn(done, [], None)

    return epoch


if __name__ == "__main__":
    main()
