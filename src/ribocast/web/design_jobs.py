"""Designs as jobs: what the API and the page ask for, turned into a brief, checked before it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ribocast.design.constraints import read_seed
from ribocast.design.design import INDEPENDENT, Designs, propose
from ribocast.design.folding import free_energy
from ribocast.design.parse import Given, make_rules
from ribocast.design.request import Brief
from ribocast.design.rounds import Progress
from ribocast.model.bundle import AssayCard
from ribocast.sequence.construct import Construct
from ribocast.web.jobs import Job
from ribocast.web.limits import RefusedError
from ribocast.web.schemas import DesignIn
from ribocast.web.service import Service

if TYPE_CHECKING:
    from ribocast.design.constraints import Constraint


class Designed(NamedTuple):
    """What came of a job: the designs, by which model, in which assay's units."""

    designs: Designs
    model: str
    assay: AssayCard


def start_design(service: Service, asked: DesignIn) -> Job[Designed]:
    """Hand in a design job.

    Raises
    ------
    RefusedError
        With 413 for more than the limits allow, 429 where too many jobs wait.
    RibocastError
        If a rule cannot be read; that rules contradict each other is said by the job.
    """
    served, card = service.find(asked.model, asked.assay)
    brief, remarks = _read(asked, card)
    _check(service, brief, asked)
    # The independent prediction is the other shipped model's, if that is served; a search does not load it anew.
    independent = next(
        (other.predictor for name, other in service.models.items() if name == INDEPENDENT != served.name), None
    )

    def work(job: Job[Designed]) -> Designed:
        def watch(now: Progress) -> None:
            job.done, job.total = now.calls, now.budget
            job.best = [step.mrl for step in now.best]

        try:
            found = propose(served.predictor, brief, independent=independent, threads=service.settings.threads,
                            watch=watch, stop=job.should_stop)  # fmt: skip
        finally:
            free_energy.cache_clear()  # what a client asked for is forgotten
        return Designed(found._replace(remarks=[*remarks, *found.remarks]), served.name, card)

    return service.jobs.submit(work)


def _read(asked: DesignIn, card: AssayCard) -> tuple[Brief, list[str]]:
    given = Given(
        length=str(asked.length) if isinstance(asked.length, int) else _between(asked.length),
        template=asked.template, max_edits=asked.max_edits, keep_start=asked.keep_start, keep_end=asked.keep_end,
        forbid=tuple(asked.forbid), avoid=tuple(asked.avoid), forbid_sites=tuple(asked.forbid_sites),
        no_near_cognates=asked.no_near_cognates, no_stops=asked.no_stops, gc=_between(asked.gc),
        gc_window=_between(asked.gc_window), max_run=asked.max_run, no_repeat=asked.no_repeat,
        min_distance=asked.min_distance, free_energy=_between(asked.free_energy),
    )  # fmt: skip
    # Letters, never the name of a file as on the command line.
    seed = None if asked.like is None else read_seed(asked.like)
    rules: list[Constraint]
    rules, remarks = make_rules(given, seed)
    construct = None
    if asked.adapter is not None or asked.cds is not None:
        usual = card.surroundings
        construct = Construct(usual.before if asked.adapter is None else asked.adapter, asked.cds or usual.after)
    brief = Brief(
        target=asked.target, n=asked.n, constraints=rules, like=seed, assay=card.name, construct=construct,
        algorithm=asked.algorithm, budget=asked.budget, seed=asked.seed, risk_aversion=asked.risk_aversion,
        out_of_distribution_penalty=asked.out_of_distribution_penalty,
    )  # fmt: skip
    return brief, remarks


def _check(service: Service, brief: Brief, asked: DesignIn) -> None:
    limits = service.settings
    designs = brief.n * len(brief.targets)
    if designs > limits.max_designs:
        raise RefusedError(413, f"{designs:,} designs; the maximum is {limits.max_designs:,}")
    if brief.calls > limits.max_budget:
        raise RefusedError(413, f"a budget of {brief.calls:,} predictions; the maximum is {limits.max_budget:,}")
    longest = asked.length if isinstance(asked.length, int) else max(asked.length or (0,))
    longest = max(longest, len(asked.template or ""), len(asked.like or ""))
    if longest > limits.max_design_length:
        raise RefusedError(413, f"designs are {longest:,} nt; the maximum is {limits.max_design_length:,}")


def _between(numbers: tuple[float, ...] | None) -> str | None:
    return None if numbers is None else ":".join(map(repr, numbers))
