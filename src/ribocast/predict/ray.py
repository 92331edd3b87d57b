"""Work of many portions on a Ray cluster: Ray Data hands them out to a pool of actors that hold the model.

What travels is a portion (`ribocast.predict.shards`), not its rows: the actor that has it reads and writes it by the
functions that one machine uses. Ray Data's own readers would guess types, so that what a text table holds came back
spelled otherwise, and cut files into blocks of their own: outputs would not be those of one machine to the byte. All
machines see the same folders.

An actor that dies, alone or with its machine, loses the portion it had in hand: Ray starts another one, which does it
again. A file is written beside its name and renamed, so that a portion is whole or not there.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Timer
from types import ModuleType
from typing import Any, NamedTuple
from uuid import uuid4

from ribocast.errors import RibocastError, UnavailableError
from ribocast.io.cluster import cluster, workers_by_machine
from ribocast.io.output_paths import beside
from ribocast.io.resume import difference
from ribocast.io.writers import remove_leftovers
from ribocast.model.bundle import shipped_models
from ribocast.model.engine import EngineName
from ribocast.model.predictor import Predictor, load
from ribocast.predict.shards import Done, Portion, PortionWork, finished, left_to_do, note_finished, terms_of

SHARD_ROWS = 1 << 18
"""Rows of a portion of a large Parquet file: a minute of a core."""
_MOST_DEATHS = 3
_SILENT_SECONDS = 60.0
_TRIES = re.compile(r"\.(.+)\.(ray-[0-9a-f]{8})\.tries")


class Assignment(NamedTuple):
    """What an actor is told first.

    Attributes
    ----------
    model, engine, threads
        What it loads, and how.
    terms : dict
        What the numbers depend on where the assignment was given (`ribocast.predict.shards.terms_of`).
    work, portions
        What is done.
    run : str
        Marks what this piece of work leaves beside the outputs.
    """

    model: str
    engine: EngineName
    threads: int
    terms: dict[str, Any]
    work: PortionWork
    portions: Sequence[Portion]
    run: str


class PortionWorker:
    """An actor. What cannot be done comes back as ``error``, in words."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._model: Predictor | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Do the portion with this number."""
        said: list[str] = []
        try:
            done, error = self._do(self._assignment.portions[row["portion"]], said.append), ""
        except Exception as failure:
            # Whatever it is, the others should not end by a traceback of Ray's.
            known = isinstance(failure, RibocastError | OSError)
            done, error = Done(0, 0), str(failure) if known else f"a worker failed: {failure!r}"
        worker = f"{socket.gethostname()} (process {os.getpid()})"
        return {**row, **done._asdict(), "said": "\n".join(said), "error": error, "worker": worker}

    def _do(self, portion: Portion, say: Callable[[str], None]) -> Done:
        assignment, name = self._assignment, Path(portion.output).name
        # Ray asks again where only the answer was lost, with the machine that kept it.
        before = finished(portion, assignment.terms)
        if before:
            return before
        tries = Path(portion.output).with_name(f".{name}.{assignment.run}.tries")
        with tries.open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        deaths = len(tries.read_text(encoding="utf-8").splitlines()) - 1
        if deaths >= _MOST_DEATHS:
            raise UnavailableError(f"{name}: ended {deaths} workers; perhaps memory is short")
        if deaths:
            say("a worker has died: this is done again")
        done = assignment.work.do(self._begin(), portion, resume=False, keep=False, done=lambda _: None, say=say)
        note_finished(portion, assignment.terms, done)
        # Not what another one writes, that was believed dead or believes this one to be.
        with suppress(OSError):
            tries.unlink()
        return done

    def _begin(self) -> Predictor:
        """Load the model, once, and compare what the numbers depend on."""
        if self._model is None:
            assignment = self._assignment
            model = load(assignment.model, engine=assignment.engine, threads=assignment.threads)
            if found := difference(terms_of(model, assignment.work), assignment.terms):
                name, there, here = found
                raise UnavailableError(f"the worker on {socket.gethostname()} has {name} {there}, here it is {here}")
            self._model = model
        return self._model


def work_on_ray(
    address: str, model: Predictor, work: PortionWork, portions: Sequence[Portion], *, threads: int = 1,
    resume: bool = False, workers: int | None = None, done: Callable[[int], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Done:  # fmt: skip
    """Do portions on a Ray cluster.

    Parameters
    ----------
    address : str
        Of the cluster; ``auto`` is the one that runs here, or else one that is started for this work.
    model : Predictor
        Of which the actors load their own.
    work, portions
        What is done.
    threads : int
        CPU threads, and Ray's CPUs, of an actor.
    resume : bool
        Skip what is finished.
    workers : int, optional
        Maximum number of actors; as many as the cluster has CPUs for without it, also when machines join later.
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
    terms = terms_of(model, work)
    left = left_to_do(portions, terms, resume, say)
    if not left:
        return Done(0, 0)
    _sweep(left)
    shipped = model.card.name in shipped_models() and model.bundle.folder.parent.name == "pretrained"
    name = model.card.name if shipped else str(model.bundle.folder.resolve())
    engine: EngineName = model.engine.name  # type: ignore[assignment]
    assignment = Assignment(name, engine, threads, terms, work, left, f"ray-{uuid4().hex[:8]}")
    try:
        with cluster(address, say) as ray, closing(_answers(ray, assignment, workers)) as answers:
            return _hear(answers, assignment, done, say)
    finally:
        _sweep(left, assignment.run)


def _answers(ray: ModuleType, assignment: Assignment, workers: int | None) -> Generator[dict[str, Any], None, None]:
    """Have Ray Data's pool of actors do the portions; yield what they answer, in the order in which they end."""
    from ray.data import ActorPoolStrategy, DataContext, from_items

    room, count = sum(workers_by_machine(ray, assignment.threads).values()), len(assignment.portions)
    most = min(count, workers or count)
    pool = ActorPoolStrategy(min_size=min(room, most), max_size=most, max_tasks_in_flight_per_actor=1)
    worker: Any = PortionWorker
    with warnings.catch_warnings():
        # Ray 2.60 warns of its own defaults.
        warnings.simplefilter("ignore", DeprecationWarning)
        DataContext.get_current()
    numbers = from_items([{"portion": number} for number in range(count)], override_num_blocks=count)
    # The dataset's own copy.
    context = numbers.context
    context.enable_progress_bars = False
    # A portion takes as long as it takes, and one that fails is not left out.
    context.execution_no_progress_timeout_s = -1
    context.max_errored_blocks = 0
    context.wait_for_min_actors_s = -1
    # An actor has one portion in hand, so that all at work is all there is to see.
    context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
    log = logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        answers = numbers.map(worker, fn_constructor_args=(assignment,), compute=pool, num_cpus=assignment.threads)
        # Without a batch read ahead, an answer comes when it is there.
        for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            table: Any = batch
            yield from table.to_pylist()
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UnavailableError(f"a worker failed: {reason}") from error
    finally:
        log.setLevel(level)


def _hear(
    answers: Iterator[dict[str, Any]], assignment: Assignment, done: Callable[[int], None], say: Callable[[str], None]
) -> Done:
    total, heard, workers = Done(0, 0), 0, set[str]()

    def complain() -> None:
        if not any(_tries(assignment.portions, assignment.run)):
            say("no worker has begun yet: are all CPUs of the cluster in use?")

    silence = Timer(_SILENT_SECONDS, complain)
    silence.daemon = True
    silence.start()
    try:
        for answer in answers:
            silence.cancel()
            if answer["error"]:
                raise UnavailableError(answer["error"])
            if answer["worker"] not in workers:
                workers.add(answer["worker"])
                say(f"worker {len(workers)} on {answer['worker']}")
            for line in answer["said"].splitlines():
                say(f"{Path(assignment.portions[answer['portion']].output).name}: {line}")
            heard += 1
            total = Done(total.rows + answer["rows"], total.skipped + answer["skipped"])
            done(total.rows)
    finally:
        silence.cancel()
    if heard < len(assignment.portions):
        raise UnavailableError(
            f"Ray answered for {heard:,} of {len(assignment.portions):,} portions; --resume does the others"
        )
    return total


def _tries(portions: Iterable[Portion], run: str) -> Iterator[Path]:
    """Yield the files in which a run, or every run, counts who has begun a portion."""
    outputs = {Path(portion.output) for portion in portions}
    for folder in {path.parent for path in outputs}:
        for path in folder.iterdir() if folder.is_dir() else ():
            match = _TRIES.fullmatch(path.name)
            if match and match[2].startswith(run) and folder / match[1] in outputs:
                yield path


def _sweep(portions: Iterable[Portion], run: str = "ray-") -> None:
    """Remove what workers that died, or whole runs, left beside outputs."""
    for path in _tries(portions, run):
        with suppress(OSError):
            path.unlink()
    remove_leftovers(path for one in portions for path in (Path(one.output), beside(one.output, "rejected")))
