"""Time the shipped models beside Optimus 5-Prime and FramePool as their users run them, on this machine, in one run.

    python benchmarks/predict_speed.py [--sequences 10000] [--json FILE]

Fifty-letter sequences, float32 (ribocast in bfloat16 too where the processor has it), all cores. The two published
architectures run in PyTorch, eager, batches of 1,024, from letters that are encoded already, Optimus both from plain
layers on one-hot letters and as ribocast has it, channels last; ribocast from strings to numbers. Each is the median of
nine turns, taken in alternation. How many times as fast `default` is as the others is the median of the turns' ratios,
since the speed of a machine with neighbours changes from turn to turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import ribocast
from notebook import Optimus, one_hot
from ribocast.errors import RibocastError
from ribocast.learn.data.simulate import simulate
from ribocast.learn.networks import architecture
from ribocast.model.bundle import DEFAULT_MODEL, AssayCard, shipped_models
from ribocast.model.predictor import Predictor
from ribocast.sequence.batch import encode

TURNS, BATCH = 9, 1024
DEFAULT = f"ribocast {DEFAULT_MODEL} (openvino)"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    utrs = simulate(options.sequences, seed=0)["seq"].tolist()
    shipped = {(name, engine): loaded for name in shipped_models() for engine, loaded in engines(name).items()}
    published = {name: architecture(name).build([_any_assay()]).eval() for name in ("optimus", "framepool")}
    letters, square = torch.tensor(encode(utrs)), torch.randn(4096, 4096)

    plain, hot = Optimus().eval(), one_hot(utrs)

    def run_eager(network: nn.Module, inputs: Tensor) -> None:
        with torch.inference_mode():
            for batch in inputs.split(BATCH):
                network(batch)

    ours = {f"ribocast {name} ({engine})": partial(model.mrl, utrs) for (name, engine), model in shipped.items()}
    runs: dict[str, Callable[[], object]] = {
        **ours,
        "optimus, plain layers (PyTorch eager)": partial(run_eager, plain, hot),
        **{f"{name} (PyTorch eager)": partial(run_eager, network, letters) for name, network in published.items()},
        "matrix product 4096³ (the machine's f32 limit)": lambda: square @ square,
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(TURNS):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    results = {}
    for name, turns in seconds.items():
        middle = statistics.median(turns)
        if "matrix" in name:
            results[name] = {"gflop_per_second": 2 * 4096**3 / middle / 1e9}
            print(f"{name:<50}{results[name]['gflop_per_second']:>10,.0f} GFLOP/s")
        else:
            default_is = statistics.median(own / first for own, first in zip(turns, seconds[DEFAULT], strict=True))
            results[name] = {"sequences_per_second": len(utrs) / middle, "times_as_fast_is_default": default_is}
            rate = f"{len(utrs) / middle:>10,.0f} sequences/s"
            print(f"{name:<50}{rate}" + (f"   default is {default_is:.2f} times as fast" if name not in ours else ""))
    print(f"{torch.get_num_threads()} threads")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def engines(name: str) -> dict[str, Predictor]:
    """Load a model on every engine for CPUs that this processor can run."""
    loaded = {"openvino": ribocast.load(name, engine="openvino")}
    with suppress(RibocastError):
        loaded["openvino-bf16"] = ribocast.load(name, engine="openvino-bf16")
    return loaded


def _any_assay() -> AssayCard:
    return AssayCard(name="any", before="", after="ATG", min_length=50, max_length=50, label_mean=0.0, label_scale=1.0)


if __name__ == "__main__":
    main()
