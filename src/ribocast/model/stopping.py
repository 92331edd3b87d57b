"""Ending work early whose result nobody waits for: asked for around the work, heeded between batches of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ribocast.errors import StoppedError

_is_unwanted: ContextVar[Callable[[], bool]] = ContextVar("is_unwanted", default=lambda: False)


@contextmanager
def stopping_when(is_unwanted: Callable[[], bool]) -> Iterator[None]:
    """End the work inside, in this thread, soon after `is_unwanted` gives true: with a StoppedError.

    A design search ends with what it has found instead, unless it has found nothing yet.
    """
    token = _is_unwanted.set(is_unwanted)
    try:
        yield
    finally:
        _is_unwanted.reset(token)


def is_stopped() -> bool:
    """Say whether the work around is to end."""
    return _is_unwanted.get()()


def check_stopped() -> None:
    """Raise StoppedError if the work around is to end."""
    if is_stopped():
        raise StoppedError("stopped")
