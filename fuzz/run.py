"""Fuzz every target, one after the other: ``python fuzz/run.py --seconds 600`` (``pip install atheris`` before).

Begins with what stands in ``fuzz/corpus``, and adds what reaches new code, as far as it is short.
What breaks a target is left in ``fuzz/found``; ``python fuzz/targets.py NAME FILE`` does it again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("sequence", "fasta", "vcf", "gtf", "card", "graph")
MOST_KEPT, _HASH = 80, 40


def main() -> int:
    """Run; return 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--only", choices=NAMES)
    options = parser.parse_args()
    (HERE / "found").mkdir(exist_ok=True)
    broken = 0
    for name in [options.only] if options.only else NAMES:
        corpus = HERE / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        run = subprocess.run(
            [sys.executable, str(HERE / "targets.py"), name, str(corpus), f"-max_total_time={options.seconds}",
             "-reduce_inputs=1", "-print_final_stats=1", f"-artifact_prefix={HERE / 'found' / name}-"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", check=False,
        )  # fmt: skip
        if run.returncode:
            broken += 1
            print(run.stderr[-3000:])
        runs = re.search(r"number_of_executed_units:\s*(\d+)", run.stderr)
        grown = sorted(corpus.iterdir(), key=lambda path: (path.stat().st_size, path.name))
        # Those named by hand stay; of the others, the shortest.
        for path in [path for path in grown if len(path.name) == _HASH][MOST_KEPT:]:
            path.unlink()
        print(f"{name}: {int(runs[1]) if runs else 0:,} runs, exit {run.returncode}, {len(grown)} inputs", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
