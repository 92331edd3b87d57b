"""Commands that are killed at random moments: the output is absent or whole, and a second run completes it.

A server has no output: the next one takes its place, on the same port, and gives the same answers.

By hand, for all commands: ``python tests/killing.py --times 100``. The tests do the same a few times.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import httpx
import numpy as np
import pandas as pd

IN_A_ROW = 10
"""Kills before a job may run to its end, then it begins anew."""


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


def kill_at_random(
    job: Job, folder: Path, whole: dict[str, bytes], seconds: float, chance: random.Random, kills: int = 2
) -> int:
    """Kill a job so many times at random moments, each time it is taken up again, and look at what is there.

    Then it runs to its end. Returns how often it was still at work when it was killed.
    """
    at_work = 0
    for number in range(kills):
        if job.is_there(folder) == whole:
            shutil.rmtree(folder)  # it ended before it could be killed: from the beginning
        folder.mkdir(exist_ok=True)
        process = job.start(folder, again=number > 0)
        time.sleep(chance.uniform(0, seconds))
        if process.poll() is None:
            at_work += 1
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        found = job.is_there(folder)
        # A folder's files come one after another; model.json is the last and vouches for them.
        if "model.json" in found or "model.json" not in whole:
            assert found in ({}, whole), f"after a kill there were {sorted(found)}"
    if job.is_there(folder) != whole:
        job.finish(folder, again=True)
    assert job.is_there(folder) == whole, "the final result is another one"
    left = [path.name for path in folder.iterdir() if path.name.endswith((".resume", ".part"))]
    assert not left, f"left behind: {left}"
    return at_work


def measure(job: Job, folder: Path) -> tuple[dict[str, bytes], float]:
    """Run a job undisturbed; return its outputs and the seconds."""
    folder.mkdir()
    began = time.perf_counter()
    job.finish(folder)
    whole = job.is_there(folder)
    assert len(whole) == len(job.outputs)
    return whole, time.perf_counter() - began


class Server:
    """A server that is killed, and started again where it was.

    It listens on a port that was free when this was made, and is asked for the loads of a few sequences.
    """

    _ASKED: ClassVar = {"sequences": ["ACATTTGCTTCTGACACAACTGTG", "GGCATGCCGTTTAACG"], "profile": True}
    _PATIENCE = 120

    def __init__(self, model: str) -> None:
        with socket.socket() as any_one:
            any_one.bind(("127.0.0.1", 0))
            port = any_one.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "ribocast", "serve", "--port", str(port), "--model", model,
                         "--no-page", "--threads", "1"]  # fmt: skip

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, without waiting for it to answer."""
        return subprocess.Popen(
            self._command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self) -> bytes | None:
        """Return what it answers; None if nobody is there any more."""
        try:
            answer = httpx.post(f"{self.address}/api/v1/predict", json=self._ASKED, trust_env=False, timeout=60)
        except httpx.TransportError:
            return None
        assert answer.status_code == 200, answer.text
        return answer.content

    def first_answer(self, process: subprocess.Popen[bytes]) -> bytes:
        """Wait until it answers."""
        end = time.monotonic() + self._PATIENCE
        while (answer := self.ask()) is None:
            assert process.poll() is None, f"the server ended with {process.returncode}"
            assert time.monotonic() < end
            time.sleep(0.02)
        return answer


def measure_server(server: Server) -> tuple[bytes, float]:
    """Return what an undisturbed server answers, and the seconds to its answer; it is killed afterwards."""
    began = time.perf_counter()
    process = server.start()
    answer = server.first_answer(process)
    seconds = time.perf_counter() - began
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return answer, seconds


def kill_server(server: Server, whole: bytes, seconds: float, chance: random.Random) -> bool:
    """Kill a server at a random moment while it is asked without end; say whether it had answered by then.

    Each answer is whole or none.
    """
    process = server.start()
    end = time.monotonic() + chance.uniform(0, 1.5 * seconds)
    killer = threading.Timer(max(end - time.monotonic(), 0), os.killpg, (process.pid, signal.SIGKILL))
    killer.start()
    answers = 0
    while process.poll() is None:
        answer = server.ask()
        assert answer in (None, whole)
        answers += answer is not None
        time.sleep(0.01)
    killer.join()
    assert process.returncode == -signal.SIGKILL
    return answers > 0


def main() -> None:
    """Kill commands as often as is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--model", default="default")
    parser.add_argument("--only", help="one of the jobs, or serve")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    if options.only in (None, "serve"):
        server = Server(options.model)
        answer, seconds = measure_server(server)
        alive = sum(kill_server(server, answer, seconds, chance) for _ in range(options.times))
        assert measure_server(server)[0] == answer
        print(
            f"serve: {options.times} times killed, {alive} of them after answers; answers whole, the next same",
            flush=True,
        )
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for what, job in make_jobs(place, options.model, options.rows).items():
            if options.only not in (None, what):
                continue
            whole, seconds = measure(job, place / "whole")
            at_work = 0
            for start in range(0, options.times, IN_A_ROW):
                kills = min(IN_A_ROW, options.times - start)
                at_work += kill_at_random(job, place / "killed", whole, seconds, chance, kills)
                shutil.rmtree(place / "killed")
            shutil.rmtree(place / "whole")
            print(f"{what}: {options.times} times killed, {at_work} of them at work; absent or whole, then the same",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
