"""Work that other libraries do for long without Python: done so that Ctrl-C is heard meanwhile."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from ribocast.io.interrupts import verdict

Result = TypeVar("Result")
_LEFT: list[threading.Thread] = []


class Background(Generic[Result]):
    """A call that is made in a thread of its own, from now on."""

    def __init__(self, function: Callable[..., Result], *arguments: Any, **options: Any) -> None:
        self._call, self._done = partial(function, *arguments, **options), Future[Result]()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._done.set_result(self._call())
        except BaseException as error:
            self._done.set_exception(error)

    def result(self) -> Result:
        """Wait for it, and give or raise what it did. An interrupt ends the wait, and the process without it."""
        try:
            wait([self._done])
        except BaseException:
            _LEFT.append(self._thread)
            raise
        return self._done.result()


def in_background(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function that may take long outside Python; Ctrl-C ends the wait for it."""
    return Background(function, *arguments).result()


def leave() -> None:
    """End the process at once, with the code of the signal that has come: taking Python down would crash, or wait."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    _, code = verdict() or ("", 130)
    os._exit(code)


@atexit.register
def _leave_threads() -> None:
    # Nobody waits for them any more.
    if any(thread.is_alive() for thread in _LEFT):
        leave()
