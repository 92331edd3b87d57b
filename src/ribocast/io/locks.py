"""Locks between processes that the system lifts when their holder ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ribocast.errors import OutputError, UnavailableError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def take_lock(handle: int, *, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed; say whether it is ours, or None where there are no locks on such files."""
    try:
        if sys.platform == "win32":
            # Waits for ten seconds at most.
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK) else None
    return True


def is_at(path: Path, handle: int) -> bool:
    """Tell whether an open file is the one that has this name, and no link leads to it."""
    with suppress(OSError):
        return os.path.samestat(path.lstat(), os.fstat(handle))
    return False


class FileLock:
    """An exclusive lock on a file, which is made and stays; also between two objects of one process.

    Parameters
    ----------
    path : Path
        Its folder must be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Wait until the lock is ours."""
        while not self.try_acquire(wait=True):
            pass

    def release(self) -> None:
        """Give the lock back, if it is ours."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def try_acquire(self, *, wait: bool = False) -> bool:
        """Take the lock if nobody else holds it; say whether it is ours."""
        if self._file is not None:
            return True
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
        locked = take_lock(file, wait=wait)
        if locked is None:
            os.close(file)
            raise OSError(errno.ENOLCK, "files cannot be locked in this folder", str(self.path))
        # Who held it before may have removed the file; another one would then make it anew.
        if locked and is_at(self.path, file):
            self._file = file
            return True
        os.close(file)
        return False


@contextmanager
def alone_at(path: str | Path) -> Iterator[None]:
    """Keep others who ask for the same away from a file that is being made, by a lock beside it that goes at the end.

    Where the system has no locks, nobody is kept away.

    Raises
    ------
    RibocastError
        If another process (or another part of this one) is at work on it.
    """
    target = Path(os.path.realpath(path))
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        is_ours = lock.try_acquire()
    except OSError as error:
        if error.errno != errno.ENOLCK:
            raise OutputError(f"{path}: {error.strerror or error}") from None
        is_ours = True
    if not is_ours:
        raise UnavailableError(f"{path}: another run is writing it")
    try:
        yield
    finally:
        # While it is ours: nobody else's is removed.
        if os.name != "nt":
            with suppress(OSError):
                lock.path.unlink()
        lock.release()
