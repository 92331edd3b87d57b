"""The one way to the bytes of an input: a file, a pipe or standard input, watched while it is read.

A file that is changed meanwhile is refused, at the next block that is read of it: what was read before and what is read
after would not be of one file. Devices are refused: some of them never end.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ribocast.errors import InputError, RibocastError

LONGEST_ROW_MB = 16
"""A row, or a record of FASTA, of more MB is refused before the rest of it is read."""
_GZIP = b"\x1f\x8b"
_BLOCKS = b"\x1f\x8b\x08\x04"
_HEAD = 18
# What every file of block gzip (bgzip) ends with; SAM specification, 4.1.2.
_LAST_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BUFFER = 1 << 16
_KINDS = ((stat.S_ISDIR, "a directory"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
          (stat.S_ISSOCK, "a socket"))  # fmt: skip


def input_name(path: str | Path) -> str:
    """Return what messages call an input."""
    return (Path(path).name or str(path)) if str(path) != "-" else "standard input"


@contextmanager
def open_input(path: str | Path, *, what: str = "a table") -> Iterator[Input]:
    """Open a file or a FIFO, or standard input for ``-``; `what` it should be, for messages.

    Raises
    ------
    RibocastError
        If there is no such file, or it is a directory, a device or a socket; while it is read and at the end of the
        body, if it is changed, and, if it is of block gzip, where it is cut short.
    """
    name = input_name(path)
    if str(path) == "-":
        if sys.stdin is None:
            raise InputError(f"{name} is closed")
        source = Input(cast("IO[bytes]", sys.stdin.buffer), name)
        yield source
        source.check()
        return
    # Before it is opened, since to open a device can be to begin something.
    check_kind(path, what)
    with Path(path).open("rb", buffering=0) as raw:
        source = Input(cast("IO[bytes]", raw), name, path)
        yield source
        source.check()


def check_kind(path: str | Path, what: str) -> None:
    """Raise RibocastError unless a path is a file or a FIFO."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (as it is written, in what the system says too)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a NUL in it is a ValueError
        raise InputError(f"{path}: no such file") from None
    kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), None)
    if kind:
        hint = "; standard input is -" if str(path) in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0") else ""
        raise InputError(f"{path}: is {kind}, not {what}{hint}")


class Watch:
    """Tells whether a file is still what it was.

    Parameters
    ----------
    file : int
        An open file.
    name : str
        What messages call it.
    path : str or Path, optional
        Where it was opened.
    was : os.stat_result, optional
        What it was; what it is now without it.
    """

    def __init__(
        self, file: int, name: str, path: str | Path | None = None, was: os.stat_result | None = None
    ) -> None:  # fmt: skip
        self._file, self._name, self._path = file, name, path
        self._was = was or os.fstat(file)
        self.is_file = stat.S_ISREG(self._was.st_mode)
        self.size = self._was.st_size if self.is_file else 0

    def check(self) -> None:
        """Raise RibocastError if it was changed."""
        if not self.is_file:
            return
        was, now = self._was, os.fstat(self._file)
        if now.st_size < was.st_size:
            raise InputError(f"{self._name}: became shorter while it was read")
        if (now.st_size, now.st_mtime_ns) != (was.st_size, was.st_mtime_ns) or self._was_touched(now):
            raise InputError(f"{self._name}: was changed while it was read")

    def _was_touched(self, now: os.stat_result) -> bool:
        """Tell by the time that cannot be set back; a new name, owner or mode changes that one too."""
        if now.st_ctime_ns == self._was.st_ctime_ns or self._path is None:
            return False
        if _owned(now) != _owned(self._was):
            return False
        try:
            return os.path.samestat(os.stat(self._path), now)  # noqa: PTH116
        except OSError:
            return False


def _owned(facts: os.stat_result) -> tuple[int, ...]:
    return facts.st_mode, facts.st_uid, facts.st_gid, facts.st_nlink


class Input(io.RawIOBase):
    """Bytes of a file, a pipe or memory.

    Attributes
    ----------
    name : str
        What messages call it.
    head : bytes
        The first 18, or as many as there are.
    count : int
        How many were read.
    is_gzip : bool
        Whether it begins as gzip does.
    """

    def __init__(self, raw: IO[bytes], name: str, path: str | Path | None = None) -> None:
        self.name, self._raw = name, raw
        # Of a pipe as much as there is, not as much as there is room for.
        self._into: Callable[[Any], int] = getattr(raw, "readinto1", None) or cast("Any", raw).readinto
        try:
            self._watch: Watch | None = Watch(raw.fileno(), name, path)
        except OSError:
            self._watch = None
        self._at = raw.tell() if raw.seekable() else 0
        self.count, self._tail = 0, b""
        self.head = self._rest = b""
        head = bytearray(_HEAD)
        while len(self.head) < _HEAD and (size := self._into(memoryview(head)[: _HEAD - len(self.head)])):
            self.head += head[:size]
        self._rest = self.head
        self.is_gzip = self.head.startswith(_GZIP)
        self._is_blocks = self.head.startswith(_BLOCKS) and self.head[12:14] == b"BC"

    def readable(self) -> bool:
        """Say that it is read."""
        return True

    def seekable(self) -> bool:
        """Say whether it can be read by place."""
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        self._at = self._raw.seek(offset + (self._at if whence == os.SEEK_CUR else 0), whence and whence & 2)
        self._rest = b""
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read some bytes; 0 at the end."""
        if self._rest:
            size = min(len(self._rest), len(buffer))
            buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        else:
            size = self._into(buffer)
        self.check()
        if size:
            self._at += size
            self.count += size
            kept = min(size, len(_LAST_BLOCK))
            self._tail = (self._tail + bytes(buffer[size - kept : size]))[-len(_LAST_BLOCK) :]
        elif len(buffer):
            self._check_end()
        return size

    def check(self) -> None:
        """Raise RibocastError if the file was changed since it was opened."""
        if self._watch:
            self._watch.check()

    def _check_end(self) -> None:
        if self._watch and self._at < self._watch.size:
            raise InputError(f"{self.name}: became shorter while it was read")
        # Cut between two blocks, it is still readable.
        if self._is_blocks and self._tail != _LAST_BLOCK:
            raise cut_short(self.name)

    def buffered(self) -> io.BufferedReader:
        """Return the same with a buffer."""
        return io.BufferedReader(self, _BUFFER)

    def unpacked(self) -> IO[bytes]:
        """Return the bytes, unpacked if they are gzip."""
        stream = cast("IO[bytes]", self.buffered())
        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if self.is_gzip else stream


@contextmanager
def in_our_words(name: str) -> Iterator[None]:
    """Raise what fails while a file is read and decoded as an InputError that names it."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 text (it holds the byte 0x{error.object[error.start]:02x})") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise cut_short(name) from None
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from None


def cut_short(name: str) -> RibocastError:
    """Return what is said of gzip that ends too early, or is damaged."""
    return InputError(f"{name}: the gzip data is damaged or cut short")


def too_long(where: str, hint: str = "") -> RibocastError:
    """Return what is said of a row that is longer than `LONGEST_ROW_MB`."""
    return InputError(f"{where}: is longer than {LONGEST_ROW_MB} MB{hint}")


def read_small(path: str | Path, most: int, *, what: str) -> bytes:
    """Read a whole file of at most `most` bytes.

    Raises
    ------
    RibocastError
        If it is larger, or see `open_input`. OSError passes through.
    """
    with open_input(path, what=what) as source:
        data = source.buffered().read(most + 1)
    if len(data) > most:
        raise InputError(f"{path}: is larger than {most:,} bytes: not {what}")
    return data
