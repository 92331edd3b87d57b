"""How much is taken of whom, and what is answered to those who ask for more."""

from __future__ import annotations

import json
import math
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.responses import Response

from ribocast.errors import RibocastError

_CLIENTS = 10_000
_MOST_ERRORS = 100
# As RFC 9110 calls them; Python does from 3.13 on.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}


class RowError(NamedTuple):
    """Why a row cannot be used: its number from 1, its name, the column, the value (shortened), and the reason."""

    row: int
    id: str | None
    column: str
    value: Any
    reason: str


class RefusedError(RibocastError):
    """A call is refused, with a status of HTTP.

    Attributes
    ----------
    status : int
        4xx or 5xx.
    retry_after : int or None
        Seconds after which it may be tried again.
    field : str or None
        Which part of the call is wrong.
    errors : sequence of RowError
        What is wrong with which row.
    """

    def __init__(
        self, status: int, detail: str, retry_after: int | None = None, field: str | None = None,
        errors: Sequence[RowError] = (),
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.status, self.retry_after, self.field, self.errors = status, retry_after, field, errors


def stopping() -> RefusedError:
    """Refuse what comes while the server is being stopped."""
    return RefusedError(503, "the server is stopping; try again in 60 s", 60)


def problem(refused: RefusedError, headers: Mapping[str, str] | None = None) -> Response:
    """Say what is wrong as problem details (RFC 9457), the first 100 of its rows among them."""
    told: dict[str, Any] = {
        "type": "about:blank", "title": _TITLES.get(refused.status) or HTTPStatus(refused.status).phrase,
        "status": refused.status, "detail": str(refused), "field": refused.field,
    }  # fmt: skip
    if refused.errors:
        told |= list_rows("errors", refused.errors)
    # A lone surrogate, which JSON can spell, cannot be sent back: there is a question mark in its place.
    body = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
    response = Response(body, refused.status, headers, media_type="application/problem+json")
    if refused.retry_after is not None:
        response.headers["retry-after"] = str(refused.retry_after)
    return response


def list_rows(name: str, errors: Sequence[RowError]) -> dict[str, Any]:
    """List the first errors of rows under a name, and say how many there are."""
    return {name: [error._asdict() for error in errors[:_MOST_ERRORS]], f"{name}_total": len(errors)}


class Left(NamedTuple):
    """What is left to a client: calls, and the seconds until it has all of them again."""

    calls: int
    seconds: int


class Rate:
    """Calls a minute of each client: a bucket that fills evenly, full at the beginning.

    Parameters
    ----------
    per_minute : int
        Calls; 0 means no limit.
    what : str
        What they are called in a refusal.
    """

    def __init__(self, per_minute: int, what: str = "calls") -> None:
        self._per_minute, self._what = per_minute, what
        # What is left in each client's bucket, and since when; who called longest ago comes first.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> Left | None:
        """Count a call; None without a limit.

        Raises
        ------
        RefusedError
            With 429, if the client has no more calls for now.
        """
        if not self._per_minute:
            return None
        self.check(client)
        left, since = self._bucket(client)
        self._buckets[client] = (left - 1, since)
        self._buckets.move_to_end(client)
        while len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return Left(int(left - 1), math.ceil((self._per_minute - left + 1) * 60 / self._per_minute))

    def check(self, client: str) -> None:
        """Refuse a client that has no more calls for now, without counting one; see `take`."""
        if self._per_minute and (left := self._bucket(client)[0]) < 1:
            wait = math.ceil((1 - left) * 60 / self._per_minute)
            raise RefusedError(
                429, f"more than {self._per_minute:,} {self._what} a minute; try again in {wait} s", wait
            )

    def _bucket(self, client: str) -> tuple[float, float]:
        now = time.monotonic()
        left, since = self._buckets.get(client, (float(self._per_minute), now))
        return min(float(self._per_minute), left + (now - since) * self._per_minute / 60), now
