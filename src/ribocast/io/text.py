"""Reading the lines of text, plain or gzip, from files, pipes and standard input: nothing is sought back."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from ribocast.errors import InputError
from ribocast.io.inputs import in_our_words, input_name, open_input

_LONGEST_LINE_MB = 64
"""A line of a VCF has some letters of each of, maybe, half a million samples."""

POSITION = re.compile("[0-9]{1,18}")
"""A position in a contig. Python makes no number of thousands of digits."""


class Lines(NamedTuple):
    """Lines with their ends, and how many bytes of the file are read."""

    lines: Iterator[str]
    read_bytes: Callable[[], int]


@contextmanager
def open_lines(path: str | Path) -> Iterator[Lines]:
    r"""Open a text file, plain, gzip or bgzip, whatever its name; ``-`` is standard input. Lines end with ``\n``.

    Raises
    ------
    RibocastError
        If there is no such file, or it is a directory or a device; or, while it is read, if it is changed, cut short,
        damaged or not UTF-8, or has a line of more than 64 MB. What fails in the body is passed on as it is.
    """
    name = input_name(path)
    with ExitStack() as stack:
        with in_our_words(name):
            source = stack.enter_context(open_input(path, what="a text file"))
        text = stack.enter_context(io.TextIOWrapper(source.unpacked(), encoding="utf-8-sig", newline="\n"))
        yield Lines(_lines(text, name), lambda: source.count)


def _lines(text: IO[str], name: str) -> Iterator[str]:
    most = _LONGEST_LINE_MB << 20
    with in_our_words(name):
        for number, line in enumerate(iter(partial(text.readline, most), ""), start=1):
            if len(line) == most:
                raise InputError(f"{name} line {number}: is longer than {_LONGEST_LINE_MB} MB")
            if "\0" in line:
                raise InputError(f"{name} line {number}: not text (it holds a NUL byte)")
            yield line


def number(value: float | None) -> str:
    """Spell a figure of accuracy."""
    return "undefined" if value is None else f"{value:.4f}"
