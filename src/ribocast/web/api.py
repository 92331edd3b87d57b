"""The API, version 1: JSON in; JSON, or CSV where it is asked for, out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from ribocast import __version__
from ribocast.sequence import to_dna
from ribocast.web import schemas
from ribocast.web.answers import as_csv, figures_of, plain_rows
from ribocast.web.design_jobs import Designed, start_design
from ribocast.web.jobs import ENDED, Job
from ribocast.web.limits import RefusedError
from ribocast.web.metrics import TYPE, Metrics
from ribocast.web.service import Service, known

if TYPE_CHECKING:
    import pandas as pd

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Problem, "description": words}
    for status, words in {
        400: "Not JSON", 401: "No token, or a wrong one", 403: "From another site's page", 404: "No such thing",
        405: "No such method", 408: "The request took too long to arrive", 413: "More than a limit allows",
        415: "A packed body", 421: "Not this server's name", 422: "Something in the request is wrong",
        429: "Too many calls; Retry-After says when to try again",
    }.items()
}  # fmt: skip
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
Sheet = Annotated[Literal["json", "csv", "fasta", "order"] | None, Query(alias="format")]
Form = Annotated[Literal["json", "csv"] | None, Query(alias="format", description="csv, as does Accept: text/csv.")]


def make_router(service: Service, metrics: Metrics) -> APIRouter:
    """Make the routes of the API."""
    router = APIRouter(prefix="/api/v1", responses=_PROBLEMS)

    @router.post("/predict", response_model=schemas.PredictOut, responses=_CSV)
    async def predict(asked: schemas.PredictIn, request: Request, form: Form = None) -> Response:
        """Predict the mean ribosome load of sequences, with a 90 % interval."""
        found = await service.predict(asked.sequences, assay=asked.assay, model=asked.model, profile=asked.profile)
        if _wants_csv(request, form):
            import pandas as pd

            return _csv(pd.DataFrame({"seq": asked.sequences, **found.columns}))
        columns = found.columns
        names = ("mrl", "mrl_low", "mrl_high", "note")
        rows: list[dict[str, Any]] = [
            dict(zip(("seq", *names, "profile"), (seq, float(mrl), known(low), known(high), note, None), strict=True))
            for seq, mrl, low, high, note in zip(asked.sequences, *(columns[name] for name in names), strict=True)
        ]
        if asked.profile:
            shares = zip(*(columns[name].tolist() for name in columns if name[0] == "r"), strict=True)
            rows = [{**row, "profile": profile} for row, profile in zip(rows, shares, strict=True)]
        return JSONResponse({"assay": found.assay.name, "model": found.model, "predictions": rows})

    @router.post("/explain", response_model=schemas.ExplainOut, responses=_CSV)
    async def explain(asked: schemas.ExplainIn, request: Request, form: Form = None) -> Response:
        """Explain a prediction: every substitution, upstream ORFs, Kozak contexts. CSV has the changes."""
        from ribocast.explaining_files import as_dict

        model, found = await service.explain(
            asked.sequence, assay=asked.assay, model=asked.model, indels=asked.indels,
            near_cognates=asked.near_cognates,
        )  # fmt: skip
        if _wants_csv(request, form):
            return _csv(found.effects)
        shown = as_dict(found)
        del shown["strongest"], shown["name"]
        return JSONResponse({**shown, "model": model, "effects": plain_rows(found.effects)})

    @router.post("/variants", response_model=schemas.VariantsOut, responses=_CSV)
    async def variants(asked: schemas.VariantsIn, request: Request, form: Form = None) -> Response:
        """Score variants: the log2 fold change of the load, with a 90 % interval, and why."""
        refs, alts = [pair.ref for pair in asked.pairs], [pair.alt for pair in asked.pairs]
        model, assay, table = await service.variants(refs, alts, assay=asked.assay, model=asked.model)
        table.insert(0, "ref", list(map(to_dna, refs)))
        table.insert(1, "alt", list(map(to_dna, alts)))
        if _wants_csv(request, form):
            return _csv(table)
        return JSONResponse({"assay": assay.name, "model": model, "variants": plain_rows(table)})

    @router.post("/design", response_model=schemas.JobOut, status_code=202)
    async def design(asked: schemas.DesignIn) -> Response:
        """Begin to design 5′ UTRs: a job, whose place is in Location."""
        job = start_design(service, asked)
        return JSONResponse(_job(job), 202, headers={"location": f"/api/v1/design/{job.id}"})

    @router.get("/design/{id}", response_model=schemas.JobOut)
    async def design_job(id: str) -> Response:
        """Say where a job is."""
        return JSONResponse(_job(service.jobs.get(id)))

    @router.delete("/design/{id}", response_model=schemas.JobOut)
    async def cancel_design(id: str) -> Response:
        """Cancel a job; it ends after the round it is in, with what it has found."""
        return JSONResponse(_job(service.jobs.cancel(id)))

    @router.get(
        "/design/{id}/result", response_model=schemas.DesignsOut,
        responses={**_CSV, 409: {"model": schemas.Problem, "description": "Not ended yet, or nothing found"}},
    )  # fmt: skip
    async def design_result(id: str, request: Request, form: Sheet = None) -> Response:
        """Fetch the designs: as JSON, CSV, FASTA, or as an order sheet of Integrated DNA Technologies."""
        job = service.jobs.get(id)
        found = _result(job)
        table = found.designs.table
        if form == "fasta":
            from ribocast.designing.table import as_fasta

            return Response(as_fasta(table), media_type="text/plain; charset=utf-8")
        if form == "order":
            from ribocast.designing.table import order_sheet

            return _csv(order_sheet(table, found.designs.construct, "idt"))
        if _wants_csv(request, form):
            return _csv(table)
        return JSONResponse({
            "state": job.state, "assay": found.assay.name, "model": found.model, "predictions": found.designs.calls,
            "remarks": [*found.designs.remarks, *([job.remark] if job.remark else [])], "designs": plain_rows(table),
        })  # fmt: skip

    @router.get("/models", response_model=schemas.ModelsOut)
    async def models() -> schemas.ModelsOut:
        """List the models that are served, what they know, and how accurate they are."""
        return schemas.ModelsOut(models=[figures_of(served) for served in service.models.values()])

    @router.get("/healthz", response_model=schemas.HealthOut)
    async def healthz() -> schemas.HealthOut:
        """Say that the server is there."""
        return schemas.HealthOut(status="stopping" if service.jobs.is_closing else "ok", version=__version__)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def read_metrics() -> Response:
        """Give the server's counters, in Prometheus's text format."""
        return Response(metrics.text(), headers={"content-type": TYPE})

    return router


def _wants_csv(request: Request, form: str | None) -> bool:
    return form == "csv" or (form is None and request.headers.get("accept", "").startswith("text/csv"))


def _csv(table: pd.DataFrame) -> Response:
    return Response(as_csv(table), media_type="text/csv; charset=utf-8")


def _job(job: Job[Designed]) -> dict[str, Any]:
    return {
        "id": job.id, "state": job.state, "done": job.done, "total": job.total, "best": job.best,
        "seconds": round(job.seconds, 3), "error": job.error, "remark": job.remark,
    }  # fmt: skip


def _result(job: Job[Designed]) -> Designed:
    if job.state not in ENDED:
        raise RefusedError(409, f"the job is {job.state}: it has no result yet")
    if job.state == "failed":
        raise RefusedError(422, job.error)
    if job.result is None:
        raise RefusedError(409, "the job was cancelled before it had found anything")
    return job.result
