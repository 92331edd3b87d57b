"""Work of many clients on a few threads: bounded for each and for all, served in turn, dropped when unwanted."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ribocast.errors import StoppedError
from ribocast.model.stopping import stopping_when
from ribocast.web.limits import RefusedError, stopping

client_now: ContextVar[str] = ContextVar("client_now", default="")
"""For whom this call is worked on; see `ribocast.web.guard`."""
T = TypeVar("T")


class Turns(Generic[T]):
    """What waits, by client: first the first thing of each, then the second. Its users hold a lock."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def count(self, client: str) -> int:
        """Count what waits for a client."""
        return len(self._waiting.get(client, ()))

    def add(self, client: str, item: T) -> None:
        """Put something behind what waits for the client."""
        self._waiting.setdefault(client, deque()).append(item)

    def first(self, may: Callable[[str, T], bool] = lambda _, __: True) -> tuple[str, T] | None:
        """Give whose turn it is, among those who may, and what waits for them; it stays there."""
        return next(((client, items[0]) for client, items in self._waiting.items() if may(client, items[0])), None)

    def take(self, client: str) -> T:
        """Take the first thing of a client, who then comes last."""
        items = self._waiting.pop(client)
        item = items.popleft()
        if items:
            self._waiting[client] = items
        return item

    def remove(self, client: str, item: T) -> bool:
        """Drop something, if it is there."""
        items = self._waiting.get(client)
        if items is None or item not in items:
            return False
        items.remove(item)
        if not items:
            del self._waiting[client]
        return True

    def place(self, client: str, item: T) -> int | None:
        """Return when something is served, counted from 1; None if it does not wait."""
        items = self._waiting.get(client, deque())
        if item not in items:
            return None
        own, is_before, place = items.index(item), True, 1
        for other, others in self._waiting.items():
            if other == client:
                place, is_before = place + own, False
            else:
                place += min(len(others), own + is_before)
        return place

    def clear(self) -> list[T]:
        """Take everything."""
        items = [item for items in self._waiting.values() for item in items]
        self._waiting.clear()
        return items


@dataclass(eq=False)
class Turn(Generic[T]):
    """A piece of work of a client, its result, and whether that is wanted no more."""

    client: str
    work: Callable[[], T]
    is_unwanted: Callable[[], bool] | None = None
    result: Future[T] = field(default_factory=Future)
    unwanted: threading.Event = field(default_factory=threading.Event)


class Workers(ABC, Generic[T]):
    """Threads that do in turn what waits, until they are closed."""

    def __init__(self, name: str, threads: int) -> None:
        self._changed, self._is_closed = threading.Condition(), False
        self._waiting: Turns[T] = Turns()
        self._running: list[T] = []
        for _ in range(threads):
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait until there is nothing to do, and say whether it is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running and not self._waiting, seconds)

    def _work(self) -> None:
        while self._work_once():
            pass

    @abstractmethod
    def _work_once(self) -> bool:
        """Wait for something and do it; nothing of it is held while the next is waited for. False at the end."""

    def _stop_running(self, items: Sequence[T]) -> None:
        with self._changed:
            for item in items:
                self._running.remove(item)
            self._changed.notify_all()


class Pool(Workers["Turn[Any]"]):
    """Threads that work for many clients; a client with something running leaves the last free thread to others.

    Parameters
    ----------
    name : str
        What is done, for messages.
    at_once, waiting : int
        How much is done at the same time, and how much may wait.
    each : int
        How much of one client may run and wait.
    """

    def __init__(self, name: str, *, at_once: int, waiting: int, each: int) -> None:
        self._name, self._at_once, self._most, self._each = name, at_once, at_once + waiting, each
        super().__init__(name, at_once)

    def submit(self, work: Callable[[], T], *, is_unwanted: Callable[[], bool] | None = None) -> Turn[T]:
        """Hand in work for the client of this call.

        Raises
        ------
        RefusedError
            With 429 if too much runs and waits, with 503 after `close`.
        """
        turn = Turn(client_now.get(), work, is_unwanted)
        with self._changed:
            if self._is_closed:
                raise stopping()
            own = self._waiting.count(turn.client) + sum(one.client == turn.client for one in self._running)
            if own >= self._each:
                raise RefusedError(429, f"{own} of your {self._name} are running or waiting; try again in 5 s", 5)
            if (waiting := len(self._waiting)) + len(self._running) >= self._most:
                raise RefusedError(429, f"{waiting} {self._name} are waiting; try again in 15 s", 15)
            self._waiting.add(turn.client, turn)
            self._changed.notify_all()
        return turn

    async def run(self, work: Callable[[], T]) -> T:
        """Do work in turn and wait for it; it is dropped if whoever waits is cancelled."""
        turn = self.submit(work)
        try:
            return await asyncio.wrap_future(turn.result)
        except asyncio.CancelledError:
            self.drop(turn)
            raise
        except StoppedError:
            raise stopping() from None

    def drop(self, turn: Turn[Any]) -> bool:
        """Want a result no more: work that waits is not done, which is what this returns; running work soon ends."""
        turn.unwanted.set()
        with self._changed:
            return self._waiting.remove(turn.client, turn)

    def place(self, turn: Turn[Any]) -> int | None:
        """Return the place of work in the queue, from 1; None if it does not wait."""
        with self._changed:
            return self._waiting.place(turn.client, turn)

    def close(self) -> None:
        """Take and do no more; what runs is told to stop."""
        with self._changed:
            self._is_closed = True
            waiting = self._waiting.clear()
            for turn in (*waiting, *self._running):
                turn.unwanted.set()
            self._changed.notify_all()
        for turn in waiting:
            if turn.result.set_running_or_notify_cancel():
                turn.result.set_exception(StoppedError("stopped"))

    def _work_once(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._waiting.first(self._may))
            if (found := self._waiting.first(self._may)) is None:
                return False
            turn = self._waiting.take(found[0])
            self._running.append(turn)
        try:
            if turn.result.set_running_or_notify_cancel():
                _do(turn)
        finally:
            self._stop_running([turn])
        return True

    def _may(self, client: str, _: object) -> bool:
        free = self._at_once - len(self._running)
        return free > 1 or all(turn.client != client for turn in self._running)


def _do(turn: Turn[Any]) -> None:
    def is_unwanted() -> bool:
        return turn.unwanted.is_set() or (turn.is_unwanted is not None and turn.is_unwanted())

    try:
        with stopping_when(is_unwanted):
            result = turn.work()
    except BaseException as error:
        turn.result.set_exception(error)
    else:
        turn.result.set_result(result)
