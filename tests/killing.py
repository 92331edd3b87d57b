"""Commands that are killed at random moments: the output is absent or whole, and a second run completes it.

By hand, for all commands: ``python tests/killing.py --times 100``. The tests do the same a few times.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Job:
    """A command, what it writes, and how it is taken up again.

    Attributes
    ----------
    arguments : tuple of str
        OUT stands for the folder of the outputs.
    outputs : tuple of str
        Files in it that are the same to the byte, however often the command was killed.
    again : tuple of str
        Added after a kill.
    """

    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    again: tuple[str, ...] = ()

    def start(self, folder: Path, *, again: bool = False) -> subprocess.Popen[bytes]:
        """Start it in a group of processes of its own."""
        arguments = [argument.replace("OUT", str(folder)) for argument in self.arguments]
        return subprocess.Popen(
            [sys.executable, "-m", "ribocast", *arguments, *(self.again if again else ())], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, folder: Path, *, again: bool = False) -> None:
        """Run it to its end, which must be a good one."""
        process = self.start(folder, again=again)
        _, said = process.communicate()
        assert process.returncode == 0, said.decode()

    def is_there(self, folder: Path) -> dict[str, bytes]:
        """Return the outputs that are there."""
        paths = [folder / name for name in self.outputs]
        return {path.name: path.read_bytes() for path in paths if path.is_file()}


BUNDLE = ("model.onnx", "model.safetensors", "model.json")


def make_jobs(folder: Path, model: str, rows: int) -> dict[str, Job]:
    """Write inputs of so many rows; return the jobs that read them, by name."""
    random_ = np.random.default_rng(3)
    utrs = ["".join(random_.choice(list("ACGT"), 50)) for _ in range(rows)]
    table, pairs, grid = folder / "utrs.csv", folder / "pairs.csv", folder / "grid.toml"
    # Loads as good as any: what is learnt does not matter here.
    pd.DataFrame({"seq": utrs, "label": random_.normal(6, 1, rows).round(3)}).to_csv(table, index=False)
    learnt = folder / "few.csv"
    pd.read_csv(table).head(300).to_csv(learnt, index=False)
    alts = [utr[:20] + {"A": "C", "C": "G", "G": "T", "T": "A"}[utr[20]] + utr[21:] for utr in utrs]
    pd.DataFrame({"ref_seq": utrs, "alt_seq": alts}).to_csv(pairs, index=False)
    grid.write_text("[grid]\nhidden = [16, 32]\n")
    small = ("--model", "attention-2conv", "--epochs", "2", "--device", "cpu")
    asked = ("--model", model, "--threads", "1")
    return {
        "predict": Job(("predict", str(table), "-o", "OUT/out.csv", *asked), ("out.csv",), ("--resume",)),
        "predict parquet": Job(("predict", str(table), "-o", "OUT/o.parquet", *asked), ("o.parquet",), ("--resume",)),
        "variants": Job(("variants", str(pairs), "-o", "OUT/out.csv", *asked), ("out.csv",), ("--resume",)),
        "design": Job(("design", "--target", "7", "-n", "3", "--budget", str(rows), "--model", model,
                       "--threads", "1", "-o", "OUT/designs.csv"), ("designs.csv",)),
        "train": Job(("train", str(learnt), "-o", "OUT/run", *small), tuple(f"run/{name}" for name in BUNDLE),
                     ("--resume",)),
        "search": Job(("search", str(learnt), "--grid", str(grid), "--folds", "2", "--workers", "2", "-o", "OUT/s",
                       *small), tuple(f"s/best/{name}" for name in BUNDLE), ("--resume",)),
    }  # fmt: skip


def kill_at_random(job: Job, folder: Path, whole: dict[str, bytes], seconds: float, chance: random.Random) -> bool:
    """Kill a job twice at random moments, look at what is there, and run it to its end; say whether it was alive."""
    was_alive = False
    for again in (False, True):
        folder.mkdir(exist_ok=True)
        if again and job.is_there(folder):
            break
        process = job.start(folder, again=again)
        time.sleep(chance.uniform(0, seconds))
        was_alive |= process.poll() is None
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        found = job.is_there(folder)
        # A folder's files come one after another; model.json is the last and vouches for them.
        if "model.json" in found or "model.json" not in whole:
            assert found in ({}, whole), f"after a kill there were {sorted(found)}"
    if not (job.outputs[-1].endswith("model.json") and job.is_there(folder) == whole):
        job.finish(folder, again=True)
    assert job.is_there(folder) == whole, "the final result is another one"
    left = [path.name for path in folder.iterdir() if path.name.endswith((".resume", ".resumable.part"))]
    assert not left, f"left behind: {left}"
    return was_alive


def measure(job: Job, folder: Path) -> tuple[dict[str, bytes], float]:
    """Run a job undisturbed; return its outputs and the seconds."""
    folder.mkdir()
    began = time.perf_counter()
    job.finish(folder)
    whole = job.is_there(folder)
    assert len(whole) == len(job.outputs)
    return whole, time.perf_counter() - began


def main() -> None:
    """Kill commands as often as is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--model", default="default")
    parser.add_argument("--only", help="one of the jobs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for what, job in make_jobs(place, options.model, options.rows).items():
            if options.only not in (None, what):
                continue
            whole, seconds = measure(job, place / "whole")
            alive = 0
            for _ in range(options.times):
                alive += kill_at_random(job, place / "killed", whole, seconds, chance)
                shutil.rmtree(place / "killed")
            shutil.rmtree(place / "whole")
            print(
                f"{what}: {options.times} times killed, {alive} of them at work; always absent or whole, then the same"
            )


if __name__ == "__main__":
    main()
