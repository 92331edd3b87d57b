"""What becomes of each command under each fault: a table of checks that were run, for docs/robustness.md.

``python tests/fault_matrix.py`` runs all, prints the table and writes it into the docs; with ``--only`` or ``--faults``
it runs some cells anew, and the others stay as they were found.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import ribocast
from killing import Command, Run, Server, Undisturbed, kill_server, leftovers, make_commands, measure, measure_server

DOCS = Path(__file__).parent.parent / "docs" / "robustness.md"
BEGIN, END = "<!-- made by tests/fault_matrix.py -->", "<!-- end of what tests/fault_matrix.py made -->"
NEVER, FAILED = "–", "**failed**"
ENDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
LONG_BYTES = 12_000_000
"""An input that is not read at once."""


class Bench:
    """Where the commands run, and what they give undisturbed."""

    def __init__(self, place: Path, model: str, rows: int) -> None:
        self.place, self.commands, self.model = place, make_commands(place, model, rows), model
        self.chance = random.Random(rows)
        self._numbers = itertools.count()
        self._wholes: dict[str, Any] = {}

    def folder(self) -> Path:
        """Make an empty folder."""
        folder = self.place / str(next(self._numbers))
        folder.mkdir()
        return folder

    def path(self, name: str) -> Path:
        """Return a new path."""
        return self.place / f"{next(self._numbers)}-{name}"

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Make something if it was not made yet."""
        if name not in self._wholes:
            self._wholes[name] = make()
        return self._wholes[name]

    def whole(self, command: Command) -> Undisturbed:
        """Return what an undisturbed run gives."""
        return self.once(" ".join(command.arguments), lambda: measure(command, self.path("whole")))

    def finish(self, command: Command, folder: Path) -> None:
        """Run a command again where it was stopped, and compare what it gives with the undisturbed run's."""
        run = command.finish(folder, again=True)
        self.check_whole(command, run)

    def check_whole(self, command: Command, run: Run) -> None:
        """Assert that a run gave all, and left nothing else."""
        whole = self.whole(command)
        assert command.is_there(run.folder) == whole.outputs, "another result"
        assert command.outputs or run.printed == whole.printed, "another result"
        assert not leftovers(run.folder), leftovers(run.folder)

    def long(self, table: Path) -> Path:
        """Write a long copy of a table: with a wide column of text, or, of a VCF, the rows again and again."""
        lines = table.read_bytes().splitlines(keepends=True)
        head = next(n for n, line in enumerate(lines) if n and not line.startswith(b"#"))
        copy, times = self.path(table.name), LONG_BYTES // table.stat().st_size
        if head > 1:
            copy.write_bytes(b"".join(lines[:head] + lines[head:] * times))
        else:
            text = b"," + b"x" * (LONG_BYTES // len(lines)) + b"\n"
            copy.write_bytes(lines[0].rstrip() + b",text\n" + b"".join(line.rstrip() + text for line in lines[1:]))
        return copy


def check_told(run: Run, *words: str, code: int = 2) -> None:
    """Assert that a run ended with a code and one line of an error, which holds some words."""
    assert run.wait() == code, f"exit code {run.process.returncode}: {run.said}"
    last = run.said.rstrip().splitlines()[-1]
    assert last.startswith("error: "), run.said
    assert run.said.count("error: ") == 1, run.said
    assert "Traceback" not in run.said, run.said
    assert not words or any(word in last for word in words), last


def check_nothing(command: Command, folder: Path) -> None:
    """Assert that no output is there, and nothing half."""
    half = [path.name for path in folder.rglob("*.part")]
    assert not command.is_there(folder), f"{sorted(command.is_there(folder))} are there"
    assert not half, f"left: {half}"


# --- one function a fault: what it gives in a cell -----------------------------------------------------------------


def killed(bench: Bench, command: Command) -> str:
    """Kill it at a random moment of its work, with its processes; then run it again."""
    whole = bench.whole(command)
    for _ in range(10):
        folder = bench.folder()
        run = command.begin(folder)
        time.sleep(bench.chance.uniform(0, whole.seconds))
        if run.kill():
            assert not command.half(command.is_there(folder), whole.outputs), sorted(command.is_there(folder))
            bench.finish(command, folder)
            return "then the same"
        bench.check_whole(command, run)
    raise AssertionError("it always ended before it was killed")


def signalled(number: signal.Signals, bench: Bench, command: Command) -> str:
    """Send it a signal at a random moment of its work: as a terminal does to all its processes, SIGTERM to it alone."""
    whole = bench.whole(command)
    for _ in range(10):
        folder = bench.folder()
        run = command.begin(folder)
        time.sleep(bench.chance.uniform(0, whole.seconds / 2))
        with contextlib.suppress(ProcessLookupError):
            (os.kill if number == signal.SIGTERM else os.killpg)(run.process.pid, number)
        if run.wait():
            check_told(run, ENDS[number], code=128 + number)
            check_nothing(command, folder)
            if not command.again:
                return f"exit {128 + number}"
            bench.finish(command, folder)
            return f"exit {128 + number}, then the same"
    raise AssertionError("it always ended before the signal came")


def disk_full(bench: Bench, command: Command) -> str:
    """Have it write to a disk with room for 4 kB, where an older output stands."""
    with small_disk(bench.folder()) as disk:
        old = disk / command.outputs[0] if "/" not in command.outputs[0] else None
        if old:
            old.write_text("old")
        with (disk / "filler").open("wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(4096))
            filler.truncate(filler.tell() - 4096)
        run = command.start(disk)
        check_told(run, "No space left on device")
        if old:
            assert old.read_text() == "old"
            assert sorted(path.name for path in disk.iterdir()) == sorted(["filler", old.name])
        else:
            check_nothing(command, disk)
    return "exit 2"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def reader_gone(bench: Bench, command: Command) -> str:
    """Have nobody read what it prints."""
    reader, writer = os.pipe()
    os.close(reader)
    run = command.start(bench.folder(), prints=True, stdout=writer)
    os.close(writer)
    assert run.wait() == 141, f"exit code {run.process.returncode}: {run.said}"
    assert "error: " not in run.said, run.said
    return "exit 141"


def stderr_full(bench: Bench, command: Command) -> str:
    """Let nothing be said: /dev/full is standard error."""
    with Path("/dev/full").open("w") as full:
        run = command.start(bench.folder(), stderr=full)
        assert run.wait() == 0, f"exit code {run.process.returncode}"
    bench.check_whole(command, run)
    return "the same"


def read_only(bench: Bench, command: Command) -> str:
    """Let it not write to the folder of its outputs."""
    folder = bench.folder()
    folder.chmod(0o555)
    run = command.start(folder, preexec_fn=drop_power)
    check_told(run, "ermission")
    assert not any(folder.iterdir())
    return "exit 2"


def drop_power() -> None:
    """Have root, after the next program is begun, write only where its owner may (CAP_DAC_OVERRIDE)."""
    ctypes.CDLL(None).prctl(24, 1)


def cut_short(bench: Bench, command: Command) -> str:
    """Cut its input in the middle of reading it."""
    for _ in range(10):
        table, folder = bench.long(command.table), bench.folder()
        run = command.start(folder, table=table)
        was_met = cut_when_read(run, table)
        run.wait()
        table.unlink()
        if was_met:
            check_told(run, f"{table.name}: became shorter", f"{table.name}: was changed")
            check_nothing(command, folder)
            return "exit 2"
    raise AssertionError("it always was read before it was cut")


def cut_when_read(run: Run, table: Path) -> bool:
    """Wait until a part of a file was read, then cut it there; say whether that came in time."""
    files, size = Path(f"/proc/{run.process.pid}/fd"), table.stat().st_size
    while run.is_at_work:
        with contextlib.suppress(OSError):
            for file in files.iterdir():
                facts = files.with_name("fdinfo") / file.name
                if file.readlink() == table and where(facts) > 0:
                    run.process.send_signal(signal.SIGSTOP)
                    try:
                        if where(facts) >= size:
                            return False
                        os.truncate(table, size // 2)
                        return True
                    finally:
                        run.process.send_signal(signal.SIGCONT)
        time.sleep(0.0005)
    return False


def where(facts: Path) -> int:
    """Return how far an open file was read."""
    return int(re.search(r"pos:\s*(\d+)", facts.read_text())[1])


def output_is_input(bench: Bench, command: Command) -> str:
    """Give its output, or what it prints to, another name of its input."""
    folder = bench.folder()
    table = bench.path("table").with_suffix(command.table.suffix)
    table.write_bytes(command.table.read_bytes())
    if command.clash is not None:
        (folder / command.clash).parent.mkdir(exist_ok=True)
        (folder / command.clash).hardlink_to(table)
        run = command.start(folder, table=table)
    else:
        with table.open("ab") as stdout:
            run = command.start(folder, table=table, stdout=stdout)
    check_told(run)
    assert table.read_bytes() == command.table.read_bytes()
    assert len(list(folder.rglob("*"))) <= 2
    return "exit 2"


def two_at_once(bench: Bench, command: Command) -> str:
    """Start it twice with the same output."""
    folder = bench.folder()
    # A search that another shares is resumed by that.
    pair = [command.start(folder, again="search" in command.arguments) for _ in range(2)]
    for run in pair:
        run.wait()
    codes = sorted(run.process.returncode for run in pair)
    if command.is_alone:
        assert codes == [0, 2], [run.said for run in pair]
        refused = next(run for run in pair if run.process.returncode)
        check_told(refused, "another run is writing to it")
    else:
        assert codes == [0, 0], [run.said for run in pair]
    bench.check_whole(command, pair[0])
    return "one is refused" if command.is_alone else "whole"


FAULTS: dict[str, Callable[[Bench, Command], str]] = {
    "SIGKILL": killed,
    "SIGTERM": partial(signalled, signal.SIGTERM),
    "SIGHUP": partial(signalled, signal.SIGHUP),
    "Ctrl-C": partial(signalled, signal.SIGINT),
    "disk full": disk_full,
    "reader of stdout gone": reader_gone,
    "stderr full": stderr_full,
    "folder read-only": read_only,
    "input cut while read": cut_short,
    "output is an input": output_is_input,
    "two at once": two_at_once,
}


NEEDS: dict[str, Callable[[Command], bool]] = {
    "disk full": lambda command: bool(command.outputs),
    "reader of stdout gone": lambda command: command.printing is not None,
    "folder read-only": lambda command: bool(command.outputs),
    "input cut while read": lambda command: command.table is not None,
    "output is an input": lambda command: command.table is not None,
    "two at once": lambda command: bool(command.outputs),
}
"""What a command must have for a fault to befall it: files that it writes, an input, something to print."""


# --- a server ------------------------------------------------------------------------------------------------------


def server_of(bench: Bench) -> tuple[Server, bytes]:
    """Return a server, on a port of its own, and what an undisturbed one answers."""
    server = Server(bench.model)
    return server, bench.once("serve", lambda: measure_server(server))


def server_killed(bench: Bench) -> str:
    server, whole = server_of(bench)
    kill_server(server, whole, bench.chance)
    assert measure_server(server) == whole
    return "then the same"


def server_signalled(number: signal.Signals, bench: Bench, **streams: Any) -> str:
    server, whole = server_of(bench)
    process = server.start(**streams)
    assert server.first_answer(process) == whole
    assert server.ask() == whole
    os.killpg(process.pid, number)
    # It waits for its calls where it is asked to end, not where its terminal is gone.
    code = 128 + number if number == signal.SIGHUP else 0
    assert process.wait(60) == code, process.returncode
    return f"exit {code}"


def server_unread(bench: Bench) -> str:
    reader, writer = os.pipe()
    os.close(reader)
    server_signalled(signal.SIGTERM, bench, stdout=writer)
    os.close(writer)
    return "answers"


def server_unheard(bench: Bench) -> str:
    with Path("/dev/full").open("w") as full:
        server_signalled(signal.SIGTERM, bench, stderr=full)
    return "answers"


def two_servers(bench: Bench) -> str:
    server, whole = server_of(bench)
    process = server.start()
    assert server.first_answer(process) == whole
    with tempfile.TemporaryFile() as said:
        assert server.start(stderr=said).wait(60) == 2
        said.seek(0)
        assert said.read().startswith(b"error: ")
    assert server.ask() == whole
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return "one is refused"


# It writes no file and reads none but models.
SERVER_FAULTS: dict[str, Callable[[Bench], str]] = {
    "SIGKILL": server_killed,
    "SIGTERM": partial(server_signalled, signal.SIGTERM),
    "SIGHUP": partial(server_signalled, signal.SIGHUP),
    "Ctrl-C": partial(server_signalled, signal.SIGINT),
    "reader of stdout gone": server_unread,
    "stderr full": server_unheard,
    "two at once": two_servers,
}


# --- the table -----------------------------------------------------------------------------------------------------


def never(bench: Bench, command: str, fault: str) -> bool:
    """Tell whether a fault can't befall a command."""
    if command == "serve":
        return fault not in SERVER_FAULTS
    return fault in NEEDS and not NEEDS[fault](bench.commands[command])


def cell(bench: Bench, command: str, fault: str) -> str:
    """Run one check."""
    if never(bench, command, fault):
        return NEVER
    return SERVER_FAULTS[fault](bench) if command == "serve" else FAULTS[fault](bench, bench.commands[command])


def row(bench: Bench, command: str, faults: list[str]) -> list[str]:
    """Run a command's checks; say on standard error what was found, and why it is a failure."""
    cells = []
    for fault in faults:
        why = ""
        try:
            cells.append(cell(bench, command, fault))
        except Exception as error:
            cells.append(FAILED)
            why = f": {type(error).__name__}: {str(error)[-400:]}"
        print(f"{command}, {fault}: {cells[-1]}{why}", file=sys.stderr, flush=True)
    return cells


COMMANDS = ("predict CSV", "predict Parquet", "variants table", "variants VCF", "explain table", "design", "evaluate",
            "simulate", "data describe", "train", "search", "compare", "serve")  # fmt: skip
"""The rows; the slowest are begun first."""
MEANS = {
    "then the same": "outputs were absent or whole; run again (`--resume` where there is that), it gave the bytes of an"
    " undisturbed run, and nothing else was left",
    "exit N": "with that code and one line on standard error (141: none); no output was there, nothing half was left,"
    " an older output, the input and the folder were as before",
    "exit 0": "the server ended in good order",
    "the same": "exit 0, and the bytes of an undisturbed run",
    "whole": "both ended with 0, and the outputs were those of one; a search is shared",
    "one is refused": "exit 2; the other did all",
    NEVER: "the command writes, reads or prints nothing of the kind",
}


def as_markdown(cells: dict[tuple[str, str], str]) -> str:
    """Return the table and what its words mean."""
    lines = [["", *FAULTS], ["---"] * (len(FAULTS) + 1)]
    lines += [[command, *(cells.get((command, fault), "not run") for fault in FAULTS)] for command in COMMANDS]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    means = "\n".join(f"- {word}: {meaning}." for word, meaning in MEANS.items())
    return f"ribocast {ribocast.__version__}, {date.today()}, {sys.platform}:\n\n{table}\n\n{means}\n"


def in_docs() -> dict[tuple[str, str], str]:
    """Return the cells of the table that is in the docs."""
    made = DOCS.read_text().split(BEGIN)[1].split(END)[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in made.splitlines() if line.startswith("|")]
    return {(line[0], fault): cell for line in lines[2:] for fault, cell in zip(lines[0][1:], line[1:], strict=True)}


def main() -> None:
    """Run the checks, print the table, and write it into the docs if it is whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=COMMANDS, help="some of the rows")
    parser.add_argument("--faults", nargs="*", choices=FAULTS, help="some of the columns")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--model", default="default")
    parser.add_argument("--workers", type=int, default=4, help="rows at the same time")
    options = parser.parse_args()
    # A background command of a shell ignores some, and so would what it starts.
    for number in ENDS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    commands, faults = options.only or list(COMMANDS), options.faults or list(FAULTS)
    slowest_first = sorted(commands, key=lambda command: command not in ("search", "train", "design"))
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(options.workers) as pool:
        bench = Bench(Path(name), options.model, options.rows)
        found = list(pool.map(lambda command: row(bench, command, faults), slowest_first))
    cells = in_docs() if options.only or options.faults else {}
    for command, line in zip(slowest_first, found, strict=True):
        cells |= {(command, fault): cell for fault, cell in zip(faults, line, strict=True)}
    made = as_markdown(cells)
    print(made)
    before, rest = DOCS.read_text().split(BEGIN)
    DOCS.write_text(f"{before}{BEGIN}\n{made}{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
