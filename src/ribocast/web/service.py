"""What the page and the API do, once for both: the library's functions, within the server's limits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from ribocast.errors import OptionError, RibocastError
from ribocast.io.rejects import OnError
from ribocast.model.bundle import AssayCard, shipped_models
from ribocast.model.predictor import Predictor, load
from ribocast.sequence.batch import Batch
from ribocast.sequence.start_codon import cut_at_start as cut_batch
from ribocast.sequence.start_codon import join_notes
from ribocast.web.batching import Ask, Batcher
from ribocast.web.bodies import Rows
from ribocast.web.jobs import Jobs
from ribocast.web.limits import RefusedError, RowError
from ribocast.web.metrics import Metrics
from ribocast.web.settings import Settings
from ribocast.web.turns import Pool

if TYPE_CHECKING:
    import pandas as pd

    from ribocast.explain.explain import Explanation
    from ribocast.web.design_jobs import Designed

_READ_AT_ONCE = 50_000
"""Bytes of a request that are read by the event loop itself: it takes about a millisecond."""
_EXPLAINING, _READING = 2, 2
"""Explanations and scores of variants that are computed, and requests that are read, at the same time."""
T = TypeVar("T")
_log = logging.getLogger("ribocast.web")


class Served(NamedTuple):
    """A model that is served, by the name that clients call it."""

    name: str
    predictor: Predictor
    batcher: Batcher


class Result(NamedTuple, Generic[T]):
    """What was computed for the rows of a call.

    Attributes
    ----------
    model : str
        The model's name.
    assay : AssayCard
        In whose units.
    rows : Rows
        Those that `table` is about: a page of the usable ones.
    total : int
        How many are usable in all.
    skipped : list of RowError
        Why the others are not.
    table : dict of str to column, or pandas.DataFrame
        The results, a value a row.
    """

    model: str
    assay: AssayCard
    rows: Rows
    total: int
    skipped: list[RowError]
    table: T


class Service:
    """The models, ready, and what is done with them; to be closed at the end.

    Parameters
    ----------
    settings : Settings
        What is served, and within which limits.
    metrics : Metrics
        Where it is counted.

    Attributes
    ----------
    models : dict of str to Served
        By name; the first is the default.
    jobs : Jobs
        Designs under way, and those that wait to be fetched.
    workers : Pool
        Does what takes long but not minutes.

    Raises
    ------
    RibocastError
        If a model is not there, or two have one name.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.models: dict[str, Served] = {}
        for path in settings.models or sorted(shipped_models()):
            predictor = load(path, threads=settings.threads)
            name = predictor.bundle.folder.name
            if name in self.models:
                raise OptionError(f"two models are called {name}: folders' names must differ")
            batcher = Batcher(predictor, together=settings.batching, ran=metrics.batch)
            self.models[name] = Served(name, predictor, batcher)
        self.jobs: Jobs[Designed] = Jobs(
            at_once=settings.jobs_at_once, waiting=settings.jobs_waiting, each=settings.jobs_per_client,
            seconds=settings.job_seconds, unasked_seconds=settings.unasked_job_seconds,
            keep_seconds=settings.keep_job_seconds, size_of=_size_of,
            ended=lambda state: metrics.jobs.labels(state).inc(),
        )  # fmt: skip
        metrics.watch_jobs(self.jobs.count)
        self.workers = Pool(
            "explanations", at_once=_EXPLAINING, waiting=settings.explains_waiting, each=settings.explains_per_client
        )
        most = settings.calls_at_once
        self._readers = Pool("requests", at_once=_READING, waiting=most, each=most)

    def model(self, name: str | None) -> Served:
        """Find a model among those that are served: a client's name is never taken for a path.

        Raises
        ------
        RefusedError
            If it is not one of them.
        """
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            there = ", ".join(self.models)
            raise RefusedError(422, f"unknown model {name!r}; this server has: {there}", field="model")
        return self.models[name]

    def find(self, model: str | None, assay: str | None) -> tuple[Served, AssayCard]:
        """Find a model, and the assay of that name or the model's default one.

        Raises
        ------
        RefusedError
            If there is no such model, or it does not know the assay.
        """
        served = self.model(model)
        try:
            return served, served.predictor.card.assay(assay)
        except RibocastError as error:
            raise RefusedError(422, str(error), field="assay") from None

    async def read(self, size: int, work: Callable[[], T]) -> T:
        """Do what takes time in proportion to the bytes of a request; beside the event loop if they are many."""
        if size <= _READ_AT_ONCE:
            return work()
        return await self._readers.run(work)

    async def predict(
        self, rows: Rows, *, assay: str | None = None, model: str | None = None, profile: bool = False,
        cut_at_start: bool = False, on_error: OnError = "stop", offset: int = 0, limit: int | None = None,
    ) -> Result[dict[str, Any]]:  # fmt: skip
        """Predict MRLs, together with other calls; the columns are those of `Predictor.columns`.

        Raises
        ------
        RefusedError
            With 422 for rows that cannot be used, unless they are skipped; with 413 for more than the limits allow.
        RibocastError
            As `Predictor.predict`.
        """
        served, card = self.find(model, assay)
        if profile:
            served.predictor.check_profile()
        good, skipped = await self._sift(served, rows, on_error)
        page = _page(good, offset, limit)
        batch = Batch.of(page.values[0])
        cuts = [""] * len(batch)
        if cut_at_start:
            batch, cuts = cut_batch(batch)
        if len(page):
            columns = await asyncio.wrap_future(served.batcher.submit(Ask(batch, card, profile)))
        else:
            nothing = np.zeros((0, served.predictor.card.width), dtype=np.float32)
            columns = served.predictor.columns(batch, nothing, card, profile=profile)
        columns["note"] = join_notes(cuts, columns["note"])
        self._tell(page)
        return Result(served.name, card, page, len(good), skipped, columns)

    async def explain(
        self, rows: Rows, *, assay: str | None = None, model: str | None = None, indels: int = 0,
        near_cognates: bool = False, cut_at_start: bool = False,
    ) -> tuple[str, Explanation]:  # fmt: skip
        """Explain the one sequence of a call; see `ribocast.explain`. Gives the model's name too."""
        from ribocast.explain.explain import count_changes, explain

        if len(rows) != 1:
            names = ", ".join(name or f"row {row}" for row, name in zip(rows.numbers[:5], rows.ids, strict=False))
            raise RefusedError(
                422, f"explain takes one sequence; the request has {len(rows):,} ({names})", field=rows.columns[0]
            )
        served, _ = self.find(model, assay)
        await self._sift(served, rows, "stop")
        utr, name = rows.values[0][0], rows.ids[0] or ""
        # The letters of all changed sequences; no letter is changed to itself.
        if (count_changes(len(utr), indels) - len(utr)) * len(utr) > self.settings.max_explain_letters:
            raise RefusedError(413, f"{len(utr):,} nt with indels of up to {indels} nt are too much for one call")
        self._tell(rows)
        return served.name, await self.workers.run(
            lambda: explain(
                served.predictor,
                utr,
                assay=assay,
                indels=indels,
                near_cognates=near_cognates,
                name=name,
                cut_at_start=cut_at_start,
            )
        )

    async def variants(
        self, rows: Rows, unreadable: Sequence[RowError] = (), *, assay: str | None = None, model: str | None = None,
        cut_at_start: bool = False, on_error: OnError = "stop", offset: int = 0, limit: int | None = None,
    ) -> Result[pd.DataFrame]:  # fmt: skip
        """Score pairs, the columns of `ribocast.score_variants`; `unreadable` are rows that are known to be wrong."""
        from ribocast.variants.score import score_variants

        served, card = self.find(model, assay)
        card = card if assay else served.predictor.card.variant_assay
        good, skipped = await self._sift(served, rows, on_error, unreadable)
        page = _page(good, offset, limit)
        self._tell(page)
        refs, alts = page.values
        table = await self.workers.run(
            lambda: score_variants(served.predictor, refs, alts, assay=card.name, cut_at_start=cut_at_start)
        )
        return Result(served.name, card, page, len(good), skipped, table)

    def drain(self, seconds: float) -> bool:
        """Let all work finish for some time, then end it; no new work is taken.

        Returns
        -------
        bool
            Whether all of it finished by itself.
        """
        end = time.monotonic() + seconds
        finished = self.jobs.drain(seconds)
        finished &= self.wait(end - time.monotonic())
        self.close()
        return finished

    def wait(self, seconds: float) -> bool:
        """Wait until there is nothing to do, and say whether it is so."""
        end = time.monotonic() + seconds
        workers = (*self._everybody(), self.jobs)
        return all(worker.wait(max(0.0, end - time.monotonic())) for worker in workers)

    def close(self) -> None:
        """Have all work end soon."""
        for worker in self._everybody():
            worker.close()

    def _everybody(self) -> list[Pool | Batcher]:
        return [self._readers, *(served.batcher for served in self.models.values()), self.workers]

    async def _sift(
        self, served: Served, rows: Rows, on_error: OnError, unreadable: Sequence[RowError] = ()
    ) -> tuple[Rows, list[RowError]]:  # fmt: skip
        """Keep the usable rows; see `Service.predict` for what is raised."""
        limits = self.settings
        if not rows and not unreadable:
            raise RefusedError(422, "the request has no sequences", field=rows.columns[0])
        if len(rows) + len(unreadable) > limits.max_sequences:
            raise RefusedError(413, f"the request has {len(rows):,} rows; the maximum is {limits.max_sequences:,}")
        letters = sum(len(value) for column in rows.values for value in column if isinstance(value, str))
        if letters > limits.max_letters:
            raise RefusedError(413, f"the request has {letters:,} nt in all; the maximum is {limits.max_letters:,}")
        bad = self._too_long(rows)
        if bad and on_error == "stop":
            raise _unusable(list(bad.values()), 413)
        bad |= await self.read(letters, lambda: _faults(served, rows))
        errors = sorted([*unreadable, *bad.values()], key=lambda error: error.row)
        if not errors:
            return rows, []
        if on_error == "stop":
            raise _unusable(errors)
        good = rows.take([row for row in range(len(rows)) if row not in bad])
        if not good:
            raise _unusable(errors, what="no row is usable; the first: ")
        return good, errors

    def _too_long(self, rows: Rows) -> dict[int, RowError]:
        most = self.settings.max_length
        return {
            row: rows.error(row, number, f"the sequence is {len(value):,} nt; the maximum is {most:,}")
            for number, values in enumerate(rows.values)
            for row, value in enumerate(values)
            if isinstance(value, str) and len(value) > most
        }

    def _tell(self, rows: Rows) -> None:
        if self.settings.log_sequences:
            _log.info("sequences: %s", " ".join(value for column in rows.values for value in column))


def _size_of(found: Designed) -> int:
    return int(found.designs.table.memory_usage(deep=True).sum()) + 400 * len(found.designs.steps)


def _unusable(errors: Sequence[RowError], status: int = 422, *, what: str = "") -> RefusedError:
    first = errors[0]
    return RefusedError(status, f"{what}row {first.row}: {first.reason}", field=first.column, errors=errors)


def _faults(served: Served, rows: Rows) -> dict[int, RowError]:
    """Find the rows that cannot be used, by their index, each with its first fault."""
    return {
        row: rows.error(row, number, reason)
        for number in reversed(range(len(rows.values)))
        for row, reason in served.predictor.faults(rows.values[number])
    }


def _page(rows: Rows, offset: int, limit: int | None) -> Rows:
    end = len(rows) if limit is None else min(len(rows), offset + limit)
    return rows if offset == 0 and end == len(rows) else rows.take(range(min(offset, end), end))
