"""Reading the lines of text, plain or gzip, from files, pipes and standard input: nothing is sought back."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from ribocast.errors import RibocastError

_GZIP = b"\x1f\x8b"
_BLOCKS = b"\x1f\x8b\x08\x04"
_HEAD = 18
# What every file of block gzip (bgzip) ends with; SAM specification, 4.1.2.
_LAST_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BUFFER = 1 << 16

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
        If there is no such file, or, while it is read, if it is cut short, damaged or not UTF-8. What fails in the
        body is passed on as it is.
    """
    name = (Path(path).name or str(path)) if str(path) != "-" else "standard input"
    with ExitStack() as stack:
        try:
            if str(path) != "-":
                raw = cast("IO[bytes]", stack.enter_context(Path(path).open("rb")))
            elif sys.stdin is None:
                raise RibocastError(f"{name} is closed")
            else:
                raw = cast("IO[bytes]", sys.stdin.buffer)
            source = _Source(raw)
        except OSError as error:
            raise RibocastError(f"{name}: {error.strerror or error}") from None
        stream = cast("IO[bytes]", io.BufferedReader(source, _BUFFER))
        if source.head.startswith(_GZIP):
            # The cast is due to a wrong stub: GzipFile is what TextIOWrapper takes.
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
        text = stack.enter_context(io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n"))
        yield Lines(_lines(text, source, name), lambda: source.count)


def _lines(text: IO[str], source: _Source, name: str) -> Iterator[str]:
    try:
        yield from text
    except UnicodeDecodeError as error:
        raise RibocastError(f"{name}: not UTF-8 text (it holds the byte 0x{error.object[error.start]:02x})") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise _cut_short(name) from None
    except OSError as error:
        raise RibocastError(f"{name}: {error.strerror or error}") from None
    source.refuse_shrunk(name)
    # Cut between two blocks, it is still readable.
    if source.head.startswith(_BLOCKS) and source.head[12:14] == b"BC" and source.tail != _LAST_BLOCK:
        raise _cut_short(name)


def _cut_short(name: str) -> RibocastError:
    return RibocastError(f"{name}: the gzip data is damaged or cut short")


class _Source(io.RawIOBase):
    """Bytes of a file or a pipe: the first of them, how many were read, and the last of those."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = cast("io.BufferedReader", raw)
        self.head = self._rest = b""
        self._size = _size_of(raw)
        self.count, self.tail = 0, b""
        while len(self.head) < _HEAD and (more := self._raw.read1(_HEAD - len(self.head))):
            self.head += more
        self._rest = self.head

    def refuse_shrunk(self, name: str) -> None:
        """Refuse a file that has become shorter since it was opened: lines would be missing without a word."""
        if _size_of(self._raw) < self._size:
            raise RibocastError(f"{name}: became shorter while it was read")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._rest[: len(buffer)] or self._raw.read1(len(buffer))
        self._rest = self._rest[len(block) :]
        self.count += len(block)
        kept = len(_LAST_BLOCK)
        self.tail = block[-kept:] if len(block) >= kept else (self.tail + block)[-kept:]
        buffer[: len(block)] = block
        return len(block)


def _size_of(raw: IO[bytes]) -> int:
    """Return how long a file is now; 0 for what is none."""
    try:
        return os.fstat(raw.fileno()).st_size
    except OSError:
        return 0


def number(value: float | None) -> str:
    """Spell a figure of accuracy."""
    return "undefined" if value is None else f"{value:.4f}"
