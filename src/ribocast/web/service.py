"""What the page and the API do, once for both: the library's functions, within the server's limits."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ribocast.bundle import AssayCard, shipped_models
from ribocast.errors import RibocastError
from ribocast.predictor import Predictor, load
from ribocast.sequence import Fault, SequenceError
from ribocast.spelling import Spelled
from ribocast.web.batching import Ask, Batcher
from ribocast.web.jobs import Jobs
from ribocast.web.limits import RefusedError, WrongFieldError
from ribocast.web.metrics import Metrics
from ribocast.web.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from ribocast.explaining import Explanation
    from ribocast.web.design_jobs import Designed

_EXPLAINING = 2
"""Explanations, and scores of variants, that are computed at the same time."""
T = TypeVar("T")
_log = logging.getLogger("ribocast.web")


class Served(NamedTuple):
    """A model that is served, by the name that clients call it."""

    name: str
    predictor: Predictor
    batcher: Batcher


class Predictions(NamedTuple):
    """What was predicted: by which model, on whose scale, and the columns of `Predictor.columns`."""

    model: str
    assay: AssayCard
    columns: dict[str, Any]


class Service:
    """The models, ready, and what is done with them; to be closed at the end.

    Parameters
    ----------
    settings : Settings
        What is served, and within which limits.
    metrics : Metrics
        Where it is counted.

    Raises
    ------
    RibocastError
        If a model is not there, or two have one name.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.models: dict[str, Served] = {}
        for path in settings.models or _shipped():
            predictor = load(path, threads=settings.threads)
            name = predictor.bundle.folder.name
            if name in self.models:
                raise RibocastError(f"two models are called {name}: folders' names must differ")
            batcher = Batcher(predictor, together=settings.batching, ran=metrics.batch)
            self.models[name] = Served(name, predictor, batcher)
        self.jobs: Jobs[Designed] = Jobs(
            at_once=settings.jobs_at_once, waiting=settings.jobs_waiting, seconds=settings.job_seconds,
            keep_seconds=settings.keep_job_seconds, ended=lambda state: metrics.jobs.labels(state).inc(),
        )  # fmt: skip
        metrics.watch_jobs(self.jobs.count)
        self._threads = ThreadPoolExecutor(_EXPLAINING, thread_name_prefix="explain")

    def model(self, name: str | None) -> Served:
        """Find a model among those that are served: a client's name is never taken for a path.

        Raises
        ------
        WrongFieldError
            If it is none of them.
        """
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise WrongFieldError(f"model {name!r} is none that is served: {', '.join(self.models)}", "model")
        return self.models[name]

    def find(self, model: str | None, assay: str | None) -> tuple[Served, AssayCard]:
        """Find a model, and the assay of that name or the model's default one.

        Raises
        ------
        WrongFieldError
            If there is no such model, or it does not know the assay.
        """
        served = self.model(model)
        try:
            return served, served.predictor.card.assay(assay)
        except RibocastError as error:
            raise WrongFieldError(str(error), "assay") from None

    async def predict(
        self, utrs: Sequence[str], *, assay: str | None = None, model: str | None = None, profile: bool = False
    ) -> Predictions:
        """Predict loads, together with other calls.

        Raises
        ------
        SequenceError
            At the first sequence that cannot be used.
        RefusedError
            With 413, for more than the limits allow.
        RibocastError
            As `Predictor.predict`.
        """
        served, card = self.find(model, assay)
        if profile:
            served.predictor.check_profile()
        self._check(served, utrs, "sequences", list(utrs))
        columns = await asyncio.wrap_future(served.batcher.submit(Ask(Spelled.of(utrs), card, profile)))
        self._tell(utrs)
        return Predictions(served.name, card, columns)

    async def explain(
        self, utr: str, *, assay: str | None = None, model: str | None = None, indels: int = 0,
        near_cognates: bool = False,
    ) -> tuple[str, Explanation]:  # fmt: skip
        """Explain a sequence; see `ribocast.explain`. Gives the model's name too."""
        from ribocast.explaining import explain

        served, _ = self.find(model, assay)
        self._check(served, [utr], "sequences", [utr])
        if _letters_changed(len(utr), indels) > self.settings.max_explain_letters:
            raise RefusedError(413, f"{len(utr):,} nt with {indels} nt of indels are too much to explain in one call")
        self._tell([utr])
        return served.name, await self._run(
            lambda: explain(served.predictor, utr, assay=assay, indels=indels, near_cognates=near_cognates)
        )

    async def variants(
        self, refs: Sequence[str], alts: Sequence[str], *, assay: str | None = None, model: str | None = None
    ) -> tuple[str, AssayCard, pd.DataFrame]:
        """Score pairs; see `ribocast.score_variants`. Gives the model's name and the assay too."""
        from ribocast.variants import pair_faults, score_variants

        served, card = self.find(model, assay)
        card = card if assay else served.predictor.card.variant_assay
        self._check(served, refs, "pairs", [*refs, *alts], lambda: pair_faults(served.predictor, refs, alts))
        self._tell([*refs, *alts])
        return served.name, card, await self._run(lambda: score_variants(served.predictor, refs, alts, assay=card.name))

    def close(self) -> None:
        """Let running work finish."""
        for served in self.models.values():
            served.batcher.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.wrap_future(self._threads.submit(work))

    def _check(
        self, served: Served, rows: Sequence[str], what: str, utrs: Sequence[str],
        find: Callable[[], list[Fault]] | None = None,
    ) -> None:  # fmt: skip
        limits = self.settings
        if len(rows) > limits.max_sequences:
            raise RefusedError(413, f"{len(rows):,} {what}; at most {limits.max_sequences:,} are taken in one call")
        if not rows:
            raise RibocastError(f"there are no {what}")
        if faults := find() if find else served.predictor.faults(utrs):
            raise SequenceError(faults[0])
        for row, utr in enumerate(utrs):
            if len(utr) > limits.max_length:
                at = row % len(rows) + 1
                raise RefusedError(413, f"row {at}: {len(utr):,} nt; at most {limits.max_length:,} are taken")
        letters = sum(map(len, utrs))
        if letters > limits.max_letters:
            raise RefusedError(413, f"{letters:,} letters; at most {limits.max_letters:,} are taken in one call")

    def _tell(self, utrs: Sequence[str]) -> None:
        if self.settings.log_sequences:
            _log.info("sequences: %s", " ".join(utrs))


def _shipped() -> list[str]:
    return sorted(shipped_models())


def known(value: float) -> float | None:
    """Return a number, or None where it is none."""
    return float(value) if math.isfinite(value) else None


def _letters_changed(length: int, indels: int) -> int:
    """Estimate the letters of all changed sequences of an explanation."""
    inserted = [(4, 16, 64)[size] * (length + 1) for size in range(indels)]
    return (3 * length + indels * length + sum(inserted)) * length
