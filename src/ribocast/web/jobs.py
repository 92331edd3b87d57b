"""Work that takes longer than a call: handed in, watched, cancelled, and its result fetched."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from ribocast.errors import RibocastError
from ribocast.web.limits import RefusedError

State = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
_MOST_KEPT = 500
T = TypeVar("T")
_log = logging.getLogger("ribocast.web")


@dataclass(eq=False)
class Job(Generic[T]):
    """One piece of work.

    Attributes
    ----------
    id : str
        Cannot be guessed: who knows it may see the job and cancel it.
    state : {"waiting", "running", "done", "failed", "cancelled"}
        Where it is. A cancelled job has a result if it had found something.
    done, total : int
        Predictions so far, and at most (0 before it begins).
    best : list of float
        The best load of each target so far.
    error : str
        Why it failed.
    remark : str
        Why it ended early, if it did.
    result : object or None
        What came of it.
    """

    work: Callable[[Job[T]], T]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: State = "waiting"
    done: int = 0
    total: int = 0
    best: list[float] = field(default_factory=list)
    error: str = ""
    remark: str = ""
    result: T | None = None
    began: float = 0.0
    ended: float = 0.0
    deadline: float = float("inf")
    stop: threading.Event = field(default_factory=threading.Event)

    def should_stop(self) -> bool:
        """Say whether it is to end now; the work asks this often."""
        if not self.stop.is_set() and time.monotonic() > self.deadline:
            self.remark = f"ended after {self.deadline - self.began:.0f} s, the most that a job may take"
            self.stop.set()
        return self.stop.is_set()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return 0.0 if not self.began else (self.ended or time.monotonic()) - self.began


class Jobs(Generic[T]):
    """Jobs of all clients.

    Parameters
    ----------
    at_once, waiting : int
        How many run, and how many may wait.
    seconds : float
        After which a job ends with what it has.
    keep_seconds : float
        How long an ended job is kept, unless 500 ended after it.
    ended : callable, optional
        Told the state of each job that ended.
    """

    def __init__(
        self, *, at_once: int, waiting: int, seconds: float, keep_seconds: float,
        ended: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self._most_waiting, self._seconds, self._keep, self._ended = waiting, seconds, keep_seconds, ended
        self._at_once = at_once
        self._jobs: dict[str, Job[T]] = {}
        self._queue: deque[Job[T]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        for _ in range(at_once):
            threading.Thread(target=self._serve, name="job", daemon=True).start()

    def submit(self, work: Callable[[Job[T]], T]) -> Job[T]:
        """Hand in a job.

        Raises
        ------
        RefusedError
            With 429, if too many wait or the server is stopping.
        """
        with self._changed:
            if self._closing:
                raise RefusedError(429, "the server is stopping: no new jobs", 60)
            self._forget()
            unfinished = sum(job.state not in ENDED for job in self._jobs.values())
            if unfinished >= self._at_once + self._most_waiting:
                raise RefusedError(429, f"{unfinished} jobs are running or waiting; try again later", 30)
            job = Job(work)
            self._jobs[job.id] = job
            self._queue.append(job)
            self._changed.notify()
        return job

    def get(self, id: str) -> Job[T]:
        """Find a job.

        Raises
        ------
        RefusedError
            With 404, if there is none of that name, or no more.
        """
        with self._changed:
            self._forget()
            if id not in self._jobs:
                raise RefusedError(404, "no such job (results are kept for a while only)")
            return self._jobs[id]

    def cancel(self, id: str) -> Job[T]:
        """End a job that waits or runs; one that has ended stays as it is."""
        job = self.get(id)
        with self._changed:
            job.stop.set()
            if job.state == "waiting":
                self._queue.remove(job)
                self._end(job, "cancelled")
            elif job.state == "running":
                job.remark = "cancelled"
        return job

    def forget(self, id: str) -> None:
        """End a job and forget it and its result."""
        self.cancel(id)
        with self._changed:
            self._jobs.pop(id, None)

    def place(self, job: Job[T]) -> int | None:
        """Return the place of a job in the queue, from 1; None for one that does not wait."""
        with self._changed:
            return self._queue.index(job) + 1 if job in self._queue else None

    def expires(self, job: Job[T]) -> float | None:
        """Return in how many seconds the result of a job is deleted; None for one that has not ended."""
        return max(0.0, job.ended + self._keep - time.monotonic()) if job.ended else None

    @property
    def is_closing(self) -> bool:
        """Whether no more jobs are taken."""
        return self._closing

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
            self._closing = True
            finished = self._changed.wait_for(self._is_idle, seconds)
            for job in self._jobs.values():
                if job.state not in ENDED:
                    job.remark = "the server was stopped"
                    job.stop.set()
                    _log.warning("job %s was stopped with the server, after %d predictions", job.id, job.done)
            self._changed.notify_all()
            # A job looks at its flag after each round of its search.
            self._changed.wait_for(self._is_idle, 5.0)
        return finished

    def _is_idle(self) -> bool:
        return all(job.state in ENDED for job in self._jobs.values())

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                job = self._queue.popleft()
                if job.stop.is_set():
                    self._end(job, "cancelled")
                    continue
                job.state, job.began = "running", time.monotonic()
                job.deadline = job.began + self._seconds
            self._run(job)

    def _run(self, job: Job[T]) -> None:
        state: State = "failed"
        try:
            job.result = job.work(job)
            state = "cancelled" if job.remark == "cancelled" else "done"
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
        job.state, job.ended = state, time.monotonic()
        if self._ended:
            self._ended(state)
        self._changed.notify_all()

    def _forget(self) -> None:
        before = time.monotonic() - self._keep
        ended = sorted((job for job in self._jobs.values() if job.state in ENDED), key=lambda job: job.ended)
        for place, job in enumerate(ended):
            if job.ended < before or place < len(ended) - _MOST_KEPT:
                del self._jobs[job.id]


def where_of(error: BaseException) -> str:
    """Say what kind of error came from where, without its message, which may hold what a client sent."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}"
