"""Locks between processes that the system lifts when their holder ends, however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


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

    def try_acquire(self) -> bool:
        """Take the lock if nobody else holds it; say whether it is ours."""
        return self._take(wait=False)

    def acquire(self) -> None:
        """Wait until the lock is ours."""
        while not self._take(wait=True):
            pass

    def release(self) -> None:
        """Give the lock back, if it is ours."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self, *, wait: bool) -> bool:
        if self._file is not None:
            return True
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(OSError):
            if sys.platform == "win32":
                # Waits for ten seconds at most; `acquire` asks again.
                msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            self._file = file
            return True
        os.close(file)
        return False
