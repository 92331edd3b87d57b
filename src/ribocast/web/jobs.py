"""Work that takes longer than a call: handed in, watched, cancelled, and its result fetched."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from ribocast.errors import RibocastError, StoppedError
from ribocast.web.limits import RefusedError, stopping
from ribocast.web.log import where_of
from ribocast.web.turns import Pool, Turn, client_now

State = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
_MOST_JOBS, _MOST_BYTES = 500, 100_000_000
_LATE_SECONDS = 30.0
"""So long after its time a job that has not looked at the clock is ended with nothing."""
_ENDING_SECONDS = 3.0
"""For a job that is stopped with the server to give what it has found."""
T = TypeVar("T")
_log = logging.getLogger("ribocast.web")


@dataclass(eq=False)
class Job(Generic[T]):
    """One piece of work.

    Attributes
    ----------
    id : str
        Cannot be guessed: who knows it may see the job and cancel it.
    client : str
        Whose it is.
    state : {"waiting", "running", "done", "failed", "cancelled"}
        Where it is. A cancelled job has a result if it had found something.
    done, total : int
        Predictions so far, and at most (0 before it begins).
    best : list of float
        The best MRL of each target so far.
    error : str
        Why it failed.
    remark : str
        Why it ended early, if it did.
    result : object or None
        What came of it.
    size : int
        Bytes of that.
    """

    client: str = ""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "waiting"
    done: int = 0
    total: int = 0
    best: list[float] = field(default_factory=list)
    error: str = ""
    remark: str = ""
    result: T | None = None
    size: int = 0
    asked: float = field(default_factory=time.monotonic)
    began: float = 0.0
    ended: float = 0.0
    deadline: float = float("inf")
    stop: threading.Event = field(default_factory=threading.Event)
    turn: Turn[None] | None = None

    def should_stop(self) -> bool:
        """Say whether it is to end now, with what it has found; the work asks this often."""
        if self.stop.is_set():
            return True
        if time.monotonic() > self.deadline:
            self.remark = f"ended after {self.deadline - self.began:.0f} s, the most that a job may take"
            return True
        return False

    def is_unwanted(self) -> bool:
        """Say whether it is to end at once: it was cancelled, or its time is long past."""
        return self.stop.is_set() or time.monotonic() > self.deadline + _LATE_SECONDS

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return 0.0 if not self.began else (self.ended or time.monotonic()) - self.began


class Jobs(Generic[T]):
    """Jobs of all clients, served in turn.

    Parameters
    ----------
    at_once, waiting : int
        How many run, and how many may wait.
    each : int
        How many of one client may run and wait.
    seconds : float
        After which a job ends with what it has.
    unasked_seconds : float
        After which a job that nobody has asked about is cancelled.
    keep_seconds : float
        How long an ended job is kept, unless there are more than 500, or results of more than 100 MB: then the oldest
        of whoever has most are forgotten.
    size_of : callable, optional
        Tells the bytes of a result.
    ended : callable, optional
        Told the state of each job that ended.

    Attributes
    ----------
    is_closing : bool
        Whether no more jobs are taken.
    """

    def __init__(
        self, *, at_once: int, waiting: int, seconds: float, keep_seconds: float, each: int = 1_000,
        unasked_seconds: float = float("inf"),
        size_of: Callable[[T], int] = lambda _: 0, ended: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._seconds, self._keep, self._size_of, self._ended = seconds, keep_seconds, size_of, ended
        self._unasked = unasked_seconds
        self._jobs: dict[str, Job[T]] = {}
        self._changed = threading.Condition()
        self.is_closing = False
        self._pool = Pool("jobs", at_once=at_once, waiting=waiting, each=each)
        threading.Thread(target=self._expire, name="expire", daemon=True).start()

    def submit(self, work: Callable[[Job[T]], T]) -> Job[T]:
        """Hand in a job.

        Raises
        ------
        RefusedError
            With 429 if too many wait, with 503 if the server is stopping.
        """
        job: Job[T] = Job(client_now.get())
        with self._changed:
            if self.is_closing:
                raise stopping()
            job.turn = self._pool.submit(lambda: self._run(job, work), is_unwanted=job.is_unwanted)
            self._jobs[job.id] = job
            self._changed.notify_all()
        return job

    def get(self, id: str) -> Job[T]:
        """Find a job; whoever asks for it is waiting for it.

        Raises
        ------
        RefusedError
            With 404, if there is none of that name, or no more.
        """
        with self._changed:
            if id not in self._jobs:
                raise RefusedError(404, "unknown job; results are kept for a limited time")
            job = self._jobs[id]
            job.asked = time.monotonic()
            return job

    def cancel(self, id: str) -> Job[T]:
        """End a job that waits or runs; one that has ended stays as it is."""
        job = self.get(id)
        with self._changed:
            self._cancel(job, "cancelled")
        return job

    def forget(self, id: str) -> None:
        """End a job and forget it and its result."""
        self.cancel(id)
        with self._changed:
            self._jobs.pop(id, None)

    def place(self, job: Job[T]) -> int | None:
        """Return the place of a job in the queue, from 1; None for one that does not wait."""
        return self._pool.place(job.turn) if job.turn else None

    def expires(self, job: Job[T]) -> float | None:
        """Return in how many seconds the result of a job is deleted; None for one that has not ended."""
        return max(0.0, job.ended + self._keep - time.monotonic()) if job.ended else None

    def count(self, state: str) -> int:
        """Count the jobs in a state."""
        with self._changed:
            return sum(job.state == state for job in self._jobs.values())

    def drain(self, seconds: float) -> bool:
        """Take no more jobs, let those there are finish, then end them; each that was ended so is logged.

        Returns
        -------
        bool
            Whether all of them finished by themselves.
        """
        with self._changed:
            self.is_closing = True
        finished = self._pool.wait(seconds)
        with self._changed:
            for job in self._jobs.values():
                if job.state not in ENDED:
                    _log.warning("job %s was stopped with the server, after %d predictions", job.id, job.done)
                    self._cancel(job, "the server was stopped")
        self._pool.close()
        self._pool.wait(_ENDING_SECONDS)
        return finished

    def wait(self, seconds: float) -> bool:
        """Wait until there is nothing to do, and say whether it is so."""
        return self._pool.wait(seconds)

    def _cancel(self, job: Job[T], why: str) -> None:
        if job.state in ENDED or job.stop.is_set():
            return
        job.remark = why
        job.stop.set()
        if job.turn and self._pool.drop(job.turn):
            self._end(job, "cancelled")

    def _run(self, job: Job[T], work: Callable[[Job[T]], T]) -> None:
        with self._changed:
            job.state, job.began = "running", time.monotonic()
            job.deadline = job.began + self._seconds
        state: State = "failed"
        try:
            job.result = work(job)
            job.size = self._size_of(job.result)
            state = "cancelled" if job.stop.is_set() else "done"
        except StoppedError:
            state = "cancelled" if job.stop.is_set() else "failed"
            job.error = "" if job.stop.is_set() else f"nothing was found in {self._seconds:g} s, the most of a job"
        except RibocastError as error:
            job.error = str(error)
        except Exception as error:
            # Its message may hold sequences.
            job.error = "the search failed; the server's log says where"
            _log.error("job %s failed: %s", job.id, where_of(error))
        finally:
            with self._changed:
                self._end(job, state)

    def _end(self, job: Job[T], state: State) -> None:
        job.state, job.ended, job.turn = state, time.monotonic(), None
        if self._ended:
            self._ended(state)
        self._changed.notify_all()

    def _expire(self) -> None:
        """Forget results, and cancel what nobody waits for, when their time has come."""
        with self._changed:
            while True:
                self._forget()
                for job in [job for job in self._jobs.values() if self._due(job) <= time.monotonic()]:
                    self._cancel(job, f"nobody asked about it for {self._unasked:g} s")
                first = min((self._due(job) for job in self._jobs.values()), default=float("inf"))
                self._changed.wait(None if first == float("inf") else max(0.01, first - time.monotonic()))

    def _due(self, job: Job[T]) -> float:
        """Return when an ended job is forgotten, or another one cancelled because nobody asked about it."""
        if job.ended:
            return job.ended + self._keep
        return float("inf") if job.stop.is_set() else job.asked + self._unasked

    def _forget(self) -> None:
        now = time.monotonic()
        kept: dict[str, list[Job[T]]] = {}
        for job in [job for job in self._jobs.values() if job.state in ENDED]:
            if now >= job.ended + self._keep:
                del self._jobs[job.id]
            else:
                kept.setdefault(job.client, []).append(job)
        sizes = {client: sum(map(_cost, jobs)) for client, jobs in kept.items()}
        while sum(sizes.values()) > 1:
            client = max(sizes, key=sizes.__getitem__)
            oldest = min(kept[client], key=lambda job: job.ended)
            kept[client].remove(oldest)
            sizes[client] -= _cost(oldest)
            del self._jobs[oldest.id]


def _cost(job: Job[Any]) -> float:
    """Return what part of all that is kept a job takes."""
    return max(1 / _MOST_JOBS, job.size / _MOST_BYTES)
