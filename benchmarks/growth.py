"""Measure how predictions' cost grows: with length, batch, file and number of assays; draw it for docs/speed.md.

    python benchmarks/growth.py [--seconds 3] [--rows 1000 10000 100000] [--plot docs/speed.png] [--json FILE]

The shipped model; for the number of assays, untrained networks of its architecture's default settings with as many. The
machine's float32 limit is a matrix product in the same run. A network's arithmetic is counted by PyTorch on a sequence
of each length; the limit drawn is the matrix rate divided by it. Memory is the most that was resident in a process that
did nothing else. Each figure of rates takes about `--seconds`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import ribocast
from ribocast.learn.networks import architecture, load_network
from ribocast.learn.train.export import write_network

mpl.use("Agg")
import matplotlib.pyplot as plt

LENGTHS = (25, 50, 100, 200, 500, 1000, 2000)
BATCHES = (1, 4, 16, 64, 256, 1024)
ASSAY_NUMBERS = (1, 4, 16, 64)
LETTERS = np.frombuffer(b"ACGT", np.uint8)
SQUARE = 2048
MEMORY = """
import sys
import ribocast
from predict_file import resident_mb
length = int(sys.argv[1])
ribocast.load().mrl(["ACGTTGCAGG" * (length // 10) + "ACGTT"] * max(2, 200_000 // length))
print(resident_mb("VmHWM"))
"""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    model = ribocast.load()
    results = {
        "gflop_per_second": _matrix_rate(),
        "length": _by_length(model, options.seconds),
        "batch": _by_batch(model, options.seconds),
        "rows": _by_rows(options.rows),
        "assays": _by_assays(options.seconds),
    }
    for row in results["length"]:
        row["limit"] = results["gflop_per_second"] * 1e9 / row["flop"]
    _print(results)
    if options.plot:
        _draw(results, options.plot)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def _matrix_rate() -> float:
    square = torch.randn(SQUARE, SQUARE)
    return 2 * SQUARE**3 * _rate(lambda: square @ square, 2.0) / 1e9


def _rate(run: Callable[[], object], seconds: float) -> float:
    """Return how often something can be done in a second."""
    run()
    times, began = 0, time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds or not times:
        run()
        times += 1
    return times / taken


def _random(length: int) -> str:
    return LETTERS[np.random.default_rng().integers(0, 4, length)].tobytes().decode()


def _by_length(model: ribocast.Predictor, seconds: float) -> list[dict[str, float]]:
    network = load_network(model.bundle).eval()
    found = []
    for length in LENGTHS:
        utrs = [_random(length) for _ in range(max(8, 100_000 // length))]
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(torch.full((1, length), ord("A"), dtype=torch.uint8))
        command = [sys.executable, "-c", MEMORY, str(length)]
        memory = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
        found.append({
            "length": length, "sequences_per_second": len(utrs) * _rate(lambda utrs=utrs: model.mrl(utrs), seconds),
            "flop": float(counter.get_total_flops()), "most_mb": float(memory.stdout),
        })  # fmt: skip
    return found


def _by_batch(model: ribocast.Predictor, seconds: float) -> list[dict[str, float]]:
    found = []
    for batch in BATCHES:
        utrs = [_random(50) for _ in range(batch)]
        found.append(
            {"batch": batch, "sequences_per_second": batch * _rate(lambda utrs=utrs: model.mrl(utrs), seconds)}
        )
    return found


def _by_rows(numbers: list[int]) -> list[dict[str, Any]]:
    """Time files of several sizes, each in a process of its own; see predict_file.py."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "files.json"
        command = [sys.executable, str(Path(__file__).with_name("predict_file.py")), "--json", str(written), "--rows"]
        subprocess.run([*command, *map(str, numbers)], check=True, stdout=subprocess.DEVNULL)
        return list(json.loads(written.read_text())["files"])


def _by_assays(seconds: float) -> list[dict[str, float]]:
    own, utrs = ribocast.load(), [_random(50) for _ in range(2048)]
    known = own.card.assay()
    found = []
    for number in ASSAY_NUMBERS:
        cards = [known.model_copy(update={"name": f"assay {index}"}) for index in range(number)]
        network = architecture(own.card.architecture).build(cards, **own.card.settings)
        card = own.card.model_copy(update={"assays": tuple(cards), "default_assay": cards[0].name})
        with tempfile.TemporaryDirectory() as folder:
            model = ribocast.Predictor(write_network(network, card, folder))
        found.append(
            {"assays": number, "sequences_per_second": 2048 * _rate(lambda model=model: model.mrl(utrs), seconds)}
        )
    return found


def _print(results: dict[str, Any]) -> None:
    print(f"matrix product: {results['gflop_per_second']:,.0f} GFLOP/s in float32, {torch.get_num_threads()} threads")
    for name in ("length", "batch", "rows", "assays"):
        columns = [column for column in results[name][0] if column != "format"]
        print("  ".join(f"{column:>22}" for column in columns))
        for row in results[name]:
            print("  ".join(f"{row[column]:>22,.4g}" if isinstance(row[column], float) else f"{row[column]:>22,}"
                            for column in columns))  # fmt: skip


def _draw(results: dict[str, Any], path: Path) -> None:
    figure, panels = plt.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
    labels = {"length": "length (nt)", "batch": "sequences in a call", "rows": "rows of a file", "assays": "assays"}
    for panel, (name, label) in zip(panels, labels.items(), strict=True):
        x = [row[name] for row in results[name]]
        key = "rows_per_second" if name == "rows" else "sequences_per_second"
        panel.plot(x, [row[key] for row in results[name]], "o-", label="ribocast")
        if name == "length":
            panel.plot(x, [row["limit"] for row in results[name]], "k:", label="all arithmetic at the matrix rate")
            panel.legend(fontsize=8, loc="lower left")
        if name in ("length", "rows"):
            memory = panel.twinx()
            memory.plot(x, [row["most_mb"] for row in results[name]], "s--", color="0.6", ms=3)
            memory.set_ylim(0, 1000)
            memory.set_ylabel("resident memory (MB), grey")
        panel.set(xscale="log", yscale="log", xlabel=label)
    for panel in panels:
        panel.set_ylim(50, 50_000)
    panels[0].set_ylabel("sequences per second")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
