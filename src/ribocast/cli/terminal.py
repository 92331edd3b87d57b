"""What the command line shows: results on standard output; words and progress on standard error."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, Protocol

from ribocast.io.interrupts import verdict
from ribocast.io.safe_text import safe_text


class _MayFail(io.FileIO):
    """Standard error: where it is full or closed, what is said there is lost, and nothing else."""

    def write(self, data: Any, /) -> int:
        with suppress(OSError):
            super().write(data)
        return len(memoryview(data))


def prepare_streams() -> None:
    """Write UTF-8 wherever we are.

    Where standard input, output or error is closed, no file that is opened may pass for it. What is printed to closed
    standard output then fails, as it does where that is full, and what is said on standard error is lost.
    """
    for number, (name, mode) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        try:
            os.fstat(number)
        except OSError:
            # The first number that is free: this one. Nobody can write to it.
            os.open(os.devnull, os.O_RDONLY)
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        elif hasattr(stream, "reconfigure") and mode == "w":
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if sys.stderr is sys.__stderr__ or sys.__stderr__ is None:
        raw = io.BufferedWriter(_MayFail(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True, write_through=True)


def drop_output() -> None:
    """Keep Python from trying again, at its end, to write what could not be written."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(message: str, code: int = 2) -> int:
    """Say what is wrong in one line; return the exit code. After a signal, that is what is wrong."""
    message, code = verdict() or (message, code)
    print(f"error: {safe_text(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201
    return code


def say(line: str) -> None:
    """Tell the user something beside the result."""
    print(safe_text(line), file=sys.stderr)  # noqa: T201


@contextmanager
def silence() -> Iterator[None]:
    """Show nothing for a while."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):  # noqa: PTH123
        yield


class Advance(Protocol):
    """Shows how much is done, of how much if that is known, and a few words."""

    def __call__(self, done: int, total: int | None = None, text: str = "", /) -> None:
        """Show it."""


@contextmanager
def progress(what: str, *, results_to: object = "") -> Iterator[tuple[Advance, Callable[[str], None]]]:
    """Show progress on stderr, if people watch and no results come in between; lines are said above the bar."""
    between = sys.stdout.isatty() and (results_to is None or str(results_to) == "-")
    if between or not sys.stderr.isatty():
        yield (lambda done, total=None, text="": None), say
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[text]}")]  # fmt: skip
    # Unless told otherwise, rich takes standard output too, and a table meant for a file ends on the terminal.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(what, total=None, text="")

        def advance(done: int, total: int | None = None, text: str = "") -> None:
            bar.update(task, completed=done, total=total, text=text)

        def say_above(line: str) -> None:
            bar.console.print(safe_text(line), markup=False, highlight=False, soft_wrap=True)

        yield advance, say_above


def print_lines(lines: Iterable[str]) -> None:
    """Print a result in words."""
    print("\n".join(map(safe_text, lines)))  # noqa: T201


def print_json(value: Any) -> None:
    """Print a result for programs."""
    print(safe_text(json.dumps(value, ensure_ascii=False, indent=2)))  # noqa: T201


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a result for people."""
    from rich.console import Console
    from rich.table import Table

    class Output(Console):
        def on_broken_pipe(self) -> None:
            # It would end us with an exit code of its own.
            raise BrokenPipeError

    table = Table(*header, box=None, pad_edge=False, show_edge=False)
    for row in rows:
        table.add_row(*map(safe_text, row))
    # What stands in tables is text: no [markup], no :emoji:.
    Output(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False, highlight=False).print(table)
