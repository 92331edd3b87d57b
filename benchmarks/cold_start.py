"""Time `ribocast predict` on a FASTA file of a few 5′ UTRs, from nothing: a process of its own each time.

    python benchmarks/cold_start.py [--turns 10] [--json FILE]

The example's UTRs, the shipped model; also `ribocast --help` and Python by itself. The files are in the system's
memory after the first turn, which is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

UTRS = Path(__file__).parents[1] / "examples" / "utrs.fasta"
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "ribocast --help": ["-m", "ribocast", "--help"],
    "ribocast predict utrs.fasta": ["-m", "ribocast", "predict", str(UTRS)],
}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    results = {}
    for name, arguments in COMMANDS.items():
        turns = [_seconds(arguments) for _ in range(options.turns + 1)][1:]
        results[name] = {"least": min(turns), "median": statistics.median(turns), "most": max(turns)}
        figures = results[name]
        print(f"{name:<34}{figures['median']:>7.2f} s   ({figures['least']:.2f} to {figures['most']:.2f})")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def _seconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
