"""Designs as jobs: what the API and the page ask for, checked before it waits."""

from __future__ import annotations

from typing import NamedTuple

from ribocast.design.design import INDEPENDENT, Designs, propose
from ribocast.design.feasibility import longest_asked
from ribocast.design.folding import free_energy
from ribocast.design.request import DesignRequest
from ribocast.design.rounds import Progress
from ribocast.model.bundle import AssayCard
from ribocast.web.jobs import Job
from ribocast.web.limits import RefusedError
from ribocast.web.schemas import DesignIn
from ribocast.web.service import Service


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
    request = DesignRequest(**asked.model_dump(exclude={"model"}) | {"assay": card.name})
    _check(service, request)
    # The independent prediction is the other shipped model's, if that is served; a search does not load it anew.
    independent = next(
        (other.predictor for name, other in service.models.items() if name == INDEPENDENT != served.name), None
    )

    def work(job: Job[Designed]) -> Designed:
        def watch(now: Progress) -> None:
            job.done, job.total = now.calls, now.budget
            job.best = [step.mrl for step in now.best]

        try:
            found = propose(served.predictor, request, independent=independent, threads=service.settings.threads,
                            watch=watch, stop=job.should_stop)  # fmt: skip
        finally:
            free_energy.cache_clear()  # what a client asked for is forgotten
        return Designed(found, served.name, card)

    return service.jobs.submit(work)


def _check(service: Service, request: DesignRequest) -> None:
    limits = service.settings
    designs, longest = request.n * len(request.targets), longest_asked(request.rules)
    if designs > limits.max_designs:
        raise RefusedError(413, f"{designs:,} designs; the maximum is {limits.max_designs:,}")
    if request.calls > limits.max_budget:
        raise RefusedError(413, f"a budget of {request.calls:,} predictions; the maximum is {limits.max_budget:,}")
    if longest > limits.max_design_length:
        raise RefusedError(413, f"designs are {longest:,} nt; the maximum is {limits.max_design_length:,}")
