"""Writing files whole or not at all: beside the target, to the disk, then renamed."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ribocast.errors import OutputError, UnavailableError
from ribocast.io.locks import is_at, take_lock
from ribocast.io.safe_text import for_stdout

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Small groups of rows make a Parquet file large and slow to read.
_GROUP_ROWS = 1 << 17
TABLE_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


class TableSink(Protocol):
    """Where the rows of a table go, some at a time."""

    def write(self, rows: pd.DataFrame | pa.Table) -> None:
        """Add rows; the columns are those of the first call."""

    def check(self, schema: pa.Schema) -> None:
        """Raise RibocastError, before any work is done, if the format cannot hold such columns."""


def is_folder_name(output: str) -> bool:
    """Tell whether an output is a folder, or is to be one: its name ends with /."""
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; at the end it is on the disk and renamed, or removed if anything failed.

    A symbolic link is followed: what it points to is replaced, with its mode and, where the system allows that, its
    owner and group. The name beside it is random and made for nobody else. It is locked as long as it is written, so
    that what a run left that was killed is known and removed by the next one that writes the same file.

    Raises
    ------
    RibocastError
        If the folder does not exist or cannot be written to, or `path` is there and not a file that can be written.
    """
    target = _target(path)
    remove_leftovers([target])
    partial, handle = None, None
    try:
        partial, handle = _begin(target)
        yield partial
        _keep_mode_and_owner(handle, target)
        os.fsync(handle)
        if not is_at(partial, handle):
            raise OSError(errno.ESTALE, "somebody else has replaced what was written")
        if os.name == "nt":  # It does not rename what is open.
            os.close(handle)
            handle = None
        partial.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error
    finally:
        if partial is not None:
            # What went wrong was already told.
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            _unfinished.discard(partial)
        if handle is not None:
            os.close(handle)


_unfinished: set[Path] = set()


def drop_unfinished() -> None:
    """Remove what is being written: this process ends at once."""
    for partial in list(_unfinished):
        with suppress(OSError):
            partial.unlink()


def remove_leftovers(targets: Iterable[Path]) -> None:
    """Remove what runs left beside files that they were writing when they were killed: nobody holds its lock.

    Where the system has no locks, nothing is removed.
    """
    by_folder: dict[Path, set[str]] = {}
    for target in targets:
        by_folder.setdefault(target.parent, set()).add(target.name)
    for folder, names in by_folder.items():
        with suppress(OSError), os.scandir(folder) as entries:
            found = [
                Path(entry.path) for entry in entries if (match := _PARTIAL.fullmatch(entry.name)) and match[1] in names
            ]
            for left in found:
                with suppress(OSError):
                    _remove_leftover(left)


_PARTIAL = re.compile(r"\.(.+)\.[0-9a-f]{12}\.part", re.DOTALL)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def _remove_leftover(path: Path) -> None:
    if os.name == "nt":  # It removes nothing that is open.
        path.unlink()
        return
    handle = os.open(path, os.O_RDWR | _NO_LINK)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode) and take_lock(handle):
            path.unlink()
    finally:
        os.close(handle)


def _begin(target: Path) -> tuple[Path, int]:
    """Make a new file beside another, and lock it; of one that is to be replaced nobody else may read half."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_BINARY", 0)
    while True:
        partial = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
        _unfinished.add(partial)
        handle = os.open(partial, flags, 0o600 if target.exists() else 0o666)
        # Somebody who looks for leftovers may be faster; another name is then tried.
        if os.name == "nt" or (take_lock(handle) is not False and is_at(partial, handle)):
            return partial, handle
        os.close(handle)
        _unfinished.discard(partial)


def _keep_mode_and_owner(handle: int, target: Path) -> None:
    if not target.exists() or not hasattr(os, "fchown"):
        return
    before, mode = target.stat(), stat.S_IMODE(target.stat().st_mode)
    for owner in (before.st_uid, -1):
        with suppress(OSError):
            os.fchown(handle, owner, before.st_gid)
            break
    now = os.fstat(handle)
    if now.st_uid != before.st_uid:
        mode &= 0o777
    if now.st_gid != before.st_gid:
        # Another group has the rights of all others, not those that were meant for the old one.
        mode = (mode & 0o707) | (mode & 0o007) << 3
    os.fchmod(handle, mode)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # Windows opens no folders, and some may be written but not read.
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def make_folder(folder: str | Path) -> None:
    """Make a folder, and those above it, if they are not there.

    Raises
    ------
    RibocastError
        If that is not possible.
    """
    folder = Path(os.path.realpath(folder))
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in new:
            sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}") from None


def check_output(path: str | Path | None, endings: Sequence[str] = (), *, stdout: bool = False) -> None:
    """Refuse a place for an output before anything is computed for it; None is not checked, nor ``-`` with `stdout`.

    Raises
    ------
    RibocastError
        For an unsupported extension, if `endings` are given; a folder that does not exist or cannot be written to;
        or what is there and not a file that can be written.
    """
    if path is None or (stdout and str(path) == "-"):
        return
    if endings and not Path(path).name.lower().endswith(tuple(endings)):
        raise OutputError(unsupported_extension(path, endings))
    _target(path)


def unsupported_extension(path: str | Path, extensions: Sequence[str]) -> str:
    """Say that a file cannot be written in the format of its name."""
    extension = Path(path).suffix
    what = f"unsupported file extension {extension!r}" if extension else "no file extension"
    return f"{path}: {what}; use {', '.join(extensions)}"


def _target(path: str | Path) -> Path:
    """Return the file that a path leads to, if it can be written."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputError(f"{path}: is a directory; name a file")
    if target.is_symlink():
        raise OutputError(f"{path}: is a link that leads to itself")
    if target.exists() and not target.is_file():
        raise OutputError(f"{path}: is a pipe, a socket or a device; name a file")
    if not target.parent.is_dir():
        raise OutputError(f"{path}: folder {Path(path).parent} does not exist")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"{path}: no permission to write in {Path(path).parent}")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"{path}: no permission to write to it")
    return target


@contextmanager
def alone_in(folder: str | Path) -> Iterator[None]:
    """Keep others who ask for the same out of a folder, until the end of this process at the latest.

    It is made if it is not there, and removed again if nothing was written. Where the system has no locks on folders,
    nobody is kept out.

    Raises
    ------
    RibocastError
        If another process (or another part of this one) is there, or it cannot be made.
    """
    folder = Path(folder)
    is_ours = not folder.exists()
    make_folder(folder)
    handle = None if os.name == "nt" else os.open(folder, os.O_RDONLY)
    try:
        if handle is not None and take_lock(handle) is False:
            raise UnavailableError(f"{folder}: another run is writing to it")
        yield
    finally:
        if handle is not None:
            os.close(handle)
        if is_ours:
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def open_table(path: str | Path | None) -> Iterator[TableSink]:
    """Open a table for writing; its format is that of the ending, CSV on standard output without a path.

    Raises
    ------
    RibocastError
        For an extension that is not in ``TABLE_ENDINGS``, or a place that cannot be written to.
    """
    if path is None or str(path) == "-":
        yield _TextSink(_StandardOutput(), ",")
        return
    check_output(path, TABLE_ENDINGS)
    name = Path(path).name.lower()
    with whole_file(path) as partial:
        if name.endswith(".parquet"):
            sink = _ParquetSink(partial, str(path))
            try:
                yield sink
                sink.end()
            finally:
                sink.close()
        elif name.endswith(".gz"):
            # mtime=0: the same rows give the same bytes.
            with (
                partial.open("wb") as raw,
                gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
                io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
            ):
                yield _TextSink(text, "," if name.endswith(".csv.gz") else "\t")
        else:
            with partial.open("w", encoding="utf-8", newline="") as text:
                yield _TextSink(text, "," if name.endswith(".csv") else "\t")


def write_text_table(table: pa.Table, stream: _Writer, separator: str) -> None:
    """Write a table as CSV or TSV to an open stream of text, as `open_table` does to a file."""
    _TextSink(stream, separator).write(table)


class _StandardOutput:
    """Standard output, a little at a time.

    Where the reader of a pipe goes away in the middle of a long write, Python takes what was written for all of it, and
    nobody would hear that the rest was lost.
    """

    _MOST = 4096

    def write(self, text: str) -> None:
        for start in range(0, len(text), self._MOST):
            sys.stdout.write(for_stdout(text[start : start + self._MOST]))


class _Writer(Protocol):
    def write(self, text: str, /) -> object: ...


class _TextSink:
    def __init__(self, stream: _Writer, separator: str) -> None:
        self._stream, self._separator, self._header = stream, separator, True

    def check(self, schema: pa.Schema) -> None:
        from ribocast.io.csv_text import check_spelled

        check_spelled(schema)

    def write(self, rows: pd.DataFrame | pa.Table) -> None:
        import pyarrow as pa

        if not isinstance(rows, pa.Table):
            self._write_frame(rows)
            return
        from ribocast.io.csv_text import csv_header, csv_rows

        if self._header:
            self._stream.write(csv_header(rows.column_names, self._separator))
            self._header = False
        self._stream.write(csv_rows(rows, self._separator))

    def _write_frame(self, frame: pd.DataFrame) -> None:
        text = self._format(frame, csv.QUOTE_MINIMAL)
        if "\r" in text:
            # Python before 3.13 does not quote it, and it would break the row in two.
            text = self._format(frame, csv.QUOTE_NONNUMERIC)
        self._stream.write(text)
        self._header = False

    def _format(self, frame: pd.DataFrame, quoting: Literal[0, 2]) -> str:
        return frame.to_csv(sep=self._separator, index=False, header=self._header, lineterminator="\n", quoting=quoting)


class _ParquetSink:
    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._writer: Any = None
        self._waiting: list[Any] = []

    def check(self, schema: pa.Schema) -> None:
        """Take whatever can be read."""

    def write(self, rows: pd.DataFrame | pa.Table) -> None:
        import pyarrow as pa

        with self._told():
            table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
            if self._writer is None:
                import pyarrow.parquet

                self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema)
            self._waiting.append(table.cast(self._writer.schema))
        if sum(map(len, self._waiting)) >= _GROUP_ROWS:
            self._write_group()

    def end(self) -> None:
        import pyarrow as pa

        if self._writer is None:
            self.write(pa.table({}))
        self._write_group()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        with self._told():
            if self._waiting:
                self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=2 * _GROUP_ROWS)
                self._waiting.clear()

    @contextmanager
    def _told(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, ValueError) as error:
            raise OutputError(f"{self._name}: these rows do not fit into a Parquet file: {error}") from None
