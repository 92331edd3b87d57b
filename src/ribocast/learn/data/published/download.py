"""Downloading files that are large, over connections that break: resumed, checked, kept.

Beside a file ``NAME`` stands ``NAME.sha256``; while it is downloaded there are ``NAME.part`` and ``NAME.part.json``,
from which a later attempt goes on. Only the standard library is needed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from ribocast.errors import OutputError, UnavailableError
from ribocast.io.locks import alone_at
from ribocast.io.writers import check_output, make_folder, sync_folder, whole_file
from ribocast.learn.data.published import server
from ribocast.learn.data.published.server import Answer, LostError, Remote, ask, refuse_large

_BLOCK = 1 << 20
_LOOK = 1024
"""So many bytes tell whether a file is what was asked for, and give the words of a page that is not."""


class Fetched(NamedTuple):
    """A file on disk, checked.

    Attributes
    ----------
    path : Path
        Where.
    size : int
        Bytes.
    sha256 : str
        Of the file as it is.
    how : {"cached", "downloaded", "resumed"}
        Whether anything was downloaded, and whether it went on from an earlier call.
    """

    path: Path
    size: int
    sha256: str
    how: Literal["cached", "downloaded", "resumed"]


def cache_folder() -> Path:
    """Return where this system keeps what programs have downloaded, with a folder for ribocast."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "ribocast" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "ribocast"
    chosen = Path(os.environ.get("XDG_CACHE_HOME") or "")
    # The specification of the variable: a relative path is to be ignored.
    return (chosen if chosen.is_absolute() else home / ".cache") / "ribocast"


def cached(path: str | Path, say: Callable[[str], None]) -> Fetched | None:
    """Return a file that is there and still what it was when it came; say so and return None if it is damaged.

    Without a recorded SHA-256 (a file copied from elsewhere) it must be whole gzip data, and is recorded then.
    """
    path = Path(path)
    if not path.is_file():
        return None
    record = _beside(path, ".sha256")
    sha256, fault = _sha256(path), None
    if not record.is_file():
        fault = _gzip_fault(path)
    elif record.read_text(encoding="utf-8", errors="replace").split()[:1] != [sha256]:
        fault = "not what was downloaded (its SHA-256 has changed)"
    if fault:
        say(f"{path.name}: {fault}; it is fetched again")
        return None
    if not record.is_file():
        _write(record, f"{sha256}  {path.name}\n")
    return Fetched(path, path.stat().st_size, sha256, "cached")


def probe(url: str, *, attempts: int = 5, pause: float = 1.0, timeout: float = 60.0) -> Remote:
    """Ask a server for a file's length without downloading it; see `fetch` for the parameters.

    Raises
    ------
    RibocastError
        If there is no such file, the server cannot be reached, or the file is too long to be what is wanted.
    """
    for attempt in range(1, attempts + 1):
        try:
            with ask(url, "HEAD", {}, timeout) as answer:
                remote = Remote(answer.size, answer.version) if answer.status == 200 else Remote(None, None)
            break
        except LostError as lost:
            if attempt == attempts:
                raise UnavailableError(f"{url}: {lost} ({_times(attempts)})") from None
            time.sleep(pause * 2 ** (attempt - 1))
    refuse_large(url, remote.size)
    return remote


def fetch(
    url: str,
    path: str | Path,
    *,
    attempts: int = 5,
    pause: float = 1.0,
    timeout: float = 60.0,
    watch: Callable[[int, int | None], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Fetched:
    """Download a gzip file, going on where an earlier attempt ended; nothing is downloaded if it is there.

    Parameters
    ----------
    url : str
        ``http`` or ``https``.
    path : str or Path
        Where the file goes; what the server calls it does not matter.
    attempts : int
        It stops after as many failures in a row that brought nothing new. What has come stays for a later call.
    pause : float
        Seconds before the second attempt; doubled before each further one.
    timeout : float
        Seconds that the server may be silent.
    watch : callable, optional
        Told the bytes that are there and those there will be (None if unsaid).
    say : callable, optional
        Told, in a line, what the user should know.

    Returns
    -------
    Fetched
        A file of the announced length that is whole gzip data, checksum included.

    Raises
    ------
    RibocastError
        If that cannot be had: the last attempt's reason, in one line.
    """
    path, watch, say = Path(path), watch or (lambda done, total: None), say or (lambda line: None)
    try:
        make_folder(path.parent)
        # Both would write to the same part.
        with alone_at(path):
            if found := cached(path, say):
                return found
            check_output(path)
            part = _Part(path, url)
            _receive_all(part, attempts, pause, timeout, watch, say)
            sha256 = _sha256(part.path)
            part.finish(sha256)
        return Fetched(path, path.stat().st_size, sha256, "resumed" if part.resumed else "downloaded")
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from error


def _receive_all(
    part: _Part,
    attempts: int,
    pause: float,
    timeout: float,
    watch: Callable[[int, int | None], None],
    say: Callable[[str], None],
) -> None:
    failures, most = 0, part.size()
    while True:
        try:
            part.receive(timeout, watch)
            if not (fault := part.fault()):
                return
            # What is wrong may lie in bytes of an earlier call, but not twice.
            again = part.resumed
            part.drop()
            if not again:
                raise UnavailableError(f"{part.target.name}: {fault} ({part.url})")
            raise LostError(fault)
        except LostError as lost:
            # A server that breaks off at one and the same place makes no progress.
            failures = 1 if part.size() > most else failures + 1
            most = max(most, part.size())
            if failures >= attempts:
                kept = f"; {part.size():,} bytes are kept to go on with" if part.size() else ""
                raise UnavailableError(f"{part.target.name}: {lost} ({part.url}, {_times(attempts)}{kept})") from None
            say(f"{part.target.name}: {lost}; trying again")
            time.sleep(pause * 2 ** (failures - 1))


class _Part:
    """A download under way: the bytes so far, and which version of which file they are of."""

    def __init__(self, target: Path, url: str) -> None:
        self.target, self.url = target, url
        self.path, self.record = _beside(target, ".part"), _beside(target, ".part.json")
        try:
            known = json.loads(self.record.read_text(encoding="utf-8"))
            self.known = Remote(known["size"], known["version"])
            is_of_url = known["url"] == url
        except (OSError, ValueError, KeyError, TypeError):
            # Browsers call their own like this.
            for there in (self.path, self.record):
                if there.exists() and there.stat().st_size:
                    raise OutputError(f"{there}: of another download: move it away, or fetch elsewhere") from None
            is_of_url = False
        if not is_of_url:
            # Of what the bytes are the beginning is not known.
            self.drop()
        self.resumed = self.size() > 0

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)
        self.known, self.resumed = Remote(None, None), False

    def receive(self, timeout: float, watch: Callable[[int, int | None], None]) -> None:
        """Make one request and write what comes; raise LostError if that is not all of it."""
        done = self.size()
        headers = {"Range": f"bytes={done}-"} if done else {}
        if done and self.known.version:
            headers["If-Range"] = self.known.version
        with ask(self.url, "GET", headers, timeout) as answer:
            if answer.status == 416 and answer.total == done == (self.known.size or done):
                return
            if answer.status == 200:
                # Not the rest: nothing was there, the file has changed, or the server cannot send parts.
                block = answer.read(at_least=_LOOK)
                answer.refuse_unless_gzip(block)
                self._begin(answer)
                done = 0
            else:
                self._refuse_other_part(answer, done)
                block = answer.read()
            total = self.known.size
            with self.path.open("ab" if done else "wb") as sink:
                while block:
                    sink.write(block)
                    done += len(block)
                    if done > server.MAX_BYTES:
                        sink.truncate(0)
                        refuse_large(self.url, done)
                    watch(done, total)
                    block = answer.read()
                sink.flush()
                os.fsync(sink.fileno())
        if total is not None and done < total:
            raise LostError(f"the connection was lost after {done:,} of {total:,} bytes")

    def _begin(self, answer: Answer) -> None:
        refuse_large(self.url, answer.size)
        if self.size():
            self.drop()
        self.known = Remote(answer.size, answer.version)
        _write(self.record, json.dumps({"url": self.url, **self.known._asdict()}))

    def _refuse_other_part(self, answer: Answer, done: int) -> None:
        of_file = ((answer.total, self.known.size), (answer.version, self.known.version))
        changed = any(None not in (theirs, ours) and theirs != ours for theirs, ours in of_file)
        if answer.status != 206 or not done or answer.start != done or changed:
            self.drop()
            raise LostError(f"the server has no such part (status {answer.status}), or the file has changed there")

    def fault(self) -> str | None:
        """Say what is wrong with what has come, if anything is."""
        size = self.size()
        if self.known.size is not None and size != self.known.size:
            return f"{size:,} bytes came, but {self.known.size:,} were announced"
        return _gzip_fault(self.path)

    def finish(self, sha256: str) -> None:
        self.path.replace(self.target)
        sync_folder(self.target.parent)
        self.record.unlink(missing_ok=True)
        _write(_beside(self.target, ".sha256"), f"{sha256}  {self.target.name}\n")


def _times(attempts: int) -> str:
    return f"{attempts} attempt{'s' * (attempts != 1)}"


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _write(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _gzip_fault(path: Path) -> str | None:
    """Read a gzip file to its end, checksum included; say what is wrong with it, if anything is."""
    try:
        with gzip.open(path) as stream:
            while stream.read(_BLOCK):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return "the gzip data is damaged or cut short"
    return None
