"""How much is taken of whom, and what is answered to those who ask for more."""

from __future__ import annotations

import time
from collections import OrderedDict

from ribocast.errors import RibocastError

_CLIENTS = 10_000


class WrongFieldError(RibocastError):
    """Something in a call is wrong.

    Attributes
    ----------
    field : str
        Which part of it.
    """

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class RefusedError(RibocastError):
    """A call is refused for another reason than its words; `status` is that of HTTP.

    Attributes
    ----------
    status : int
        4xx.
    retry_after : int or None
        Seconds after which it may be tried again.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class Rate:
    """So many calls a minute of each client: a bucket that fills evenly, full at the beginning.

    Parameters
    ----------
    per_minute : int
        Calls; 0 is no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        # What is left in each client's bucket, and since when; who called longest ago comes first.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count a call.

        Raises
        ------
        RefusedError
            With 429, if the client has no more calls for now.
        """
        if not self._per_minute:
            return
        now = time.monotonic()
        left, since = self._left.pop(client, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - since) * self._per_minute / 60)
        if left >= 1:
            self._left[client] = (left - 1, now)
        else:
            self._left[client] = (left, now)
            wait = max(1, round((1 - left) * 60 / self._per_minute + 0.5))
            raise RefusedError(429, f"more than {self._per_minute:,} calls a minute; try again in {wait} s", wait)
        while len(self._left) > _CLIENTS:
            self._left.popitem(last=False)
