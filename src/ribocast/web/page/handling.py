"""Handlers of the page: what goes wrong is said beside the field, in the words of the command line."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ribocast.errors import RibocastError
from ribocast.sequence import SequenceError
from ribocast.tables import Chunk
from ribocast.web.jobs import where_of
from ribocast.web.page.markup import problem

_FAILED = "the server failed; its log says where"
_log = logging.getLogger("ribocast.web")


def told(handler: Callable[..., Awaitable[Any]], results: int = 1) -> Callable[..., Awaitable[tuple[Any, ...]]]:
    """Make a handler give its message first, then its results; of an error, the message and empty results."""

    @functools.wraps(handler)
    async def run(*given: Any) -> tuple[Any, ...]:
        try:
            found = await handler(*given)
            return ("", *(found if isinstance(found, tuple) else (found,)))
        except RibocastError as error:
            return (problem(str(error)), *[""] * results)
        except Exception as error:
            _log.error("%s failed: %s", handler.__name__, where_of(error))
            return (problem(_FAILED), *[""] * results)

    return run


def in_chunk(error: RibocastError, chunk: Chunk) -> RibocastError:
    """Name the table in the message of a bad sequence, as the command line does."""
    return RibocastError(chunk.say(error.fault)) if isinstance(error, SequenceError) else error


def failure(error: Exception) -> str:
    """Say, for the page, what went wrong; log it if it is our fault."""
    if isinstance(error, RibocastError):
        return problem(str(error))
    _log.error("the page failed: %s", where_of(error))
    return problem(_FAILED)
