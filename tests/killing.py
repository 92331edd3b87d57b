"""Commands that are killed at work, at random moments: outputs are absent or whole, and a second run completes them.

A server has no output: the next one takes its place, on the same port, and gives the same answers.

By hand, for all commands: ``python tests/killing.py --times 16``. The tests do the same a few times. What becomes of
each command under other faults: ``tests/fault_matrix.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import httpx
import numpy as np
import pandas as pd

from small_genomes import Gene, Small, fasta, gtf

IN_A_ROW = 10
"""Kills before a command may run to its end, then it begins anew."""
RUNS_FOR_A_KILL = 10
"""A run that ends before it is killed is repeated; more of them for one kill, and it can't be met at work."""


class Run:
    """A command that was started, in a group of processes of its own.

    Attributes
    ----------
    process : subprocess.Popen
        It.
    folder : Path
        Where its outputs go.
    was_there : set of Path
        What was in that folder before.
    """

    def __init__(
        self, command: list[str], folder: Path, fed: bytes = b"", *, watched: bool = False, **how: Any
    ) -> None:
        self.folder, self.was_there = folder, set(folder.rglob("*"))
        self._printed, self._said = (Path(tempfile.mkstemp(dir=folder.parent)[1]) for _ in range(2))
        self._fed, self._taken = fed, 0
        with self._printed.open("wb") as stdout, self._said.open("wb") as stderr:
            ours, theirs = pty.openpty() if watched else (None, stderr)
            streams: dict[str, Any] = {"stdin": subprocess.PIPE if fed else subprocess.DEVNULL, "stdout": stdout,
                                       "stderr": theirs}  # fmt: skip
            self.process = subprocess.Popen(command, start_new_session=True, **(streams | how))
        if ours is not None:
            os.close(theirs)
            threading.Thread(target=self._note, args=(ours,), daemon=True).start()

    def _note(self, terminal: int) -> None:
        with self._said.open("ab", buffering=0) as said, contextlib.suppress(OSError):
            while data := os.read(terminal, 1 << 16):
                said.write(data)
        os.close(terminal)

    @property
    def is_at_work(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """What it has said on standard error, without what moves a terminal's cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self._said.read_text())

    @property
    def printed(self) -> bytes:
        """What it has printed."""
        return self._printed.read_bytes()

    def feed(self, share: float = 1.0) -> None:
        """Write its standard input up to a share of it; return when all is taken but what a pipe holds."""
        if self.process.stdin is None or self.process.stdin.closed:
            return
        until = round(share * len(self._fed))
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(self._fed[self._taken : until])
            self.process.stdin.flush()
            if share == 1:
                self.process.stdin.close()
        self._taken = max(self._taken, until)

    def wait(self) -> int:
        """Let it end; return the exit code."""
        self.feed()
        return self.process.wait(300)

    def kill(self) -> bool:
        """Kill it with all that it has started; say whether it was there to be killed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.feed()
        return self.process.wait() == -signal.SIGKILL


Sign = Callable[[Run], bool]
"""Tells that a run has begun its work."""


def has_opened(pattern: str) -> Sign:
    """Return the sign of a new file in the folder of the outputs."""
    return lambda run: any(path not in run.was_there for path in run.folder.glob(pattern))


def has_said(line: str) -> Sign:
    """Return the sign of a line on standard error."""
    return lambda run: re.search(line, run.said, re.MULTILINE) is not None


def has_taken(run: Run) -> bool:
    """Tell that a run has taken what stands on its standard input, all but the end."""
    run.feed(0.9)
    return True


@dataclass(frozen=True)
class Command:
    """A command, what it writes, and how it is taken up again.

    Attributes
    ----------
    arguments : tuple of str
        OUT stands for the folder of the outputs, TABLE for the input.
    outputs : tuple of str
        Files in it that are the same to the byte, however often the command was killed.
    sign : callable
        Tells that a run has begun its work.
    table : Path, optional
        The input.
    again : tuple of str
        Added after a kill.
    is_fed : bool
        Whether the input comes by standard input; that it is taken is then the sign.
    is_watched : bool
        Whether standard error is a terminal, so that progress is shown.
    printing : tuple of str, optional
        The arguments with which it prints; None where it prints nothing.
    clash : str, optional
        An output that might be given the input's name.
    is_alone : bool
        Whether a second run with the same output is refused.
    """

    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    sign: Sign
    table: Path | None = None
    again: tuple[str, ...] = ()
    is_fed: bool = False
    is_watched: bool = False
    printing: tuple[str, ...] | None = None
    clash: str | None = None
    is_alone: bool = False

    def command(
        self, folder: Path, *, again: bool = False, table: Path | None = None, prints: bool = False
    ) -> list[str]:
        """Return the words after ``ribocast``."""
        known = {"OUT": str(folder), "TABLE": str(table or self.table)}
        words = [*((self.printing or ()) if prints else self.arguments), *(self.again if again else ())]
        return [re.sub("^(OUT|TABLE)", lambda found: known[found[0]], word) for word in words]

    def start(
        self, folder: Path, *, again: bool = False, table: Path | None = None, prints: bool = False, **how: Any
    ) -> Run:
        """Start it; with a table of its own, that is read by its name. `how` goes to `Run`."""
        is_fed = self.is_fed and table is None and self.table is not None
        words = self.command(folder, again=again, table=Path("-") if is_fed else table, prints=prints)
        fed = self.table.read_bytes() if is_fed and self.table else b""
        return Run([sys.executable, "-m", "ribocast", *words], folder, fed, **how)

    def begin(self, folder: Path, *, again: bool = False) -> Run:
        """Start it, and wait until it is at work, or has ended."""
        run = self.start(folder, again=again, watched=self.is_watched)
        while run.is_at_work and not self.sign(run):
            time.sleep(0.002)
        return run

    def finish(self, folder: Path, *, again: bool = False) -> Run:
        """Run it to its end, which must be a good one."""
        run = self.start(folder, again=again)
        assert run.wait() == 0, run.said
        return run

    def is_there(self, folder: Path) -> dict[str, bytes]:
        """Return the outputs that are there."""
        paths = [folder / name for name in self.outputs]
        return {path.name: path.read_bytes() for path in paths if path.is_file()}

    def half(self, found: dict[str, bytes], whole: dict[str, bytes]) -> list[str]:
        """Return the outputs that are there, unless there are none or all are whole."""
        # A folder's files come one after another; model.json is the last and vouches for them.
        is_vouched = "model.json" in found or "model.json" not in whole
        return sorted(found) if is_vouched and found not in ({}, whole) else []


BUNDLE = ("model.onnx", "model.safetensors", "model.json")


def make_commands(folder: Path, model: str, rows: int) -> dict[str, Command]:
    """Write inputs of a number of rows; return the commands that read them, by name."""
    random_ = np.random.default_rng(3)
    utrs = ["".join(random_.choice(list("ACGT"), 50)) for _ in range(rows)]
    table, pairs, grid = folder / "utrs.csv", folder / "pairs.csv", folder / "grid.toml"
    # Any numbers will do: how well it trains does not matter here.
    pd.DataFrame({"seq": utrs, "label": random_.normal(6, 1, rows).round(3)}).to_csv(table, index=False)
    few, fewer = folder / "few.csv", folder / "fewer.csv"
    pd.read_csv(table).head(300).to_csv(few, index=False)
    pd.read_csv(table).head(60).to_csv(fewer, index=False)
    alts = [utr[:20] + {"A": "C", "C": "G", "G": "T", "T": "A"}[utr[20]] + utr[21:] for utr in utrs]
    pd.DataFrame({"ref_seq": utrs, "alt_seq": alts}).to_csv(pairs, index=False)
    grid.write_text("[grid]\nhidden = [16, 32]\n")
    calls = write_genome(folder, "".join(random_.choice(list("ACGT"), 400)))
    small = ("--model", "attention-2conv", "--epochs", "2", "--device", "cpu")
    asked = ("--model", model, "--threads", "1")
    predict, variants, simulate = (
        ("predict", "TABLE", *asked),
        ("variants", "TABLE", *asked),
        ("simulate", "-n", str(10 * rows)),
    )
    genome = (*variants, "--gtf", str(folder / "genes.gtf"), "--fasta", str(folder / "genome.fa"))
    explain, evaluate = ("explain", "TABLE", *asked), ("evaluate", model, "TABLE", "--threads", "1")
    design = ("design", "--target", "7", "-n", "40", "--budget", str(rows), "--no-overlap", "TABLE", *asked)
    train = ("train", "TABLE", "-o", "OUT/run", *small)
    search = ("search", "TABLE", "--grid", str(grid), "--folds", "2", "--workers", "2", "-o", "OUT/s", *small)
    compare = ("compare", model, "--data", "TABLE", "--threads", "1")
    resume = ("--resume",)
    return {
        "predict CSV": Command(
            (*predict, "-o", "OUT/out.csv"),
            ("out.csv",),
            has_opened(".out.csv.*.part"),
            table,
            resume,
            printing=predict,
            clash="out.csv",
        ),
        "predict Parquet": Command(
            (*predict, "-o", "OUT/o.parquet"),
            ("o.parquet",),
            has_opened(".o.parquet.*.part"),
            table,
            resume,
            clash="o.parquet",
        ),
        "variants table": Command(
            (*variants, "-o", "OUT/out.csv"),
            ("out.csv",),
            has_opened(".out.csv.*.part"),
            pairs,
            resume,
            printing=variants,
            clash="out.csv",
        ),
        "variants VCF": Command(
            (*genome, "-o", "OUT/out.vcf"),
            ("out.vcf",),
            has_opened(".out.vcf.*.part"),
            calls,
            printing=genome,
            clash="out.vcf",
        ),
        "explain table": Command(
            (*explain, "--table", "OUT/out.csv"),
            ("out.csv",),
            has_opened(".out.csv.*.part"),
            fewer,
            printing=(*explain, "--table", "-"),
            clash="out.csv",
        ),
        "design": Command(
            (*design, "-o", "OUT/designs.csv"),
            ("designs.csv",),
            has_said("designing"),
            few,
            is_watched=True,
            printing=design,
            clash="designs.csv",
        ),
        "evaluate": Command(evaluate, (), has_taken, table, is_fed=True, printing=evaluate),
        "simulate": Command(
            (*simulate, "-o", "OUT/out.csv"), ("out.csv",), has_opened(".out.csv.*.part"), printing=simulate
        ),
        "data describe": Command(
            ("data", "describe", "TABLE"), (), has_taken, table, is_fed=True, printing=("data", "describe", "TABLE")
        ),
        "train": Command(
            train,
            tuple(f"run/{name}" for name in BUNDLE),
            has_said("^device: "),
            few,
            resume,
            printing=(*train, "--json"),
            clash="run/history.csv",
            is_alone=True,
        ),
        "search": Command(
            search,
            tuple(f"s/best/{name}" for name in BUNDLE),
            has_said("^(trial|refitting) "),
            few,
            resume,
            printing=search,
            clash="s/trials.csv",
        ),
        "compare": Command(
            (*compare, "-o", "OUT/report.html"),
            ("report.html",),
            has_taken,
            table,
            is_fed=True,
            printing=(*compare, "--json"),
            clash="report.html",
        ),
    }


def write_genome(folder: Path, utr: str) -> Path:
    """Write a genome of one gene, its annotation, and a VCF of all substitutions in its 5′ UTR; return the last."""
    small = Small(utr + "ATGGCCTAA" + "GC" * 5, [Gene("g", "+", [(1, len(utr) + 19)], len(utr) + 1)])
    (folder / "genome.fa").write_text(fasta(small))
    (folder / "genes.gtf").write_text(gtf(small))
    calls = folder / "calls.vcf"
    rows = [f"chr1\t{at}\t.\t{ref}\t{alt}\t.\t.\t.\n"
            for at, ref in enumerate(utr, 1) for alt in "ACGT" if alt != ref]  # fmt: skip
    calls.write_text("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(rows))
    return calls


class Undisturbed(NamedTuple):
    """What a run gives that nothing befalls, and the seconds it is at work for."""

    outputs: dict[str, bytes]
    printed: bytes
    seconds: float


def measure(command: Command, folder: Path) -> Undisturbed:
    """Run a command undisturbed."""
    folder.mkdir()
    run = command.begin(folder)
    began = time.perf_counter()
    assert run.wait() == 0, run.said
    whole = Undisturbed(command.is_there(folder), run.printed, time.perf_counter() - began)
    assert len(whole.outputs) == len(command.outputs)
    return whole


def leftovers(folder: Path) -> list[str]:
    """Return what no run leaves that ends well."""
    return [path.name for path in folder.rglob("*") if path.name.endswith((".resume", ".part"))]


def kill_at_work(command: Command, folder: Path, whole: Undisturbed, chance: random.Random, kills: int = 2) -> int:
    """Kill a command a number of times at random moments of its work, and look at what is there; then take it up again.

    A run that ends before it is killed does not count. At last it runs to its end. Returns how many did not count.
    """
    killed = ended = 0
    while killed < kills:
        folder.mkdir(exist_ok=True)
        run = command.begin(folder, again=any(folder.iterdir()))
        run.feed()
        time.sleep(chance.uniform(0, whole.seconds))
        was_met = run.kill()
        found = command.is_there(folder)
        assert not command.half(found, whole.outputs), f"after a kill there were {sorted(found)}"
        if was_met and found != whole.outputs:
            killed += 1
        else:
            ended += 1
            assert ended <= RUNS_FOR_A_KILL * kills, "it always ends before it is killed"
            shutil.rmtree(folder)  # from the beginning
    command.finish(folder, again=True)
    assert command.is_there(folder) == whole.outputs, "the final result is another one"
    assert not leftovers(folder)
    return ended


class Server:
    """A server that is killed, and started again where it was.

    It listens on a port that was free when this was made, and is asked for the MRL of a few sequences.
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

    def start(self, **streams: Any) -> subprocess.Popen[bytes]:
        """Start it, without waiting for it to answer."""
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        return subprocess.Popen(self._command, start_new_session=True, **(quiet | streams))

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


def measure_server(server: Server) -> bytes:
    """Return what an undisturbed server answers; it is killed afterwards."""
    process = server.start()
    answer = server.first_answer(process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return answer


def kill_server(server: Server, whole: bytes, chance: random.Random) -> None:
    """Kill a server at a random moment after its first answer, while it is asked without end.

    Each answer is whole or none.
    """
    process = server.start()
    assert server.first_answer(process) == whole
    killer = threading.Timer(chance.uniform(0, 0.5), os.killpg, (process.pid, signal.SIGKILL))
    killer.start()
    while process.poll() is None:
        assert server.ask() in (None, whole)
    killer.join()
    assert process.returncode == -signal.SIGKILL


def main(arguments: list[str] | None = None) -> None:
    """Kill commands as often as is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=16)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--model", default="default")
    parser.add_argument("--only", nargs="*", help="some of the commands, or serve")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for what, command in make_commands(place, options.model, options.rows).items():
            if not command.outputs or (options.only and what not in options.only):
                continue
            whole = measure(command, place / "whole")
            ended = 0
            for start in range(0, options.times, IN_A_ROW):
                kills = min(IN_A_ROW, options.times - start)
                ended += kill_at_work(command, place / "killed", whole, chance, kills)
                shutil.rmtree(place / "killed")
            shutil.rmtree(place / "whole")
            print(f"{what}: {options.times} times killed at work, absent or whole, then the same; {ended} runs ended"
                  " before they were killed and were repeated", flush=True)  # fmt: skip
    if not options.only or "serve" in options.only:
        server = Server(options.model)
        answer = measure_server(server)
        for _ in range(options.times):
            kill_server(server, answer, chance)
        assert measure_server(server) == answer
        print(f"serve: {options.times} times killed after answers; answers whole, the next one's the same", flush=True)


if __name__ == "__main__":
    main()
