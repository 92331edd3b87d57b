"""Time predictions of many files on Ray with one worker and with two, beside one process without Ray.

    python benchmarks/ray_speed.py [--files 8] [--rows 20000] [--json FILE]

Simulated rows of 50 nt in Parquet files, the shipped model, workers of one thread. Ray runs already; that workers start
and load the model is part of the seconds. It says too how long 10⁹ sequences would take at that rate.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import ray

import ribocast
from ribocast.learn.data.simulate import simulate
from ribocast.predict.files import predict_file
from ribocast.predict.ray import work_on_ray
from ribocast.predict.shards import TableWork, divide, work_off

BILLION = 10**9


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = []
        for number in range(options.files):
            path = folder / f"{number}.parquet"
            simulate(options.rows, seed=number)[["seq"]].to_parquet(path)
            sources.append(str(path))
        model, work = ribocast.load(threads=1), TableWork(predict_file, {})
        began = time.perf_counter()
        portions = divide(sources, f"{folder}/plain")
        work_off(model, work, portions, resume=False, done=lambda _: None, say=print)
        results["one process, 1 thread, no Ray"] = {"seconds": time.perf_counter() - began}
        for workers in (1, 2):
            portions = divide(sources, f"{folder}/{workers}")
            began = time.perf_counter()
            work_on_ray("auto", model, work, portions, workers=workers)
            results[f"Ray, workers of 1 thread: {workers}"] = {"seconds": time.perf_counter() - began}
    ray.shutdown()
    rows = options.files * options.rows
    for way, result in results.items():
        result["sequences_per_second"] = rows / result["seconds"]
        result["hours_for_a_billion"] = BILLION / result["sequences_per_second"] / 3600
        print(f"{way:<34}{result['seconds']:>7.1f} s{result['sequences_per_second']:>9,.0f} sequences/s"
              f"{result['hours_for_a_billion']:>8.0f} hours for 10⁹")  # fmt: skip
    print(f"{rows:,} sequences in {options.files} files")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "files": options.files, "ways": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
