"""Time `ribocast predict` from file to file: rows a second, memory, and how much of the time the network is at work.

    python benchmarks/predict_file.py [--rows 100000 ...] [--model default] [--formats csv parquet] [--json FILE]

Random 50-nt sequences with an id, half of a percent of them repeated. Each file is predicted by a process of its own.
The network's share is the time that it needs for as many sequences alone, encoded beforehand, before and after, of the
time from file to file, in that process, on an idle machine; memory is the most that was resident, and what was a third
of the way and at the end. Ten million rows (`--rows 10000000`) need 2 GB of disk, and as long as the network takes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

import ribocast
from ribocast.predict.files import predict_file
from ribocast.sequence.batch import Batch

ALONE_ROWS, PIECE = 40_000, 500_000
LETTERS = np.frombuffer(b"ACGT", np.uint8)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--model", default="default")
    parser.add_argument("--formats", nargs="+", default=["csv"], choices=["csv", "csv.gz", "tsv", "parquet"])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--work", type=Path, help="where the files go; else a temporary folder")
    parser.add_argument("--json", type=Path, help="write the table here too")
    parser.add_argument("--one", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one, options.model, options.threads)))
        return
    results = []
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        print(f"{'':<20}{'rows/s':>10}{'network':>10}{'most MB':>10}{'MB at a third':>15}{'MB at the end':>15}")
        for rows in options.rows:
            for ending in options.formats:
                source = Path(folder) / f"in.{'parquet' if ending == 'parquet' else 'csv'}"
                write(source, rows)
                result = _apart(source, Path(folder) / f"out.{ending}", options)
                results.append({"rows": rows, "format": ending, **result})
                print(f"{rows:>11,} {ending:<8}{result['rows_per_second']:>10,.0f}{result['network_share']:>10.1%}"
                      f"{result['most_mb']:>10,.0f}{result['third_mb']:>15,.0f}{result['end_mb']:>15,.0f}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"model": options.model, "files": results}, indent=2) + "\n")


def write(path: Path, rows: int) -> None:
    """Write a table of random sequences, some at a time."""
    random = np.random.default_rng(0)
    schema = pa.schema({"id": pa.string(), "seq": pa.string()})
    is_parquet = path.suffix == ".parquet"
    kind = pyarrow.parquet.ParquetWriter if is_parquet else pyarrow.csv.CSVWriter
    with kind(path, schema) as writer:
        for start in range(0, rows, PIECE):
            count = min(PIECE, rows - start)
            letters = LETTERS[random.integers(0, 4, (count, 50))]
            letters[random.random(count) < 0.005] = letters[0]
            ids = [f"r{number}" for number in range(start, start + count)]
            writer.write_table(pa.table([ids, letters.view("S50").ravel().astype(str)], schema=schema))


def _apart(source: Path, output: Path, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", source, output, "--model", options.model]
    if options.threads:
        command += ["--threads", str(options.threads)]
    done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def measure(source: Path, output: Path, name: str, threads: int | None) -> dict[str, float]:
    """Predict a file once, in this process."""
    model = ribocast.load(name, threads=threads)
    random = np.random.default_rng(1)
    alone = Batch(LETTERS[random.integers(0, 4, ALONE_ROWS * 50)], np.arange(ALONE_ROWS + 1) * 50, is_clean=True)

    def seconds_alone() -> float:
        began = time.perf_counter()
        model.run(alone)
        return (time.perf_counter() - began) / ALONE_ROWS

    seconds_alone()
    before = seconds_alone()
    resident: list[float] = []
    began = time.perf_counter()
    done = predict_file(model, source, output, done=lambda _: resident.append(resident_mb("VmRSS")))
    seconds = time.perf_counter() - began
    return {
        "rows_per_second": done.rows / seconds,
        "network_share": (before + seconds_alone()) / 2 * done.networked / seconds,
        "networked": done.networked,
        "most_mb": resident_mb("VmHWM"),
        "third_mb": resident[len(resident) // 3],
        "end_mb": resident[-1],
    }


def resident_mb(what: str) -> float:
    """Return what is resident now (``VmRSS``), or was at most (``VmHWM``); the most where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would tell of the process that started this one, if that was larger.
        line = next(line for line in status.read_text().splitlines() if line.startswith(what))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
