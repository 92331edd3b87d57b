"""Time turning sequences into numbers: the homework's dictionary, a letter at a time, and ribocast's ways.

    python benchmarks/encode_speed.py [--sequences 280000] [--turns 5] [--json FILE]

Fifty random letters each; the best of a few turns, one of the dictionary. ribocast checks every letter on the way. From
a list it goes by Python's strings; a column as pandas and Arrow keep it is taken as it lies in memory.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from ribocast.model.predictor import LONGEST
from ribocast.sequence.batch import Batch, encode

LENGTH = 50
ONE_HOT = {"A": [1, 0, 0, 0], "T": [0, 1, 0, 0], "C": [0, 0, 1, 0], "G": [0, 0, 0, 1], "N": [0, 0, 0, 0]}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=280_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGT", np.uint8)[random.integers(0, 4, (options.sequences, LENGTH))]
    utrs = [row.tobytes().decode() for row in letters]
    column = pa.array(utrs)

    def homework() -> None:
        np.array([np.array([ONE_HOT[letter] for letter in utr]).T for utr in utrs])

    def check_column() -> None:
        if Batch.of_column(column).suspects(LONGEST).size:
            raise ValueError("no sequence is wrong")

    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "the homework's dictionary": (1, homework),
        "ribocast, a list of strings": (options.turns, lambda: encode(utrs)),
        "ribocast, a column of a table": (options.turns, check_column),
    }
    seconds = {name: min(_timed(run) for _ in range(turns)) for name, (turns, run) in ways.items()}
    first = seconds["the homework's dictionary"]
    for name, taken in seconds.items():
        print(f"{name:<32}{taken * 1e3:>10,.1f} ms{first / taken:>10,.0f} times as fast")
    if options.json:
        results = {name: {"seconds": taken, "times_as_fast": first / taken} for name, taken in seconds.items()}
        options.json.write_text(json.dumps({"sequences": options.sequences, "ways": results}, indent=2) + "\n")


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
