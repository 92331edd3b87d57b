"""Work of many portions on a Ray cluster: actors hold the model, and each writes one portion at a time.

Not by Ray Data's own readers: those guess types, so that what a text table holds would come back spelled otherwise, and
they cut files into blocks of their own. Outputs would not be those of one machine to the byte. So a portion
(`ribocast.shards`) is what travels, and who does it reads and writes by the same functions as one machine does. All
machines see the same folders.

An actor that dies, alone or with its machine, loses the portion it had in hand: another one does it again. A file is
written beside its name and renamed, so that a portion is whole or not there.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from uuid import uuid4

from ribocast.bundle import shipped_models
from ribocast.engine import EngineName
from ribocast.errors import RibocastError
from ribocast.predictor import Predictor, load
from ribocast.shards import Done, Job, Portion, left_to_do, note_finished, terms_of
from ribocast.sieve import beside

SHARD_ROWS = 1 << 18
"""Rows of a portion of a large Parquet file: a minute of a core."""
_MOST_DEATHS = 3
_LOOK_SECONDS = 5.0
_SILENT_SECONDS = 60.0


class Order(NamedTuple):
    """What an actor is told first: its model, what runs it, with so many threads, and what is done."""

    model: str
    engine: EngineName
    threads: int
    job: Job


class Hand:
    """An actor. What cannot be done comes back as ``error``, in words."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._model: Predictor | None = None

    def begin(self) -> dict[str, Any]:
        """Load the model; say where this is, and what the numbers depend on here."""
        try:
            self._model = load(self._order.model, engine=self._order.engine, threads=self._order.threads)
            terms = terms_of(self._model, self._order.job)
        except (RibocastError, OSError) as error:
            return {"error": str(error)}
        return {"host": socket.gethostname(), "process": os.getpid(), "terms": terms}

    def do(self, portion: Portion, mark: str) -> dict[str, Any]:
        """Do a portion."""
        said: list[str] = []
        try:
            if self._model is None:
                raise RibocastError("the worker has no model")
            done = self._order.job.do(
                self._model, portion, resume=False, mark=mark, done=lambda _: None, say=said.append
            )  # fmt: skip
        except (RibocastError, OSError) as error:
            return {"error": str(error)}
        return {"done": tuple(done), "said": said}


def work_on_ray(
    address: str, model: Predictor, job: Job, portions: Sequence[Portion], *, threads: int = 1, resume: bool = False,
    workers: int | None = None, done: Callable[[int], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Done:  # fmt: skip
    """Do portions on a Ray cluster.

    Parameters
    ----------
    address : str
        Of the cluster; ``auto`` is the one that runs here, or else one that is started for this work.
    model : Predictor
        Of which the actors load their own.
    job, portions
        What is done.
    threads : int
        CPU threads, and Ray's CPUs, of an actor.
    resume : bool
        Skip what is finished.
    workers : int, optional
        At most so many actors; as many as the cluster has CPUs for without it, also when machines join later.
    done, say : callable
        Told the number of rows so far; told, in a line, what the user should know.

    Raises
    ------
    RibocastError
        If there is no such cluster, an actor has another version of ribocast or of the model, a portion cannot be done
        (those that are finished stay), or a portion has ended three actors.
    """
    portions = [
        replace(portion, source=os.path.realpath(portion.source), output=os.path.realpath(portion.output))
        for portion in portions
    ]
    terms = terms_of(model, job)
    left = left_to_do(portions, terms, resume, say)
    if not left:
        return Done(0, 0)
    shipped = model.card.name in shipped_models() and model.bundle.folder.parent.name == "pretrained"
    name = model.card.name if shipped else str(model.bundle.folder.resolve())
    order = Order(name, model.engine.name, threads, job)  # type: ignore[arg-type]
    with cluster(address, say) as ray:
        return _Crew(ray, order, terms, left, workers, done, say).work()


@contextmanager
def cluster(address: str, say: Callable[[str], None]) -> Iterator[ModuleType]:
    """Connect to a cluster, or start one; leave it at the end, unless the caller was connected before."""
    # Before Ray is imported: it reports nothing to its makers.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        try:
            ray.init(address=address, **options)
        except ConnectionError:
            if address != "auto":
                raise
            ray.init(address="local", include_dashboard=False, **options)
            say("no Ray cluster is running here: one of this machine was started")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise RibocastError(f"--ray {address}: {(str(error) or 'no cluster').splitlines()[0]}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


class _Crew:
    """Actors, and what each of them has in hand."""

    def __init__(
        self, ray: ModuleType, order: Order, terms: dict[str, Any], portions: Sequence[Portion], workers: int | None,
        done: Callable[[int], None], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._ray, self._terms, self._workers, self._done, self._say = ray, terms, workers, done, say
        self._threads = order.threads
        self._actor = ray.remote(num_cpus=order.threads, max_restarts=0)(Hand)
        self._order = ray.put(order)
        self._waiting = deque(portions)
        # By the reference to their answer: actors, with their portion, or None while they load the model.
        self._busy: dict[Any, tuple[Any, Portion | None, str]] = {}
        self._deaths: Counter[Portion | None] = Counter()
        self._run, self._attempts, self._hands = uuid4().hex[:8], 0, 0
        self._rows = self._skipped = 0

    def work(self) -> Done:
        """Work until every portion is finished."""
        _sweep(self._waiting)
        heard = time.monotonic()
        while self._waiting or any(portion for _, portion, _ in self._busy.values()):
            self._hire()
            ready, _ = self._ray.wait(list(self._busy), timeout=_LOOK_SECONDS)
            for answer in ready:
                heard = time.monotonic()
                self._hear(answer, *self._busy.pop(answer))
            if time.monotonic() - heard > _SILENT_SECONDS and not self._hands:
                self._say("no worker has begun yet: are all CPUs of the cluster in use?")
                heard = time.monotonic()
        for actor, _, _ in self._busy.values():
            self._ray.kill(actor)
        return Done(self._rows, self._skipped)

    def _hire(self) -> None:
        """Start as many actors as the cluster has room for, and work."""
        room = int(self._ray.cluster_resources().get("CPU", 0)) // self._threads
        most = min(max(1, room), self._workers or room or 1)
        loading = sum(portion is None for _, portion, _ in self._busy.values())
        for _ in range(min(most - len(self._busy), len(self._waiting) - loading)):
            actor = self._actor.remote(self._order)
            self._busy[actor.begin.remote()] = (actor, None, "")

    def _hear(self, answer: Any, actor: Any, portion: Portion | None, mark: str) -> None:
        try:
            result = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            where = f"{portion.output}: " if portion else ""
            raise RibocastError(f"{where}a worker failed: {str(error.cause).splitlines()[0]}") from error
        except self._ray.exceptions.RayError as error:
            self._bury(actor, portion, mark, error)
            return
        if "error" in result:
            raise RibocastError(result["error"])
        if portion is None:
            self._compare(result)
            self._hands += 1
            self._say(f"worker {self._hands} on {result['host']} (process {result['process']})")
        else:
            finished = Done(*result["done"])
            note_finished(portion, self._terms, finished)
            for line in result["said"]:
                self._say(f"{Path(portion.output).name}: {line}")
            self._rows, self._skipped = self._rows + finished.rows, self._skipped + finished.skipped
            self._done(self._rows)
        if self._waiting:
            self._attempts += 1
            following, mark = self._waiting.popleft(), f"ray-{self._run}-{self._attempts}"
            self._busy[actor.do.remote(following, mark)] = (actor, following, mark)
        else:
            self._ray.kill(actor)

    def _bury(self, actor: Any, portion: Portion | None, mark: str, error: Exception) -> None:
        """Put back what an actor had in hand when it died."""
        with suppress(Exception):
            self._ray.kill(actor)
        self._deaths[portion] += 1
        what = Path(portion.output).name if portion else "a model that was loaded"
        if self._deaths[portion] >= _MOST_DEATHS:
            reason = str(error).splitlines()[0]
            raise RibocastError(f"{what}: ended {_MOST_DEATHS} workers; perhaps memory is short: {reason}") from None
        if portion:
            self._say(f"a worker has died: {what} is done again")
            _remove_partial(portion, mark)
            self._waiting.appendleft(portion)

    def _compare(self, result: dict[str, Any]) -> None:
        for name, ours in self._terms.items():
            if result["terms"].get(name) != ours:
                theirs = result["terms"].get(name)
                raise RibocastError(f"the worker on {result['host']} has {name} {theirs}, here it is {ours}")


def _outputs(portion: Portion) -> list[Path]:
    return [Path(portion.output), beside(portion.output, "rejected")]


def _remove_partial(portion: Portion, mark: str) -> None:
    for path in _outputs(portion):
        with suppress(OSError):
            path.with_name(f".{path.name}.{mark}.part").unlink()


def _sweep(portions: Iterable[Portion]) -> None:
    """Remove what runs that were killed left half-written."""
    for portion in portions:
        for path in _outputs(portion):
            for partial in path.parent.glob(f".{path.name}.ray-*.part"):
                with suppress(OSError):
                    partial.unlink()
